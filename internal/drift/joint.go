package drift

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/mat"
)

// jointPast has what is known of the dependence of rows that moves several features in the same
// direction, from the windows so far. It comes on top of the design effects of the features.
type jointPast struct {
	By     [numClusterings]smoothed `json:"by"`
	Before []float64                `json:"before,omitempty"` // the mean scores of the last window
	Rows   []float64                `json:"rows,omitempty"`   // and their rows
}

// judgeJoint tests whether the means of the paired features moved by more than the gate, taken
// together: the root of the mean square of their shifts, in standard deviations of the reference.
func (d *Tumbling) judgeJoint(w *Window, alone, all []meanScore, factors pairEffects) ranked {
	t, factor := d.together, factors.alone
	best := d.testJoint(alone, factor)
	recent, windows, of := best, 1, alone
	if t.run.Windows > 1 {
		recent = d.testJoint(all, factors.run)
		if recent.logP < best.logP {
			best, windows, of, factor = recent, t.run.Windows, all, factors.run
		}
	}
	rows := 0.0
	for _, x := range of {
		rows = max(rows, x.rows)
	}
	r := ranked{finding: Finding{
		Feature: JointFeature, Kind: KindJoint, Statistic: StatisticJoint, Value: best.size, Effect: best.size,
		Windows: windows, Rows: uint64(rows), DesignEffect: factor, Change: d.describeJoint(of, &best),
	}}
	well := recent.above < t.joint.margin()
	return d.observe(w.Start, &t.joint, 0, &best, well, w.Rows, r)
}

// testJoint tests the sum of the squared mean scores.
//
// Without a change the means are normal with the correlations of the reference, so the sum is a sum of
// chi-square variables with the eigenvalues of their covariance as weights. Its tail is bounded by
// Chernoff's bound, with the allowed change in the direction of the largest eigenvalue, where it
// raises the tail most: it holds for any direction.
func (d *Tumbling) testJoint(list []meanScore, factor float64) passing {
	t, gate := d.together, d.options.Gates.Joint
	judged, noise := []int{}, []float64{}
	for k, x := range list {
		if x.effect > 0 && x.rows >= float64(d.options.MinRows) {
			judged = append(judged, k)
			noise = append(noise, factor*max(x.variance, 1)*x.effect/x.rows+1/x.known)
		}
	}
	p := passing{gate: GateJoint, above: math.Inf(-1)}
	n := len(judged)
	if n < 2 {
		return p
	}
	mean := d.options.Gates.Mean // one feature may move by as much
	sum, allowed := 0.0, max(float64(n)*gate*gate, mean*mean)
	covariance := mat.NewSymDense(n, nil)
	for b, j := range judged {
		sum += list[j].moved() * list[j].moved()
		covariance.SetSym(b, b, noise[b])
		for a, i := range judged[:b] {
			covariance.SetSym(a, b, t.known[pairOf(i, j)].correlation*math.Sqrt(noise[a]*noise[b]))
		}
	}
	weights, along := eigenvalues(covariance), 0.0
	for a, i := range judged {
		for b, j := range judged {
			along += list[i].moved() * list[j].moved() * covariance.At(a, b)
		}
	}
	expected, square := 0.0, 0.0
	for _, l := range weights {
		expected, square = expected+l, square+l*l
	}
	root := func(x float64) float64 { return math.Sqrt(max(0, x) / float64(n)) }
	sd := math.Sqrt(2*square + 4*along)
	p.size, p.low, p.high = root(sum-expected), root(sum-expected-1.96*sd), root(sum-expected+1.96*sd)
	p.above = (sum - expected - allowed/4) / math.Sqrt(2*square+weights[len(weights)-1]*allowed)
	if sum > expected+allowed {
		p.logP = chernoff(sum, allowed, weights)
	}
	return p
}

// eigenvalues returns those of a covariance, ascending; none is negative.
func eigenvalues(m *mat.SymDense) []float64 {
	var e mat.EigenSym
	if !e.Factorize(m, false) {
		panic("BUG: drift: the eigenvalues of a covariance do not converge")
	}
	list := e.Values(nil)
	for i := range list {
		list[i] = max(0, list[i])
	}
	return list
}

// chernoff bounds the log probability that a sum of squares of normal variables with these variances,
// the largest last, and with a sum of squared means of at most allowed, is at least sum.
func chernoff(sum, allowed float64, weights []float64) float64 {
	top := weights[len(weights)-1]
	// u is 2 t top, for the t of the moment generating function.
	exponent := func(u float64) float64 {
		t := u / (2 * top)
		k := t * allowed / (1 - u)
		for _, l := range weights {
			k -= math.Log1p(-u*l/top) / 2
		}
		return t*sum - k
	}
	return min(0, -exponent(maximum(exponent, 0, 1-1e-9)))
}

// jointEffects estimates, from random halves of the rows, how much more the means vary in the
// direction in which they moved than the features' own design effects and correlations say. A
// change since the reference is in both halves, and does not count.
func (t *together) jointEffects(w *Window, list []meanScore) (by [numClusterings]variance) {
	split := func(s int) variance {
		return t.along(list, func(k int) (a, b, rowsA, rowsB float64) {
			c := &w.Counts[t.pairs.Features[k]]
			if c.Halves == nil {
				return 0, 0, 0, 0
			}
			for i, h := range c.Halves {
				first, second := float64(h[s]), float64(c.Bins[i]-h[s])
				a, b = a+first*t.scores[k].of[i], b+second*t.scores[k].of[i]
				rowsA, rowsB = rowsA+first, rowsB+second
			}
			return a/rowsA - list[k].expected, b/rowsB - list[k].expected, rowsA, rowsB
		})
	}
	by[byUser], by[byTime] = average(split(0), split(1)), average(split(2), split(3))
	if len(t.past.Before) == len(list) {
		by[byWindow] = t.along(list, func(k int) (a, b, rowsA, rowsB float64) {
			return list[k].moved(), t.past.Before[k], list[k].rows, t.past.Rows[k]
		})
	}
	return by
}

// along compares the means of two samples in the direction of the mean of both, which does not depend
// on their difference.
func (t *together) along(list []meanScore, sample func(k int) (a, b, rowsA, rowsB float64)) variance {
	var judged []int
	var of []float64 // the direction, times the standard deviation of a feature's difference
	moved := 0.0
	for k, x := range list {
		if x.effect <= 0 {
			continue
		}
		a, b, rowsA, rowsB := sample(k)
		const least = 0.1 // of the rows in the smaller sample
		rows := rowsA + rowsB
		if !(min(rowsA, rowsB) > least*rows) {
			continue
		}
		direction := (a*rowsA + b*rowsB) / rows
		judged, of = append(judged, k), append(of, direction*math.Sqrt(max(x.variance, 1)*x.effect))
		moved += direction * (a - b) * math.Sqrt(rowsA*rowsB/rows)
	}
	expected := 0.0
	for b, j := range judged {
		expected += of[b] * of[b]
		for a, i := range judged[:b] {
			expected += 2 * of[a] * of[b] * t.known[pairOf(i, j)].correlation
		}
	}
	if len(judged) < 2 || expected <= 0 {
		return variance{}
	}
	effect := moved * moved / expected
	return variance{bins: effect, mean: effect, known: true}
}

// observe adds the estimates of a window.
func (h *jointPast) observe(by [numClusterings]variance) {
	for i := range by {
		h.By[i].add(by[i], 0)
	}
}

// passed keeps the means of a judged window.
func (h *jointPast) passed(list []meanScore) {
	h.Before, h.Rows = h.Before[:0], h.Rows[:0]
	for _, x := range list {
		h.Before, h.Rows = append(h.Before, x.moved()), append(h.Rows, x.rows)
	}
}

// ownEffect returns by how much the variance in the direction of the means is larger according to the halves of
// some windows alone, from the sum of their estimates. It covers what few windows have, such as an hour of a client
// that sends much. An estimate is the mean of two chi-square variables; what chance often gives is 1.
func ownEffect(sum float64, windows int) float64 {
	const errors = 3 // standard errors: 2 % for one window
	mean := sum / float64(windows)
	if mean < 1+errors/math.Sqrt(float64(windows)) {
		return 1
	}
	return mean
}

// factor returns by how much the variance in the direction of the means is larger, at least 1. Each
// window adds two estimates of one degree of freedom; see Tumbling.test for the correction.
func (h *jointPast) factor(l alarmLimits) float64 {
	factor := 1.0
	for _, s := range h.By {
		if s.Windows == 0 {
			continue
		}
		ratio := 1 + (1-2*l.detect)/(4*(2+2*float64(s.Windows)))
		factor = max(factor, 1+(s.Mean-1)*ratio*ratio)
	}
	return factor
}

// describeJoint names the features that moved most.
func (d *Tumbling) describeJoint(list []meanScore, p *passing) string {
	const named = 5
	order := make([]int, 0, len(list))
	for k, x := range list {
		if x.effect > 0 {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(math.Abs(list[j].moved()), math.Abs(list[i].moved())) })
	texts := make([]string, 0, named)
	for _, k := range order[:min(named, len(order))] {
		texts = append(texts, fmt.Sprintf("%s by %+.2f", d.profile.Features[d.together.pairs.Features[k]].Name, list[k].moved()))
	}
	return fmt.Sprintf("%d features moved by %.2g s.d. (%.2g to %.2g) in the quadratic mean, most of them %s",
		len(order), p.size, p.low, p.high, strings.Join(texts, ", "))
}
