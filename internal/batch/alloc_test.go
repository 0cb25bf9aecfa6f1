//go:build !race

package batch_test

import (
	"context"
	"testing"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

// echo is an instance that costs next to nothing: one float per row, and back.
type echo struct {
	data []byte
	ends []int
}

func (e *echo) Gather(reqs []*infer.Request) error {
	e.data, e.ends = e.data[:0], e.ends[:0]
	for _, r := range reqs {
		e.data = append(e.data, r.Inputs[0].Data...)
		e.ends = append(e.ends, len(e.data))
	}
	return nil
}

func (e *echo) Run() error { return nil }

func (e *echo) Scatter(i int, resp *infer.Response) error {
	begin := 0
	if i > 0 {
		begin = e.ends[i-1]
	}
	n := e.ends[i] - begin
	shape := [2]int64{int64(n / 4), 1}
	copy(resp.Add("y", 0, infer.FP32, shape[:], n), e.data[begin:])
	return nil
}

func (e *echo) Terminate()   {}
func (e *echo) Close() error { return nil }

func startEcho(tb testing.TB, instances int) *batch.Batcher {
	tb.Helper()
	o := options()
	o.MaxSize, o.Steady = 64, false
	for range instances {
		o.Instances = append(o.Instances, &echo{})
	}
	b, err := batch.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- b.Run(context.Background()) }()
	tb.Cleanup(func() {
		if err := b.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := <-ran; err != nil {
			tb.Error(err)
		}
	})
	return b
}

func TestPredictAllocatesNothing(t *testing.T) {
	b := startEcho(t, 1)
	req, ctx := request(1, 1, 1), context.Background()
	predict := func() {
		resp, err := b.Predict(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Release()
	}
	for range 100 {
		predict()
	}
	if n := testing.AllocsPerRun(2000, predict); n != 0 {
		t.Errorf("%v allocations per Predict, want 0", n)
	}
}

// A trial that wants no copies costs callers nothing.
func TestASettledTrialAllocatesNothing(t *testing.T) {
	o := trialOptions()
	o.NewInstance = func() (batch.Instance, error) { return &echo{}, nil }
	x, err := batch.NewTrial(o)
	if err != nil {
		t.Fatal(err)
	}
	req, resp := request(1, 1, 1), infer.NewResponse()
	if n := testing.AllocsPerRun(100, func() { x.Offer(req, resp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
