package drift_test

import (
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/drift"
)

func BenchmarkAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := feature("x", take(5000, normal(rng)))
	values := take(1<<12, normal(rng))
	c := f.NewCounts()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Add(&f, values[i&(1<<12-1)])
		i++
	}
}

// BenchmarkJudge judges a window of 1,000 features: clean, and with all of them broken.
func BenchmarkJudge(b *testing.B) {
	f := func(name string, shift, missing float64) {
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			p := profile(1000, 2000, normal(rng))
			w := p.NewWindow(epoch)
			w.Rows = 1000
			for i := range w.Counts {
				for range w.Rows {
					if rng.Float64() < missing {
						w.Counts[i].AddMissing()
					} else {
						w.Counts[i].Add(&p.Features[i], shift+rng.NormFloat64())
					}
				}
			}
			d, err := drift.NewDetector(p, drift.CompleteOptions())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				d.Judge(w)
			}
		})
	}
	f("clean", 0, 0)
	f("broken", 1.5, 0.2)
}
