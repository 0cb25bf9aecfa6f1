package router_test

import (
	"context"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/router"
)

// steady answers immediately, and counts nothing.
type steady struct{}

func (steady) Predict(context.Context, *infer.Request) (*infer.Response, error) {
	return nil, nil //nolint:nilnil // the response is not used
}
func (steady) Acquire() bool { return true }
func (steady) Release()      {}

// way is one of the paths of a request.
type way struct {
	name   string
	router *router.Router
	table  *router.Table
	req    *infer.Request
	want   infer.Reason
}

// ways are the paths of most traffic, with and without observers.
func ways(t testing.TB) []way {
	t.Helper()
	o := options()
	o.Open = time.Hour
	table := func(o ...router.BreakerOptions) *router.Table {
		stable, canary := load(1, o...), load(2, o...)
		if len(o) > 0 {
			canary.open(t)
		}
		route := split(stable.variant(5000), canary.variant(5000))
		for i, v := range []*version{stable, canary} {
			v.target.Leased = steady{}
			v.target.Observe = func(*infer.Request, error, time.Duration) {}
			route.Variants[i].Observe = func(infer.Reason, error, time.Duration) {}
		}
		route.Fallback = stable.target
		route.Shadows = []router.Shadow{{Sample: 0, Copy: &copies{}}}
		plain := iris(nil, stable, canary)
		plain.Name = "plain"
		return router.NewTable([]*router.Entry{iris(route, stable, canary), plain})
	}
	watched, unwatched := table(o), table()
	all := []way{
		{name: "default", table: watched, req: request("plain", 0), want: infer.ReasonDefault},
		{name: "pinned", table: watched, req: request("iris", 2), want: infer.ReasonPinned},
		{name: "sticky", table: unwatched, req: keyed(0, 5000), want: infer.ReasonSticky},
		{name: "sticky+breaker", table: watched, req: keyed(0, 5000), want: infer.ReasonSticky},
		{name: "random", table: unwatched, req: request("iris", 0), want: infer.ReasonRandom},
		{name: "fallback", table: watched, req: keyed(5000, api.TotalWeight), want: infer.ReasonFallback},
	}
	for i := range all {
		all[i].req.RequestID = "123e4567-e89b-12d3-a456-426614174000"
		all[i].router = router.New()
		all[i].router.Swap(all[i].table)
	}
	return all
}

func BenchmarkPredict(b *testing.B) {
	for _, w := range ways(b) {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := b.Context()
			w.req.Arrived = time.Now()
			for b.Loop() {
				if _, err := w.router.Predict(ctx, w.req); err != nil {
					b.Fatal(err)
				}
			}
			if w.req.Served.Reason != w.want {
				b.Errorf("served %+v, want %s", w.req.Served, w.want)
			}
		})
	}
}

// BenchmarkPick measures the cost of a request before a version is called.
func BenchmarkPick(b *testing.B) {
	for _, w := range ways(b) {
		if w.name == "sticky+breaker" || w.want == infer.ReasonFallback {
			continue // picked in the same way as sticky
		}
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if reason := w.table.Pick(w.req); reason != w.want {
					b.Fatal(reason)
				}
			}
		})
	}
}
