package drift

import (
	"cmp"
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// The verdicts on two profiles, and on a feature.
const (
	Same      = "same"    // no difference beyond the tolerances was found
	Differs   = "differs" // one was found
	Undecided = "undecided"
)

// CompareOptions set which differences of two profiles matter, like those of a detector.
type CompareOptions struct {
	Tolerance        float64 // as PSI
	QualityTolerance float64 // of the shares of missing and of infinite values, in both directions
	RangeTolerance   float64 // of B's share outside A's range
	MinRows          uint64  // min values of a feature on both sides
	FalseAlarm       float64 // the max rate at which two samples of the same data are said to differ
}

// comparisonTests is the number of p-values of a feature: its bins, the shares of missing and of
// infinite values in two directions each, and the range.
const comparisonTests = 6

func (o *CompareOptions) check() error {
	d := Options{
		Tolerance: o.Tolerance, QualityTolerance: o.QualityTolerance, RangeTolerance: o.RangeTolerance,
		FalseAlarmWindows: 1, Streams: 1, MinRows: o.MinRows, Recover: 1,
	}
	if err := d.check(); err != nil {
		return err
	}
	if !(o.FalseAlarm > 0 && o.FalseAlarm < 1) {
		return infer.Errorf(infer.Invalid, "the rate of false alarms is %v; expected more than 0 and less than 1", o.FalseAlarm)
	}
	return nil
}

// judge decides for each feature whether it differs, sorts by evidence, and sets the verdict. It
// compares each p-value with FalseAlarm divided by the number of tests, so that over all features
// samples of the same data differ at most at that rate.
func (c *Comparison) judge(pairs []pair, o *CompareOptions) {
	limit := math.Log(o.FalseAlarm / float64(comparisonTests*max(1, len(pairs))))
	c.Verdict, c.FalseAlarm = Same, o.FalseAlarm
	decided := false
	for i := range c.Features {
		d := &c.Features[i]
		d.judge(&pairs[i], o)
		if d.Verdict == Undecided {
			continue
		}
		decided = true
		if d.Verdict = Same; d.logP < limit {
			d.Verdict, c.Verdict = Differs, Differs
		} else {
			d.Change = ""
		}
		d.P = max(math.Exp(d.logP), 1e-300)
	}
	switch {
	case len(c.OnlyA) > 0 || len(c.OnlyB) > 0:
		c.Verdict = Differs
	case !decided:
		c.Verdict = Undecided
	default:
	}
	slices.SortStableFunc(c.Features, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.logP, y.logP), cmp.Compare(y.PSI, x.PSI), cmp.Compare(x.Name, y.Name))
	})
}

// pair is a feature in both profiles.
type pair struct{ a, b *Feature }

// judge finds the strongest evidence that a feature differs, and describes it.
func (d *Difference) judge(x *pair, o *CompareOptions) {
	f, g := x.a, x.b
	n, m := f.Reference.N(), g.Reference.N()
	if min(n, m) < o.MinRows {
		d.Verdict, d.P = Undecided, 1
		return
	}
	take := func(logP float64, change string) {
		if logP < d.logP {
			d.logP, d.Change = logP, change
		}
	}
	for _, statistic := range [...]string{StatisticMissing, StatisticInf} {
		a, b := qualityOf(statistic, &f.Reference), qualityOf(statistic, &g.Reference)
		change := statistic + ": " + percent(b.value()) + " of the rows, " + percent(a.value()) + " in A"
		take(excessTail(b, a, allowance{gain: o.QualityTolerance}), change)
		take(excessTail(a, b, allowance{gain: o.QualityTolerance}), change)
	}
	finite := float64(g.Reference.Finite())
	if min(f.Reference.Finite(), g.Reference.Finite()) < o.MinRows || len(f.Edges) == 0 {
		return
	}
	if f.IsCategory() {
		d.judgeCategories(f, g, o, take)
		return
	}
	outside := fraction{bad: math.Floor(d.Outside*finite + 0.5), rows: finite}
	take(excessTail(outside, referenceQuality(StatisticRange, f), allowance{gain: o.RangeTolerance}), "range: "+percent(d.Outside)+" of the values, 0 % in A")
	counts := g.over(f, false)
	fine := compare(counts.Bins, f.Reference.Bins, o.Tolerance)
	coarse := compare(inEighths(g.over(f, true).Bins), inEighths(f.Reference.Bins), o.Tolerance)
	take(max(fine.logP, coarse.logP), describe(f, &counts))
}

// inEighths joins neighbouring bins to at most eight: the uncertainty about the places of values is
// then small compared with a bin.
func inEighths(bins []uint64) []uint64 {
	const most = 8
	size := (len(bins) + most - 1) / most
	list := make([]uint64, 0, most)
	for part := range slices.Chunk(bins, size) {
		var sum uint64
		for _, n := range part {
			sum += n
		}
		list = append(list, sum)
	}
	return list
}

// over counts the feature's values in another feature's bins, as far as they are known. It assumes
// that values are spread evenly within a bin, unless the bin has more than its part of the rows:
// then one value has them, with edges close around it, and its exact place between them is not
// known. That value is placed so that it differs least from the other feature. With near, every
// value is placed so.
//
// Neither assumption is exact. If the features differ under both, the samples are not of the same
// data.
func (f *Feature) over(a *Feature, near bool) Counts {
	const heavy = 1.1 // times each bin's part of the rows, with MaxBins bins
	c := a.NewCounts()
	total := float64(f.Reference.Finite())
	before := uint64(0)
	for i := range c.Bins {
		upTo := uint64(total)
		if i < len(a.Edges) {
			share := f.below(a.Edges[i])
			at := share.is
			if near || (share.high-share.low)*MaxBins > heavy {
				at = max(share.low, min(a.below(a.Edges[i]).is, share.high))
			}
			upTo = max(before, min(upTo, uint64(at*total+0.5)))
		}
		c.Bins[i], before = upTo-before, upTo
	}
	c.Sum = finite(total * (f.Mean - a.Mean))
	shift := f.Mean - a.Mean
	c.Squares = finite(total * (f.Variance + shift*shift))
	c.Below = uint64(f.below(math.Nextafter(a.Min, math.Inf(-1))).low*total + 0.5)
	c.Above = uint64((1-f.below(a.Max).high)*total + 0.5)
	return c
}
