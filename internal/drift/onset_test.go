package drift_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// The interval of the onset has the first changed window in nearly all streams, and the estimate is close to it.
func TestOnset(t *testing.T) {
	f := func(name string, reference, rows int, least float64, change func(rng *rand.Rand, row []float64)) {
		t.Helper()
		const streams, clean = 20, 30
		covered, exact, detected, width, early := 0, 0, 0, 0.0, 0
		for seed := range uint64(streams) {
			rng := rand.New(rand.NewPCG(61, seed))
			p := profile(5, reference, normal(rng))
			o := drift.CompleteOptions()
			o.Onset = true
			d := detector(t, p, o)
			s, split := independent(rng), &drift.Splitter{}
			for k := range clean + 40 {
				v := d.Judge(sent(p, split, k, rows, func(row []float64) uint64 {
					s(row)
					if k >= clean {
						change(rng, row)
					}
					return 0
				}))
				if v.State != drift.Detected {
					continue
				}
				at := epoch.Add(clean * time.Hour)
				x := v.Features[0]
				if x.BeganFrom == nil || x.Began.Before(*x.BeganFrom) || x.BeganTo.Before(*x.Began) {
					t.Fatalf("%s: %+v", name, x)
				}
				detected++
				if !at.Before(*x.BeganFrom) && !at.After(*x.BeganTo) {
					covered++
				}
				if x.Began.Equal(at) {
					exact++
				}
				if x.Began.Before(at.Add(-8 * time.Hour)) {
					early++
				}
				width += x.BeganTo.Sub(*x.BeganFrom).Hours() + 1
				break
			}
		}
		n := float64(max(1, detected))
		t.Logf("%s: %d of %d detected; the interval covers %.0f %% and has %.1f windows; exact %.0f %%; %d more than 8 windows early",
			name, detected, streams, 100*float64(covered)/n, width/n, 100*float64(exact)/n, early)
		if float64(covered) < least*n || early > streams/20 || detected < streams/2 {
			t.Errorf("%s", name)
		}
	}
	f("mean +0.5, windows of 1,000, reference of 500", 500, 1000, 0.9, func(_ *rand.Rand, row []float64) { row[1] += 0.5 })
	f("mean +0.5, windows of 200", 5000, 200, 0.9, func(_ *rand.Rand, row []float64) { row[1] += 0.5 })
	f("mean +0.3, windows of 200", 5000, 200, 0.9, func(_ *rand.Rand, row []float64) { row[1] += 0.3 })
	f("mean +1, windows of 50", 5000, 50, 0.9, func(_ *rand.Rand, row []float64) { row[1]++ })
	f("10 % at one value, windows of 500", 5000, 500, 0.9, func(rng *rand.Rand, row []float64) {
		if rng.Float64() < 0.1 {
			row[1] = 0.3
		}
	})
}
