package batch

// Joining requests saves the fixed part of their runs but one, and makes the first
// wait for the last. Where that part is next to nothing, runs of one request each give
// the same throughput and answer sooner, and free instances share the requests better; a
// large run may even take longer, as it leaves the caches. So a shape's requests are
// joined unless it is known that the fixed part is too small a share of a run of one:
// as good as the most that joining ever saves. For most models it is a large one.
const (
	joinAgain = 0.12 // the share above which requests are joined again
	joinLess  = 0.08 // and below which no longer; between them it stays as it is
	joinSure  = 0.25 // and above which nothing is tried

	// joinFew requests leave no cache, and save wake-ups that the fit does not see:
	// convolutions of 117 µs on one core with 8 callers do 7.3 thousand a second when
	// these are joined, and 6.9 when few of them are.
	joinFew = 8

	// perRun is what a run costs beside the instance's work, in ns: to take its members
	// and to wake its worker.
	perRun = 1000

	// Each time after so many runs, one goes the other way: the fit must see both
	// under the same load, since runs of one row under a light load and full ones
	// under a heavy load would compare the loads. Alone means tryTogether at most.
	tryEvery    = 64
	tryTogether = 4
)

// members returns how many requests, of so many rows on average, the next run may
// have at most.
func (c *cost) members(rows float64, maxSize int) int {
	fixed := c.a + perRun
	share := fixed / (fixed + c.b*rows)
	if c.sure() {
		switch {
		case c.alone && share > joinAgain:
			c.alone = false
		case !c.alone && share < joinLess:
			c.alone = true
		}
		if share > joinSure {
			return maxSize
		}
	}
	c.turns++
	try := c.turns%tryEvery == 0
	switch {
	case c.alone && try:
		return min(maxSize, tryTogether)
	case c.alone != try:
		return 1
	default:
		return maxSize
	}
}

// worth returns the rows below which a run is not worth splitting off: it would take
// more for itself than for them. Where that is not known, every share is worth it.
func (c *cost) worth(maxSize int) int {
	if !c.sure() {
		return 1
	}
	return int(min(float64(maxSize), c.fixedRows()))
}

// enough returns the rows that a run need not exceed: what runs have to themselves is a
// seventeenth of it, and the rows that a larger one would have leave the caches. That
// a line does not show: an encoder of which 8 rows take 27 ms takes 111 for 32 and 1,414
// for 256 (2 threads, Zen 3), 0.6 of the throughput. Where nothing is known, that is
// maxSize.
func (c *cost) enough(maxSize int) int {
	const times = 16
	if !c.sure() {
		return maxSize
	}
	return int(min(float64(maxSize), max(1, times*c.fixedRows())))
}

// fixedRows is how many rows take as long as what a run has to itself.
func (c *cost) fixedRows() float64 { return (c.a + perRun) / max(c.b, 1) }

// sure reports whether the line is known well enough to decide by it: enough runs,
// of sizes that differ enough for their noise. The variance of a is noise/sxx.
func (c *cost) sure() bool {
	limit := precision * (c.a + c.b)
	return c.w >= fewest && c.hi > c.lo && c.noise*c.my*c.my <= limit*limit*c.sxx
}
