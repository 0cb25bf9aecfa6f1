package metrics_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// BenchmarkObserve measures the cost of counting requests and runs. "all" is the most expensive
// case: a request that has a run of its own and was sent by a route.
func BenchmarkObserve(b *testing.B) {
	m := metrics.New(prometheus.NewRegistry())
	v, a, s := m.Version("iris", 1), m.Variant("iris", "iris", 1, api.RoleStable), m.Shadow("iris", "iris", 2)
	req := request()
	ofRequest := func() { v.ObserveRequest(req, nil, 80*time.Microsecond) }
	ofRun := func() { v.ObserveRun(1, 1, time.Microsecond, 5*time.Microsecond, time.Microsecond, nil) }
	ofVariant := func() { a.Observe(infer.ReasonSticky, nil, 80*time.Microsecond) }
	all := func() { ofRun(); ofRequest(); ofVariant() }
	f := func(of string, observe func()) {
		b.Run("of="+of+"/callers=1", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				observe()
			}
		})
	}
	f("request", ofRequest)
	f("run", ofRun)
	f("variant", ofVariant)
	f("shadow", func() { s.Answered(nil, 80*time.Microsecond) })
	f("all", all)
	b.Run("of=all/callers=procs", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				all()
			}
		})
	})
}

func BenchmarkVariantSnapshot(b *testing.B) {
	a := newVariant()
	a.Observe(infer.ReasonSticky, nil, 80*time.Microsecond)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		a.Snapshot(now)
	}
}
