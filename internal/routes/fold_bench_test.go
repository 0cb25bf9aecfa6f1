package routes_test

import (
	"fmt"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/routes"
)

// BenchmarkFold is the part of a start that reads 100,000 events. They change the canaries
// of 20 routes in turn.
func BenchmarkFold(b *testing.B) {
	set := routes.NewSet()
	events := make([]api.Event, 0, 100_000)
	for i := range cap(events) {
		weight := i / 20 * 500 % 10_000
		r := route(stable(1, 9_500-weight), canary(2, weight), control(1, 500))
		r.Name = fmt.Sprintf("route-%d", i%20)
		after, err := set.Put(r)
		if err != nil {
			b.Fatal(err)
		}
		var before *api.RouteState
		if now, ok := set.Get(r.Name); ok {
			before = &now
		}
		e, err := routes.SetEvent(api.OriginAPI, before, after)
		if err != nil {
			b.Fatal(err)
		}
		if err = set.Apply(e); err != nil {
			b.Fatal(err)
		}
		events = append(events, e)
	}
	b.Run("Fold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := folded(routes.NewFold(), events); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Apply", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			set := routes.NewSet()
			for _, e := range events {
				if err := set.Apply(e); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
