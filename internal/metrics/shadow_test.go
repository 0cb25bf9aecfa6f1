package metrics_test

import (
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

func TestShadow(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := metrics.New(reg).Shadow("flowers", "iris", 3)
	answered, errors, dropped, recent := s.Snapshot(time.Now())
	if answered != 0 || errors != 0 || dropped == nil || len(dropped) != 0 || recent.Requests != 0 || routeSeries(t, reg) != 0 {
		t.Errorf("before the first copy: %d, %d, %v, %+v", answered, errors, dropped, recent)
	}
	s.Answered(nil, 4*ms)
	s.Answered(nil, 4*ms)
	s.Answered(ended(infer.Invalid), ms)
	s.Answered(ended(infer.Canceled), ms)
	s.Answered(ended(infer.NumCodes), ms)
	for _, reason := range []string{api.DropQueueFull, api.DropQueueFull, api.DropQueueBytes, api.DropExpired, api.DropPrimaryBusy, api.DropStopped, "whim", "mood"} {
		s.Dropped(reason)
	}

	want := `
# HELP sluice_shadow_dropped_total Copies of a route's requests that a shadow never answered, by the reason.
# TYPE sluice_shadow_dropped_total counter
sluice_shadow_dropped_total{model="iris",reason="expired",route="flowers",version="3"} 1
sluice_shadow_dropped_total{model="iris",reason="other",route="flowers",version="3"} 2
sluice_shadow_dropped_total{model="iris",reason="primary_busy",route="flowers",version="3"} 1
sluice_shadow_dropped_total{model="iris",reason="queue_bytes",route="flowers",version="3"} 1
sluice_shadow_dropped_total{model="iris",reason="queue_full",route="flowers",version="3"} 2
sluice_shadow_dropped_total{model="iris",reason="stopped",route="flowers",version="3"} 1
# HELP sluice_shadow_requests_total Copies of a route's requests that a shadow answered, by the code of its answer.
# TYPE sluice_shadow_requests_total counter
sluice_shadow_requests_total{code="canceled",model="iris",route="flowers",version="3"} 1
sluice_shadow_requests_total{code="internal",model="iris",route="flowers",version="3"} 1
sluice_shadow_requests_total{code="invalid",model="iris",route="flowers",version="3"} 1
sluice_shadow_requests_total{code="ok",model="iris",route="flowers",version="3"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_shadow_requests_total", "sluice_shadow_dropped_total"); err != nil {
		t.Error(err)
	}
	if n := samples(t, reg, "sluice_shadow_duration_seconds"); n != 2 {
		t.Errorf("%d durations, want 2", n)
	}
	answered, errors, dropped, recent = s.Snapshot(time.Now())
	if answered != 5 || errors != 2 || recent.VariantCount != (api.VariantCount{Requests: 5, Errors: 2}) || recent.P50 == 0 {
		t.Errorf("%d answered, %d errors, lately %+v; want 5 and 2", answered, errors, recent)
	}
	drops := map[string]int64{
		api.DropQueueFull: 2, api.DropQueueBytes: 1, api.DropExpired: 1, api.DropPrimaryBusy: 1, api.DropStopped: 1, "other": 2,
	}
	if diff := cmp.Diff(drops, dropped); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
	s.Delete()
	s.Dropped(api.DropStopped)
	s.Dropped("late")
	s.Answered(nil, ms)
	s.Answered(ended(infer.Deadline), ms)
	s.Delete()
	if n := routeSeries(t, reg); n != 0 {
		t.Errorf("%d series after Delete, want 0", n)
	}
}

func TestShadowConcurrentUse(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	s, other := m.Shadow("iris", "iris", 3), m.Shadow("flowers", "iris", 3)
	other.Dropped(api.DropExpired)
	left := routeSeries(t, reg)
	const workers, each = 4, 500
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range each {
				s.Answered(ended(infer.Code(i%int(infer.NumCodes))), ms)
				s.Dropped(api.DropQueueFull)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			s.Snapshot(time.Now())
		}
		s.Delete()
	})
	wg.Wait()
	answered, _, dropped, _ := s.Snapshot(time.Now())
	if answered != workers*each || dropped[api.DropQueueFull] != workers*each {
		t.Errorf("%d answered, dropped %v; want %d of both", answered, dropped, workers*each)
	}
	if n := routeSeries(t, reg); n != left {
		t.Errorf("%d series left, want %d of the other route", n, left)
	}
}
