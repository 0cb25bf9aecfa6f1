package batch

// Joined requests share the fixed part of one run, but the first waits for the last. If the
// fixed part is next to nothing, runs of one request each give the same throughput and answer
// sooner, and free instances share the requests better. A large run may even take longer, since
// its data leaves the caches. So a shape's requests are joined unless the fixed part is known
// to be too small a share of a run of one, which is about the most that joining can save. For
// most models the share is large.
const (
	joinAgain = 0.12 // above this share requests are joined
	joinLess  = 0.08 // below this share they run alone; between the two, the last decision stays
	joinSure  = 0.25 // above this share running alone is never tried

	// joinFew requests stay in the caches, and save wake-ups that the fit does not see:
	// convolutions of 117 µs on one core with 8 callers do 7.3 thousand a second if these are
	// joined, and 6.9 if few of them are.
	joinFew = 8

	// perRun is what a run costs beside the instance's work, in ns: taking its members and
	// waking its worker.
	perRun = 1000

	// Every tryEvery runs, one goes the other way. The fit must see both under the same load:
	// runs of one row under a light load and full ones under a heavy load would compare the
	// loads. If requests run alone, at most tryTogether are joined for it.
	tryEvery    = 64
	tryTogether = 4
)

// members returns the most requests, with that many rows on average, that the next run may
// have.
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

// worth returns the rows below which a run of their own does not pay: its fixed part would take
// longer than the rows. If that is not known, it is 1.
func (c *cost) worth(maxSize int) int {
	if !c.sure() {
		return 1
	}
	return int(min(float64(maxSize), c.fixedRows()))
}

// enough returns the rows beyond which a run need not grow. The fixed part is then a
// seventeenth of the run, and the data of a larger run would leave the caches. A line does not
// show that: an encoder takes 27 ms for 8 rows, 111 for 32 and 1,414 for 256 (2 threads, Zen
// 3), 0.6 of the throughput. If nothing is known, it is maxSize.
func (c *cost) enough(maxSize int) int {
	const times = 16
	if !c.sure() {
		return maxSize
	}
	return int(min(float64(maxSize), max(1, times*c.fixedRows())))
}

// fixedRows is how many rows take as long as the fixed part of a run.
func (c *cost) fixedRows() float64 { return (c.a + perRun) / max(c.b, 1) }

// sure reports whether the line is precise enough to decide by: enough runs, of sizes that
// differ enough for their noise. The variance of a is noise/sxx.
func (c *cost) sure() bool {
	limit := precision * (c.a + c.b)
	return c.w >= fewest && c.hi > c.lo && c.noise*c.my*c.my <= limit*limit*c.sxx
}
