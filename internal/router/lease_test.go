package router_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// TestFallbackRetiredMeanwhile: the request picks once more, from the new table, and is
// reported to its variant once.
func TestFallbackRetiredMeanwhile(t *testing.T) {
	canary, old, fresh := load(2, options()), load(1), load(1)
	canary.open(t)
	r := router.New()
	table := func(stable *version) *router.Table {
		route := split(stable.variant(5000), canary.variant(5000))
		route.Fallback = stable.target
		return router.NewTable([]*router.Entry{iris(route, stable, canary)})
	}
	old.target.Leased = &swapping{then: func() { r.Swap(table(fresh)) }}
	r.Swap(table(old))
	ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(1, infer.ReasonFallback)})
	fresh.told(t, []infer.Code{infer.OK}, nil)
	canary.told(t, nil, []ended{{infer.ReasonFallback, infer.Unavailable}})
	old.told(t, nil, nil)

	// If every version is retired, the request is refused, and no version is blamed.
	fresh.retired = true
	if _, err := r.Predict(t.Context(), keyed(5000, 10_000)); infer.CodeOf(err) != infer.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	canary.told(t, nil, nil)
	fresh.told(t, nil, nil)
}

// TestGoneMeanwhile: if the second pick finds no version, none is named.
func TestGoneMeanwhile(t *testing.T) {
	r := router.New()
	old := load(1)
	old.target.Leased = &swapping{then: func() { r.Swap(router.NewTable([]*router.Entry{{Name: "iris", Model: "iris"}})) }}
	for _, req := range []*infer.Request{request("iris", 0), request("iris", 1), keyed(0, 10_000)} {
		r.Swap(router.NewTable([]*router.Entry{iris(split(old.variant(api.TotalWeight)), old)}))
		ends(t, r, req, outcome{infer.NotFound, infer.Served{}})
	}
}

// TestRetiredVariantPicksAnew: also if the variant's breaker would refuse.
func TestRetiredVariantPicksAnew(t *testing.T) {
	r := router.New()
	old, fresh := load(1, options()), load(1)
	old.open(t)
	old.target.Leased = &swapping{then: func() {
		r.Swap(router.NewTable([]*router.Entry{iris(split(fresh.variant(api.TotalWeight)), fresh)}))
	}}
	r.Swap(router.NewTable([]*router.Entry{iris(split(old.variant(api.TotalWeight)), old)}))
	ends(t, r, keyed(0, 10_000), outcome{infer.OK, by(1, infer.ReasonSticky)})
	old.told(t, nil, nil)
	fresh.told(t, []infer.Code{infer.OK}, []ended{{infer.ReasonSticky, infer.OK}})
}

func TestPanicsReleaseLeases(t *testing.T) {
	stable, canary := load(1, options()), load(2, options())
	route := split(stable.variant(5000), canary.variant(5000))
	route.Fallback = stable.target
	r := serving(iris(route, stable, canary))
	boom := func() { panic("model") }
	stable.onCall, canary.onCall = boom, boom
	f := func(req *infer.Request, times int) {
		t.Helper()
		for range times {
			if !panics(t.Context(), r, req) {
				t.Error("the panic was swallowed")
			}
		}
		if stable.leases != 0 || canary.leases != 0 {
			t.Errorf("%d and %d leases left", stable.leases, canary.leases)
		}
	}
	f(request("iris", 2), 1)
	f(keyed(5000, 10_000), 5)
	if state := canary.target.Breaker.State(); state != "open" {
		t.Errorf("the canary's breaker is %s", state)
	}
	f(keyed(5000, 10_000), 5) // the fallback panics
	if state := stable.target.Breaker.State(); state != "open" {
		t.Errorf("the fallback's breaker is %s", state)
	}
	f(keyed(0, 10_000), 5) // past all breakers
	stable.onCall = nil
	ends(t, r, keyed(5000, 10_000), outcome{infer.OK, by(1, infer.ReasonFallback)})
}

func TestPoolHoldsNothing(t *testing.T) {
	stable, canary := load(1), load(2, options())
	stable.resp = infer.NewResponse()
	route := split(stable.variant(5000), canary.variant(5000))
	r := serving(iris(route, stable, canary))
	f := func(what string, req *infer.Request) {
		t.Helper()
		for range 20 {
			_, _ = r.Predict(t.Context(), req)
			if names := router.Leftovers(); len(names) > 0 {
				t.Fatalf("after %s the pool holds %v", what, names)
			}
		}
	}
	f("an answer", keyed(0, 5000))
	f("a pin", request("iris", 1))
	stable.err = errBroken
	f("an error", keyed(0, 5000))
	canary.open(t)
	f("a refusal", keyed(5000, 10_000))
	route.Fallback = stable.target
	f("a fallback", keyed(5000, 10_000))
	stable.retired = true
	f("a retired version", keyed(0, 5000))
}

// leased is a loaded version that fails if it is used after it was retired, like those of the
// registry.
type leased struct {
	users atomic.Int64 // below 0 it is retired
	resp  *infer.Response
	used  atomic.Int64
}

const retired = -1 << 40

func (l *leased) Acquire() bool {
	if l.users.Add(1) > 0 {
		return true
	}
	l.users.Add(-1)
	return false
}
func (l *leased) Release() { l.users.Add(-1) }

func (l *leased) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	l.used.Add(1)
	if n := l.users.Load(); n == 0 || n == retired {
		return nil, infer.Errorf(infer.Internal, "used without a lease")
	}
	return l.resp, nil
}

// TestSwapsUnderTraffic: no request fails, and each names the version that answered it, while
// every table replaces all versions and numbers of the last.
func TestSwapsUnderTraffic(t *testing.T) {
	r := router.New()
	var answers sync.Map // from *infer.Response to the version that gives it
	var lives []*leased
	var told atomic.Int64
	generation := func(i int) []*leased {
		a, b := &leased{resp: new(infer.Response)}, &leased{resp: new(infer.Response)}
		first, second := int64(2*i+1), int64(2*i+2)
		answers.Store(a.resp, first)
		answers.Store(b.resp, second)
		stable, canary := load(first, options()), load(second, options())
		stable.target.Leased, canary.target.Leased = a, b
		variants := []router.Variant{stable.variant(9000 - i%2*4000), canary.variant(1000 + i%2*4000)}
		for k, v := range []*version{stable, canary} {
			v.target.Observe = nil
			variants[k].Observe = func(infer.Reason, error, time.Duration) { told.Add(1) }
		}
		route := split(variants...)
		route.Revision = int64(i)
		plain := iris(nil, stable, canary)
		plain.Name = "plain"
		r.Swap(router.NewTable([]*router.Entry{iris(route, stable, canary), plain}))
		return []*leased{a, b}
	}
	before := generation(0)
	lives = append(lives, before...)
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var sent atomic.Int64
	for c := range 8 {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				req := request([]string{"iris", "iris", "plain"}[i%3], 0)
				if i%3 == 0 {
					req.StickyKey = fmt.Sprint(c, i)
				}
				resp, err := r.Predict(t.Context(), req)
				if err != nil {
					t.Errorf("%s: %v", req.Model, err)
					return
				}
				number, _ := answers.Load(resp)
				if req.Served.Version.Number != number {
					t.Errorf("version %v answered, but Served is %+v", number, req.Served)
				}
				if want := "iris@" + strconv.FormatInt((req.Served.Version.Number-1)/2, 10); req.Model == "iris" && req.Served.Route != want {
					t.Errorf("%+v, want route %s", req.Served, want)
				}
				if req.Model == "iris" {
					sent.Add(1)
				}
			}
		})
	}
	for i := 1; i < 1000; i++ {
		next := generation(i)
		for _, l := range before {
			l.users.Add(retired)
		}
		lives = append(lives, next...)
		before = next
	}
	close(stop)
	callers.Wait()
	used := 0
	for i, l := range lives {
		if n := l.users.Load(); n != 0 && n != retired {
			t.Errorf("loaded version %d: %d leases left", i, n)
		}
		if l.used.Load() > 0 {
			used++
		}
	}
	if diff := cmp.Diff(sent.Load(), told.Load()); diff != "" {
		t.Errorf("requests of the route, and the reports to its variants:\n%s", diff)
	}
	t.Logf("%d requests of the route, by %d of %d loaded versions", sent.Load(), used, len(lives))
	if used < 10 {
		t.Errorf("only %d of %d loaded versions served: too little traffic", used, len(lives))
	}
}
