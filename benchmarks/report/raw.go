package main

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"sluice.io/sluice/benchmarks/record"
)

// loop is a way to run raw ONNX Runtime; the best one is what servers are
// compared with.
type loop struct {
	threads, arena string
}

// rawRuns are the runs per second of one loop: by batch, by round.
type rawRuns map[int]map[int]float64

func (r *results) rawLoops(setup, model string) map[loop]rawRuns {
	loops := map[loop]rawRuns{}
	for _, raw := range r.Where("raw", "setup", setup, "model", model) {
		l, batch, round := loop{raw.Params["threads"], raw.Params["arena"]}, int(raw.Num("batch")), int(raw.Num("round"))
		if loops[l] == nil {
			loops[l] = rawRuns{}
		}
		if loops[l][batch] == nil {
			loops[l][batch] = map[int]float64{}
		}
		loops[l][batch][round] = max(loops[l][batch][round], raw.Figures["runs_per_second"])
	}
	return loops
}

// median returns the median runs per second of a batch size.
func (r rawRuns) median(batch int) float64 {
	return record.SpreadOf(slices.Collect(maps.Values(r[batch]))).Median
}

func (r rawRuns) batches() []int {
	return slices.Sorted(maps.Keys(r))
}

// runs returns the runs per second at a batch size that need not be a whole
// number: the time of a run is a line between its two neighbours. of tells those
// of a measured size.
func (r rawRuns) runs(batch float64, of func(batch int) float64) float64 {
	sizes := r.batches()
	i := slices.IndexFunc(sizes, func(size int) bool { return float64(size) >= batch })
	if i < 0 {
		i = len(sizes)
	}
	found := i < len(sizes) && float64(sizes[i]) == batch
	if found || len(sizes) == 1 {
		return of(sizes[min(i, len(sizes)-1)])
	}
	i = min(max(i, 1), len(sizes)-1) // beyond the ends the line goes on
	low, high := float64(sizes[i-1]), float64(sizes[i])
	a, b := 1/of(sizes[i-1]), 1/of(sizes[i])
	return 1 / (a + (b-a)*(batch-low)/(high-low))
}

// best returns the loop that runs most rows per second at a batch size, by
// medians; only those with so many threads, where they are not 0.
func (r *results) best(setup, model string, batch float64, threads int) (runs rawRuns, rows float64) {
	for l, candidate := range r.rawLoops(setup, model) {
		v := batch * candidate.runs(batch, candidate.median)
		if (threads == 0 || l.threads == strconv.Itoa(threads)) && v > rows {
			runs, rows = candidate, v
		}
	}
	return runs, rows
}

// share is R_raw: the rows per second of a contender as a share of the best raw
// loop's of the same round, at the batch size at which the contender ran, or the
// one given.
func (r *results) share(setup, work, contender string, batch float64) record.Spread {
	return r.of(setup, work, contender, func(c *record.Record) float64 {
		size := batch
		if size == 0 {
			size = meanBatch(c)
		}
		raw, rows := r.best(setup, c.Params["model"], size, 0)
		if rows == 0 {
			return math.NaN()
		}
		inRound := func(b int) float64 {
			if v := raw[b][int(c.Num("round"))]; v > 0 {
				return v
			}
			return raw.median(b)
		}
		return rate(c) * c.Num("rows") / (size * raw.runs(size, inRound))
	})
}
