package metrics_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// A request that is a run of its own, which is the dearest case.
func BenchmarkRequestAndRun(b *testing.B) {
	v := metrics.New(prometheus.NewRegistry()).Version("iris", 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		req := request()
		for pb.Next() {
			v.ObserveRun(1, 1, time.Microsecond, 5*time.Microsecond, time.Microsecond, nil)
			v.ObserveRequest(req, infer.OK, 80*time.Microsecond)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	v := metrics.New(prometheus.NewRegistry()).Version("iris", 1)
	b.ReportAllocs()
	req := request()
	for b.Loop() {
		v.ObserveRequest(req, infer.OK, 80*time.Microsecond)
	}
}

func BenchmarkArm(b *testing.B) {
	a := newArm()
	b.ReportAllocs()
	for b.Loop() {
		a.Observe(infer.ReasonSticky, infer.OK, 80*time.Microsecond)
	}
}

func BenchmarkArmParallel(b *testing.B) {
	a := newArm()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			a.Observe(infer.ReasonSticky, infer.OK, 80*time.Microsecond)
		}
	})
}

func BenchmarkArmSnapshot(b *testing.B) {
	a := newArm()
	a.Observe(infer.ReasonSticky, infer.OK, 80*time.Microsecond)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		a.Snapshot(now)
	}
}
