package drift_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

// watched makes windows of a sender's rows as a monitor does: it looks for breaks every 32 rows, and counts
// pairs.
func watched(p *drift.Profile, d *drift.Tumbling, split *drift.Splitter, number, rows int, s sender) drift.Verdict {
	w := p.NewWindow(epoch.Add(time.Duration(number) * 10 * time.Minute))
	w.End = w.Start.Add(10 * time.Minute)
	w.Pairs = drift.NewPairCounts(p)
	pairs := drift.NewPairing(p)
	split.Begin(uint64(rows))
	row := make([]float64, len(p.Features))
	for k := range rows {
		user := s(row)
		halves := split.Next(user)
		if user != 0 {
			w.Known++
		}
		for i, x := range row {
			pairs.See(i, w.Counts[i].AddIn(&p.Features[i], x, halves))
		}
		pairs.End(w.Pairs)
		w.Rows++
		if k%32 == 31 {
			if w.Breaks = d.Watch(&w); len(w.Breaks) > 0 {
				break
			}
		}
	}
	return d.Judge(w)
}

// everything are the options of a gateway with its defaults and correlations.
func everything(windows float64) drift.Options {
	o := togetherOptions(windows)
	o.Breaks, o.Onset = true, true
	o.Calibration = drift.Calibration{Windows: 100, Span: 24 * time.Hour, Gross: 4}
	return o
}

// TestDefaultsOnDependentRows: with all detectors at once, rows that depend on each other raise no more promised
// alarms than allowed, before and after the calibration.
func TestDefaultsOnDependentRows(t *testing.T) {
	f := func(name string, m, n int, s func(*rand.Rand) sender) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const streams, windows, every = 3, 200, 300
			alarms, shown := 0, 0
			for seed := range streams {
				rng := rand.New(rand.NewPCG(51, uint64(seed)))
				p := paired(t, 8, m, factors(rng, 0))
				d := detector(t, p, everything(every))
				rows, split := s(rng), &drift.Splitter{}
				was := map[string]bool{}
				for k := range windows {
					v := watched(p, d, split, k, n, rows)
					now := map[string]bool{}
					for _, x := range append(v.Features, v.Quality...) {
						if x.State != drift.Detected && x.State != drift.Recovering {
							continue
						}
						key := x.Statistic + x.Feature
						if now[key] = true; was[key] {
							continue
						}
						if shown++; !x.Unpromised {
							alarms++
							t.Logf("window %d: %s %s %s, p %.2g of %.2g: %s", k, x.Statistic, x.Gate, x.Feature, x.P, x.Limit, x.Change)
						}
					}
					was = now
				}
			}
			allowed := float64(streams*windows) / every
			t.Logf("%s, windows of %d, reference %d: %d promised alarms, %d shown, %.1f allowed", name, n, m, alarms, shown, allowed)
			if float64(alarms) > allowed {
				t.Errorf("%s: %d promised alarms; %.1f are allowed", name, alarms, allowed)
			}
		})
	}
	f("independent", 5000, 200, again(1))
	f("rows twice", 5000, 200, again(2))
	f("rows 16 times", 5000, 200, again(16))
	f("requests of 16 rows", 5000, 1000, requests(16))
	f("rho 0.6", 500, 200, sequence(0.6))
	f("rho 0.9", 5000, 1000, sequence(0.9))
	f("100 users", 5000, 200, users(100))
	f("300 users", 5000, 1000, users(300))
	f("a heavy client", 5000, 500, heavy(500))
}
