package metrics_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

const ms = time.Millisecond

// request is one that was part of a run of 8 rows and arrived at Unix time 1000 s.
// ended is the error of a request that ended with code.
func ended(code infer.Code) error {
	if code == infer.OK {
		return nil
	}
	return infer.Errorf(code, "no")
}

// errRefused is the error of a request whose values the model refused.
var errRefused = infer.Refused("iris", "index", fmt.Errorf("%w: index", infer.ErrVersionWell))

func request() *infer.Request {
	return &infer.Request{
		Arrived: time.Unix(1000, 0),
		Timing:  infer.Timing{Queue: 2 * ms, Input: ms, Compute: 5 * ms, Output: ms, Rows: 8},
	}
}

func ownSeries(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	n, err := testutil.GatherAndCount(reg,
		"sluice_requests_total", "sluice_runs_total", "sluice_run_requests_total", "sluice_request_duration_seconds",
		"sluice_queue_duration_seconds", "sluice_run_duration_seconds", "sluice_batch_rows")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSeriesLiveFromFirstRequestToDelete(t *testing.T) {
	reg := prometheus.NewRegistry()
	v := metrics.New(reg).Version("iris", 2)
	if n := ownSeries(t, reg); n != 0 {
		t.Errorf("%d series before the first request, want 0", n)
	}
	v.ObserveRun(8, 3, ms, 5*ms, ms, nil)
	v.ObserveRequest(request(), nil, 10*ms)
	v.ObserveRequest(request(), nil, 10*ms)
	v.ObserveRequest(&infer.Request{}, ended(infer.Overloaded), 0)

	want := `
# HELP sluice_requests_total Requests for which a version was picked, by the code of their answer.
# TYPE sluice_requests_total counter
sluice_requests_total{code="ok",model="iris",version="2"} 2
sluice_requests_total{code="overloaded",model="iris",version="2"} 1
# HELP sluice_run_requests_total Requests that took part in runs; divided by runs_total, the mean number of joined requests.
# TYPE sluice_run_requests_total counter
sluice_run_requests_total{model="iris",version="2"} 3
# HELP sluice_runs_total Runs of the model, by the code of their result.
# TYPE sluice_runs_total counter
sluice_runs_total{code="ok",model="iris",version="2"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_requests_total", "sluice_runs_total", "sluice_run_requests_total"); err != nil {
		t.Error(err)
	}
	v.Delete()
	if n := ownSeries(t, reg); n != 0 {
		t.Errorf("%d series after Delete, want 0", n)
	}
	v.ObserveRequest(request(), ended(infer.Internal), 10*ms)
	v.ObserveRun(8, 3, ms, 5*ms, ms, errors.New("late"))
	if n := ownSeries(t, reg); n != 0 {
		t.Errorf("%d series after a late request, want 0", n)
	}
	v.Delete() // harmless
}

func TestDeleteLeavesOtherVersions(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	one, two := m.Version("iris", 1), m.Version("iris", 2)
	one.ObserveRequest(request(), nil, ms)
	two.ObserveRequest(request(), nil, ms)
	both := ownSeries(t, reg)
	one.Delete()
	if n := ownSeries(t, reg); 2*n != both {
		t.Errorf("%d of %d series left, want half", n, both)
	}
	again := m.Version("iris", 1)
	again.ObserveRequest(request(), nil, ms)
	if n := ownSeries(t, reg); n != both {
		t.Errorf("%d series after loading it again, want %d", n, both)
	}
}

func TestDurationHistograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	v := metrics.New(reg).Version("iris", 1)
	v.ObserveRequest(request(), nil, 10*ms)
	v.ObserveRequest(request(), ended(infer.Internal), time.Hour)             // run, but not in the request durations
	v.ObserveRequest(&infer.Request{}, ended(infer.Deadline), 30*time.Second) // never run
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil && strings.HasPrefix(f.GetName(), "sluice_") {
			got[f.GetName()] = h.GetSampleCount()
		}
	}
	want := map[string]uint64{
		"sluice_request_duration_seconds": 1, "sluice_queue_duration_seconds": 2,
		"sluice_run_duration_seconds": 0, "sluice_batch_rows": 0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
}

func TestNamesAreWellFormed(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg)
	m.Watch(metrics.Sources{
		Version: "1.0.0", Revision: "abc", Runtime: "fake",
		Models:        func() map[string]int { return map[string]int{"READY": 2} },
		TableRevision: func() int64 { return 7 },
		InFlight:      func() int64 { return 3 },
		Queued:        func() map[infer.Version]int64 { return map[infer.Version]int64{{Model: "iris", Number: 1}: 4} },
		RunTimes: func() map[infer.Version]metrics.RunTime {
			return map[infer.Version]metrics.RunTime{{Model: "iris", Number: 1}: {Fixed: 4 * time.Microsecond, PerRow: 850}}
		},
		RuntimeMemory: func() map[string]int64 { return map[string]int64{"input": 1024} },
		Breakers: func() map[infer.Version]string {
			return map[infer.Version]string{
				{Model: "iris", Number: 1}: "closed", {Model: "iris", Number: 2}: "half-open", {Model: "iris", Number: 3}: "open", {Model: "iris", Number: 4}: "?",
			}
		},
		Routes: func() []api.Route {
			return []api.Route{{Name: "flowers", Model: "iris", Revision: 12, Variants: []api.Variant{
				{Version: 1, Weight: 9500, Role: api.RoleStable}, {Version: 2, Weight: 500, Role: api.RoleCanary},
			}}, {Name: "iris", Model: "iris", Revision: 1}}
		},
		ShadowQueues: func() map[infer.Version]metrics.QueueSize {
			return map[infer.Version]metrics.QueueSize{{Model: "iris", Number: 3}: {Requests: 5, Bytes: 4096}}
		},
		Journal: func() (events, bytes int64) { return 100, 65536 },
		Drift:   func() []api.DriftStatus { return []api.DriftStatus{driftedStream()} },
		Signals: func() (int, time.Time) { return 1, time.Unix(1000, 0) },
	})
	m.Signals().Recorded(api.TypeRetrainRequested, "iris")
	m.Signals().HeldBack("iris", api.HeldBackOpen)
	m.Signals().Attempted(api.TypeRetrainRequested, nil, ms)
	v := m.Version("iris", 1)
	v.ObserveRun(1, 1, ms, ms, ms, nil)
	v.ObserveRequest(request(), nil, ms)
	m.Variant("flowers", "iris", 1, api.RoleStable).Observe(infer.ReasonSticky, nil, ms)
	s := m.Shadow("flowers", "iris", 3)
	s.Answered(nil, ms)
	s.Dropped(api.DropExpired)
	v.BreakerChanged("open")
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	want := `
# HELP sluice_batch_cost_seconds Time of a run, as fitted for the version's most used shape: a fixed part, and a part per row.
# TYPE sluice_batch_cost_seconds gauge
sluice_batch_cost_seconds{model="iris",term="fixed",version="1"} 4e-06
sluice_batch_cost_seconds{model="iris",term="per_row",version="1"} 8.5e-07
# HELP sluice_breaker_state State of a version's breaker: 0 closed, 1 half-open, 2 open.
# TYPE sluice_breaker_state gauge
sluice_breaker_state{model="iris",version="1"} 0
sluice_breaker_state{model="iris",version="2"} 1
sluice_breaker_state{model="iris",version="3"} 2
sluice_breaker_state{model="iris",version="4"} NaN
# HELP sluice_journal_bytes Size of the journal.
# TYPE sluice_journal_bytes gauge
sluice_journal_bytes 65536
# HELP sluice_journal_events Events in the journal.
# TYPE sluice_journal_events gauge
sluice_journal_events 100
# HELP sluice_model_versions Versions that the registry knows, by state.
# TYPE sluice_model_versions gauge
sluice_model_versions{state="READY"} 2
# HELP sluice_queued_requests Requests that wait for a run.
# TYPE sluice_queued_requests gauge
sluice_queued_requests{model="iris",version="1"} 4
# HELP sluice_requests_in_flight Requests accepted and not yet answered.
# TYPE sluice_requests_in_flight gauge
sluice_requests_in_flight 3
# HELP sluice_route_revision Revision of a declared route.
# TYPE sluice_route_revision gauge
sluice_route_revision{route="flowers"} 12
sluice_route_revision{route="iris"} 1
# HELP sluice_route_weight_ratio A variant's share of its route's traffic as declared, 0 to 1.
# TYPE sluice_route_weight_ratio gauge
sluice_route_weight_ratio{role="canary",route="flowers",version="2"} 0.05
sluice_route_weight_ratio{role="stable",route="flowers",version="1"} 0.95
# HELP sluice_runtime_memory_bytes Bytes that the runtime's buffers hold outside Go's heap, by purpose.
# TYPE sluice_runtime_memory_bytes gauge
sluice_runtime_memory_bytes{purpose="input"} 1024
# HELP sluice_shadow_queued_bytes Bytes of the copies that wait for a shadow.
# TYPE sluice_shadow_queued_bytes gauge
sluice_shadow_queued_bytes{model="iris",version="3"} 4096
# HELP sluice_shadow_queued_requests Copies that wait for a shadow.
# TYPE sluice_shadow_queued_requests gauge
sluice_shadow_queued_requests{model="iris",version="3"} 5
# HELP sluice_table_revision How often the routing table was replaced.
# TYPE sluice_table_revision gauge
sluice_table_revision 7
`
	err = testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_model_versions", "sluice_queued_requests", "sluice_batch_cost_seconds",
		"sluice_requests_in_flight", "sluice_runtime_memory_bytes", "sluice_table_revision",
		"sluice_breaker_state", "sluice_route_revision", "sluice_route_weight_ratio", "sluice_shadow_queued_requests",
		"sluice_shadow_queued_bytes", "sluice_journal_events", "sluice_journal_bytes")
	if err != nil {
		t.Error(err)
	}
}

func TestSourcesMayBeMissing(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	metrics.New(reg).Watch(metrics.Sources{Version: "1.0.0"})
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

func TestReloaded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	f := func(ok bool, at time.Time, want string) {
		t.Helper()
		m.Reloaded(ok, at)
		want = `
# HELP sluice_config_last_reload_success_timestamp_seconds Time at which the configuration was last applied.
# TYPE sluice_config_last_reload_success_timestamp_seconds gauge
sluice_config_last_reload_success_timestamp_seconds 1000.5
# HELP sluice_config_last_reload_successful Whether the last attempt to apply the configuration succeeded.
# TYPE sluice_config_last_reload_successful gauge
sluice_config_last_reload_successful ` + want + "\n"
		err := testutil.GatherAndCompare(reg, strings.NewReader(want),
			"sluice_config_last_reload_successful", "sluice_config_last_reload_success_timestamp_seconds")
		if err != nil {
			t.Error(err)
		}
	}
	f(true, time.UnixMilli(1000500), "1")
	f(false, time.UnixMilli(2000500), "0")
	f(true, time.UnixMilli(1000500), "1")
}

func TestStatistics(t *testing.T) {
	v := metrics.New(prometheus.NewRegistry()).Version("iris", 1)
	if diff := cmp.Diff(metrics.Statistics{}, v.Snapshot()); diff != "" {
		t.Errorf("before the first request (-want +got):\n%s", diff)
	}
	v.ObserveRun(8, 2, ms, 5*ms, ms, nil)
	v.ObserveRun(8, 1, ms, 5*ms, ms, nil)
	v.ObserveRun(1, 1, ms, 2*ms, ms, nil)
	v.ObserveRun(4, 4, ms, 9*ms, 0, errors.New("refused"))
	v.ObserveRequest(request(), nil, 10*ms)
	v.ObserveRequest(request(), nil, 10*ms)
	v.ObserveRequest(request(), ended(infer.Internal), 3*ms)
	v.ObserveRequest(&infer.Request{Arrived: time.Unix(1000, 0)}, ended(infer.Overloaded), -ms)

	ns := func(count int, d time.Duration) metrics.Total {
		return metrics.Total{Count: uint64(count), NS: uint64(d)}
	}
	want := metrics.Statistics{
		LastInference: 999_999, InferenceCount: 17, ExecutionCount: 3,
		Success: ns(2, 20*ms), Fail: ns(2, 3*ms), Rejected: 1, Backend: 1,
		Queue: ns(2, 4*ms), ComputeInput: ns(2, 2*ms), ComputeInfer: ns(2, 10*ms), ComputeOutput: ns(2, 2*ms),
		Batches: []metrics.BatchStatistics{
			{Size: 1, ComputeInput: ns(1, ms), ComputeInfer: ns(1, 2*ms), ComputeOutput: ns(1, ms)},
			{Size: 8, ComputeInput: ns(2, 2*ms), ComputeInfer: ns(2, 10*ms), ComputeOutput: ns(2, 2*ms)},
		},
	}
	if diff := cmp.Diff(want, v.Snapshot()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBatchSizesAreBounded(t *testing.T) {
	v := metrics.New(prometheus.NewRegistry()).Version("iris", 1)
	const sizes = 3000
	for rows := range sizes {
		v.ObserveRun(rows, 1, ms, ms, ms, nil)
	}
	s := v.Snapshot()
	if len(s.Batches) != 1024 || s.ExecutionCount != sizes {
		t.Errorf("%d sizes and %d runs, want 1024 and %d", len(s.Batches), s.ExecutionCount, sizes)
	}
}

// Requests that end while their version is unloaded and loaded again are counted completely or
// not at all, and leave no series.
func TestConcurrentUse(t *testing.T) {
	reg := prometheus.NewRegistry()
	v := metrics.New(reg).Version("iris", 1)
	const workers, each = 4, 500
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				v.ObserveRun(1+i%16, 1, ms, ms, ms, nil)
				v.ObserveRequest(request(), ended(infer.Code(i%int(infer.NumCodes))), ms)
				if w == 0 && i == each/2 {
					v.Delete()
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			v.Snapshot()
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if n := ownSeries(t, reg); n != 0 {
		t.Errorf("%d series left", n)
	}
	s := v.Snapshot()
	if got := s.Success.Count + s.Fail.Count; got != workers*each || s.ExecutionCount != workers*each || len(s.Batches) != 16 {
		t.Errorf("%d requests, %d runs, %d sizes; want %d, %d, 16", got, s.ExecutionCount, len(s.Batches), workers*each, workers*each)
	}
}

func TestBreakerTransitions(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	f := func(want string) {
		t.Helper()
		if want != "" {
			want = "# HELP sluice_breaker_transitions_total How often a version's breaker changed its state, by the new state.\n" +
				"# TYPE sluice_breaker_transitions_total counter\n" + want
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_breaker_transitions_total"); err != nil {
			t.Error(err)
		}
	}
	v, other := m.Version("iris", 1), m.Version("iris", 2)
	v.BreakerChanged("open")
	v.BreakerChanged("half-open")
	v.BreakerChanged("open")
	other.BreakerChanged("open")
	f(`sluice_breaker_transitions_total{model="iris",to="half-open",version="1"} 1
sluice_breaker_transitions_total{model="iris",to="open",version="1"} 2
sluice_breaker_transitions_total{model="iris",to="open",version="2"} 1
`)
	v.Delete()
	v.BreakerChanged("closed") // by a request that ends after the version
	f(`sluice_breaker_transitions_total{model="iris",to="open",version="2"} 1
`)
	other.Delete()
	f("")
}
