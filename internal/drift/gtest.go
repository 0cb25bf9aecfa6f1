package drift

import "math"

// minExpected is the min number of rows expected in a group of bins, in effective rows. With 5 the
// G statistic follows its distribution far into the tail: for nominal rates of 1e-2 to 1e-4,
// windows of 100 to 1,000 rows and references of 500 and 5,000, 16 and 32 groups gave 0.9 to 1.2
// times as many alarms on unchanged data. With 2 groups, computed exactly down to 1e-7, it is at
// most 1.5 times as many, 2.7 if a rate is on a step between two counts, and less than nominal for
// rare values. Pearson's statistic gives 20 times as many for a value in 3 % of the rows.
const minExpected = 5

// comparison is the result of comparing the bins of two samples.
type comparison struct {
	g      float64 // the statistic, corrected for small counts
	df     float64 // its degrees of freedom; 0: nothing to compare
	rows   float64 // effective: nm/(n+m)
	logP   float64 // log probability of this g or more if the divergence is at most the tolerance
	effect float64 // PSI without its bias
	low    float64
	high   float64
}

// grouped are the counts of a window and of the reference in groups of bins.
type grouped struct {
	n            int
	window, ref  [MaxBins]float64
	sumW, sumRef float64
}

// compare tests the bins of a window against those of the reference with a G-test of two samples,
// since the reference is a sample too. If the two differ by a divergence of d, G has a noncentral
// chi-square distribution with a noncentrality of rows * d. PSI, twice the Kullback-Leibler
// divergence and the chi-square distance all tend to d for small d. With the tolerance as d, the
// test is for "differs by more than the tolerance": a smaller difference never raises an alarm,
// however many rows there are.
func compare(window, ref []uint64, tolerance float64) comparison {
	var groups grouped
	groups.fill(window, ref)
	n, m := groups.sumW, groups.sumRef
	c := comparison{rows: n * m / max(1, n+m)}
	if groups.n < 2 || n == 0 || m == 0 {
		return c
	}
	c.df = float64(groups.n - 1)
	c.g = groups.statistic()
	c.logP = noncentralTail(c.g, c.df, c.rows*tolerance)
	c.effect, c.low, c.high = groups.psi(c.rows)
	return c
}

// fill joins neighbouring bins, from the left, until each group is large enough. It uses only the
// sizes of the samples and the reference: groups that depend on the window would change the
// distribution. If fewer than two groups remain, the heaviest bin is compared with all others; that
// covers rare values and constants.
func (g *grouped) fill(window, ref []uint64) {
	heaviest := 0
	for i := range ref {
		g.sumW += float64(window[i])
		g.sumRef += float64(ref[i])
		if ref[i] > ref[heaviest] {
			heaviest = i
		}
	}
	if len(ref) < 2 || g.sumRef == 0 {
		return
	}
	share := g.sumW / (g.sumW + g.sumRef) // effective rows per row of the reference
	var w, r float64
	for i := range ref {
		w += float64(window[i])
		r += float64(ref[i])
		if r*share >= minExpected {
			g.window[g.n], g.ref[g.n] = w, r
			g.n++
			w, r = 0, 0
		}
	}
	if g.n > 0 {
		g.window[g.n-1] += w
		g.ref[g.n-1] += r
	}
	if g.n < 2 {
		g.n = 2
		w, r = float64(window[heaviest]), float64(ref[heaviest])
		g.window[0], g.ref[0] = w, r
		g.window[1], g.ref[1] = g.sumW-w, g.sumRef-r
	}
}

// statistic returns G divided by Williams's correction, with which its mean is that of the
// chi-square distribution in small groups too.
func (g *grouped) statistic() float64 {
	n, m := g.sumW, g.sumRef
	all := n + m
	var sum, inverse float64
	for i := range g.n {
		w, r := g.window[i], g.ref[i]
		both := w + r
		if w > 0 {
			sum += w * math.Log(w*all/(both*n))
		}
		if r > 0 {
			sum += r * math.Log(r*all/(both*m))
		}
		inverse += 1 / max(1, both)
	}
	williams := 1 + (all/n+all/m-1)*(all*inverse-1)/(6*all*float64(g.n-1))
	return max(0, 2*sum/williams)
}

// psi returns the population stability index minus its mean without a difference, (groups-1)/rows,
// and its 95 % interval. Half a row in each group keeps it finite. The variance is that of the
// index by the delta method, plus its variance without a difference.
func (g *grouped) psi(rows float64) (effect, low, high float64) {
	k := float64(g.n)
	n, m := g.sumW+k/2, g.sumRef+k/2
	var psi, meanW, meanR, squareW, squareR float64
	for i := range g.n {
		q, r := (g.window[i]+0.5)/n, (g.ref[i]+0.5)/m
		l := math.Log(q / r)
		psi += (q - r) * l
		dw, dr := l+1-r/q, 1-q/r-l
		meanW += q * dw
		meanR += r * dr
		squareW += q * dw * dw
		squareR += r * dr * dr
	}
	df := k - 1
	variance := max(0, squareW-meanW*meanW)/n + max(0, squareR-meanR*meanR)/m + 2*df/(rows*rows)
	half := 1.96 * math.Sqrt(variance)
	effect = psi - df/rows
	return max(0, effect), max(0, effect-half), max(0, effect+half)
}
