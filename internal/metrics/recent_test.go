package metrics_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

func newVariant() *metrics.Variant {
	return metrics.New(prometheus.NewRegistry()).Variant("iris", "iris", 2, api.RoleCanary)
}

// Quantiles are within 1/16 of the exact ones, whatever the distribution.
func TestRecentQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := func(name string, n int, draw func() float64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := newVariant()
			all := make([]time.Duration, n)
			for i := range all {
				all[i] = time.Duration(min(max(draw(), 1e-6), 1000) * 1e9)
				a.Observe(infer.ReasonRandom, nil, all[i])
			}
			slices.Sort(all)
			_, recent := a.Snapshot(time.Now())
			check := func(percent int, got api.Duration) {
				exact := all[(n*percent+99)/100-1]
				if off := math.Abs(float64(got)/float64(exact) - 1); off > 1.0/16 {
					t.Errorf("%s, %d requests: p%d is %v, exactly %v: %.3f off", name, n, percent, time.Duration(got), exact, off)
				}
			}
			check(50, recent.P50)
			check(99, recent.P99)
		})
	}
	for range 200 {
		n := 1 + rng.IntN(500)
		scale := math.Pow(10, -6+9*rng.Float64())
		f("exponential", n, func() float64 { return scale * rng.ExpFloat64() })
		f("log-uniform", n, func() float64 { return math.Pow(10, -6+9*rng.Float64()) })
		f("constant", n, func() float64 { return scale })
		f("two humps", n, func() float64 { return scale * (1 + 40*float64(rng.IntN(2))) })
	}
}

func TestRecentQuantilesAtTheEdges(t *testing.T) {
	f := func(elapsed, least, most time.Duration) {
		t.Helper()
		a := newVariant()
		a.Observe(infer.ReasonRandom, nil, elapsed)
		_, recent := a.Snapshot(time.Now())
		if p := time.Duration(recent.P50); p < least || p > most || recent.P99 != recent.P50 {
			t.Errorf("one request of %v: p50 %v and p99 %v, want both between %v and %v", elapsed, p, time.Duration(recent.P99), least, most)
		}
	}
	f(-time.Second, time.Microsecond, time.Microsecond)
	f(0, time.Microsecond, time.Microsecond)
	f(time.Microsecond, time.Microsecond, time.Microsecond)
	f(1024, 1024*15/16, 1024*17/16)
	f(1000*time.Second, 1000*time.Second*15/16, 1000*time.Second*17/16)
	f(math.MaxInt64, 1000*time.Second, 1100*time.Second)
	for bit := range 30 { // both sides of each power of two
		d := time.Duration(2048) << bit
		f(d-1, d*15/16, d*17/16)
		f(d, d*15/16, d*17/16)
	}
}

// A request is visible for at least one minute and at most two.
func TestRecentTurnsEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newVariant()
		made := time.Now()
		f := func(at time.Duration, window time.Duration, requests int64, p50 time.Duration) {
			t.Helper()
			_, got := a.Snapshot(made.Add(at))
			want := api.Recent{Window: api.Duration(window), VariantCount: api.VariantCount{Requests: requests}}
			// The bounds of the quantile are tested elsewhere.
			if off := math.Abs(float64(got.P50) - float64(p50)); off > float64(p50)/16 {
				t.Errorf("at %v: p50 %v, want about %v", at, time.Duration(got.P50), p50)
			}
			got.P50, got.P99 = 0, 0
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("at %v (-want +got):\n%s", at, diff)
			}
		}
		observe := func(at, elapsed time.Duration) {
			time.Sleep(at - time.Since(made))
			a.Observe(infer.ReasonSticky, nil, elapsed)
		}
		f(-time.Second, 0, 0, 0)
		f(0, 0, 0, 0)
		observe(10*time.Second, ms)
		f(10*time.Second, 10*time.Second, 1, ms)
		f(59*time.Second, 59*time.Second, 1, ms)
		f(60*time.Second, 60*time.Second, 1, ms)
		f(119*time.Second, 119*time.Second, 1, ms)
		f(120*time.Second, 60*time.Second, 0, 0)
		f(30*time.Hour, 60*time.Second, 0, 0)
		f(11*time.Second, 11*time.Second, 1, ms) // a snapshot of a later time has lost nothing

		observe(61*time.Second, 9*ms)
		observe(62*time.Second, 9*ms)
		f(62*time.Second, 62*time.Second, 3, 9*ms)
		f(119*time.Second, 119*time.Second, 3, 9*ms)
		f(120*time.Second, 60*time.Second, 2, 9*ms)
		observe(125*time.Second, 100*ms)
		f(125*time.Second, 65*time.Second, 3, 9*ms)
		f(180*time.Second, 60*time.Second, 1, 100*ms)

		observe(5*time.Minute, 7*ms) // after minutes without a request
		f(5*time.Minute, time.Minute, 1, 7*ms)
		total, _ := a.Snapshot(time.Now())
		if total.Requests != 5 {
			t.Errorf("%d requests in all, want 5", total.Requests)
		}
	})
}

// If many goroutines find that a minute is over, each request still counts once.
func TestRecentTurnsUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newVariant()
		const workers, each = 8, 200
		for minute := range 20 {
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range each {
						a.Observe(infer.ReasonRandom, nil, ms)
						a.Snapshot(time.Now())
					}
				})
			}
			wg.Wait()
			want := int64(workers * each)
			if minute > 0 {
				want *= 2
			}
			if _, recent := a.Snapshot(time.Now()); recent.Requests != want {
				t.Fatalf("minute %d: %d requests, want %d", minute, recent.Requests, want)
			}
			time.Sleep(time.Minute)
		}
	})
}
