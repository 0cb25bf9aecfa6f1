package drift

import (
	"fmt"
	"math"
	"strconv"
)

// shift returns the distance by which the mean has moved, in standard deviations of the reference.
func shift(f *Feature, c *Counts) float64 {
	n := float64(c.Finite())
	if n == 0 || f.Variance <= 0 {
		return 0
	}
	return finite(c.Sum / n / math.Sqrt(f.Variance))
}

// describe describes the change of a feature's finite values in a few words. Journals have these
// texts: a change of them makes a replay differ.
func describe(f *Feature, c *Counts) string {
	n, m := float64(c.Finite()), float64(f.Reference.Finite())
	if n == 0 || m == 0 {
		return ""
	}
	if f.IsCategory() {
		return describeCategories(f, c, nil)
	}
	mean, variance := c.Moments(f)
	if f.Variance > 0 && variance <= 1e-6*f.Variance {
		return "stuck at " + number(mean)
	}
	if f.Min == f.Max {
		return fmt.Sprintf("%s of the values are not %s, the only one in the reference",
			percent((float64(c.Below)+float64(c.Above))/n), number(f.Min))
	}
	if bin, ok := spike(f, c, n, m); ok {
		return fmt.Sprintf("%s of the values are %s, %s in the reference", percent(float64(c.Bins[bin])/n),
			interval(f.Edges, bin), percent(float64(f.Reference.Bins[bin])/m))
	}
	s, spread := shift(f, c), 1.0
	if f.Variance > 0 {
		spread = math.Sqrt(variance / f.Variance)
	}
	switch {
	case math.Abs(s) >= 0.1 && s > 0:
		return fmt.Sprintf("mean higher by %.2g s.d.", s)
	case math.Abs(s) >= 0.1:
		return fmt.Sprintf("mean lower by %.2g s.d.", -s)
	case spread > 1.1 || spread < 0.9:
		return fmt.Sprintf("s.d. %.2g times the reference's", spread)
	default:
		return "another distribution"
	}
}

// describeGate describes the change that passed a gate, with its 95 % interval.
func describeGate(f *Feature, c *Counts, p *passing, effect float64) string {
	if f.IsCategory() {
		return describeCategories(f, c, p)
	}
	n, m := float64(c.Finite()), float64(f.Reference.Finite())
	mean, variance := c.Moments(f)
	switch {
	case f.Variance > 0 && variance <= 1e-6*f.Variance:
		return "stuck at " + number(mean)
	case p.gate == GateMean && len(f.Values) == 2: // the mean says the same as the share of either
		at := 0
		if p.size > 0 {
			at = 1
		}
		q := *p
		_, q.low, q.high = excessIn(fraction{float64(c.Bins[at]), n}, fraction{float64(f.Reference.Bins[at]), m}, effect)
		return grown(float64(c.Bins[at])/n, float64(f.Reference.Bins[at])/m, number(f.Values[at]), &q)
	case p.gate == GateMean:
		return describeMean(f, c, p, effect)
	case p.gate == GateSpread:
		return "s.d. " + twoPlaces(p.size) + " times the reference's (" + twoPlaces(p.low) + " to " + twoPlaces(p.high) + ")"
	case p.gate == GateTail && p.at == 0:
		return grown(float64(c.Low)/n, float64(f.Reference.Low)/m, "up to "+number(f.Tails[0]), p)
	case p.gate == GateTail:
		return grown(float64(c.High)/n, float64(f.Reference.High)/m, "above "+number(f.Tails[1]), p)
	case p.gate == GateShare && f.Min < f.Max:
		return grown(float64(c.Bins[p.at])/n, float64(f.Reference.Bins[p.at])/m, binName(f, p.at), p)
	default:
		return describe(f, c)
	}
}

// describeMean describes a mean that moved. The scores say how far the values moved among those of the
// reference, and are limited to about two. If they agree with the moments, or are near the
// limit, the moments have the number that people compute themselves.
func describeMean(f *Feature, c *Counts, p *passing, effect float64) string {
	what, size, low, high := "values", p.size, p.low, p.high
	if s := shift(f, c); s != 0 && s*size > 0 && (math.Abs(s) >= 1 && math.Abs(size) >= 1 || s/size < 1.5 && size/s < 1.5) {
		_, variance := c.Moments(f)
		// The standard deviation of the reference is an estimate too (Hedges, Journal of Educational Statistics 6, 1981).
		ofReference := (1 + min(s*s, 1e4)/2) / float64(f.Reference.Finite())
		se := math.Sqrt(finite(variance/f.Variance)*effect/float64(c.Finite()) + ofReference)
		what, size, low, high = "mean", s, s-1.96*se, s+1.96*se
	}
	if size > 0 {
		return what + " higher by " + twoPlaces(size) + " s.d. (" + twoPlaces(low) + " to " + twoPlaces(high) + ")"
	}
	return what + " lower by " + twoPlaces(-size) + " s.d. (" + twoPlaces(-high) + " to " + twoPlaces(-low) + ")"
}

// twoPlaces writes a number with two decimals, and a large one with three digits.
func twoPlaces(x float64) string {
	if math.Abs(x) >= 100 {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// grown describes a share that grew.
func grown(share, before float64, where string, p *passing) string {
	return fmt.Sprintf("%s of the values are %s, %s in the reference (more by %s to %s)",
		percent(share), where, percent(before), points(p.low), points(p.high))
}

func points(share float64) string { return strconv.FormatFloat(100*share, 'g', 2, 64) + " points" }

// binName names the values of a bin.
func binName(f *Feature, bin int) string {
	switch {
	case bin < len(f.Values):
		return number(f.Values[bin])
	case bin == 0:
		return "up to " + number(f.Edges[0])
	case bin == len(f.Edges):
		return "above " + number(f.Edges[bin-1])
	default:
		return interval(f.Edges, bin)
	}
}

// spike returns the bin with the largest gain, if it is more than half of all gains. A mean that
// moves spreads over many bins.
func spike(f *Feature, c *Counts, n, m float64) (bin int, ok bool) {
	var most, all float64
	for i := range c.Bins {
		gain := float64(c.Bins[i])/n - float64(f.Reference.Bins[i])/m
		if gain > most {
			bin, most = i, gain
		}
		all += max(0, gain)
	}
	inner := bin > 0 && bin < len(c.Bins)-1 // the open bins at the ends gain by any shift
	return bin, inner && most > all/2
}

func interval(edges []float64, bin int) string {
	return "in (" + number(edges[bin-1]) + ", " + number(edges[bin]) + "]"
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'g', 3, 64) + " %" }
