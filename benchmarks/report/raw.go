package main

import (
	"slices"

	"sluice.io/sluice/benchmarks/drain"
	"sluice.io/sluice/benchmarks/record"
)

// loop is a way to run raw ONNX Runtime; the best one is what servers are
// compared with.
type loop struct {
	threads int
	arena   bool
}

// rawRuns are the runs per second of one loop: by batch, by round.
type rawRuns map[int]map[int]float64

func (r *results) rawLoops(setup, model string) map[loop]rawRuns {
	loops := map[loop]rawRuns{}
	for _, raw := range r.Raw {
		if raw.Setup != setup || raw.Model != model || raw.Runs <= 0 {
			continue
		}
		l := loop{raw.Threads, raw.Arena}
		if loops[l] == nil {
			loops[l] = rawRuns{}
		}
		if loops[l][raw.Batch] == nil {
			loops[l][raw.Batch] = map[int]float64{}
		}
		loops[l][raw.Batch][raw.Round] = max(loops[l][raw.Batch][raw.Round], raw.Runs)
	}
	return loops
}

// median returns the median runs per second of a batch size.
func (r rawRuns) median(batch int) float64 {
	values := make([]float64, 0, len(r[batch]))
	for _, v := range r[batch] {
		values = append(values, v)
	}
	return spreadOf(values).median
}

func (r rawRuns) batches() []int {
	list := make([]int, 0, len(r))
	for b := range r {
		list = append(list, b)
	}
	slices.Sort(list)
	return list
}

// runs returns the runs per second at a batch size that need not be a whole
// number: the time of a run is a line between its two neighbours. of tells those
// of a measured size.
func (r rawRuns) runs(batch float64, of func(batch int) float64) float64 {
	sizes := r.batches()
	i, found := slices.BinarySearchFunc(sizes, batch, func(size int, b float64) int {
		switch {
		case float64(size) < b:
			return -1
		case float64(size) > b:
			return 1
		}
		return 0
	})
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
		if (threads == 0 || l.threads == threads) && v > rows {
			runs, rows = candidate, v
		}
	}
	return runs, rows
}

// share is R_raw: the rows per second of a contender as a share of the best raw
// loop's of the same round, at the batch size at which the contender ran, or the
// one given.
func (r *results) share(setup, work, contender string, batch float64) (spread, bool) {
	var values []float64
	for _, c := range r.cells[cellKey{setup, work, contender}] {
		size := batch
		if size == 0 {
			size = meanBatch(c)
		}
		raw, rows := r.best(setup, c.Model, size, 0)
		if rows == 0 {
			continue
		}
		inRound := func(b int) float64 {
			if v := raw[b][c.Round]; v > 0 {
				return v
			}
			return raw.median(b)
		}
		values = append(values, c.Rate*float64(c.Rows)/(size*raw.runs(size, inRound)))
	}
	return spreadOf(values), len(values) > 0
}

// meanBatch is the number of rows that a run had: what the server tells, else
// those of a request.
func meanBatch(c record.Cell) float64 {
	if c.Go != nil && c.Go.Batch >= 1 {
		return c.Go.Batch
	}
	return float64(c.Rows)
}

// cost fits the time of a run, with as many threads as a server has instances.
func (r *results) cost(setup, model string, instances int) (drain.Cost, error) {
	raw, _ := r.best(setup, model, 1, instances)
	points := make([]drain.Point, 0, len(raw))
	for _, b := range raw.batches() {
		points = append(points, drain.Point{Batch: b, Seconds: float64(instances) / raw.median(b)})
	}
	return drain.Fit(points)
}
