package router_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/slot"
)

// ended is one report to a variant's observer.
type ended struct {
	Reason infer.Reason
	Code   infer.Code
}

// version is a loaded version, and the reports to its observers.
type version struct {
	loaded
	target   *router.Target
	codes    []infer.Code // for the version
	variants []ended      // for its variants
}

// load makes a version; one with settings has a breaker.
func load(number int64, o ...router.BreakerOptions) *version {
	v := new(version)
	v.target = target(number, &v.loaded)
	v.target.Timeout = 30 * time.Second
	v.target.Observe = func(_ *infer.Request, err error, _ time.Duration) { v.codes = append(v.codes, infer.CodeOf(err)) }
	for i := range o {
		v.target.Breaker = router.NewBreaker(o[i])
	}
	return v
}

// variant is the version as a variant of a route.
func (v *version) variant(weight int) router.Variant {
	return router.Variant{Version: v.target.Model.Version, Weight: weight, Target: v.target, Observe: v.observe}
}

func (v *version) observe(reason infer.Reason, err error, _ time.Duration) {
	v.variants = append(v.variants, ended{reason, infer.CodeOf(err)})
}

// options are the defaults of the configuration.
func options() router.BreakerOptions {
	return router.BreakerOptions{
		Window: 10 * time.Second, MinRequests: 20, FailureRatio: 0.5, Consecutive: 5, Open: 5 * time.Second, Probes: 5,
	}
}

// open makes a version's breaker open by sending it failures past its route.
func (v *version) open(t testing.TB) {
	t.Helper()
	failing := v.err
	v.err = infer.Errorf(infer.Internal, "broken")
	alone := serving(iris(split(router.Variant{Version: v.target.Model.Version, Weight: api.TotalWeight, Stable: true, Target: v.target}), v))
	for range options().Consecutive {
		_, _ = alone.Predict(t.Context(), request("iris", 0))
	}
	v.err, v.codes, v.calls = failing, nil, 0
	if state := v.target.Breaker.State(); state != "open" {
		t.Fatalf("the breaker is %s after %d failures", state, options().Consecutive)
	}
}

const seed = "a seed"

// split is a route whose variants have the slots in their order; the first is stable.
func split(variants ...router.Variant) *router.Route {
	variants[0].Stable = true
	slots, from := make(api.Slots, len(variants)), 0
	for i, a := range variants {
		if a.Weight > 0 {
			slots[i] = [][2]int{{from, from + a.Weight}}
		}
		from += a.Weight
	}
	return &router.Route{Revision: 7, Seed: seed, Variants: variants, Slots: router.NewSlots(slots)}
}

// iris is a route "iris" of the model "iris" and its loaded versions. The last version is the
// default; route may be nil.
func iris(route *router.Route, versions ...*version) *router.Entry {
	e := &router.Entry{Name: "iris", Model: "iris", Route: route}
	for _, v := range versions {
		e.Targets = append(e.Targets, v.target)
		e.Default = v.target
	}
	return e
}

func serving(entries ...*router.Entry) *router.Router {
	r := router.New()
	r.Swap(router.NewTable(entries))
	return r
}

// keyed is a request with a key whose slot is in [from, to).
func keyed(from, to int) *infer.Request {
	for i := 0; ; i++ {
		key := "user-" + strconv.Itoa(i)
		if n := slot.Slot(seed, key); n >= from && n < to {
			req := request("iris", 0)
			req.StickyKey = key
			return req
		}
	}
}

// by is the Served of a request to the route "iris".
func by(number int64, reason infer.Reason) infer.Served {
	return infer.Served{Version: infer.Version{Model: "iris", Number: number}, Route: "iris@7", Reason: reason}
}

// panics reports whether the request panicked.
func panics(ctx context.Context, r *router.Router, req *infer.Request) (did bool) {
	defer func() { did = recover() != nil }()
	_, _ = r.Predict(ctx, req)
	return false
}
