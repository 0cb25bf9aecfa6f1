package batch

import "time"

// cost is a model of the run times of a shape: a line
//
//	t(n) = a + b·n    for n rows, with a, b ≥ 0
//
// fitted to the runs as they end. This is the cost of batches in Inoue, "Queueing analysis of
// GPU-based inference servers with dynamic batching" (2021). The fit is weighted recursive
// least squares with exponential forgetting, for a line in its centred form, which is
// numerically stable, unlike the sums of textbooks. It fits the time of one row: with x = 1/n
// and y = t/n the line is y = b + a·x. The noise of run times is in proportion to them. So that
// no size dominates, x and y are bounded by those of one row, and the weight g balances the
// remaining differences of y.
//
//	g   = my/(b + a·x)                  within 1/4 and 4
//	w   = keep·w + g
//	mx += g·(x-mx)/w                    my likewise
//	sxx = keep·sxx + g·(x-mx')·(x-mx)   sxy likewise, with y-my; mx' is mx before
//	a   = sxy/sxx    b = my - a·mx      clamped to a, b ≥ 0 through (mx, my)
//
// Runs of a single size give the mean at that size and say nothing about the slope: sxx and sxy
// change, and forget, only with runs apart from the mean. So a slope is kept until there is a
// better one. Beyond the sizes seen, only the bounds that follow from a, b ≥ 0 are used: fewer
// rows take at least their share of the time of the smallest run, and more rows take at least
// as long as the largest.
//
// Run times have outliers: a thread that loses its core takes a hundred times as long. A run
// that takes more than four times the expected time is left out. A run that takes less than a
// quarter counts, and immediately lowers the estimate that requests are refused by. After four
// in a row of either kind the fit starts again from the last run.
//
// The zero value knows nothing. Times are in nanoseconds.
type cost struct {
	w, mx, my, sxx, sxy float64
	noise               float64 // the mean square of the relative error of the line
	a, b                float64
	lo, hi              int // the fewest and most rows seen
	runs                uint64
	slow, fast          int // how many of the last runs, in a row, were outliers

	trust     float64 // lowers the line after refusals and fast runs; 1 after a run that it described
	least     time.Duration
	leastRows int // runs of this many rows or more take at least that; nothing is known if least is 0

	alone bool // requests are not joined
	turns uint // runs for which joining made a difference
}

const (
	keep       = 1 - 1./32 // the share of the weight of earlier runs that a new run leaves
	mostWeight = 4.
	outlier    = 4    // a time that is off by this factor is not noise
	mostOdd    = 4    // after this many outliers in a row the fit starts again
	fewest     = 12   // the weight below which a fit decides nothing
	precision  = 0.08 // the standard error of a, relative to the time of one row, above which a fit decides nothing
)

// record notes a run that succeeded.
func (c *cost) record(rows int, took time.Duration) {
	c.runs++
	rows = max(1, rows)
	n, t := float64(rows), max(1e-3, float64(took)) // a test's clock may stand still
	if c.w > 0 {
		least, most := c.bounds(rows)
		switch {
		case t > outlier*most:
			if c.slow, c.fast = c.slow+1, 0; c.slow < mostOdd {
				return
			}
			c.forget()
		case outlier*t < least:
			c.trust = min(c.trust, t/least)
			if c.slow, c.fast = 0, c.fast+1; c.fast == mostOdd {
				c.forget()
			}
		default:
			c.slow, c.fast = 0, 0
			if c.trust < 1 { // at most up to this run
				c.trust = min(1, max(c.trust, t/least))
			}
		}
	}
	if c.w == 0 {
		c.lo, c.hi, c.trust = rows, rows, 1
	} else if e := t/c.line(n) - 1; rows >= c.lo && rows <= c.hi {
		c.noise += (e*e - c.noise) / c.w
	}
	c.lo, c.hi = min(c.lo, rows), max(c.hi, rows)
	if rows >= c.leastRows && took < c.least {
		c.least = 0
	}

	x, y := 1/n, t/n
	dx, dy := x-c.mx, y-c.my
	g := 1.
	if c.w > 0 {
		g = min(mostWeight, max(1/mostWeight, c.my/(c.b+c.a*x)))
	}
	c.w = keep*c.w + g
	c.mx += g * dx / c.w
	c.my += g * dy / c.w
	if 4*dx*dx*c.w >= c.sxx {
		c.sxx = keep*c.sxx + g*dx*(x-c.mx)
		c.sxy = keep*c.sxy + g*dx*(y-c.my)
	}
	c.solve()
}

// forget drops the line. It keeps whether requests run alone until there is a new line.
func (c *cost) forget() {
	*c = cost{runs: c.runs, alone: c.alone, turns: c.turns}
}

func (c *cost) solve() {
	switch a := c.sxy / c.sxx; {
	case c.lo == c.hi: // any slope fits; see at
		c.a, c.b = c.my/c.mx, 0
	case a <= 0:
		c.a, c.b = 0, c.my
	case a*c.mx >= c.my:
		c.a, c.b = c.my/c.mx, 0
	default:
		c.a, c.b = a, c.my-a*c.mx
	}
}

func (c *cost) line(rows float64) float64 { return c.a + c.b*rows }

// bounds returns the least and the most time of a run by the line. They are equal within the
// sizes seen.
func (c *cost) bounds(rows int) (least, most float64) {
	n := float64(rows)
	switch {
	case rows < c.lo:
		most = c.line(float64(c.lo))
		return most * n / float64(c.lo), most
	case rows > c.hi:
		least = c.line(float64(c.hi))
		return least, least * n / float64(c.hi)
	default:
		t := c.line(n)
		return t, t
	}
}

// at returns an estimate of the time of a run with that many rows, beyond the sizes seen a
// lower bound. It is 0 if nothing is known.
func (c *cost) at(rows int) time.Duration {
	if c.w == 0 && c.least == 0 {
		return 0
	}
	rows = max(1, rows)
	t, _ := c.bounds(rows)
	took := time.Duration(t * c.trust)
	if rows >= c.leastRows {
		took = max(took, c.least)
	}
	return took
}

// atMost returns an upper bound of the time of a run with that many rows. It is 0 if nothing is
// known.
func (c *cost) atMost(rows int) time.Duration {
	if c.w == 0 {
		return 0
	}
	_, most := c.bounds(max(1, rows))
	return max(time.Duration(most), c.at(rows))
}

// atLeast notes a run that was terminated after took. It is ignored if took is less than
// expected. The time that the run would have taken is guessed as 1.5·took; refusals and
// successful runs correct the guess. The guess stays below timeout, so that a request with all
// its time left is still tried: one slow run must not decide for all later ones, and only runs
// can show whether the version has become too slow.
func (c *cost) atLeast(rows int, took, timeout time.Duration) {
	if took >= c.at(rows) {
		c.least, c.leastRows = min(took+took/2, timeout-timeout/8), rows
	}
}

// refused lowers the estimate by which a request was refused. Without it one slow run could
// lock out short deadlines for ever, since nothing would run that could correct the estimate.
func (c *cost) refused() {
	c.trust -= c.trust / 16
	c.least -= (c.least + 15) / 16
}
