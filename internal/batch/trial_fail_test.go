package batch_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func TestTrialRunsAreTerminated(t *testing.T) {
	virtual(t, func(t *testing.T) {
		instance := newTensors(rowSums)
		instance.takes = 1 << 60
		x := startTrial(t, instance, func(o *batch.TrialOptions) { o.Timeout = time.Second })
		x.offerMany(4, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := instance.terminated(); n != 1 {
			t.Errorf("%d runs were terminated after the timeout", n)
		}
		time.Sleep(4 * time.Second)
		x.wantSettled()
		x.offerMany(4, 1)
		begin := time.Now()
		if err := x.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		x.wantSettled()
	})
}

func TestFailuresOfTrials(t *testing.T) {
	f := func(name string, compute func([]infer.Tensor) ([]infer.Tensor, error), settled ...bool) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				x := startTrial(t, newTensors(compute), nil)
				x.offerMany(32, 1)
				x.wantSettled(settled...)
			})
		})
	}
	several := func(err error) func([]infer.Tensor) ([]infer.Tensor, error) {
		return func(in []infer.Tensor) ([]infer.Tensor, error) {
			if in[0].Shape[0] > 1 {
				return nil, err
			}
			return rowSums(in)
		}
	}
	f("always", func([]infer.Tensor) ([]infer.Tensor, error) { return nil, errors.New("no") })
	f("panics", func([]infer.Tensor) ([]infer.Tensor, error) { panic("no") })
	f("together", several(errors.New("one row only")), false)
	f("together for lack of memory", several(infer.Errorf(infer.TooLarge, "too large")))
	f("fewer rows", func(in []infer.Tensor) ([]infer.Tensor, error) {
		in[0].Shape[0], in[0].Data = 0, nil
		return in, nil
	}, false)
}

func TestTrialOptions(t *testing.T) {
	f := func(change func(o *batch.TrialOptions), want string) {
		t.Helper()
		o := trialOptions()
		change(&o)
		_, err := batch.NewTrial(o)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(o *batch.TrialOptions) { o.Model = nil }, "Model")
	f(func(o *batch.TrialOptions) { o.NewInstance = nil }, "NewInstance")
	f(func(o *batch.TrialOptions) { o.Settled = nil }, "Settled")
	f(func(o *batch.TrialOptions) { o.MaxSize = 0 }, "MaxSize is 0")
	f(func(o *batch.TrialOptions) { o.Requests = 31 }, "Requests is 31")
	f(func(o *batch.TrialOptions) { o.MaxBytes = 0 }, "MaxBytes is 0")
	f(func(o *batch.TrialOptions) { o.CheckEvery = 0 }, "CheckEvery is 0")
	f(func(o *batch.TrialOptions) { o.Timeout = 0 }, "Timeout is 0")
	f(func(o *batch.TrialOptions) { o.Model = rowsModel(infer.Shape{1, 3}) }, "no free first dimension")
}

func TestATrialWithoutAInstanceEnds(t *testing.T) {
	none := errors.New("no memory")
	why := batch.Finding{Undecided: true, Summary: "no, undecided", Reason: "the model refuses made-up data"}
	o := trialOptions()
	o.NewInstance, o.Why = func() (batch.Instance, error) { return nil, none }, why
	o.Settled = func(f batch.Finding) { t.Errorf("settled: %+v", f) }
	x, err := batch.NewTrial(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Run(t.Context()); !errors.Is(err, none) {
		t.Errorf("Run: %v", err)
	}
	if err := x.Run(t.Context()); err == nil {
		t.Error("Run can be called twice")
	}
	if x.Finding() != why {
		t.Errorf("%+v", x.Finding())
	}
	if err := x.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
