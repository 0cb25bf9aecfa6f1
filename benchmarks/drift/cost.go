package main

import (
	"runtime"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/drift"
)

// cost measures times as medians of repeated runs, and memory as what a collected heap
// has more than before.
func (b *bench) cost() {
	for _, n := range []int{16, 100, 1000} {
		b.time(n)
	}
	b.memory(1000, 100)
}

// time measures, on one core, how long it takes to count a row of so many features, and to
// judge a window of 1,000 rows: a clean one, and one where every feature has drifted. It judges by detectors that have seen nothing before, as broken features are
// judged only once before they are known to be.
func (b *bench) time(n int) {
	const rows, runs = 1000, 15
	rng := b.seeded(5, n)
	values := func(shift float64) [][]float64 {
		table := make([][]float64, rows)
		for k := range table {
			table[k] = make([]float64, n)
			for i := range table[k] {
				table[k][i] = shift + rng.NormFloat64()
			}
		}
		return table
	}
	p := b.normalProfile(n)
	var split drift.Splitter
	count := func(w drift.Window, table [][]float64) {
		for _, row := range table {
			halves := split.Next(0)
			for i, x := range row {
				w.Counts[i].AddIn(&p.Features[i], x, halves)
			}
		}
	}
	clean, broken := newWindow(p, 0, rows), newWindow(p, 0, rows)
	table := values(0)
	count(clean, table)
	count(broken, values(1.5))
	w := newWindow(p, 1, rows)
	row := timed(runs, func() {}, func() { count(w, table) }) / rows
	var d *drift.Tumbling
	fresh := func() { d = newDetector(p, defaults()) }
	b.add(partCost, map[string]float64{
		"row_ns": row, "clean_ms": timed(runs, fresh, func() { d.Judge(clean) }) / 1e6, "broken_ms": timed(runs, fresh, func() { d.Judge(broken) }) / 1e6,
	}, "features", n)
}

// timed returns the median time of some runs, in nanoseconds.
func timed(runs int, before, run func()) float64 {
	times := make([]float64, runs)
	for i := range times {
		before()
		began := time.Now()
		run()
		times[i] = float64(time.Since(began))
	}
	return record.SpreadOf(times).Median
}

// normalProfile makes one of independent normal features.
func (b *bench) normalProfile(n int) *drift.Profile {
	rng := b.seeded(6, n)
	columns := make([][]float64, n)
	for i := range columns {
		columns[i] = make([]float64, 5000)
		for k := range columns[i] {
			columns[i][k] = rng.NormFloat64()
		}
	}
	return profileOf(columns, "FP64")
}

// memory measures what the streams of many versions hold: profiles, a window that is open in
// each, detectors where all is well, and what those need more while every feature is under
// suspicion.
func (b *bench) memory(n, versions int) {
	const rows = 1000
	held := map[string]float64{}
	model := b.normalProfile(n)
	at := heap()
	grown := func() float64 {
		now := heap()
		more := now - min(at, now)
		at = now
		return float64(more)
	}
	profiles := make([]*drift.Profile, versions)
	for v := range profiles {
		profiles[v] = clone(model)
	}
	held["profiles_bytes"] = grown()
	windows := make([]drift.Window, versions)
	for v := range windows {
		windows[v] = newWindow(profiles[v], 0, rows)
	}
	held["windows_bytes"] = grown()
	detectors := make([]*drift.Tumbling, versions)
	for v := range detectors {
		// Without a tolerance, so that less rows make a suspicion.
		detectors[v] = newDetector(profiles[v], withTolerance(1e-6))
	}
	held["detectors_bytes"] = grown()
	// A shift that is suspected of all features, and not enough to be detected.
	rng := b.seeded(7)
	halves := halvesOf(&drift.Splitter{}, rows)
	for i := range windows[0].Counts {
		for row := range rows {
			windows[0].Counts[i].AddIn(&model.Features[i], 0.2+rng.NormFloat64(), halves[row])
		}
	}
	at = heap()
	for _, d := range detectors {
		d.Judge(windows[0])
	}
	held["runs_bytes"] = grown()
	runtime.KeepAlive(profiles)
	runtime.KeepAlive(windows)
	runtime.KeepAlive(detectors)
	b.add(partMemory, held, "features", n, "versions", versions)
}

// clone copies a profile with all that it refers to but names.
func clone(p *drift.Profile) *drift.Profile {
	c := *p
	c.Features = slices.Clone(p.Features)
	for i := range c.Features {
		f := &c.Features[i]
		f.Edges = slices.Clone(f.Edges)
		f.Reference.Bins = slices.Clone(f.Reference.Bins)
	}
	return &c
}

// heap returns the bytes of what is in use. What was freed by finalizers needs a
// second collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
