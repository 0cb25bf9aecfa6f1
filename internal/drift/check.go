package drift

import (
	"math"

	"sluice.io/sluice/internal/infer"
)

// maxRows is how many rows a window can have: beyond it a number of them is not exact
// as a float64.
const maxRows = 1 << 53

// CheckWindow says whether a window, which was stored for example, can be judged
// against a profile.
func CheckWindow(p *Profile, w *Window) error {
	bad := func(format string, args ...any) error { return infer.Errorf(infer.Invalid, "window: "+format, args...) }
	switch {
	case w.End.Before(w.Start):
		return bad("it ends before it starts")
	case w.Rows > maxRows:
		return bad("%d rows; it cannot have more than 2^53", w.Rows)
	case len(w.Counts) != len(p.Features):
		return bad("it has %d features and the profile %d", len(w.Counts), len(p.Features))
	}
	for i := range w.Counts {
		if err := checkCounts(&p.Features[i], &w.Counts[i], w.Rows); err != nil {
			return bad("feature %s: %v", p.Features[i].Name, err.Msg)
		}
	}
	return nil
}

// checkCounts says whether counts of at most so many rows can be a feature's.
func checkCounts(f *Feature, c *Counts, rows uint64) *infer.Error {
	if len(c.Bins) != len(f.Edges)+1 {
		return infer.Errorf(infer.Invalid, "it has %d bins where the profile has %d", len(c.Bins), len(f.Edges)+1)
	}
	left := rows
	for _, n := range append([]uint64{c.Missing, c.NaN, c.PosInf, c.NegInf}, c.Bins...) {
		if n > left {
			return infer.Errorf(infer.Invalid, "it counts more values than the window has rows, %d", rows)
		}
		left -= n
	}
	finite := c.Finite()
	switch {
	case c.Below > finite || c.Above > finite-c.Below:
		return infer.Errorf(infer.Invalid, "it counts more values out of range than finite ones, %d", finite)
	case math.IsNaN(c.Sum) || math.IsInf(c.Sum, 0) || math.IsNaN(c.Squares) || math.IsInf(c.Squares, 0):
		return infer.Errorf(infer.Invalid, "its sums are not finite")
	case c.Squares < 0:
		return infer.Errorf(infer.Invalid, "its sum of squares is negative")
	}
	return nil
}
