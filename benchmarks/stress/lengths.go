package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// mix is a set of lengths that are sent in turn.
type mix struct {
	name    string
	lengths []int64
	paid    []paid
}

func (m *mix) mean() float64 {
	sum := int64(0)
	for _, n := range m.lengths {
		sum += n
	}
	return float64(sum) / float64(len(m.lengths))
}

// mixes are the four buckets alone, mixed, and every length there is.
func mixes() (list []*mix) {
	buckets := []int64{16, 32, 64, 128}
	for _, n := range buckets {
		list = append(list, &mix{name: fmt.Sprintf("%d tokens", n), lengths: []int64{n}})
	}
	every := make([]int64, 0, 128)
	for n := int64(16); n <= 128; n++ {
		every = append(every, (n-16)*41%113+16) // each once, neighbours apart
	}
	return append(list, &mix{name: "the four mixed", lengths: buckets}, &mix{name: "all of 16 to 128", lengths: every})
}

// lengths compares what sequences of several lengths cost together and apart.
// Only equal lengths are joined.
func lengths(ctx context.Context, b *bench, r *record.Record) error {
	const conns = 16
	r.Params["what"] = fmt.Sprintf("The encoder with a variable number of tokens and %d callers, who send the lengths in turn; only equal lengths share a run. Medians of %d rounds in turn. "+
		"Every length mixed is what padding will have to better.", conns, batchRounds)
	w := workOf("encdyn", conns)
	width := w.Shape[2]
	g, err := b.start(ctx, setup{models: []process.Version{one(w.Graph())}})
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	list := mixes()
	for range batchRounds {
		for _, m := range list {
			targets := make([]loadgen.Target, len(m.lengths))
			for i, n := range m.lengths {
				targets[i] = loadgen.FP32Target(g.URL(), w.Name, w.Input, []int64{1, n, width}, true)
			}
			p, err := b.pay(ctx, g, conns, 2*time.Second, targets...)
			if err != nil {
				return err
			}
			m.paid = append(m.paid, p)
		}
	}
	t := record.Table{Columns: []string{"lengths", "requests /s", "tokens /s", "p50 ms", "p99 ms", "CPU ms of a request", "CPU µs of a token"}}
	apart := 0.0
	for i, m := range list {
		cpu := middle(m.paid, cpuOf)
		if i < 4 {
			apart += cpu / 4
		}
		t.Add(m.name, middle(m.paid, rateOf), m.mean()*middle(m.paid, rateOf), middle(m.paid, p50Of), middle(m.paid, p99Of), cpu/1000, cpu/m.mean())
	}
	r.Tables = append(r.Tables, t)
	mixed, every := list[4], list[5]
	r.AtMost("CPU of a request with the four mixed, to the mean of the four alone", middle(mixed.paid, cpuOf)/apart, 1.2, "×")
	r.Tell("CPU of a token with every length, to the four mixed", middle(every.paid, cpuOf)/every.mean()/(middle(mixed.paid, cpuOf)/mixed.mean()), "×")
	return nil
}
