package drift_test

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// TestTapTakesTheRowsOfAVectorThatHaveRoom offers requests of four rows to a tap with room for two.
func TestTapTakesTheRowsOfAVectorThatHaveRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 512
		m := &infer.Model{Name: "m", Version: 1, Inputs: []infer.TensorSpec{{Name: "pixels", DType: infer.FP32, Shape: infer.Shape{-1, size}}}}
		rng := rand.New(rand.NewPCG(1, 1))
		p := vectorProfile(size, 100, func() []float64 { return fill(make([]float64, size), rng.NormFloat64) })
		if err := p.Fits(m); err != nil {
			t.Fatal(err)
		}
		var closed []drift.Closed
		monitor := drift.NewMonitor(drift.MonitorOptions{Every: time.Second, Closed: func(c drift.Closed) { closed = append(closed, c) }})
		tap := monitor.Start(drift.Stream{Version: infer.Version{Model: "m", Number: 1}}, drift.Watch{
			Tap:      drift.TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 2*4*size + 100},
			Detector: detector(t, p, vectorOptions()), Windows: drift.Windowing{Rows: 2, MinRows: 1},
		})
		var data []byte
		for range 4 * size {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64())))
		}
		tap.Offer(&infer.Request{Inputs: []infer.Tensor{{DType: infer.FP32, Shape: infer.Shape{4, size}, Data: data}}}, &infer.Response{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		defer func() { cancel(); <-done }()
		go func() {
			defer close(done)
			_ = monitor.Run(ctx)
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(closed) != 1 {
			t.Fatalf("%d windows; expected 1", len(closed))
		}
		w := &closed[0].Window
		if w.Rows != 2 || w.Dropped != 2 || w.Vectors[0].Rows != 2 || w.Counts[0].N() != 2 {
			t.Errorf("%d rows, %d dropped, %d in the vector; expected 2, 2, 2", w.Rows, w.Dropped, w.Vectors[0].Rows)
		}
	})
}
