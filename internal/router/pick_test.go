package router_test

import (
	"strconv"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/slot"
)

func TestOrderOfPicking(t *testing.T) {
	one, two, three := load(1), load(2), load(3)
	route := split(one.variant(5000), two.variant(5000), three.variant(0))
	r := serving(iris(route, one, two, three))
	key := keyed(0, 5000).StickyKey
	f := func(pinned int64, override, key string, want infer.Served) {
		t.Helper()
		req := request("iris", pinned)
		req.Override, req.StickyKey = override, key
		if _, err := r.Predict(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if req.Served != want {
			t.Errorf("served %+v, want %+v", req.Served, want)
		}
	}
	f(2, "3", key, by(2, infer.ReasonPinned))
	f(3, "", "", by(3, infer.ReasonPinned))
	f(0, "2", key, by(2, infer.ReasonOverride))
	f(0, "3", "", by(3, infer.ReasonOverride)) // of weight 0
	f(0, "", key, by(1, infer.ReasonSticky))

	// The override header of a pinned request is ignored.
	req := request("iris", 1)
	req.Override = "not a number"
	if _, err := r.Predict(t.Context(), req); err != nil || req.Served != by(1, infer.ReasonPinned) {
		t.Errorf("%v, served %+v", err, req.Served)
	}
	if len(one.variants) != 1 || len(two.variants) != 0 || len(three.variants) != 0 || len(three.codes) != 2 {
		t.Errorf("variants saw %v, %v, %v: only split traffic counts there; version 3 served %d", one.variants, two.variants, three.variants, len(three.codes))
	}
}

func TestOverride(t *testing.T) {
	one, two := load(1), load(2)
	with := iris(split(one.variant(5000), two.variant(5000)), one, two)
	none := iris(nil, one, two)
	none.Name = "plain"
	r := serving(with, none)
	f := func(name, override string, code infer.Code, served int64) {
		t.Helper()
		req := request(name, 0)
		req.Override = override
		_, err := r.Predict(t.Context(), req)
		if infer.CodeOf(err) != code || req.Served.Version.Number != served {
			t.Errorf("%s, override %q: got %v %v, served %+v; want %v and version %d", name, override, infer.CodeOf(err), err, req.Served, code, served)
		}
		if code != infer.OK && req.Served != (infer.Served{}) {
			t.Errorf("%s, override %q: refused, but served by %+v", name, override, req.Served)
		}
	}
	for _, name := range []string{"iris", "plain"} {
		f(name, "2", infer.OK, 2)
		f(name, "9", infer.NotFound, 0)
		for _, bad := range []string{"0", "-1", "two", "2 ", "+2", "02", "1e1", "99999999999999999999", " "} {
			f(name, bad, infer.Invalid, 0)
		}
	}
	f("nope", "2", infer.NotFound, 0)
}

func TestRouteOfAnotherName(t *testing.T) {
	one, two := load(1), load(2)
	e := iris(split(one.variant(api.TotalWeight)), one, two)
	e.Name = "flowers"
	r := serving(e)
	f := func(number int64, want infer.Served) {
		t.Helper()
		req := request("flowers", number)
		if _, err := r.Predict(t.Context(), req); err != nil || req.Served != want {
			t.Errorf("%v, served %+v, want %+v", err, req.Served, want)
		}
	}
	of := func(number int64) infer.Version { return infer.Version{Model: "iris", Number: number} }
	f(0, infer.Served{Version: of(1), Route: "flowers@7", Reason: infer.ReasonRandom})
	f(2, infer.Served{Version: of(2), Route: "flowers@7", Reason: infer.ReasonPinned})
	if _, err := r.Predict(t.Context(), request("iris", 0)); infer.CodeOf(err) != infer.NotFound {
		t.Errorf("the model's own name, which has no entry: %v", err)
	}
}

func TestServedStandsOnErrorsOfARoute(t *testing.T) {
	one := load(1)
	r := serving(iris(split(one.variant(api.TotalWeight)), one))
	for code := infer.Invalid; code < infer.NumCodes; code++ {
		one.err = infer.Errorf(code, "no")
		req := keyed(0, api.TotalWeight)
		if _, err := r.Predict(t.Context(), req); infer.CodeOf(err) != code || req.Served != by(1, infer.ReasonSticky) {
			t.Errorf("%v: %v, served %+v", code, err, req.Served)
		}
		if got := one.variants[len(one.variants)-1]; got != (ended{infer.ReasonSticky, code}) {
			t.Errorf("%v: the variant saw %v", code, got)
		}
	}
}

func TestKeyStaysWithItsSlot(t *testing.T) {
	versions := []*version{load(1), load(2), load(3)}
	// Not in one range each, as after a few changes of weights.
	ranges := api.Slots{{{0, 3000}, {9000, 9500}}, {{3000, 3001}, {9500, 10_000}, {5000, 9000}}, {{3001, 5000}}}
	route := split(versions[0].variant(3500), versions[1].variant(4501), versions[2].variant(1999))
	route.Slots = router.NewSlots(ranges)
	first, second := serving(iris(route, versions...)), serving(iris(route, versions...))
	holder := func(n int) int64 {
		for i, list := range ranges {
			for _, r := range list {
				if n >= r[0] && n < r[1] {
					return int64(i + 1)
				}
			}
		}
		return 0
	}
	for i := range 20_000 {
		key := strconv.Itoa(i)
		for _, r := range []*router.Router{first, second, first} {
			req := request("iris", 0)
			req.StickyKey = key
			if _, err := r.Predict(t.Context(), req); err != nil || req.Served != by(holder(slot.Slot(seed, key)), infer.ReasonSticky) {
				t.Fatalf("key %s of slot %d: %v, served %+v", key, slot.Slot(seed, key), err, req.Served)
			}
		}
	}
}

// plausible reports whether the number of hits among n fits the share: a larger deviation would
// occur once in 2·10⁹ times.
func plausible(hits, n, share int) bool {
	const alpha = 1e-9
	b := distuv.Binomial{N: float64(n), P: float64(share) / api.TotalWeight}
	return b.CDF(float64(hits)) > alpha/2 && 1-b.CDF(float64(hits-1)) > alpha/2
}

func TestChanceFollowsTheWeights(t *testing.T) {
	one, two, three, none := load(1), load(2), load(3), load(4)
	r := serving(iris(split(one.variant(8000), two.variant(1950), three.variant(50), none.variant(0)), one, two, three, none))
	const n = 200_000
	req := request("iris", 0)
	for range n {
		if _, err := r.Predict(t.Context(), req); err != nil || req.Served.Reason != infer.ReasonRandom {
			t.Fatal(err, req.Served)
		}
	}
	f := func(v *version, share int) {
		t.Helper()
		if !plausible(v.calls, n, share) || len(v.variants) != v.calls {
			t.Errorf("%d of %d for a weight of %d; its variant saw %d", v.calls, n, share, len(v.variants))
		}
	}
	f(one, 8000)
	f(two, 1950)
	f(three, 50)
	if none.calls != 0 {
		t.Errorf("weight 0 got %d requests", none.calls)
	}
	if plausible(two.calls+n/100, n, 1950) {
		t.Error("the check would not notice a percent more")
	}
}
