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

func routeSeries(t *testing.T, reg *prometheus.Registry) int {
	t.Helper()
	n, err := testutil.GatherAndCount(reg,
		"sluice_route_requests_total", "sluice_route_errors_total", "sluice_route_request_duration_seconds",
		"sluice_shadow_requests_total", "sluice_shadow_duration_seconds", "sluice_shadow_dropped_total")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// samples returns the number of durations in the histograms of that name.
func samples(t *testing.T, reg *prometheus.Registry, name string) (n uint64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}

func TestVariant(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	stable, canary := m.Variant("flowers", "iris", 1, api.RoleStable), m.Variant("flowers", "iris", 2, api.RoleCanary)
	if n := routeSeries(t, reg); n != 0 {
		t.Errorf("%d series before the first request, want 0", n)
	}
	stable.Observe(infer.ReasonSticky, nil, 2*ms)
	stable.Observe(infer.ReasonSticky, nil, 2*ms)
	stable.Observe(infer.ReasonRandom, ended(infer.Invalid), ms)
	canary.Observe(infer.ReasonSticky, ended(infer.Internal), ms)
	canary.Observe(infer.ReasonFallback, nil, ms)
	canary.Observe(infer.ReasonFallback, ended(infer.Invalid), ms)
	canary.Observe(infer.ReasonRandom, ended(infer.NumCodes+7), ms)
	for _, r := range []infer.Reason{infer.ReasonPinned, infer.ReasonOverride, infer.ReasonDefault, ""} {
		canary.Observe(r, nil, ms)
	}

	want := `
# HELP sluice_route_errors_total Requests that a variant of a route failed, including those that the fallback served, without errors of callers.
# TYPE sluice_route_errors_total counter
sluice_route_errors_total{model="iris",role="canary",route="flowers",version="2"} 4
sluice_route_errors_total{model="iris",role="stable",route="flowers",version="1"} 0
# HELP sluice_route_requests_total Requests assigned to a variant of a route, by the reason and by their code for the variant; those that the fallback served have the code unavailable.
# TYPE sluice_route_requests_total counter
sluice_route_requests_total{code="internal",model="iris",reason="random",role="canary",route="flowers",version="2"} 1
sluice_route_requests_total{code="internal",model="iris",reason="sticky",role="canary",route="flowers",version="2"} 1
sluice_route_requests_total{code="invalid",model="iris",reason="random",role="stable",route="flowers",version="1"} 1
sluice_route_requests_total{code="ok",model="iris",reason="sticky",role="stable",route="flowers",version="1"} 2
sluice_route_requests_total{code="unavailable",model="iris",reason="fallback",role="canary",route="flowers",version="2"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sluice_route_requests_total", "sluice_route_errors_total"); err != nil {
		t.Error(err)
	}
	if n := samples(t, reg, "sluice_route_request_duration_seconds"); n != 2 {
		t.Errorf("%d durations, want 2", n)
	}
	total, recent := canary.Snapshot(time.Now())
	count := api.VariantCount{Requests: 4, Errors: 4, Fallbacks: 2, Random: 1}
	if diff := cmp.Diff(count, total); diff != "" {
		t.Errorf("total (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(api.Recent{Window: recent.Window, VariantCount: count}, recent); diff != "" {
		t.Errorf("recent (-want +got):\n%s", diff)
	}
}

// Refusals by the model are counted separately from refusals by the gateway, for the version,
// for its variant and for a shadow, and are deleted with them.
func TestRefusals(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	v, a, s := m.Version("iris", 1), m.Variant("flowers", "iris", 1, api.RoleStable), m.Shadow("flowers", "iris", 2)
	for _, err := range []error{errRefused, ended(infer.Invalid), errRefused, nil} {
		v.ObserveRequest(request(), err, ms)
		a.Observe(infer.ReasonSticky, err, ms)
		s.Answered(err, ms)
	}
	a.Observe(infer.ReasonFallback, errRefused, ms) // another version refused it
	want := `
# HELP sluice_refusals_total Requests that matched a version's signature, but whose values its model refused.
# TYPE sluice_refusals_total counter
sluice_refusals_total{model="iris",version="1"} 2
# HELP sluice_route_refusals_total Requests that matched the signature of a variant of a route, but whose values its model refused.
# TYPE sluice_route_refusals_total counter
sluice_route_refusals_total{model="iris",role="stable",route="flowers",version="1"} 2
# HELP sluice_shadow_refusals_total Copies of a route's requests whose values the shadow's model refused, although another version answered them.
# TYPE sluice_shadow_refusals_total counter
sluice_shadow_refusals_total{model="iris",route="flowers",version="2"} 2
`
	series := []string{"sluice_refusals_total", "sluice_route_refusals_total", "sluice_shadow_refusals_total"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), series...); err != nil {
		t.Error(err)
	}
	count := api.VariantCount{Requests: 5, Errors: 1, Fallbacks: 1, Refused: 2}
	if total, recent := a.Snapshot(time.Now()); total != count || recent.VariantCount != count {
		t.Errorf("counted %+v, lately %+v; want %+v", total, recent.VariantCount, count)
	}
	if _, errs, _, recent := s.Snapshot(time.Now()); errs != 3 || recent.Refused != 2 {
		t.Errorf("the shadow has %d errors and %+v, want 3, of which the model refused 2", errs, recent.VariantCount)
	}
	v.Delete()
	a.Delete()
	s.Delete()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(""), series...); err != nil {
		t.Error(err)
	}
}

// The failures that count for a variant, and those that do not.
func TestVariantErrors(t *testing.T) {
	blamed := map[infer.Code]bool{infer.Internal: true, infer.Deadline: true, infer.Unavailable: true, infer.Overloaded: true}
	for code := range infer.NumCodes {
		a := newVariant()
		a.Observe(infer.ReasonSticky, ended(code), ms)
		total, recent := a.Snapshot(time.Now())
		want := api.VariantCount{Requests: 1}
		if blamed[code] {
			want.Errors = 1
		}
		if total != want || recent.VariantCount != want {
			t.Errorf("%v: counted %+v, lately %+v; want %+v", code, total, recent.VariantCount, want)
		}
		if answered := recent.P50 != 0; answered != (code == infer.OK) {
			t.Errorf("%v: p50 is %v", code, time.Duration(recent.P50))
		}
	}
}

func TestVariantDelete(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := metrics.New(reg)
	one, two := m.Variant("iris", "iris", 1, api.RoleStable), m.Variant("iris", "iris", 1, api.RoleControl)
	use := func(a *metrics.Variant) {
		a.Observe(infer.ReasonSticky, nil, ms)
		a.Observe(infer.ReasonRandom, ended(infer.Internal), ms)
		a.Observe(infer.ReasonFallback, nil, ms)
	}
	use(one)
	use(two)
	both := routeSeries(t, reg)
	one.Delete()
	if n := routeSeries(t, reg); 2*n != both {
		t.Errorf("%d of %d series left, want half", n, both)
	}
	use(one)
	if n := routeSeries(t, reg); 2*n != both {
		t.Errorf("%d of %d series after a late request, want half", n, both)
	}
	if total, _ := one.Snapshot(time.Now()); total.Requests != 6 {
		t.Errorf("%d requests, want 6", total.Requests)
	}
	one.Delete() // harmless
	two.Delete()
	if n := routeSeries(t, reg); n != 0 {
		t.Errorf("%d series left, want 0", n)
	}
	use(m.Variant("iris", "iris", 1, api.RoleStable))
	if n := routeSeries(t, reg); 2*n != both {
		t.Errorf("%d series after it came back, want %d", n, both/2)
	}
	m.Variant("iris", "iris", 3, api.RoleStable).Delete() // without a request
}

func TestVariantConcurrentUse(t *testing.T) {
	reg := prometheus.NewRegistry()
	a := metrics.New(reg).Variant("iris", "iris", 1, api.RoleStable)
	reasons := []infer.Reason{infer.ReasonSticky, infer.ReasonRandom, infer.ReasonFallback}
	const workers, each = 4, 600
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				a.Observe(reasons[i%3], ended(infer.Code(i%int(infer.NumCodes))), ms)
				if w == 0 && i == each/2 {
					a.Delete()
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			a.Snapshot(time.Now())
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if n := routeSeries(t, reg); n != 0 {
		t.Errorf("%d series left", n)
	}
	total, _ := a.Snapshot(time.Now())
	if total.Requests != workers*each || total.Fallbacks != workers*each/3 {
		t.Errorf("%+v, want %d requests, a third of them fallbacks", total, workers*each)
	}
}
