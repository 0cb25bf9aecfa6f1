//go:build !race

package labels

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// keeping returns a keeper of two scores a row, and a request of one row.
func keeping(tb testing.TB, sample int) (*Keeper, *infer.Request, *infer.Response) {
	tb.Helper()
	m := infer.NewModel("m", 1, nil, []infer.TensorSpec{{Name: "p", DType: infer.FP32, Shape: infer.Shape{-1, 2}, Labels: []string{"no", "yes"}}})
	s := New(Options{Dir: tb.TempDir(), MaxBytes: 1 << 30, MaxAge: time.Hour, Logger: zap.NewNop()})
	k, err := s.Keeper(infer.Version{Model: "m", Number: 1}, KeepOptions{Model: m, Sample: sample, MaxRows: 100, MaxBytes: 1 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	return k, &infer.Request{RequestID: "123e4567-e89b-12d3-a456-426614174000", Arrived: time.Now()},
		&infer.Response{Outputs: []infer.Tensor{{Name: "p", DType: infer.FP32, Shape: infer.Shape{1, 2}, Data: make([]byte, 8)}}}
}

func TestKeepAllocatesNothing(t *testing.T) {
	k, req, resp := keeping(t, api.TotalWeight)
	fill := func() {
		for range 1000 {
			k.Keep(req, resp, "stable")
		}
		k.queue.take()
	}
	fill()
	fill() // both buffers have room now
	if n := testing.AllocsPerRun(10, fill); n != 0 {
		t.Errorf("%v allocations in 1,000 requests", n)
	}
}

// BenchmarkKeep measures what a request costs if its prediction is kept, and if it is not in the
// sample.
func BenchmarkKeep(b *testing.B) {
	for name, sample := range map[string]int{"sampled=yes": api.TotalWeight, "sampled=no": 1} {
		b.Run(name, func(b *testing.B) {
			k, req, resp := keeping(b, sample)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k.Keep(req, resp, "stable")
				if i%1000 == 0 {
					k.queue.take()
				}
			}
		})
	}
}

// BenchmarkIntake measures the intake of labels: predictions are written before the clock starts,
// and 4,096 labels are a transaction.
func BenchmarkIntake(b *testing.B) {
	k, req, resp := keeping(b, api.TotalWeight)
	s := New(Options{Dir: b.TempDir(), MaxBytes: 1 << 30, MaxAge: time.Hour, Logger: zap.NewNop()})
	k.queue.wake = func() {}
	s.queues[infer.Version{Model: "m", Number: 1}] = k.queue
	text, id := k.form.encoded()
	s.forms[id] = text
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // received below
	j := s.Join("m", JoinOptions{Sample: api.TotalWeight, Watermark: time.Hour})
	ids := make([]string, maxBatch)
	n := 0
	for b.Loop() {
		b.StopTimer()
		for i := range ids {
			n++
			ids[i] = NumberLabel(float64(n)).Text
			req.RequestID = ids[i]
			k.Keep(req, resp, "stable")
		}
		b.StartTimer()
		for _, id := range ids {
			if _, err := j.Add(ctx, Row{RequestID: id, Label: Label{Text: "yes"}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(ids))/b.Elapsed().Seconds(), "labels/s")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if r, err := s.Report("m", nil); err != nil || r.Labels.Joined != uint64(n) || r.Kept.Dropped > 0 {
		b.Errorf("%+v %v", r.Labels, err)
	}
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
