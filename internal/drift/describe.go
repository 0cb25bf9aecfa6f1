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
