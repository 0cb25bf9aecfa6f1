package shadow_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/shadow"
)

func TestCopyIsTheShadowsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen *infer.Request
		m := build(t, func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
			seen = req
			return answers(ctx, req)
		}, nil)
		req := request("r1", 2)
		req.ID, req.Version, req.Priority, req.Timeout = "own", 1, 1, ms
		req.StickyKey, req.Override = "key", "2"
		req.Arrived = time.Now().Add(-7 * ms)
		req.Timing = infer.Timing{Queue: ms, Rows: 4}
		req.Outputs = []infer.OutputRef{{Name: "z", Index: 5}, {Name: "y", Index: 6}}
		resp := respond(3, 8)
		m.tap.Offer(req, resp)
		// The front reuses its memory.
		for i := range req.Inputs {
			clear(req.Inputs[i].Data)
			clear(req.Inputs[i].Shape)
		}
		clear(req.Inputs)
		clear(req.Outputs)
		clear(resp.Outputs[0].Data)
		resp.Release()
		time.Sleep(50 * ms) // in the queue
		m.run()

		in := func(name string, index int, fill byte) infer.Tensor {
			return infer.Tensor{Name: name, DType: infer.Uint8, Shape: infer.Shape{1, 2}, Data: []byte{fill, fill}, Index: index}
		}
		want := &infer.Request{
			Model: "iris", Version: 3, RequestID: "r1", Inputs: []infer.Tensor{in("a", 0, 1), in("b", 1, 2)},
			Outputs: []infer.OutputRef{{Name: "z", Index: 1}, {Name: "y", Index: 0}}, Arrived: time.Now(),
			Served: infer.Served{Route: "iris@7"},
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("the shadow's request (-want +got):\n%s", diff)
		}
		out := func(fill byte) []infer.Tensor {
			return []infer.Tensor{{Name: "y", DType: infer.Uint8, Shape: infer.Shape{1, 3}, Data: []byte{fill, fill, fill}}}
		}
		pair := shadow.Pair{
			Request: m.got.pairs[0].Request,
			Primary: infer.Version{Model: "iris", Number: 1}, Shadow: infer.Version{Model: "iris", Number: 3},
			PrimaryOutputs: out(8), ShadowOutputs: out(9), PrimaryElapsed: 7 * ms, PrimaryTiming: infer.Timing{Queue: ms, Rows: 4},
		}
		if diff := cmp.Diff([]shadow.Pair{pair}, m.got.pairs); diff != "" {
			t.Errorf("the pair (-want +got):\n%s", diff)
		}
		if err := m.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		m.wantEnded()
	})
}

func TestNoCopyWhileThePrimaryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(pauseAbove, waited time.Duration, d drops, c codes) {
			t.Helper()
			m := start(t, answers, func(o *shadow.Options) { o.PauseAbove = pauseAbove })
			req := request("r", 1)
			req.Timing.Queue = waited
			m.offerThis(req)
			m.got.want(t, d, c)
		}
		f(100*ms, 100*ms, drops{}, codes{infer.OK: 1})
		f(100*ms, 101*ms, drops{api.DropPrimaryBusy: 1}, codes{})
		f(0, time.Hour, drops{}, codes{infer.OK: 1})
	})
}

func TestTheQueueIsBoundedByCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, takes(time.Second), func(o *shadow.Options) { o.MaxRequests, o.Concurrency = 2, 1 })
		for i := range 5 {
			m.offer(fmt.Sprint("r", i), 1)
		}
		m.wantQueued(2, 3*5) // one runs, two wait
		m.got.want(t, drops{api.DropQueueFull: 2}, codes{})
		time.Sleep(3 * time.Second)
		m.got.want(t, drops{api.DropQueueFull: 2}, codes{infer.OK: 3})
		m.wantRun("r0", "r1", "r2") // the newest are dropped, and the oldest are run first
		m.wantQueued(0, 0)
	})
}

func TestTheQueueIsBoundedByBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, takes(time.Second), func(o *shadow.Options) { o.MaxBytes, o.Concurrency = 100, 1 })
		m.offer("too large for ever", 49)
		m.wantQueued(0, 0)
		m.offer("runs", 10)  // 23
		m.offer("waits", 30) // 63
		m.offer("r", 6)      // 15
		m.wantQueued(1, 86)
		m.offer("fits", 5) // 13
		m.wantQueued(2, 99)
		m.got.want(t, drops{api.DropQueueBytes: 2}, codes{})
		time.Sleep(time.Second)
		m.wantQueued(1, 76)
		m.offer("again", 10)
		time.Sleep(3 * time.Second)
		m.wantRun("runs", "waits", "fits", "again")
		m.got.want(t, drops{api.DropQueueBytes: 2}, codes{infer.OK: 4})
	})
}

// A shadow that ignores its context does not keep copies longer than allowed.
func TestTheQueueIsBoundedByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, takes(time.Hour), func(o *shadow.Options) { o.MaxAge, o.Concurrency = time.Second, 1 })
		time.Sleep(700 * ms)
		m.offer("runs", 1)
		m.offer("first", 1)
		time.Sleep(500 * ms)
		m.offer("second", 1)
		time.Sleep(499 * ms)
		m.wantQueued(2, 15)
		time.Sleep(ms)
		m.wantQueued(1, 10)
		m.got.want(t, drops{api.DropExpired: 1}, codes{})
		time.Sleep(499 * ms)
		m.wantQueued(1, 10)
		time.Sleep(ms)
		m.wantQueued(0, 5)
		m.got.want(t, drops{api.DropExpired: 2}, codes{})
	})
}

func TestWhatFinallyGetsAWorkerMayBeTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, answers, func(o *shadow.Options) { o.MaxAge = time.Second })
		m.offer("old", 1)
		time.Sleep(time.Second - ms)
		m.offer("young", 1)
		time.Sleep(ms)
		m.run()
		m.wantRun("young")
		m.got.want(t, drops{api.DropExpired: 1}, codes{infer.OK: 1})
		if err := m.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		m.wantEnded()
	})
}

func TestAHangingRunEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, hangs, func(o *shadow.Options) { o.Timeout = 2 * time.Second })
		m.offer("r", 1)
		time.Sleep(2*time.Second - ms)
		m.wantQueued(0, 5)
		time.Sleep(ms)
		m.wantQueued(0, 0)
		m.got.want(t, drops{}, codes{infer.Deadline: 1})
		if got := m.got.elapsed[0]; got != 2*time.Second {
			t.Errorf("elapsed %v, want 2s", got)
		}
		if p := m.got.pairs[0]; !errors.Is(p.Err, context.DeadlineExceeded) || p.ShadowOutputs != nil || len(p.PrimaryOutputs) != 1 {
			t.Errorf("pair %+v", p)
		}
	})
}

func TestFailuresAreCountedByCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		m := start(t, func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
			switch req.RequestID {
			case "overloaded":
				return nil, infer.Errorf(infer.Overloaded, "full")
			case "fails":
				return nil, errors.New("no such luck")
			case "panics":
				panic("shadow")
			}
			return answers(ctx, req)
		}, func(o *shadow.Options) { o.Logger = zap.New(core) })
		for range 3 {
			for _, id := range []string{"overloaded", "fails", "panics", "works"} {
				m.offer(id, 1)
			}
		}
		m.got.want(t, drops{}, codes{infer.Overloaded: 3, infer.Internal: 6, infer.OK: 3})
		if logs.Len() != 3 {
			t.Fatalf("log: %v, want one entry for each cause", logs.All())
		}
		panicked := logs.FilterMessage("panic in the shadow").All()
		if len(panicked) != 1 || panicked[0].ContextMap()["panic"] != "shadow" || panicked[0].ContextMap()["stack"] == "" {
			t.Errorf("log of panics: %v", panicked)
		}
		time.Sleep(time.Minute)
		m.offer("panics", 1)
		again := logs.TakeAll()[3:]
		if len(again) != 1 || again[0].ContextMap()["unsaid"] != int64(2) || again[0].ContextMap()["request_id"] != "panics" {
			t.Errorf("log after a minute: %v, want one entry that says that 2 were not logged", again)
		}
	})
}

func TestWhatDoesNotFitTheSignatureIsTheShadowsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, func(context.Context, *infer.Request) (*infer.Response, error) {
			t.Error("it was run")
			return nil, nil
		}, nil)
		req := request("output", 1)
		req.Outputs = []infer.OutputRef{{Name: "y"}, {Name: "gone"}}
		m.offerThis(req)
		req = request("input", 1)
		req.Inputs = req.Inputs[:1]
		m.offerThis(req)
		m.got.want(t, drops{}, codes{infer.Invalid: 2})
		if diff := cmp.Diff([]time.Duration{0, 0}, m.got.elapsed); diff != "" {
			t.Errorf("elapsed (-want +got):\n%s", diff)
		}
		if p := m.got.pairs; len(p) != 2 || infer.CodeOf(p[0].Err) != infer.Invalid || p[0].ShadowOutputs != nil {
			t.Errorf("pairs %+v", p)
		}
		m.wantQueued(0, 0)
	})
}

// However a shadow misbehaves, Offer does not wait and memory stays bounded.
func TestPrimaryNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(p predictor) {
			t.Helper()
			m := start(t, p, func(o *shadow.Options) { o.MaxRequests, o.MaxBytes, o.Concurrency = 10, 1000, 2 })
			const offers = 3000
			for i := range offers {
				m.offer("r", 1+i%100)
				if n, bytes := m.Queued(); n > 10 || bytes > 1000 {
					t.Fatalf("%d copies of %d bytes", n, bytes)
				}
				time.Sleep(5 * ms)
			}
			if err := m.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if n := m.got.counted(); n != offers {
				t.Errorf("%d of %d were counted", n, offers)
			}
		}
		f(answers)
		f(hangs)
		f(takes(time.Hour)) // hangs, and ignores its context
		f(takes(time.Second))
		f(func(context.Context, *infer.Request) (*infer.Response, error) { panic("shadow") })
		f(func(context.Context, *infer.Request) (*infer.Response, error) { return nil, errors.New("shadow") })
	})
}

func TestCopiesRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most := make(chan int, 1), 0
		running <- 0
		m := start(t, func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
			n := <-running + 1
			most = max(most, n)
			running <- n
			time.Sleep(time.Second)
			running <- <-running - 1
			return answers(ctx, req)
		}, func(o *shadow.Options) { o.Concurrency = 4 })
		for range 10 {
			m.offer("r", 1)
		}
		time.Sleep(10 * time.Second)
		m.got.want(t, drops{}, codes{infer.OK: 10})
		if most != 4 {
			t.Errorf("%d at once, want 4", most)
		}
	})
}

func TestTapsCountApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := start(t, answers, nil)
		other := newRecorder()
		m.offer("r", 1)
		tap := m.Tap(other, shadow.Use{})
		for range 2 {
			tap.Offer(request("s", 1), nil)
		}
		m.got.want(t, drops{}, codes{infer.OK: 1})
		other.want(t, drops{}, codes{infer.OK: 2})
	})
}

// TestUse: a tap may change what is run, and gets what was answered, with the time of the request.
func TestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []infer.Tensor
		m := start(t, func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
			ran = req.Inputs
			return answers(ctx, req)
		}, nil)
		var done *infer.Request
		var fill byte
		refused := false
		tap := m.Tap(m.got, shadow.Use{
			Shape: func(req *infer.Request, primary []infer.Tensor) error {
				if refused {
					return infer.Errorf(infer.Invalid, "no prediction")
				}
				req.Inputs[0].Data = primary[0].Data
				req.Inputs[0].Shape = primary[0].Shape
				return nil
			},
			Done: func(req *infer.Request, resp *infer.Response) { done, fill = req, resp.Outputs[0].Data[0] },
		})
		req := request("r", 3)
		req.Arrived, req.Segment = time.Now(), "x"
		time.Sleep(ms)
		tap.Offer(req, respond(3, 8))
		m.got.want(t, drops{}, codes{infer.OK: 1})
		if ran[0].Name != "a" || ran[1].Data[0] != 8 || ran[0].Data[0] != 1 {
			t.Errorf("%+v", ran)
		}
		if !done.Arrived.Equal(req.Arrived) || done.Segment != "x" || done.RequestID != "r" || fill != 9 {
			t.Errorf("%+v, %d", done, fill)
		}
		refused, done = true, nil
		tap.Offer(req, respond(3, 8))
		m.got.want(t, drops{}, codes{infer.OK: 1, infer.Invalid: 1})
		if done != nil {
			t.Errorf("%+v", done)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	f := func(want string, change func(o *shadow.Options)) {
		t.Helper()
		o := options()
		change(&o)
		m, err := shadow.New(o)
		if m != nil || infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("Predictor", func(o *shadow.Options) { o.Predictor = nil })
	f("Model", func(o *shadow.Options) { o.Model = nil })
	f("MaxRequests is 0", func(o *shadow.Options) { o.MaxRequests = 0 })
	f("MaxBytes is 0", func(o *shadow.Options) { o.MaxBytes = 0 })
	f("MaxAge is 0", func(o *shadow.Options) { o.MaxAge = 0 })
	f("Timeout is 0", func(o *shadow.Options) { o.Timeout = 0 })
	f("PauseAbove is -1", func(o *shadow.Options) { o.PauseAbove = -1 })
	f("Concurrency is 0", func(o *shadow.Options) { o.Concurrency = 0 })
}
