package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/drift"
)

func breaking() drift.Options {
	o := drift.CompleteOptions()
	o.Breaks = true
	return o
}

// tick is the number of rows between two looks at a window in these tests.
const tick = 16

// inWindow fills a window of n rows until a break ends it. It returns the window and the number of rows after
// the first one that was changed.
func inWindow(p *drift.Profile, d *drift.Tumbling, k, n int, s sender, from int, change func(row []float64)) (drift.Window, int) {
	w := p.NewWindow(epoch.Add(time.Duration(k) * time.Hour))
	split := drift.SplitterOf(k)
	split.Begin(uint64(n))
	row := make([]float64, len(p.Features))
	for i := range n {
		halves := split.Next(s(row))
		if i >= from {
			change(row)
		}
		for j, x := range row {
			w.Counts[j].AddIn(&p.Features[j], x, halves)
		}
		w.Rows++
		w.End = w.Start.Add(time.Duration(i) * time.Second)
		if i%tick == tick-1 {
			if w.Breaks = d.Watch(&w); len(w.Breaks) > 0 {
				return w, i + 1 - from
			}
		}
	}
	return w, -1
}

// Gross breaks are found within some rows, and are described. A replay of the window gives the same verdict.
func TestBreaksEndAWindow(t *testing.T) {
	f := func(name, statistic, text string, most int, change func(row []float64)) {
		t.Helper()
		rng := rand.New(rand.NewPCG(51, 1))
		p := profile(10, 5000, normal(rng))
		d := detector(t, p, breaking())
		s := independent(rng)
		for k := range 4 {
			w, after := inWindow(p, d, k, 2000, s, 2000, nil)
			if after >= 0 {
				t.Fatalf("%s: a break in a clean window", name)
			}
			d.Judge(w)
		}
		w, after := inWindow(p, d, 4, 2000, s, 700, change)
		if after < 0 || after > most {
			t.Fatalf("%s: found after %d rows, want at most %d", name, after, most)
		}
		t.Logf("%s: found after %d rows", name, after)
		before := d.Snapshot()
		v := d.Judge(w)
		list := v.Features
		if statistic != drift.StatisticG {
			list = v.Quality
		}
		if v.State != drift.Detected || list[0].Statistic != statistic || list[0].Gate != drift.GateBreak || list[0].P > list[0].Limit || !strings.Contains(list[0].Change, text) {
			t.Errorf("%s: got %+v", name, list[0])
		}
		raw, err := json.Marshal(map[string]any{"Window": w, "Before": before})
		if err != nil {
			t.Fatal(err)
		}
		var stored struct {
			Window drift.Window
			Before drift.Snapshot
		}
		if err := json.Unmarshal(raw, &stored); err != nil {
			t.Fatal(err)
		}
		if err := drift.CheckWindow(p, &stored.Window); err != nil {
			t.Fatal(err)
		}
		again, err := drift.Restore(p, stored.Before.Options, stored.Before)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := valid(t, v), valid(t, again.Judge(stored.Window)); a != b {
			t.Errorf("%s: %s\n%s", name, a, b)
		}
		// It is one break: the alarm lasts, and the next window ends as always.
		if _, after := inWindow(p, d, 5, 500, s, 0, change); after >= 0 {
			t.Errorf("%s: told again after %d rows", name, after)
		}
	}
	f("stuck", drift.StatisticG, "100 % of the rows are in (", 48, func(row []float64) { row[3] = 0.3 })
	f("flood of NaN", drift.StatisticMissing, "of the rows are missing, 0 % in the reference", 48, func(row []float64) { row[3] = math.NaN() })
	f("infinite", drift.StatisticInf, "of the rows are infinite", 48, func(row []float64) { row[3] = math.Inf(1) })
	f("another unit", drift.StatisticG, "of the rows are above ", 128, func(row []float64) { row[3] = math.Abs(1000 * row[3]) })
}

// Clean streams have no breaks, whatever their rows are like, from the first row on.
func TestFalseBreaks(t *testing.T) {
	for name, s := range map[string]func(*rand.Rand) sender{
		"independent": independent, "rows twice": again(2), "rows 16 times": again(16), "requests of 16 rows": requests(16),
		"rho 0.6": sequence(0.6), "rho 0.9": sequence(0.9), "300 users": users(300),
	} {
		found, looked := 0, 0
		o := breaking()
		o.FalseAlarmWindows = 20
		for seed := range uint64(4) {
			rng := rand.New(rand.NewPCG(52, seed))
			p := profile(10, 5000, normal(rng))
			d := detector(t, p, o)
			rows := s(rng)
			for k := range 5 {
				w, after := inWindow(p, d, k, 1000, rows, 1000, nil)
				if after >= 0 {
					found++
				}
				looked++
				d.Judge(w)
			}
		}
		if allowed := 0.1 * float64(looked) / o.FalseAlarmWindows; float64(found) > allowed+1 {
			t.Errorf("%s: %d breaks in %d windows, allowed %.1f", name, found, looked, allowed)
		}
	}
}

// Stored breaks that do not fit a window are refused.
func TestStoredBreaksAreChecked(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 1))
	p := profile(2, 1000, normal(rng))
	d := detector(t, p, breaking())
	good, after := inWindow(p, d, 0, 1000, independent(rng), 0, func(row []float64) { row[1] = 0.3 })
	if after < 0 || drift.CheckWindow(p, &good) != nil {
		t.Fatal("no break")
	}
	for name, change := range map[string]func(x *drift.Break){
		"feature": func(x *drift.Break) { x.Feature = 7 },
		"batch":   func(x *drift.Break) { x.Batch[0] = 1e6 },
		"short":   func(x *drift.Break) { x.Before = x.Before[:3] },
		"effect":  func(x *drift.Break) { x.Effect = 0 },
		"NaN":     func(x *drift.Break) { x.Before[0] = math.NaN() },
	} {
		w := good
		x := good.Breaks[0]
		x.Before, x.Batch = append([]float64{}, x.Before...), append([]uint64{}, x.Batch...)
		change(&x)
		w.Breaks = []drift.Break{x}
		if drift.CheckWindow(p, &w) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
