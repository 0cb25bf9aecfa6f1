package batch_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/infer"
)

func TestFullQueueRefusesAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.MaxRequests, o.MaxBytes = 2, 100
		})
		running := s.send(request(0, 1, 1))
		a := s.send(request(1, 8, 3)) // 96 bytes
		s.send(request(2, 1, 3)).wantCode(t, infer.Overloaded)
		b := s.send(request(3, 1, 1))
		begin := time.Now()
		refused := s.send(request(4, 0, 1)) // no bytes, but the third
		refused.wantCode(t, infer.Overloaded)
		refused.wantEnd(t, begin, 0)
		s.send(request(5, 1, 26)).wantCode(t, infer.TooLarge) // never fits
		running.wantDoubled(t)
		a.wantDoubled(t)
		b.wantDoubled(t)
		s.send(request(6, 8, 3)).wantDoubled(t)
	})
}

// A request that a free instance is about to take does not count as waiting.
func TestFreeInstancesAreBesideTheQueue(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 2, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.MaxRequests, o.MaxBytes, o.Batchable = 1, 4, false
		})
		if s.Full(1 << 40) {
			t.Error("full, though both instances are free")
		}
		a, b := s.sendOnly(request(0, 1, 1)), s.sendOnly(request(1, 1, 1))
		a.wantDoubled(t)
		b.wantDoubled(t)
	})
}

func TestTooManyRowsAreRefused(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, nil)
		c := s.send(request(0, 9, 1))
		c.wantCode(t, infer.Invalid)
		if want := "inference request batch-size must be <= 8 for 'lin' " +
			"(batching.max_size; with batching.oversize: split it would run in pieces)"; infer.Message(c.err) != want {
			t.Errorf("message %q, want %q", infer.Message(c.err), want)
		}
		s.send(request(0, 8, 1)).wantDoubled(t)
	})
}

func twoInputs() *infer.Model {
	spec := func(name string, optional bool, symbol string) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 2}, Symbols: []string{symbol, ""}, Optional: optional}
	}
	return infer.NewModel("two", 1, []infer.TensorSpec{spec("a", false, "N"), spec("b", false, "N"), spec("c", true, "N"), spec("w", true, "M")},
		[]infer.TensorSpec{spec("y", false, "N")})
}

func input(name string, rows int) infer.Tensor {
	return infer.Tensor{Name: name, DType: infer.FP32, Shape: infer.Shape{int64(rows), 2}, Data: make([]byte, 8*rows)}
}

func TestRowsOfInputsMustAgree(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, _ []*fake) { o.Model = twoInputs() })
		c := s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 2)}})
		c.wantCode(t, infer.Invalid)
		if want := "input 'a' batch size does not match other inputs for 'two'"; infer.Message(c.err) != want {
			t.Errorf("message %q, want %q", infer.Message(c.err), want)
		}
	})
}

// Dimensions of different names may have different sizes: such a request is not the caller's
// mistake.
func TestRowsOfDifferentNamesMayDiffer(t *testing.T) {
	virtual(t, func(t *testing.T) {
		m := twoInputs()
		m.Inputs[1].Symbols = []string{"other", ""}
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.Model = m
		})
		s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1)}})
		calls := []*call{
			s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1)}}),
			s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 2)}}), // alone
			s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1)}}),
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		var members []int
		for _, run := range s.instances[0].history() {
			members = append(members, len(run))
		}
		if want := []int{1, 1, 2}; !slices.Equal(sorted(members), want) {
			t.Errorf("members of the runs: %v, want %v in some order", members, want)
		}
	})
}

func TestOnlyTheSameInputsAreJoined(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, func(o *batch.Options, instances []*fake) {
			slow(10*ms)(o, instances)
			o.Model = twoInputs()
		})
		s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1)}})
		var calls []*call
		for range 2 {
			calls = append(calls,
				s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1)}}),
				s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1), input("c", 1)}}),
				s.send(&infer.Request{Inputs: []infer.Tensor{input("a", 1), input("b", 1), input("w", 3)}}), // w has no rows: alone
			)
		}
		for _, c := range calls {
			c.wantDoubled(t)
		}
		var members []int
		for _, run := range s.instances[0].history() {
			members = append(members, len(run))
		}
		if want := []int{1, 1, 1, 2, 2}; !slices.Equal(sorted(members), want) {
			t.Errorf("members of the runs: %v, want %v in some order", members, want)
		}
	})
}

func TestRequestsForDifferentOutputsAreJoined(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, slow(10*ms))
		s.send(request(0, 1, 1))
		named := request(1, 1, 1)
		named.Outputs = []infer.OutputRef{{Name: "y"}}
		a, b := s.send(named), s.send(request(2, 1, 1))
		a.wantDoubled(t)
		b.wantDoubled(t)
		wantRuns(t, s.instances[0], []float32{0}, []float32{1, 2})
	})
}

func TestOptionsAreChecked(t *testing.T) {
	f := func(want string, change func(o *batch.Options)) {
		t.Helper()
		o := options()
		o.Instances = []batch.Instance{newFake()}
		change(&o)
		b, err := batch.New(o)
		ok := want == ""
		if (err == nil) != ok || (b != nil) != ok || !ok && (infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want)) {
			t.Errorf("New: %v, want %q", err, want)
		}
	}
	f("", func(*batch.Options) {})
	f("Instances", func(o *batch.Options) { o.Instances = nil })
	f("Model", func(o *batch.Options) { o.Model = nil })
	f("MaxSize is 0", func(o *batch.Options) { o.MaxSize = 0 })
	f("", func(o *batch.Options) { o.MaxSize, o.Batchable = 0, false })
	f("MaxDelay is -1", func(o *batch.Options) { o.MaxDelay = -1 })
	f("MaxRequests is 0", func(o *batch.Options) { o.MaxRequests = 0 })
	f("MaxBytes is 0", func(o *batch.Options) { o.MaxBytes = 0 })
	f("Timeout is 0", func(o *batch.Options) { o.Timeout = 0 })
	f("", func(o *batch.Options) { o.Timeout = 1<<63 - 1 })
	f("DefaultPriority is 3", func(o *batch.Options) { o.DefaultPriority = 3 })
	f("DefaultPriority is 0", func(o *batch.Options) { o.DefaultPriority = 0 })
	f("PriorityLevels is 0", func(o *batch.Options) { o.PriorityLevels, o.DefaultPriority = 0, 0 })
	fixed := infer.TensorSpec{Name: "x", DType: infer.FP32, Shape: infer.Shape{1, 3}}
	f("cannot be batched", func(o *batch.Options) { o.Model = infer.NewModel("m", 1, []infer.TensorSpec{fixed}, nil) })
	f("cannot be batched", func(o *batch.Options) { o.Model = infer.NewModel("m", 1, nil, nil) })
}

func TestSecondRunIsRefused(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := start(t, 1, nil)
		s.send(request(0, 1, 1)).wantDoubled(t)
		if err := s.Run(t.Context()); err == nil {
			t.Error("Run twice")
		}
	})
}

func TestErrorsOfClosingAreReturned(t *testing.T) {
	virtual(t, func(t *testing.T) {
		broken := errors.New("broken")
		o := options()
		o.Instances = []batch.Instance{badClose{newFake(), broken}}
		b, err := batch.New(o)
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- b.Run(t.Context()) }()
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ran; !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
	})
}

type badClose struct {
	*fake
	err error
}

func (b badClose) Close() error { return b.err }
