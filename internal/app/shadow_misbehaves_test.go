package app_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// startShadowed runs a gateway on fakes: version 1 answers, and 2 is its shadow and behaves as
// o says within the given limits.
func startShadowed(t *testing.T, live, o fake.Options, limits string, yaml ...string) (*gateway, *fakes) {
	t.Helper()
	f := &fakes{live: map[int64]fake.Options{1: live}, shadow: map[int64]fake.Options{2: o}}
	yaml = append(yaml, "models: {double: {versions: [1], "+fakeModels+", shadow: {"+limits+"}}}",
		"routes: {double: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}}")
	return startOn(t, f, doubles(t, 2), yaml...), f
}

// takes is a model whose runs take that long, unless they are terminated.
func takes(d time.Duration) fake.Options {
	return fake.Options{Latency: func(int64) time.Duration { return d }}
}

// stuck is a model whose runs end only when release is called, even if they are terminated.
func stuck() (o fake.Options, release func()) {
	gate := make(chan struct{})
	return fake.Options{Fail: func(int) error { <-gate; return nil }}, func() { close(gate) }
}

// Whatever the shadow does, every request has its right answer and every copy is counted once.
func TestShadowsThatMisbehave(t *testing.T) {
	const requests = 300
	f := func(name string, live, o fake.Options, limits string, want ...string) {
		t.Run(name, func(t *testing.T) {
			g, _ := startShadowed(t, live, o, "concurrency: 2, "+limits)
			g.asks(t, "double", requests, 8)
			s := g.copied(t, "double", requests)
			counts := maps.Clone(s.Dropped)
			counts["answered"], counts["failed"] = s.Answered-s.Errors, s.Errors
			for _, w := range want {
				if counts[w] == 0 {
					t.Errorf("nothing counts as %s: %+v", w, s)
				}
			}
			for reason, n := range s.Dropped {
				if got := g.series(t, "sluice_shadow_dropped_total", `reason="`+reason+`"`); got != float64(n) {
					t.Errorf("%s: %v in the metric, %d in the statistics", reason, got, n)
				}
			}
			if v := g.routeStats(t, "double").Variants[0]; v.Total != (api.VariantCount{Requests: requests, Random: requests}) || v.Breaker != "closed" {
				t.Errorf("the variant: %+v", v)
			}
		})
	}
	// A time limit beyond max_age keeps the workers busy until the waiting copies are too old.
	quick := fake.Options{}
	f("hangs", quick, takes(time.Hour), "max_requests: 8, max_age: 300ms, timeout: 1s, pause_above: 0s", "failed", api.DropQueueFull, api.DropExpired)
	f("hangs with large copies", quick, takes(time.Hour), "max_bytes: 1KiB, max_age: 300ms, timeout: 200ms, pause_above: 0s", "failed", api.DropQueueBytes)
	f("ends late", quick, fake.Options{IgnoreTerminate: true, Latency: func(int64) time.Duration { return 1500 * time.Millisecond }},
		"max_requests: 8, max_age: 300ms, timeout: 1s, pause_above: 0s", "failed", api.DropQueueFull, api.DropExpired)
	f("panics", quick, fake.Options{Fail: func(int) error { panic("on purpose") }}, "pause_above: 0s", "failed")
	f("panics and works", quick, fake.Options{Fail: func(run int) error {
		if run%2 == 0 {
			panic("on purpose")
		}
		return nil
	}}, "pause_above: 0s", "failed", "answered")
	f("fails", quick, fake.Options{Fail: func(int) error { return errors.New("broken on purpose") }}, "pause_above: 0s", "failed")
	f("100 times slower", takes(time.Millisecond), takes(100*time.Millisecond), "max_requests: 10, max_age: 500ms, pause_above: 0s",
		"answered", api.DropQueueFull, api.DropExpired)
}

// A request that waited too long for its run is not copied: there is too little processor time
// for callers. The others are copied.
func TestShadowsPauseWhereThereIsTooLittle(t *testing.T) {
	const limit = time.Second
	h := newHeld()
	g, _ := startShadowed(t, h.options(), fake.Options{}, "pause_above: "+limit.String())
	g.predict(t, "double")
	replies := g.askers(t, "double", 4) // two run, two wait
	eventually(t, func() bool {
		return h.running.Load() == fakeInstances && g.series(t, "sluice_queued_requests", `model="double"`) == 2
	})
	time.Sleep(limit)
	close(h.let)
	for range cap(replies) {
		if r := <-replies; r.status != http.StatusOK {
			t.Errorf("%+v", r)
		}
	}
	g.predict(t, "double")
	if s := g.copied(t, "double", 6); s.Dropped[api.DropPrimaryBusy] < 2 || s.Answered < 1 || s.Errors > 0 {
		t.Errorf("%+v", s)
	}
}

// Copies that wait for a shadow that hangs stay within their memory limit.
func TestShadowMemoryIsBounded(t *testing.T) {
	const (
		rows     = 1 << 17 // 1.5 MiB in, and as much out
		requests = 60
		limit    = 8 << 20
	)
	echo := fake.Options{Compute: func(m *infer.Model, in []infer.Tensor) ([]infer.Tensor, error) {
		return []infer.Tensor{{Name: m.Outputs[0].Name, DType: in[0].DType, Shape: in[0].Shape, Data: in[0].Data}}, nil
	}}
	hang, release := stuck()
	g, _ := startShadowed(t, echo, hang, "max_bytes: 8MiB, timeout: 1h, max_age: 1h, pause_above: 0s", "server.drain_timeout: 1m")
	t.Cleanup(release) // before the gateway is stopped
	head := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,3],"datatype":"FP32","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}`, rows, rows*12)
	body := append([]byte(head), make([]byte, rows*12)...)
	send := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/v2/models/double/infer", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Inference-Header-Content-Length", strconv.Itoa(len(head)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if n, err := new(bytes.Buffer).ReadFrom(resp.Body); err != nil || n < rows*12 || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %v, %d bytes", resp.StatusCode, err, n)
		}
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // frees the buffers that the first took out of pools
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // far below
	}
	send()
	before := heap()
	for range requests {
		send()
		if held := g.series(t, "sluice_shadow_queued_bytes"); held > limit {
			t.Errorf("the copies hold %v bytes", held)
		}
	}
	after := heap()
	t.Logf("%d MiB before, %d MiB after %d MiB of copies", before>>20, after>>20, requests*rows*24>>20)
	if after > before+limit+16<<20 { // and some room for buffers
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if s := g.shadowOf(t, "double"); s.Dropped[api.DropQueueBytes] != requests+1-limit/(rows*24) {
		t.Errorf("%+v", s)
	}
}

// A shadow that hangs delays neither the stop of the gateway nor a change of its route.
func TestStopWhileTheShadowHangs(t *testing.T) {
	stop := func(g *gateway) error {
		t.Helper()
		began := time.Now()
		err := g.stop()
		if took := time.Since(began); took > time.Minute { // the run takes an hour, and the others have two minutes
			t.Errorf("the stop took %v", took)
		}
		return err
	}

	// After a second the run is terminated. A busy machine runs its thread last.
	g, f := startShadowed(t, fake.Options{}, takes(time.Hour), "timeout: 1h", "server.drain_timeout: 4m")
	g.asks(t, "double", 50, 4)
	if err := stop(g); err != nil {
		t.Errorf("stop: %v", err)
	}
	_, shadows := f.loaded(2)
	<-shadows[0].over

	// A run that ignores its termination is left behind, and the stop reports it.
	o, release := stuck()
	var begun atomic.Bool
	hang := o.Fail
	o.Fail = func(n int) error {
		begun.Store(true)
		return hang(n)
	}
	g, f = startShadowed(t, fake.Options{}, o, "timeout: 1h", "server.drain_timeout: 2s", "unload_timeout: 100ms")
	g.unclean = true
	g.asks(t, "double", 50, 4)
	eventually(t, begun.Load) // on a busy machine its thread may have to wait long
	_, shadows = f.loaded(2)
	g.setRoute(t, "double", `{"variants":[{"version":1,"weight":10000}]}`)
	g.asks(t, "double", 50, 4)
	if shadows[0].closed() {
		t.Error("a session was closed while it ran")
	}
	if err := stop(g); err == nil || !strings.Contains(err.Error(), "still run") {
		t.Errorf("stop: %v", err)
	}
	release()
	<-shadows[0].over
}

// A run of ONNX Runtime for a shadow has the lowest priority, and is terminated if it takes too
// long. Version 2 would run for minutes.
func TestShadowRunsBehindAllOthers(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(onnxgen.Identity(infer.FP32, "N", 4).As("slow").Write(dir, 1), onnxgen.Slow(600_000).Write(dir, 2)); err != nil {
		t.Fatal(err)
	}
	// A thread of the lowest priority may wait long until it notices that its run is over.
	g := start(t, dir, "server.drain_timeout: 1m", "models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false, shadow: {timeout: 2s, pause_above: 0s}}}",
		"routes: {slow: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}}")
	send := func() {
		t.Helper()
		g.must(t, http.MethodPost, g.url+"/v2/models/slow/infer", `{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`)
	}
	send()
	eventually(t, func() bool { return lowestRuns(t) })
	memory := runtimeMemory(t, g)
	for range 100 {
		send()
	}
	eventually(t, func() bool { return g.shadowOf(t, "slow").Errors >= 2 })
	if n := g.series(t, "sluice_shadow_requests_total", `code="deadline"`); n < 2 {
		t.Errorf("%v copies ran out of time", n)
	}
	if after := runtimeMemory(t, g); after > memory+256<<10 {
		t.Errorf("memory of the runtime: %d bytes before, %d after", memory, after)
	}
	if n := g.series(t, "sluice_requests_total", `code="ok"`); n != 101 {
		t.Errorf("%v answers, want 101", n)
	}
}

// lowestRuns reports whether a thread of the lowest priority is running now.
func lowestRuns(t *testing.T) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(files) == 0 {
		t.Skip("no /proc here")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// proc_pid_stat(5): after the name, which may contain anything, is the third field, the
		// state; the nineteenth is the nice value.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if fields[0] == "R" && fields[16] == "19" {
			return true
		}
	}
	return false
}
