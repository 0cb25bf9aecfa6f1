package router_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// sixteen is a model of sixteen inputs and three outputs that answers immediately.
type sixteen struct {
	steady
	model  *infer.Model
	answer infer.Response
}

// Predict implements router.Leased.
func (s *sixteen) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	return &s.answer, nil
}

func newSixteen() *sixteen {
	s := &sixteen{model: infer.NewModel("iris", 1,
		[]infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 16}}},
		[]infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 3}}})}
	s.answer.Outputs = []infer.Tensor{row("y", 3)}
	return s
}

func row(name string, elements int) infer.Tensor {
	t := infer.Tensor{Name: name, DType: infer.FP32, Shape: infer.Shape{1, int64(elements)}}
	for i := range elements {
		t.Data = binary.LittleEndian.AppendUint32(t.Data, math.Float32bits(float32(i)/10))
	}
	return t
}

// profile is a profile of all the model's elements.
func (s *sixteen) profile(b *testing.B) *drift.Profile {
	b.Helper()
	var columns []string
	for i := range 16 {
		columns = append(columns, fmt.Sprintf("x[%d]", i))
	}
	columns = append(columns, "y[0]", "y[1]", "y[2]")
	mapped, err := drift.MapColumns(s.model, columns, drift.ColumnOptions{})
	if err != nil {
		b.Fatal(err)
	}
	features, _ := mapped.Features()
	builder := drift.NewBuilder(features, drift.BuilderOptions{MaxSampleBytes: 64 << 20, MaxSampleRows: 100_000})
	values, missing := make([]float64, len(columns)), make([]bool, len(columns))
	for i := range 1000 {
		for j := range values {
			values[j] = float64(i%(j+40)) / 20
		}
		builder.Add(values, missing)
	}
	return builder.Profile(drift.Meta{Model: "iris"})
}

// BenchmarkDrift measures the cost of a request if its version is compared with a reference,
// with all requests sampled or none, and if it is not. The clock stops while the waiting copies
// are counted, which other cores do.
func BenchmarkDrift(b *testing.B) {
	s := newSixteen()
	p := s.profile(b)
	f := func(name string, taps func(b *testing.B) (router.Taps, func(rows uint64))) {
		b.Run(name, func(b *testing.B) {
			v := load(1)
			v.target.Leased, v.target.Model, v.target.Observe = s, s.model, nil
			e := iris(nil, v)
			var wait func(rows uint64)
			e.Taps, wait = taps(b)
			r, req := serving(e), request("iris", 0)
			req.Inputs, req.RequestID, req.Arrived = []infer.Tensor{row("x", 16)}, "123e4567-e89b-12d3-a456-426614174000", time.Now()
			b.ReportAllocs()
			const most = 4000 // there is room for some more
			for i := uint64(1); b.Loop(); i++ {
				if _, err := r.Predict(b.Context(), req); err != nil {
					b.Fatal(err)
				}
				if i%most == 0 {
					b.StopTimer()
					wait(i)
					b.StartTimer()
				}
			}
		})
	}
	watched := func(sample int) func(b *testing.B) (router.Taps, func(rows uint64)) {
		return func(b *testing.B) (router.Taps, func(rows uint64)) {
			b.Helper()
			detector, err := drift.NewDetector(p, driftwatch.DetectorOptions(&config.Default().Defaults.Drift, 1))
			if err != nil {
				b.Fatal(err)
			}
			m := drift.NewMonitor(drift.MonitorOptions{Every: time.Millisecond, Closed: func(drift.Closed) {}})
			tap := m.Start(drift.Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: api.RoleDefault}, drift.Watch{
				Tap:      drift.TapOptions{Model: s.model, Profile: p, Sample: sample, MaxRows: 16, MaxBytes: 1 << 20},
				Detector: detector, Windows: drift.Windowing{Length: 5 * time.Minute},
			})
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- m.Run(ctx) }() // the cleanup receives the result
			b.Cleanup(func() {
				cancel()
				if err := <-ended; err != nil {
					b.Error(err)
				}
				if s := m.Status()[0]; s.Dropped > 0 {
					b.Errorf("%d rows of %d were dropped", s.Dropped, s.Rows)
				}
			})
			return router.Taps{tap}, func(rows uint64) {
				for sample > 0 && m.Status()[0].Rows < rows {
					time.Sleep(time.Millisecond)
				}
			}
		}
	}
	f("tap=off", func(*testing.B) (router.Taps, func(uint64)) { return nil, func(uint64) {} })
	f("tap=on/sampled=yes", watched(api.TotalWeight))
	f("tap=on/sampled=no", watched(0))
}
