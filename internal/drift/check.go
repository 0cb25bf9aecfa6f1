package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// maxRows is the max number of rows of a window: larger numbers are not exact in a float64.
const maxRows = 1 << 53

// CheckWindow returns an error if a window, for example a stored one, cannot be judged against a
// profile.
func CheckWindow(p *Profile, w *Window) error {
	bad := func(format string, args ...any) error { return infer.Errorf(infer.Invalid, "window: "+format, args...) }
	switch {
	case w.End.Before(w.Start):
		return bad("it ends before it starts")
	case w.Rows > maxRows:
		return bad("%d rows; expected at most 2^53", w.Rows)
	case w.Known > w.Rows:
		return bad("%d of %d rows have a known user", w.Known, w.Rows)
	case len(w.Counts) != len(p.Features):
		return bad("it has %d features, but the profile has %d", len(w.Counts), len(p.Features))
	}
	if w.Pairs != nil {
		if err := w.Pairs.check(p.Pairs, w.Rows); err != nil {
			return bad("%v", err)
		}
	}
	if err := w.Hours.check(w.Rows); err != nil {
		return bad("%v", err.Msg)
	}
	for i := range w.Counts {
		if err := checkCounts(&p.Features[i], &w.Counts[i], w.Rows); err != nil {
			return bad("feature %s: %v", p.Features[i].Name, err.Msg)
		}
	}
	if len(w.Vectors) != len(p.Vectors) {
		return bad("it has %d vectors, but the profile has %d", len(w.Vectors), len(p.Vectors))
	}
	for i, c := range w.Vectors {
		if err := c.check(w.Rows); err != nil {
			return bad("vector %s: %v", p.Vectors[i].Name, infer.Message(err))
		}
	}
	return checkBreaks(p, w)
}

// checkCounts returns an error if counts of at most this many rows are not valid for a feature.
func checkCounts(f *Feature, c *Counts, rows uint64) *infer.Error {
	if len(c.Bins) != len(f.Edges)+1 {
		return infer.Errorf(infer.Invalid, "it has %d bins, but the profile has %d", len(c.Bins), len(f.Edges)+1)
	}
	left := rows
	for _, n := range append([]uint64{c.Missing, c.NaN, c.PosInf, c.NegInf, c.Unseen}, c.Bins...) {
		if n > left {
			return infer.Errorf(infer.Invalid, "it counts more values than the window has rows, %d", rows)
		}
		left -= n
	}
	if c.Halves != nil && len(c.Halves) != len(c.Bins) {
		return infer.Errorf(infer.Invalid, "it has the halves of %d bins, but %d bins", len(c.Halves), len(c.Bins))
	}
	for i, halves := range c.Halves {
		if most := slices.Max(halves[:]); most > c.Bins[i] {
			return infer.Errorf(infer.Invalid, "a half of bin %d has %d rows, but the bin has %d", i, most, c.Bins[i])
		}
	}
	if err := c.Hours.check(rows); err != nil {
		return err
	}
	for j := range c.Flaws {
		x := &c.Flaws[j]
		if most := max(x.Runs, slices.Max(x.Halves[:])); float64(most) > qualityOf(qualities[j], c).bad || x.Last > rows {
			return infer.Errorf(infer.Invalid, "a half of its values with the statistic %s, or their runs, are %d, which is more than all of them", qualities[j], most)
		}
	}
	finite := c.Finite()
	switch {
	case c.Below > finite || c.Above > finite-c.Below:
		return infer.Errorf(infer.Invalid, "it counts more values out of range than finite ones, %d", finite)
	case c.New > finite || c.Low > finite || c.High > finite-c.Low:
		return infer.Errorf(infer.Invalid, "it counts more new values or values in the tails than finite ones, %d", finite)
	case c.Unseen > 0 && !f.IsCategory() || len(c.Fresh) > maxFresh:
		return infer.Errorf(infer.Invalid, "it counts values that only a category has")
	case math.IsNaN(c.Sum) || math.IsInf(c.Sum, 0) || math.IsNaN(c.Squares) || math.IsInf(c.Squares, 0):
		return infer.Errorf(infer.Invalid, "its sums are not finite")
	case c.Squares < 0:
		return infer.Errorf(infer.Invalid, "its sum of squares is negative")
	}
	return nil
}
