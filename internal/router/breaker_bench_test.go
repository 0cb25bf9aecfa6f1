package router_test

import (
	"testing"

	"sluice.io/sluice/internal/router"
)

// BenchmarkBreaker measures a call through a closed breaker, with one caller and with as many
// callers as cores: they share its lock.
func BenchmarkBreaker(b *testing.B) {
	v := load(1, options())
	v.target.Leased = steady{}
	b.Run("callers=1", func(b *testing.B) {
		call := router.Guarded(b.Context(), v.target, request("iris", 0))
		b.ReportAllocs()
		for b.Loop() {
			if !call() {
				b.Fatal("refused")
			}
		}
	})
	b.Run("callers=procs", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			call := router.Guarded(b.Context(), v.target, request("iris", 0))
			for pb.Next() {
				if !call() {
					b.Error("refused")
					return
				}
			}
		})
	})
}
