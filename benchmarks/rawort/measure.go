package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
)

// line is one measurement.
type line struct {
	Model   string  `json:"model"`
	ORT     string  `json:"onnxruntime"`
	Threads int     `json:"threads"`
	Batch   int64   `json:"batch"`
	Arena   bool    `json:"arena"`
	Best    bool    `json:"best"` // of this batch; with one setting it is the best
	Runs    float64 `json:"runs_per_second"`
	Rows    float64 `json:"rows_per_second"` // where one row's shape has a first dimension of 1
	Micros  float64 `json:"us_per_run"`      // as one thread sees it
	CPU     float64 `json:"cpu_us_per_run"`  // less than that where the threads had to wait for a core
}

// stretches are how many times the settings of the arena take turns: what else the
// machine does meets both.
const stretches = 2

func measure(o options, out io.Writer) error {
	var sessions []*session
	defer func() {
		for _, s := range sessions {
			s.close()
		}
	}()
	for _, arena := range o.arenas {
		s, err := load(o.model, arena)
		if err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	lines := json.NewEncoder(out)
	for _, batch := range o.batches {
		list, err := o.measureBatch(sessions, batch)
		if err != nil {
			return fmt.Errorf("batch %d: %w", batch, err)
		}
		for _, l := range list {
			if err := lines.Encode(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// measureBatch measures each session, which are those of the settings of the arena.
func (o options) measureBatch(sessions []*session, batch int64) ([]line, error) {
	shape := slices.Clone(o.shape)
	shape[0] *= batch
	counts := make([]count, len(sessions))
	for stretch := range stretches {
		for i := range sessions {
			if stretch%2 == 1 {
				i = len(sessions) - 1 - i
			}
			c, err := o.stretch(sessions[i], shape)
			if err != nil {
				return nil, err
			}
			counts[i].rate += c.rate / stretches
			counts[i].cpu += c.cpu / stretches
		}
	}
	lines, best := make([]line, len(counts)), 0
	for i, c := range counts {
		lines[i] = line{
			Model: name(o.model), ORT: libraryVersion(), Threads: o.threads, Batch: batch, Arena: o.arenas[i],
			Runs: c.rate, Rows: c.rate * float64(shape[0]), Micros: 1e6 * float64(o.threads) / c.rate, CPU: 1e6 * c.cpu,
		}
		if c.rate > counts[best].rate {
			best = i
		}
	}
	lines[best].Best = true
	return lines, nil
}

// stretch measures one session for its part of the time.
func (o options) stretch(s *session, shape []int64) (count, error) {
	list := make([]tensors, 0, o.threads)
	defer func() {
		for _, t := range list {
			t.close()
		}
	}()
	for i := range o.threads {
		t, err := s.prepare(noise(elements(shape), uint64(i)), shape)
		if err != nil {
			return count{}, err
		}
		list = append(list, t)
	}
	return s.loop(list, o.warmup, o.duration/stretches)
}

// noise returns normal numbers, of which none is so small that it slows arithmetic.
func noise(n int64, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // no secret
	list := make([]float32, n)
	for i := range list {
		list[i] = float32(rng.NormFloat64())
	}
	return list
}
