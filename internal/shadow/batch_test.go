package shadow_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
	"sluice.io/sluice/internal/testing/fake"
)

// Over a batcher with one instance, as in the gateway: copies that arrive while the instance is
// busy are joined, and one that hangs in the runtime is abandoned at its time limit.
func TestOverItsOwnBatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := infer.TensorSpec{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 2}, Symbols: []string{"N", ""}}
		model := infer.NewModel("m", 2, []infer.TensorSpec{spec}, []infer.TensorSpec{{Name: "sum", DType: infer.FP32, Shape: infer.Shape{-1}, Symbols: []string{"N"}}})
		session := fake.New(model, fake.Options{IgnoreTerminate: true, Latency: func(rows int64) time.Duration {
			if rows == 1 {
				return time.Second
			}
			return time.Hour
		}})
		instance, err := session.NewInstance()
		if err != nil {
			t.Fatal(err)
		}
		b, err := batch.New(batch.Options{
			Model: model, Instances: []batch.Instance{instance}, Batchable: true, MaxSize: 8, Background: true,
			MaxRequests: 100, MaxBytes: 1 << 20, Timeout: 30 * time.Second, PriorityLevels: 1, DefaultPriority: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- b.Run(context.Background()) }()
		o := options()
		o.Version, o.Predictor, o.Model, o.Timeout = infer.Version{Model: "m", Number: 2}, b, model, 3*time.Second
		m := newMirror(t, o)
		got := newRecorder()
		tap := m.Tap(got, shadow.Use{})
		go func() { ended <- m.Run(context.Background()) }()
		synctest.Wait()
		for range 3 {
			tap.Offer(&infer.Request{Inputs: []infer.Tensor{{Name: "x", DType: infer.FP32, Shape: infer.Shape{1, 2}, Data: make([]byte, 8)}}}, nil)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		got.want(t, drops{}, codes{infer.OK: 1})
		time.Sleep(2 * time.Second)
		got.want(t, drops{}, codes{infer.OK: 1, infer.Deadline: 2})
		if runs := session.Runs(); len(runs) != 2 || len(runs[1].Rows) != 2 {
			t.Errorf("runs %v, want one alone and two joined", runs)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Shutdown(ctx); err != nil { // no copy of the mirror's is left in the run
			t.Error(err)
		}
		if err := b.Shutdown(ctx); err == nil {
			t.Error("the run was not terminated")
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
