package drain

import "errors"

// Cost is the time of a run of n: A + B·n, both in seconds.
type Cost struct{ A, B float64 }

// Of returns the seconds that a run of n takes.
func (c Cost) Of(n int) float64 { return c.A + c.B*float64(n) }

// Point is a measured run.
type Point struct {
	Batch   int
	Seconds float64
}

// Fit returns the line through the points whose relative errors have the least
// squares, so that the short run of one counts as much as the long one of 32.
// Neither part is below 0.
func Fit(points []Point) (Cost, error) {
	var w, x, y, xx, xy float64 // sums, weighted
	for _, p := range points {
		if p.Batch < 1 || p.Seconds <= 0 {
			return Cost{}, errors.New("drain: a run has a batch of at least 1 and takes some time")
		}
		weight, n := 1/(p.Seconds*p.Seconds), float64(p.Batch)
		w += weight
		x += weight * n
		y += weight * p.Seconds
		xx += weight * n * n
		xy += weight * n * p.Seconds
	}
	det := w*xx - x*x
	if det <= 1e-12*w*xx { // one batch size, or none
		return Cost{}, errors.New("drain: a line needs runs of two batch sizes")
	}
	c := Cost{A: (xx*y - x*xy) / det, B: (w*xy - x*y) / det}
	switch {
	case c.A < 0:
		c = Cost{B: xy / xx}
	case c.B < 0:
		c = Cost{A: y / w}
	}
	return c, nil
}
