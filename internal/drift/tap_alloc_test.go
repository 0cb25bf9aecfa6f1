//go:build !race

package drift

import (
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
