package drift

import "slices"

// against returns a feature of the profile with the reference for some counts, and these counts as it sees them.
func (d *Tumbling) against(i int, c *Counts) (*Feature, *Counts) {
	f := &d.profile.Features[i]
	if w := d.weekly[i]; w != nil && len(c.Hours) > 0 {
		mixed := w.mixed(c.Hours)
		return mixed, c.seenFrom(f.Mean, mixed.Mean)
	}
	return f, c
}

// groups groups some counts of a feature, and their reference.
func (d *Tumbling) groups(i int, c *Counts) grouped {
	f, seen := d.against(i, c)
	past := &d.history[i]
	if f == &d.profile.Features[i] {
		g := groups(seen, f.Reference.Bins, past)
		g.f, g.c, g.scores = f, seen, &d.scores[i]
		return g
	}
	if len(past.Hours) > 0 && len(past.Before) > 0 {
		moved := *past
		moved.Before = d.weekly[i].like(past.Before, past.Hours, c.Hours)
		past = &moved
	}
	g := groups(seen, f.Reference.Bins, past)
	g.f, g.c, g.scores = f, seen, &scores{}
	if !f.IsCategory() {
		*g.scores = scoresOf(f.Reference.Bins)
	}
	return g
}

// inHours returns a window whose counts have its hours, if the reference has any.
func (d *Tumbling) inHours(w Window) Window {
	if d.profile.Week == nil || len(w.Hours) == 0 {
		return w
	}
	w.Counts = slices.Clone(w.Counts)
	for i := range w.Counts {
		w.Counts[i].Hours = w.Hours
	}
	return w
}

// expect returns the mean of a feature's scores that the hours of a window let expect, and the rows of the reference that know it.
func (d *Tumbling) expect(i int, s *scores, hours Hours) (mean, rows float64) {
	f := &d.profile.Features[i]
	if d.weekly[i] == nil || len(hours) == 0 {
		return 0, float64(f.Reference.Finite())
	}
	shares, known := d.weekly[i].shares(hours)
	finite := 0.0
	for bin, x := range s.of {
		mean += shares[bin] * x
		finite += shares[bin]
	}
	if finite == 0 {
		return 0, float64(f.Reference.Finite())
	}
	return mean / finite, min(known*finite, float64(f.Reference.Finite()))
}

// seenFrom returns counts whose sums are around another mean. They share their bins with c.
func (c *Counts) seenFrom(mean, other float64) *Counts {
	moved := *c
	d, n := mean-other, float64(c.Finite())
	moved.Sum = finite(c.Sum + n*d)
	moved.Squares = finite(max(c.Squares+2*d*c.Sum+n*d*d, 0))
	return &moved
}
