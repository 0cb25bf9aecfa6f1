package drift

import (
	"math"
	"slices"
)

// Comparison is the difference between two profiles.
type Comparison struct {
	Verdict string `json:"verdict"` // same, differs, or undecided if the profiles have too few rows
	// FalseAlarm is the max rate at which two samples of the same data are said to differ.
	FalseAlarm float64 `json:"false_alarm"`
	// Features are the features of both profiles, the strongest evidence of a difference first.
	Features []Difference `json:"features"`
	OnlyA    []string     `json:"only_a"` // features of only one profile, by name
	OnlyB    []string     `json:"only_b"`
}

// Difference is the difference between a feature of B and the same feature of A.
//
// Each profile has its own edges, so B's share of A's bins is known only as far as B's edges allow:
// its distribution function is exact at its own edges, and between two of them it is between its
// values there. The estimates assume that B's values are spread evenly within its bins. The limits
// are valid for any spread; those of PSI are equal if both have the same edges. All values are
// about the sampled rows. Noise is the PSI that is expected of two samples of the same data.
type Difference struct {
	Name    string `json:"name"` // A's
	Kind    string `json:"kind"`
	Tensor  string `json:"tensor"`
	Element int    `json:"element"`

	// Verdict is about this feature: same, differs, or undecided. P is the probability of evidence
	// this strong if the two differ by at most the tolerances; at least 1e-300. Change describes
	// the difference in words.
	Verdict string  `json:"verdict"`
	P       float64 `json:"p"`
	Change  string  `json:"change,omitempty"`
	logP    float64

	PSI     float64 `json:"psi"` // over A's bins, with half a row added to each
	PSILow  float64 `json:"psi_low"`
	PSIHigh float64 `json:"psi_high"`
	Noise   float64 `json:"noise"` // (1/n + 1/m) times the number of bins less one
	JS      float64 `json:"js"`    // Jensen-Shannon distance over A's bins, 0 to 1
	Moved   float64 `json:"moved"` // share of the rows that would have to change their bin
	KSLow   float64 `json:"ks_low"`
	KSHigh  float64 `json:"ks_high"`

	// Shift is the difference of the means in A's standard deviations, Spread the
	// ratio of the standard deviations; 0 if A is constant.
	Shift   float64 `json:"shift"`
	Spread  float64 `json:"spread"`
	Outside float64 `json:"outside"` // B's share outside A's range, as far as it is certain; for categories of values that A does not have
	Missing float64 `json:"missing"` // B's share of missing values (NaN too) minus A's, of all rows read
	Inf     float64 `json:"inf"`
}

// Compare compares b with a, and decides whether the difference matters. It matches features by
// their place in the model.
func Compare(a, b *Profile, o CompareOptions) (*Comparison, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	at := make(map[position]*Feature, len(b.Features))
	for i := range b.Features {
		at[b.Features[i].position()] = &b.Features[i]
	}
	c := &Comparison{Features: []Difference{}, OnlyA: []string{}, OnlyB: []string{}}
	var pairs []pair
	for i := range a.Features {
		f := &a.Features[i]
		g := at[f.position()]
		if g == nil {
			c.OnlyA = append(c.OnlyA, f.Name)
			continue
		}
		delete(at, f.position())
		d := difference(f, g)
		d.Missing = share(g.Read.Absent(), b.Rows) - share(f.Read.Absent(), a.Rows)
		d.Inf = share(g.Read.PosInf+g.Read.NegInf, b.Rows) - share(f.Read.PosInf+f.Read.NegInf, a.Rows)
		c.Features, pairs = append(c.Features, d), append(pairs, pair{f, g})
	}
	for i := range b.Features {
		if at[b.Features[i].position()] != nil {
			c.OnlyB = append(c.OnlyB, b.Features[i].Name)
		}
	}
	c.judge(pairs, &o)
	return c, nil
}

func share(n uint64, rows int64) float64 { return float64(n) / float64(rows) }

func difference(f, g *Feature) Difference {
	d := Difference{Name: f.Name, Kind: f.Kind, Tensor: f.Tensor, Element: f.Element}
	n, m := float64(f.Reference.Finite()), float64(g.Reference.Finite())
	if n == 0 || m == 0 {
		return d // no value to compare with; the shares show that
	}
	if f.IsCategory() {
		d.compareCategories(f, g)
		return d
	}
	p := make([]bounds, len(f.Edges)+1)
	q := make([]bounds, len(p))
	d.Outside = g.outside(f)
	before, beforeG := bounds{}, bounds{}
	for i := range p {
		after, afterG := bounds{1, 1, 1}, bounds{1, 1, 1}
		if i < len(f.Edges) {
			after, afterG = f.below(f.Edges[i]), g.below(f.Edges[i])
		}
		p[i], q[i] = after.less(before), afterG.less(beforeG)
		before, beforeG = after, afterG
	}
	d.compareShares(p, q, n, m)
	d.compareDistributions(f, g)
	if sd := math.Sqrt(f.Variance); sd > 0 {
		d.Shift = finite(g.Mean/sd - f.Mean/sd)
		d.Spread = finite(math.Sqrt(g.Variance) / sd)
	}
	return d
}

// bounds are a share of the rows: an estimate, a lower and an upper bound.
type bounds struct{ is, low, high float64 }

// less returns the share between two points of a distribution function.
func (l bounds) less(o bounds) bounds {
	return bounds{max(0, l.is-o.is), max(0, l.low-o.high), max(0, l.high-o.low)}
}

// below returns the share of the feature's finite values up to x.
func (f *Feature) below(x float64) bounds {
	switch {
	case x < f.Min:
		return bounds{}
	case x >= f.Max:
		return bounds{1, 1, 1}
	}
	bin, exact := slices.BinarySearch(f.Edges, x)
	seen, total := uint64(0), float64(f.Reference.Finite())
	for _, k := range f.Reference.Bins[:bin] {
		seen += k
	}
	low := float64(seen) / total
	high := float64(seen+f.Reference.Bins[bin]) / total
	if exact {
		return bounds{high, high, high}
	}
	from, to := f.Min, f.Max
	if bin > 0 {
		from = max(from, f.Edges[bin-1])
	}
	if bin < len(f.Edges) {
		to = min(to, f.Edges[bin])
	}
	part := 1.0
	if from < to {
		part = (x/2 - from/2) / (to/2 - from/2) // the differences may be out of range
	}
	part = max(0, min(part, 1))
	return bounds{low + part*(high-low), low, high}
}

// outside returns the share of the feature's values that is certainly outside a's range: whole
// bins.
func (f *Feature) outside(a *Feature) float64 {
	return f.below(math.Nextafter(a.Min, math.Inf(-1))).low + 1 - f.below(a.Max).high
}

// compareShares compares bin by bin. It adds half a row to each bin: otherwise a bin that is empty
// on one side would be infinitely different.
func (d *Difference) compareShares(p, q []bounds, n, m float64) {
	smooth := func(share, rows float64) float64 { return (share*rows + .5) / (rows + .5*float64(len(p))) }
	for i := range p {
		a := smooth(p[i].is, n)
		term := func(share float64) float64 {
			b := smooth(share, m)
			return (a - b) * math.Log(a/b)
		}
		d.PSI += term(q[i].is)
		if p[i].is < q[i].low || p[i].is > q[i].high { // otherwise possibly nothing has moved
			d.PSILow += min(term(q[i].low), term(q[i].high))
		}
		d.PSIHigh += max(term(q[i].low), term(q[i].high))
		b := smooth(q[i].is, m)
		mid := (a + b) / 2
		d.JS += (a*math.Log2(a/mid) + b*math.Log2(b/mid)) / 2
		d.Moved += math.Abs(p[i].is-q[i].is) / 2
	}
	d.PSILow, d.PSIHigh = min(d.PSILow, d.PSI), max(d.PSIHigh, d.PSI)
	d.JS = math.Sqrt(max(0, d.JS))
	d.Noise = (1/n + 1/m) * float64(len(p)-1)
}

// compareDistributions computes limits of the largest difference between the two distribution
// functions. Between two neighbouring edges of either one, both only rise.
func (d *Difference) compareDistributions(f, g *Feature) {
	points := slices.Concat(f.Edges, g.Edges, []float64{f.Max, g.Max})
	slices.Sort(points)
	var before, beforeG bounds
	for _, x := range points {
		after, afterG := f.below(x), g.below(x)
		d.KSLow = max(d.KSLow, after.low-afterG.high, afterG.low-after.high)
		d.KSHigh = max(d.KSHigh, after.high-beforeG.low, afterG.high-before.low)
		before, beforeG = after, afterG
	}
}
