package main

import (
	"fmt"
	"slices"

	"sluice.io/sluice/internal/drift"
)

// A stream has ten normal features. Its rows are a reference, then clean ones, then
// some in which the first feature has changed. Windows begin where rows change, which
// makes all delays as short as they can be.
const (
	features    = 10
	cleanRows   = 5_000
	changedRows = 20_000 // what is not found in them is missed
)

// change is what happens to the first feature. All of them happen to the same numbers.
type change struct {
	name string
	of   func(z, u float64) float64 // of the clean value and of a uniform number
}

func changes() []change {
	by := func(d float64) func(z, u float64) float64 {
		return func(z, _ float64) float64 { return z + d }
	}
	return []change{
		{"mean +0.1", by(0.1)},
		{"mean +0.25", by(0.25)},
		{"mean +0.5", by(0.5)},
		{"mean +1", by(1)},
		{"s.d. × 1.3", func(z, _ float64) float64 { return 1.3 * z }},
		{"10 % stuck", func(z, u float64) float64 {
			if u < 0.1 {
				return 0.3
			}
			return z
		}},
	}
}

// stream is what all methods read.
type stream struct {
	reference [features][]float64
	clean     [features][]float64
	after     [features][]float64 // the first is empty
	changed   [][]float64         // the first feature by change
}

// newStream makes one of numbers that fit into a float32, as a file has them.
func (b *bench) newStream(number int) *stream {
	rng := b.seeded(3, number)
	take := func(n int, next func() float64) []float64 {
		all := make([]float64, n)
		for i := range all {
			all[i] = float64(float32(next()))
		}
		return all
	}
	s := &stream{}
	for i := range features {
		s.reference[i] = take(5_000, rng.NormFloat64)
		s.clean[i] = take(cleanRows, rng.NormFloat64)
	}
	for i := 1; i < features; i++ {
		s.after[i] = take(changedRows, rng.NormFloat64)
	}
	z, u := take(changedRows, rng.NormFloat64), take(changedRows, rng.Float64)
	for _, c := range changes() {
		k := -1
		s.changed = append(s.changed, take(changedRows, func() float64 { k++; return c.of(z[k], u[k]) }))
	}
	return s
}

// judge takes the columns of a window and says which features alarm.
type judge func(columns [][]float64) [features]bool

// method is a way to judge windows.
type method struct {
	name string
	// keeps reports that it has a state, which makes an alarm last.
	keeps bool
	// learn takes a reference and returns what starts to judge a stream.
	learn func(reference [][]float64) func() judge
}

// setup is a method and the rows it is given.
type setup struct {
	method
	reference, rows int
}

func (b *bench) setups() []setup {
	var all []setup
	for _, reference := range []int{5_000, 500} {
		for _, rows := range []int{250, 500, 1000} {
			limit := b.calibrate(reference, rows)
			for _, m := range []method{
				{"sluice", true, func(ref [][]float64) func() judge { return ours(ref, defaults()) }},
				{"sluice, tolerance 0.001", true, func(ref [][]float64) func() judge { return ours(ref, withTolerance(0.001)) }},
				{"PSI ≥ 0.2", false, func(ref [][]float64) func() judge { return fixedPSI(ref, 0.2) }},
				{fmt.Sprintf("PSI ≥ %.3f, calibrated", limit), false, func(ref [][]float64) func() judge { return fixedPSI(ref, limit) }},
			} {
				all = append(all, setup{m, reference, rows})
			}
		}
	}
	return all
}

// ours is the detector. A finding of any kind about a feature counts as one about it.
func ours(reference [][]float64, o drift.Options) func() judge {
	p := profileOf(reference, "FP32")
	return func() judge {
		d, number := newDetector(p, o), 0
		return func(columns [][]float64) (alarms [features]bool) {
			w := newWindow(p, number, len(columns[0]))
			number++
			for i, column := range columns {
				for _, x := range column {
					w.Counts[i].Add(&p.Features[i], x)
				}
			}
			v := d.Judge(w)
			for _, f := range slices.Concat(v.Features, v.Quality) {
				if f.State == drift.Detected {
					alarms[slices.IndexFunc(p.Features, func(x drift.Feature) bool { return x.Name == f.Feature })] = true
				}
			}
			return alarms
		}
	}
}

// delay measures all methods on the same streams.
func (b *bench) delay() error {
	setups := b.setups()
	streams, err := parallel(b.streams, func(number int) ([]outcome, error) {
		s := b.newStream(number)
		all := make([]outcome, len(setups))
		for i := range setups {
			all[i] = s.judge(&setups[i])
		}
		return all, nil
	})
	if err != nil {
		return err
	}
	for i := range setups {
		outcomes := make([]outcome, len(streams))
		for k := range streams {
			outcomes[k] = streams[k][i]
		}
		b.addOutcomes(&setups[i], outcomes)
	}
	if b.python == "" {
		return nil
	}
	return b.evidently()
}

// outcome is what a method says of one stream: windows from the change to the alarm by
// change, -1 if there was none, 0 if it was on already.
type outcome struct {
	windows, alarms, featureAlarms int
	after                          []int
}

// addOutcomes sums up what was said of all streams: how often the method alarms before
// anything has changed, and how soon it says that the first feature has. Streams in which
// a false alarm about it was on are counted apart.
func (b *bench) addOutcomes(s *setup, outcomes []outcome) {
	clean := map[string]float64{}
	for _, o := range outcomes {
		clean["windows"] += float64(o.windows)
		clean["alarms"] += float64(o.alarms)
		clean["feature_alarms"] += float64(o.featureAlarms)
	}
	b.add(partClean, clean, "method", s.name, "reference_rows", s.reference, "window_rows", s.rows)
	for i, c := range changes() {
		f := map[string]float64{"missed": 0, "already": 0}
		for _, o := range outcomes {
			switch o.after[i] {
			case -1:
				f["missed"]++
			case 0:
				f["already"]++
			default:
				f[fmt.Sprintf("after_%d", o.after[i]*s.rows)]++
			}
		}
		b.add(partDelay, f, "method", s.name, "reference_rows", s.reference, "window_rows", s.rows, "change", c.name)
	}
}

// judge replays the stream once for each change.
func (s *stream) judge(by *setup) (o outcome) {
	rows := by.rows
	ref, window := make([][]float64, features), make([][]float64, features)
	for i := range ref {
		ref[i] = s.reference[i][:by.reference]
	}
	start := by.learn(ref)
	for c := range s.changed {
		j := start()
		on := [features]bool{}
		o.windows = 0
		o.alarms, o.featureAlarms = 0, 0
		for from := 0; from < cleanRows; from += rows {
			for i := range window {
				window[i] = s.clean[i][from : from+rows]
			}
			before := on
			on = j(window)
			o.count(before, on, by.keeps)
		}
		if by.keeps && on[0] {
			o.after = append(o.after, 0)
			continue
		}
		o.after = append(o.after, -1)
		for from := 0; from < changedRows; from += rows {
			window[0] = s.changed[c][from : from+rows]
			for i := 1; i < features; i++ {
				window[i] = s.after[i][from : from+rows]
			}
			if j(window)[0] {
				o.after[c] = from/rows + 1
				break
			}
		}
	}
	return o
}

// count adds a clean window. An alarm that lasts is counted when it begins.
func (o *outcome) count(before, on [features]bool, keeps bool) {
	o.windows++
	alarms := 0
	for i := range on {
		if on[i] && (!keeps || !before[i]) {
			alarms++
		}
	}
	o.featureAlarms += alarms
	o.alarms += min(alarms, 1)
}
