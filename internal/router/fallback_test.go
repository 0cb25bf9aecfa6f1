package router_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// outcome is the expected result of one request.
type outcome struct {
	code   infer.Code
	served infer.Served
}

// ends sends a request and compares its outcome.
func ends(t *testing.T, r *router.Router, req *infer.Request, want outcome) {
	t.Helper()
	_, err := r.Predict(t.Context(), req)
	if got := (outcome{infer.CodeOf(err), req.Served}); got != want {
		t.Errorf("got %v %+v (%v), want %v %+v", got.code, got.served, err, want.code, want.served)
	}
}

// told compares the reports that a version's observers got, and clears them.
func (v *version) told(t *testing.T, codes []infer.Code, variants []ended) {
	t.Helper()
	if diff := cmp.Diff(codes, v.codes); diff != "" {
		t.Errorf("version %d saw (- wanted):\n%s", v.target.Model.Version, diff)
	}
	if diff := cmp.Diff(variants, v.variants); diff != "" {
		t.Errorf("the variant of version %d saw (- wanted):\n%s", v.target.Model.Version, diff)
	}
	if v.leases != 0 {
		t.Errorf("version %d: %d leases left", v.target.Model.Version, v.leases)
	}
	v.codes, v.variants = nil, nil
}

func TestFallbackServesForTheCanary(t *testing.T) {
	stable, canary := load(1, options()), load(2, options())
	route := split(stable.variant(5000), canary.variant(5000))
	route.Fallback = stable.target
	r := serving(iris(route, stable, canary))
	canary.open(t)
	ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(1, infer.ReasonFallback)})
	stable.told(t, []infer.Code{infer.OK}, nil)
	canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})

	// Whatever the fallback answers, the canary counts as unavailable.
	stable.err = infer.Errorf(infer.Overloaded, "full")
	ends(t, r, keyed(5000, 10_000), outcome{infer.Overloaded, by(1, infer.ReasonFallback)})
	stable.told(t, []infer.Code{infer.Overloaded}, nil)
	canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})

	stable.err = nil
	ends(t, r, keyed(0, 5000), outcome{infer.OK, by(1, infer.ReasonSticky)})
	stable.told(t, []infer.Code{infer.OK}, []ended{{infer.ReasonSticky, infer.OK}})

	// The fallback's breaker counts too.
	stable.err = errBroken
	for range 5 {
		ends(t, r, keyed(5000, 10_000), outcome{infer.Internal, by(1, infer.ReasonFallback)})
	}
	if state := stable.target.Breaker.State(); state != "open" {
		t.Errorf("the fallback's breaker is %s after 5 failures", state)
	}
}

func TestFallbackThatIsNoVariant(t *testing.T) {
	stable, canary, other := load(1), load(2, options()), load(3, options())
	route := split(stable.variant(5000), canary.variant(5000))
	route.Fallback = other.target
	r := serving(iris(route, stable, canary, other))
	canary.open(t)
	ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(3, infer.ReasonFallback)})
	other.told(t, []infer.Code{infer.OK}, nil)
	canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})

	// With the fallback's breaker open too, the request is refused: the stable version serves
	// past its breaker only if no other variant is left.
	other.open(t)
	ends(t, r, keyed(5000, 10_000), outcome{infer.Unavailable, by(2, infer.ReasonSticky)})
	canary.told(t, nil, []ended{{infer.ReasonSticky, infer.Unavailable}})
	other.told(t, nil, nil)
	stable.told(t, nil, nil)
}

func TestNoFallback(t *testing.T) {
	stable, canary := load(1), load(2, options())
	r := serving(iris(split(stable.variant(5000), canary.variant(5000)), stable, canary))
	canary.open(t)
	ends(t, r, keyed(5000, 10_000), outcome{infer.Unavailable, by(2, infer.ReasonSticky)})
	canary.told(t, nil, []ended{{infer.ReasonSticky, infer.Unavailable}})
	stable.told(t, nil, nil)
	ends(t, r, keyed(0, 5000), outcome{infer.OK, by(1, infer.ReasonSticky)})
}

func TestVariantThatIsNotLoaded(t *testing.T) {
	stable, canary := load(1), load(2)
	variant := canary.variant(5000)
	variant.Target = nil
	route := split(stable.variant(5000), variant)
	r := serving(iris(route, stable))
	ends(t, r, keyed(5000, 10_000), outcome{infer.Unavailable, by(2, infer.ReasonSticky)})
	canary.told(t, nil, []ended{{infer.ReasonSticky, infer.Unavailable}})
	route.Fallback = stable.target
	ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(1, infer.ReasonFallback)})
	canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})
	stable.told(t, []infer.Code{infer.OK}, nil)

	// Nothing is loaded at all.
	variant.Weight = api.TotalWeight
	route = split(variant)
	r = serving(iris(route))
	ends(t, r, request("iris", 0), outcome{infer.Unavailable, by(2, infer.ReasonRandom)})
	canary.told(t, nil, []ended{{infer.ReasonRandom, infer.Unavailable}})
}

// TestStableThatIsNotLoaded: versions that only a route keeps loaded serve although the model
// has no default, and a request for them can be parsed.
func TestStableThatIsNotLoaded(t *testing.T) {
	f := func(change func(*router.Route), called int64, ready bool) {
		t.Helper()
		stable, canary := load(2), load(1)
		variant := stable.variant(5000)
		variant.Target = nil
		entry := iris(split(variant, canary.variant(5000)), canary)
		entry.Default = nil
		change(entry.Route)
		r := serving(entry)
		if c, err := r.Called("iris", 0); err != nil || c.Model.Version != called {
			t.Errorf("called: %+v, %v; want version %d", c, err, called)
		}
		if err := r.Ready("iris", 0); (err == nil) != ready || err != nil && infer.CodeOf(err) != infer.Unavailable {
			t.Errorf("ready: %v, want %v", err, ready)
		}
		if err := r.Ready("iris", 1); err != nil {
			t.Errorf("version 1: %v", err)
		}
		if err := r.Ready("iris", 2); infer.CodeOf(err) != infer.NotFound {
			t.Errorf("version 2, which is not loaded: %v", err)
		}
	}
	spare := load(3)
	f(func(*router.Route) {}, 1, true)
	f(func(r *router.Route) { r.Fallback = spare.target }, 3, true)
	f(func(r *router.Route) { r.Variants[1].Weight = 0 }, 1, false)
	f(func(r *router.Route) { r.Variants[1].Target = nil }, 1, false)
}

// TestCanaryNeverServesForStable: the fallback of a stable version with an open breaker is
// itself, and the canary gets none of its traffic.
func TestCanaryNeverServesForStable(t *testing.T) {
	stable, canary := load(1, options()), load(2, options())
	route := split(stable.variant(9500), canary.variant(500))
	route.Fallback = stable.target
	r := serving(iris(route, stable, canary))
	stable.open(t)
	ends(t, r, keyed(0, 9500), outcome{infer.Unavailable, by(1, infer.ReasonSticky)})
	stable.told(t, nil, []ended{{infer.ReasonSticky, infer.Unavailable}})
	canary.told(t, nil, nil)
	ends(t, r, keyed(9500, 10_000), outcome{infer.OK, by(2, infer.ReasonSticky)})
}

func TestStableServesWhenAllAreGivenUp(t *testing.T) {
	stable, canary, idle := load(1, options()), load(2, options()), load(3)
	route := split(stable.variant(5000), canary.variant(5000), idle.variant(0))
	r := serving(iris(route, stable, canary, idle))
	stable.open(t)
	canary.open(t)
	f := func() {
		t.Helper()
		for range 3 {
			ends(t, r, keyed(0, 5000), outcome{infer.OK, by(1, infer.ReasonSticky)})
			stable.told(t, []infer.Code{infer.OK}, []ended{{infer.ReasonSticky, infer.OK}})
			ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(1, infer.ReasonFallback)})
			stable.told(t, []infer.Code{infer.OK}, nil)
			canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})
		}
	}
	f()
	route.Fallback = stable.target
	f()
	route.Fallback = canary.target
	f()
	if state := stable.target.Breaker.State(); state != "open" {
		t.Errorf("requests past a breaker closed it: %s", state)
	}
	// A random pick keeps its reason.
	seen := map[infer.Reason]bool{}
	for range 200 {
		req := request("iris", 0)
		if _, err := r.Predict(t.Context(), req); err != nil || req.Served.Version.Number != 1 {
			t.Fatal(err, req.Served)
		}
		seen[req.Served.Reason] = true
	}
	if diff := cmp.Diff(map[infer.Reason]bool{infer.ReasonRandom: true, infer.ReasonFallback: true}, seen); diff != "" {
		t.Errorf("reasons (- wanted):\n%s", diff)
	}
	// Its errors count for itself.
	stable.err = errBroken
	stable.variants = nil
	ends(t, r, keyed(0, 5000), outcome{infer.Internal, by(1, infer.ReasonSticky)})
	if diff := cmp.Diff([]ended{{infer.ReasonSticky, infer.Internal}}, stable.variants); diff != "" {
		t.Errorf("the variant saw (- wanted):\n%s", diff)
	}
	if idle.calls != 0 {
		t.Error("a version of weight 0 served")
	}
}

// TestStableNotLoadedWhenAllAreGivenUp: then no version is left.
func TestStableNotLoadedWhenAllAreGivenUp(t *testing.T) {
	stable, canary := load(1), load(2, options())
	variant := stable.variant(5000)
	variant.Target = nil
	r := serving(iris(split(variant, canary.variant(5000)), canary))
	canary.open(t)
	ends(t, r, keyed(0, 5000), outcome{infer.Unavailable, by(1, infer.ReasonSticky)})
	ends(t, r, keyed(5000, 10_000), outcome{infer.Unavailable, by(2, infer.ReasonSticky)})
	canary.told(t, nil, []ended{{infer.ReasonSticky, infer.Unavailable}})
}

// TestBreakerThatClosesMeanwhile: a request that its own variant refused is not lost if the
// variant recovers before the request looks for another one.
func TestBreakerThatClosesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		o.Probes = 1
		stable, other := load(1, o), load(2, options())
		gate := make(chan error)
		stable.open(t)
		time.Sleep(5*time.Second + time.Nanosecond)
		other.open(t)
		stable.target.Leased, stable.target.Observe = &gated{gate: gate}, nil
		variant := stable.variant(api.TotalWeight)
		variant.Observe = nil
		route := split(variant)
		route.Fallback = other.target
		r := serving(iris(route, stable, other))
		go r.Predict(t.Context(), request("iris", 0)) //nolint:errcheck // the probe
		synctest.Wait()
		other.target.Leased = &hooked{loaded: &other.loaded, onAcquire: func() {
			gate <- nil
			synctest.Wait()
			close(gate)
		}}
		ends(t, r, keyed(0, api.TotalWeight), outcome{infer.OK, by(1, infer.ReasonSticky)})
	})
}

// hooked calls a function when it is leased.
type hooked struct {
	*loaded
	onAcquire func()
}

func (h *hooked) Acquire() bool { h.onAcquire(); return h.loaded.Acquire() }

func TestPinnedGoPastBreakers(t *testing.T) {
	stable, canary := load(1, options()), load(2, options())
	route := split(stable.variant(5000), canary.variant(5000))
	plain := iris(nil, stable, canary)
	plain.Name = "plain"
	r := serving(iris(route, stable, canary), plain)
	stable.open(t)
	canary.open(t)
	override := request("iris", 0)
	override.Override = "2"
	ends(t, r, request("iris", 2), outcome{infer.OK, by(2, infer.ReasonPinned)})
	ends(t, r, override, outcome{infer.OK, by(2, infer.ReasonOverride)})
	ends(t, r, request("plain", 0), outcome{infer.OK, infer.Served{Version: infer.Version{Model: "iris", Number: 2}, Route: "plain@0", Reason: infer.ReasonDefault}})
	canary.told(t, []infer.Code{infer.OK, infer.OK, infer.OK}, nil)

	// They do not open one either.
	canary = load(2, options())
	canary.err = errBroken
	r = serving(iris(route, stable, canary))
	override.Served = infer.Served{}
	for range 100 {
		ends(t, r, request("iris", 2), outcome{infer.Internal, by(2, infer.ReasonPinned)})
		ends(t, r, override, outcome{infer.Internal, by(2, infer.ReasonOverride)})
	}
	if state := canary.target.Breaker.State(); state != "closed" {
		t.Errorf("%s after failures of pinned requests", state)
	}
}
