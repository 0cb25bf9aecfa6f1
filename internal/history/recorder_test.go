package history_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sluice.io/sluice/internal/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const buckets = 241

// middle is a bucket for each millisecond.
func middle(bucket int) float64 { return float64(bucket) / 1e3 }

// counter is a version.
type counter struct {
	requests, errors, queued atomic.Int64
	times                    [buckets]atomic.Int64
}

func (c *counter) Totals() (requests, errors int64) { return c.requests.Load(), c.errors.Load() }
func (c *counter) AddTimes(to []int64) {
	for i := range c.times {
		to[i] += c.times[i].Load()
	}
}

// serve counts n requests of some milliseconds.
func (c *counter) serve(n int64, ms int) {
	c.requests.Add(n)
	c.times[ms].Add(n)
}

// source has counters by series.
type source map[history.Key][]history.Counter

// world is locked while a look reads what tests change.
var world sync.Mutex

func (s source) Each(visit func(history.Key, int, []history.Counter)) {
	world.Lock()
	defer world.Unlock()
	for k, counters := range s {
		queued := 0
		for _, c := range counters {
			switch c := c.(type) {
			case *counter:
				queued += int(c.queued.Load())
			case *even:
				queued += c.queued
			}
		}
		visit(k, queued, counters)
	}
}

var iris = history.Key{Model: "iris"}

// recording runs a recorder in a bubble of synctest.
func recording(t *testing.T, s history.Source, maxBytes int64, f func(r *history.Recorder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := history.New(history.Options{Source: s, Buckets: buckets, Middle: middle, MaxBytes: maxBytes})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		f(r)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// pass lets looks pass.
func pass(looks int) {
	world.Lock()   // what the test has changed is before the looks
	world.Unlock() //nolint:staticcheck // there is nothing to do
	time.Sleep(time.Duration(looks) * history.Step)
	synctest.Wait()
}

// last returns the last n values of a series in steps of 5 seconds.
func last(r *history.Recorder, k history.Key, n int) history.Values {
	_, list := r.Read(time.Duration(n)*history.Step, n, []history.Key{k})
	return list[0]
}

func equal(t *testing.T, what string, got, want []float64) {
	t.Helper()
	same := cmp.Comparer(func(a, b float64) bool {
		return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-5
	})
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", what, diff)
	}
}

var none = math.NaN()

func TestRatesAndLatencies(t *testing.T) {
	c := &counter{}
	recording(t, source{iris: {c}}, 1<<20, func(r *history.Recorder) {
		pass(1)
		c.serve(98, 10)
		c.serve(2, 200)
		c.errors.Add(5)
		c.queued.Store(7)
		pass(1)
		c.queued.Store(0)
		pass(1)
		c.serve(10, 20)
		pass(1)
		v := last(r, iris, 6)
		equal(t, "requests", v.Requests, []float64{none, none, 0, 20, 0, 2})
		equal(t, "errors", v.Errors, []float64{none, none, 0, 1, 0, 0})
		equal(t, "p50", v.P50, []float64{none, none, none, 0.010, none, 0.020})
		equal(t, "p99", v.P99, []float64{none, none, none, 0.200, none, 0.020})
		equal(t, "queue", v.Queue, []float64{none, none, 0, 7, 0, 0})
		// A model that had no traffic has had no requests, and none is kept of it.
		equal(t, "another", last(r, history.Key{Model: "other"}, 3).Requests, []float64{0, 0, 0})
		if r.Has("other") || !r.Has("iris") {
			t.Error("a model without traffic is kept")
		}
	})
}

// A step of several looks has the mean rate, the median of the medians by requests, the largest p99 and the longest queue.
func TestStepsOfSeveralLooks(t *testing.T) {
	c := &counter{}
	recording(t, source{iris: {c}}, 1<<20, func(r *history.Recorder) {
		pass(2) // steps of three looks begin with looks 3, 6, …
		for _, x := range []struct {
			n  int64
			ms int
		}{{100, 10}, {10, 50}, {10, 90}} {
			c.serve(x.n, x.ms)
			c.queued.Store(int64(x.ms))
			pass(1)
		}
		w, list := r.Read(30*time.Second, 2, []history.Key{iris})
		v := list[0]
		equal(t, "requests", v.Requests, []float64{0, 8})
		equal(t, "p50", v.P50, []float64{none, 0.010})
		equal(t, "p99", v.P99, []float64{none, 0.090})
		equal(t, "queue", v.Queue, []float64{0, 90})
		if w.Step != 15*time.Second || time.Since(w.From) != 30*time.Second {
			t.Errorf("%+v, %v ago", w, time.Since(w.From))
		}
		pass(1) // the last step goes on, and the boundaries stay
		again, _ := r.Read(30*time.Second, 2, []history.Key{iris})
		if d := again.From.Sub(w.From); d != 15*time.Second {
			t.Errorf("the boundaries moved by %v", d)
		}
	})
}

// A version that was loaded again counts from zero, and one that was unloaded takes nothing away from the other one.
func TestVersionsComeAndGo(t *testing.T) {
	first, second := &counter{}, &counter{}
	s := source{iris: {first, second}}
	recording(t, s, 1<<20, func(r *history.Recorder) {
		pass(1)
		first.serve(50, 10)
		second.serve(100, 30)
		pass(1)
		s[iris] = []history.Counter{second} // between two looks
		second.serve(10, 30)
		pass(1)
		again := &counter{}
		again.serve(5, 10)
		s[iris] = []history.Counter{second, again}
		pass(1)
		s[iris] = []history.Counter{again, second}
		pass(1)
		delete(s, iris)
		pass(1)
		v := last(r, iris, 6)
		equal(t, "requests", v.Requests, []float64{0, 30, 2, 1, 0, 0})
		equal(t, "p50", v.P50, []float64{none, 0.030, 0.030, 0.010, none, none})
		if !r.Has("iris") {
			t.Error("the history of a model ends when it is unloaded")
		}
		pass(int(history.Span / history.Step * 11 / 10))
		if r.Has("iris") || r.Bytes() != 0 {
			t.Errorf("an hour later %d bytes are kept", r.Bytes())
		}
	})
}

// An hour is kept, and no more.
func TestAnHour(t *testing.T) {
	c := &counter{}
	recording(t, source{iris: {c}}, 1<<20, func(r *history.Recorder) {
		for range 1500 {
			c.serve(5, 10)
			pass(1)
		}
		w, list := r.Read(24*time.Hour, 720, []history.Key{iris})
		if n := len(list[0].Requests); n != 720 || w.Step != history.Step || time.Since(w.Since) > history.Span {
			t.Fatalf("%d steps of %v since %v", n, w.Step, time.Since(w.Since))
		}
		for i, x := range list[0].Requests {
			if x != 1 {
				t.Fatalf("step %d: %v", i, x)
			}
		}
		if r.Bytes() > 20<<10 {
			t.Errorf("a series takes %d bytes", r.Bytes())
		}
	})
}

// While the process did not run there are no samples, and the rates are over the whole time.
func TestALateLook(t *testing.T) {
	c := &counter{}
	s := &slow{source: source{iris: {c}}}
	recording(t, s, 1<<20, func(r *history.Recorder) {
		pass(1)
		s.wait.Store(int64(3*history.Step + history.Step/5))
		pass(1) // this look takes 16 s
		c.serve(100, 10)
		pass(5)
		equal(t, "requests", last(r, iris, 7).Requests, []float64{0, 0, none, none, 100.0 / 16, 0, 0})
	})
}

// slow is a source that takes its time.
type slow struct {
	source

	wait atomic.Int64
}

func (s *slow) Each(visit func(history.Key, int, []history.Counter)) {
	s.source.Each(visit)
	time.Sleep(time.Duration(s.wait.Swap(0)))
}

// even is a version that is always as fast.
type even struct {
	requests, errors int64
	bucket, queued   int
}

func (e *even) Totals() (requests, errors int64) { return e.requests, e.errors }
func (e *even) AddTimes(to []int64)              { to[e.bucket] += e.requests }

// However many models have traffic, the memory is bounded: the history becomes shorter. What is used is what is counted.
func TestMemoryIsBounded(t *testing.T) {
	const models, limit = 5000, 16 << 20
	s, counters := source{}, make([]*even, models)
	for i := range counters {
		counters[i] = &even{bucket: 10 + i%7}
		s[history.Key{Model: fmt.Sprintf("model-%04d", i)}] = []history.Counter{counters[i]}
	}
	recording(t, s, limit, func(r *history.Recorder) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for look := range 200 {
			for _, c := range counters {
				if look%20 != 0 { // enough for each chunk to be kept
					break
				}
				c.requests += 5
				if look > 100 { // an incident, which takes more room
					c.errors++
					c.queued = 3
				}
			}
			pass(1)
			if r.Bytes() > limit {
				t.Fatalf("look %d: %d bytes", look, r.Bytes())
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		if used > limit*11/10 {
			t.Errorf("%d bytes are used, counted are %d", used, r.Bytes())
		}
		w, list := r.Read(history.Span, 720, []history.Key{{Model: "model-4321"}})
		complete := time.Since(w.Since)
		if complete < 5*time.Minute || complete > 15*time.Minute { // of the 17 that have passed
			t.Errorf("complete for %v", complete)
		}
		kept := 0
		for _, x := range list[0].Requests {
			if !math.IsNaN(x) {
				kept++
			}
		}
		if want := int(complete / history.Step); kept < want-1 || kept > want+1 {
			t.Errorf("%d steps have values, want those of %v", kept, complete)
		}
		t.Logf("%d bytes used, %d counted, complete for %v", used, r.Bytes(), complete)
	})
}

// Series beyond the memory are not kept, and the others are right. One that finds room later begins with nothing.
func TestSeriesBeyondTheMemory(t *testing.T) {
	s, counters := source{}, make([]*counter, 200)
	for i := range counters {
		counters[i] = &counter{}
		s[history.Key{Model: fmt.Sprintf("model-%03d", i)}] = []history.Counter{counters[i]}
	}
	const limit = 100 << 10
	recording(t, s, limit, func(r *history.Recorder) {
		for range 100 {
			for _, c := range counters {
				c.serve(5, 10)
			}
			pass(1)
			if r.Bytes() > limit {
				t.Fatalf("%d bytes", r.Bytes())
			}
		}
		kept, lost := "", ""
		for k := range s {
			if r.Has(k.Model) {
				kept = k.Model
			} else {
				lost = k.Model
			}
		}
		if kept == "" || lost == "" {
			t.Fatalf("kept %q, lost %q", kept, lost)
		}
		equal(t, "kept", last(r, history.Key{Model: kept}, 2).Requests, []float64{1, 1})
		for k := range s {
			if k.Model != lost {
				delete(s, k)
			}
		}
		pass(int(history.Span / history.Step * 11 / 10))
		s[history.Key{Model: lost}][0].(*counter).serve(5, 10)
		pass(1)
		s[history.Key{Model: lost}][0].(*counter).serve(10, 10)
		pass(1)
		equal(t, "found room", last(r, history.Key{Model: lost}, 4).Requests, []float64{0, 0, 1, 2})
	})
}

func TestVariants(t *testing.T) {
	key := func(version int64, role string) history.Key {
		return history.Key{Route: "shop", Variant: history.Variant{Version: version, Role: role}}
	}
	busy, idle := &counter{}, &counter{}
	s := source{key(2, "canary"): {busy}, key(1, "stable"): {busy}, key(3, "shadow"): {idle}, {Route: "other"}: {busy}}
	recording(t, s, 1<<20, func(r *history.Recorder) {
		busy.serve(5, 10)
		pass(1)
		if diff := cmp.Diff([]history.Variant{{Version: 1, Role: "stable"}, {Version: 2, Role: "canary"}}, r.Variants("shop")); diff != "" {
			t.Error(diff)
		}
		equal(t, "requests", last(r, key(2, "canary"), 1).Requests, []float64{1})
	})
}
