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

// cell is a group of neighbouring bins: its rows in the window, in the halves of the window, and in the
// reference.
type cell struct {
	window, ref float64
	before      float64 // rows in the window before
	halves      [numSplits]float64
}

func (g *cell) add(o cell) {
	g.window += o.window
	g.ref += o.ref
	g.before += o.before
	for i := range g.halves {
		g.halves[i] += o.halves[i]
	}
}

// grouped are the counts of a window and of the reference in groups of bins.
type grouped struct {
	all          []cell
	sumW, sumRef float64

	// f has the reference, c the counts as it sees them, and scores are those of its bins. See Tumbling.groups.
	f      *Feature
	c      *Counts
	scores *scores
}

// compare tests the bins of a window against those of the reference with a G-test of two samples,
// since the reference is a sample too. If the two differ by a divergence of d, G has a noncentral
// chi-square distribution with a noncentrality of rows * d. PSI, twice the Kullback-Leibler
// divergence and the chi-square distance all tend to d for small d. With the tolerance as d, the
// test is for "differs by more than the tolerance": a smaller difference never raises an alarm,
// however many rows there are.
//
// If the window's rows depend on each other, G is a sum of chi-square variables, each times a design
// effect. A chi-square variable times the largest one, with the degrees of freedom that give the
// same mean, has at least the same tail. Rao and Scott (Annals of Statistics 12, 1984) scale by the
// mean design effect, which is too small this far in the tail.
func (g *grouped) compare(tolerance float64, e inflation) comparison {
	n, m := g.sumW, g.sumRef
	c := comparison{rows: n * m / max(1, n+m)}
	if len(g.all) < 2 || n == 0 || m == 0 {
		return c
	}
	ofBoth := func(effect float64) float64 { return (effect*m + n) / (n + m) } // the reference's rows are independent
	mean, scale := ofBoth(e.bins), ofBoth(e.largest)
	c.df = float64(len(g.all) - 1)
	c.g = g.statistic()
	c.logP = noncentralTail(c.g/scale, c.df*mean/scale, c.rows*tolerance/scale)
	c.effect, c.low, c.high = g.psi(c.rows/mean, e.bins)
	return c
}

// compare compares bins whose rows are independent.
func compare(window, ref []uint64, tolerance float64) comparison {
	g := groups(&Counts{Bins: window}, ref, &history{})
	return g.compare(tolerance, inflation{bins: 1, largest: 1})
}

// cellOf returns a bin as a group.
func cellOf(c *Counts, ref, before []uint64, i int) cell {
	g := cell{window: float64(c.Bins[i]), ref: float64(ref[i])}
	if c.Halves != nil {
		for split, n := range c.Halves[i] {
			g.halves[split] = float64(n)
		}
	}
	if before != nil {
		g.before = float64(before[i])
	}
	return g
}

// groups joins neighbouring bins, from the left, until each group is large enough. It uses only the
// sizes of the samples, the reference, and the design effect of the windows before: groups that
// depend on the window would change the distribution. If fewer than two groups remain, the heaviest
// bin is compared with all others; that covers rare values and constants.
func groups(c *Counts, ref []uint64, past *history) (g grouped) {
	heaviest := 0
	for i := range ref {
		g.sumW += float64(c.Bins[i])
		g.sumRef += float64(ref[i])
		if ref[i] > ref[heaviest] {
			heaviest = i
		}
	}
	if len(ref) < 2 || g.sumRef == 0 {
		return g
	}
	g.all = make([]cell, 0, len(ref))
	share := g.sumW / (g.sumW + past.inflated()*g.sumRef) // effective rows per row of the reference
	var next cell
	for i := range ref {
		next.add(cellOf(c, ref, past.Before, i))
		if next.ref*share >= minExpected {
			g.all = append(g.all, next)
			next = cell{}
		}
	}
	if last := len(g.all) - 1; last >= 1 {
		g.all[last].add(next)
		return g
	}
	var others cell
	for i := range ref {
		if i != heaviest {
			others.add(cellOf(c, ref, past.Before, i))
		}
	}
	g.all = append(g.all[:0], cellOf(c, ref, past.Before, heaviest), others)
	return g
}

// statistic returns G divided by Williams's correction, with which its mean is that of the
// chi-square distribution in small groups too.
func (g *grouped) statistic() float64 {
	n, m := g.sumW, g.sumRef
	all := n + m
	var sum, inverse float64
	for i := range g.all {
		w, r := g.all[i].window, g.all[i].ref
		both := w + r
		if w > 0 {
			sum += w * math.Log(w*all/(both*n))
		}
		if r > 0 {
			sum += r * math.Log(r*all/(both*m))
		}
		inverse += 1 / max(1, both)
	}
	williams := 1 + (all/n+all/m-1)*(all*inverse-1)/(6*all*float64(len(g.all)-1))
	return max(0, 2*sum/williams)
}

// psi returns the population stability index minus its mean without a difference, (groups-1)/rows,
// and its 95 % interval. Half a row in each group keeps it finite. The variance is that of the
// index by the delta method, plus its variance without a difference. rows are the effective ones, and
// inflated is the design effect of the window's.
func (g *grouped) psi(rows, inflated float64) (effect, low, high float64) {
	k := float64(len(g.all))
	n, m := g.sumW+k/2, g.sumRef+k/2
	var psi, meanW, meanR, squareW, squareR float64
	for i := range g.all {
		q, r := (g.all[i].window+0.5)/n, (g.all[i].ref+0.5)/m
		l := math.Log(q / r)
		psi += (q - r) * l
		dw, dr := l+1-r/q, 1-q/r-l
		meanW += q * dw
		meanR += r * dr
		squareW += q * dw * dw
		squareR += r * dr * dr
	}
	df := k - 1
	variance := max(0, squareW-meanW*meanW)*inflated/n + max(0, squareR-meanR*meanR)/m + 2*df/(rows*rows)
	half := 1.96 * math.Sqrt(variance)
	effect = psi - df/rows
	return max(0, effect), max(0, effect-half), max(0, effect+half)
}
