//go:build !race

package drift

import (
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

func TestOfferAllocatesNothing(t *testing.T) {
	m, p := tapped()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 4 << 10})
	req, resp, counts := asked(m, "1", 1, true), answered(1), empty(p)
	offer := func() {
		for range 50 {
			tap.Offer(req, resp)
		}
		drain(tap, counts)
	}
	offer()
	offer() // both buffers have grown
	if n := testing.AllocsPerRun(100, offer); n != 0 {
		t.Errorf("%v allocations in 50 offers", n)
	}
}

// A row of sixteen inputs and three outputs: the cost for a request that is sampled, and for one
// that is not.
func BenchmarkOffer(b *testing.B) {
	for name, sample := range map[string]int{"sampled=yes": api.TotalWeight, "sampled=no": 0} {
		b.Run(name, func(b *testing.B) {
			m, p := wide()
			tap := NewTap(TapOptions{Model: m, Profile: p, Sample: sample, MaxRows: 16, MaxBytes: 1 << 20})
			req, resp, counts := wideRequest(m), wideResponse(), empty(p)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tap.Offer(req, resp)
				if i%1000 == 999 {
					b.StopTimer()
					drain(tap, counts)
					b.StartTimer()
				}
			}
		})
	}
}

// The cost of the same row for the monitor, later.
func BenchmarkDrain(b *testing.B) {
	m, p := wide()
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 1 << 20})
	req, resp, counts := wideRequest(m), wideResponse(), empty(p)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		for range 1000 {
			tap.Offer(req, resp)
		}
		b.StartTimer()
		drain(tap, counts)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}

func TestOfferOfTextsAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 7))
	m, p := shop(), shopProfile(t, orders(rng, 2000, 0.3))
	tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 1 << 20})
	req, resp := orderRequest(t, m, orders(rng, 4, 0.3))
	counts := empty(p)
	offer := func() {
		for range 50 {
			tap.Offer(req, resp)
		}
		drain(tap, counts)
	}
	offer()
	offer() // both buffers have grown
	// The garbage collector may empty the pool of scratches once.
	if n := testing.AllocsPerRun(100, offer); n > 1 {
		t.Errorf("%v allocations in 50 offers", n)
	}
}

// A row with three texts, in five elements: the cost for the request, and later for the monitor.
func BenchmarkOfferTexts(b *testing.B) {
	for name, comment := range map[string]string{"bytes=32": strings.Repeat("x", 32), "bytes=1MB": strings.Repeat("x", 1<<20)} {
		rng := rand.New(rand.NewPCG(16, 8))
		m, p := shop(), shopProfile(b, orders(rng, 2000, 0.3))
		list := orders(rng, 1, 0.3)
		list[0].comment = comment
		req, resp := orderRequest(b, m, list)
		tap := NewTap(TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 4 << 20})
		counts := empty(p)
		b.Run("offer/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tap.Offer(req, resp)
				if i%1000 == 999 {
					b.StopTimer()
					drain(tap, counts)
					b.StartTimer()
				}
			}
		})
		drain(tap, counts)
		b.Run("count/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				for range 1000 {
					tap.Offer(req, resp)
				}
				b.StartTimer()
				drain(tap, counts)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
		})
	}
}
