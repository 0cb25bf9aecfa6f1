package main

import (
	"runtime"
	"slices"
	"time"

	"sluice.io/sluice/internal/drift"
)

// costLine is the time that a stream of so many features takes, on one core.
type costLine struct {
	Part     string  `json:"part"`
	Features int     `json:"features"`
	Row      float64 `json:"row_ns"`    // to count one
	Clean    float64 `json:"clean_ms"`  // to judge a window of 1,000 rows
	Broken   float64 `json:"broken_ms"` // the same where every feature has drifted
}

// memoryLine is what the streams of many versions hold, in bytes of the heap.
type memoryLine struct {
	Part     string `json:"part"`
	Features int    `json:"features"`
	Versions int    `json:"versions"`
	Profiles uint64 `json:"profiles"`
	Windows  uint64 `json:"windows"`   // one open in each stream
	Detector uint64 `json:"detectors"` // where all is well
	Runs     uint64 `json:"runs"`      // more of them, while every feature is under suspicion
}

// cost measures times as medians of repeated runs, and memory as what a collected heap
// has more than before.
func (b *bench) cost() {
	for _, n := range []int{16, 100, 1000} {
		b.add(b.time(n))
	}
	b.add(b.memory(1000, 100))
}

// time judges by detectors that have seen nothing before, as broken features are
// judged only once before they are known to be.
func (b *bench) time(n int) costLine {
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
	count := func(w drift.Window, table [][]float64) {
		for _, row := range table {
			for i, x := range row {
				w.Counts[i].Add(&p.Features[i], x)
			}
		}
	}
	clean, broken := newWindow(p, 0, rows), newWindow(p, 0, rows)
	table := values(0)
	count(clean, table)
	count(broken, values(1.5))
	line := costLine{Part: partCost, Features: n}
	w := newWindow(p, 1, rows)
	line.Row = float64(timed(runs, func() {}, func() { count(w, table) })) / rows
	var d *drift.Tumbling
	fresh := func() { d = newDetector(p, defaults()) }
	line.Clean = float64(timed(runs, fresh, func() { d.Judge(clean) })) / 1e6
	line.Broken = float64(timed(runs, fresh, func() { d.Judge(broken) })) / 1e6
	return line
}

// timed returns the median time of some runs, in nanoseconds.
func timed(runs int, before, run func()) int {
	times := make([]int, runs)
	for i := range times {
		before()
		began := time.Now()
		run()
		times[i] = int(time.Since(began))
	}
	return median(times)
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

func (b *bench) memory(n, versions int) memoryLine {
	const rows = 1000
	line := memoryLine{Part: partMemory, Features: n, Versions: versions}
	model := b.normalProfile(n)
	at := heap()
	grown := func() uint64 {
		now := heap()
		more := now - min(at, now)
		at = now
		return more
	}
	profiles := make([]*drift.Profile, versions)
	for v := range profiles {
		profiles[v] = clone(model)
	}
	line.Profiles = grown()
	windows := make([]drift.Window, versions)
	for v := range windows {
		windows[v] = newWindow(profiles[v], 0, rows)
	}
	line.Windows = grown()
	detectors := make([]*drift.Tumbling, versions)
	for v := range detectors {
		// Without a tolerance, so that less rows make a suspicion.
		detectors[v] = newDetector(profiles[v], withTolerance(1e-6))
	}
	line.Detector = grown()
	// A shift that is suspected of all features, and not enough to be detected.
	rng := b.seeded(7)
	for i := range windows[0].Counts {
		for range rows {
			windows[0].Counts[i].Add(&model.Features[i], 0.2+rng.NormFloat64())
		}
	}
	at = heap()
	for _, d := range detectors {
		d.Judge(windows[0])
	}
	line.Runs = grown()
	runtime.KeepAlive(profiles)
	runtime.KeepAlive(windows)
	runtime.KeepAlive(detectors)
	return line
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
