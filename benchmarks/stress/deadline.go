package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// deadlineNodes is a model of many small nodes, deadlineNode one of a single node. ONNX
// Runtime ends a run between two nodes, so only the first can be ended early.
func (b *bench) deadlineNodes(ctx context.Context, r *record.Record) error {
	const what = "its run is a loop of small nodes, which ONNX Runtime ends when it is told to"
	return b.deadline(ctx, r, what, func(n int64) *onnxgen.Graph { return onnxgen.Steps(n).As("heavy") }, 100_000, true)
}

func (b *bench) deadlineNode(ctx context.Context, r *record.Record) error {
	return b.deadline(ctx, r, "its run is one node, which nothing ends before it is done", recurrent, 200, false)
}

// deadline finds out how large a model has to be for a run of 10 s, and then asks it with a
// deadline of 100 ms.
func (b *bench) deadline(ctx context.Context, r *record.Record, what string, model func(n int64) *onnxgen.Graph, probe int64, ends bool) error {
	const timeout, clients = 100 * time.Millisecond, 16
	run, took := b.scale(10*time.Second), time.Duration(0)
	single := setup{Models: []process.Version{one(model(probe))}, Rest: "models: {heavy: {instances: 1, batching: {enabled: 'false'}}}"}
	err := b.with(ctx, single, func(g *gateway) error {
		for range 2 {
			begun, t := time.Now(), heavyTarget(g)
			if e := knock(ctx, g, t.Bytes()); e.status != http.StatusOK {
				return fmt.Errorf("%d %s", e.status, e.text)
			}
			took = time.Since(begun)
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := int64(float64(probe) * float64(run) / float64(took))
	r.Params["what"] = fmt.Sprintf("%d callers ask a model whose run takes %v under a deadline of %v, each again when it was answered; %s. It has one worker.", clients, run, timeout, what)
	s := setup{
		Models: []process.Version{one(model(n))},
		Rest:   fmt.Sprintf("models: {heavy: {instances: 1, timeout: %v, warmup: false, batching: {enabled: 'false'}}}", timeout),
	}
	tally := newTally()
	var free time.Duration
	_, err = b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		keepAsking(ctx, heavyTarget(o.g), clients, b.scale(6*time.Second), tally)
		o.mark("no more requests")
		begun := time.Now()
		for o.g.busy() && time.Since(begun) < 20*time.Second {
			time.Sleep(20 * time.Millisecond)
		}
		free = time.Since(begun)
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, tally.table("Answers of the heavy model"))
	r.AtLeast("answered 504", tally.share(http.StatusGatewayTimeout, ""), 100, "%")
	r.AtMost("the latest answer", tally.latest(), millis(timeout)+100, "ms")
	if ends {
		r.AtMost("its worker is free again after the last answer", millis(free), 1000, "ms")
	} else {
		r.Tell("its worker is free again after the last answer", millis(free), "ms")
	}
	return nil
}

func heavyTarget(g *gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), "heavy", "input", []int64{1, 4}, true)
}

// recurrent is "input" FP32 [1, 4] → "output" [1, 4], unchanged but for the last state of a
// recurrent node of n steps, times 0: a single node of any length in little memory.
func recurrent(n int64) *onnxgen.Graph {
	const hidden = 2048 // a step takes long and leaves little behind
	g := onnxgen.New("heavy")
	x := g.Input("input", infer.FP32, 1, 4)
	sequence := g.Op("Expand", g.Op("Reshape", x, g.Init(onnxgen.Int64s([]int64{1, 1, 4}, 3))), g.Init(onnxgen.Int64s([]int64{n, 1, 4}, 3)))
	rng := onnxgen.Rand(1)
	states := g.Op("RNN", sequence, g.Init(onnxgen.Normal(rng, 0.01, 1, hidden, 4)), g.Init(onnxgen.Normal(rng, 0.01, 1, hidden, hidden))).Int("hidden_size", hidden)
	sum := g.Op("ReduceMax", states).Int("keepdims", 0)
	g.Output("output", infer.FP32, g.Op("Add", x, g.Op("Mul", sum, g.Init(onnxgen.Float32s([]float32{0})))), 1, 4)
	return g
}
