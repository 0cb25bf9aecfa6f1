package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/drift"
)

// A stream has ten normal features. Its rows are a reference, then clean ones, then some in
// which the first feature has changed. Windows begin where rows change, which makes all
// delays as short as they can be.
const (
	features      = 10
	referenceRows = 5_000
	cleanRows     = 5_000
	changedRows   = 20_000 // what is not found in them is missed
)

// change is what happens to the first feature, of its clean value and of a uniform number.
// All of them happen to the same numbers.
type change struct {
	name string
	of   func(z, u float64) float64
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

// stream is what all methods read: columns.
type stream struct {
	reference, clean, after [features][]float64 // the first of after is empty
	changed                 [][]float64         // the first feature by change
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
		s.reference[i] = take(referenceRows, rng.NormFloat64)
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

// method is a way to judge windows of so many rows by a reference of so many.
type method struct {
	name string
	// keeps says that it has a state, which makes an alarm last.
	keeps           bool
	reference, rows int
	// learn takes a reference and returns what starts to judge a stream.
	learn func(reference [][]float64) func() judge
}

func (b *bench) methods() (all []method) {
	for _, reference := range []int{5_000, 500} {
		for _, rows := range []int{250, 500, 1000} {
			limit := b.calibrate(reference, rows)
			all = append(all,
				method{"sluice", true, reference, rows, func(ref [][]float64) func() judge { return ours(ref, defaults()) }},
				method{"sluice, tolerance 0.001", true, reference, rows, func(ref [][]float64) func() judge { return ours(ref, withTolerance(0.001)) }},
				method{"PSI ≥ 0.2", false, reference, rows, func(ref [][]float64) func() judge { return fixedPSI(ref, 0.2) }},
				method{fmt.Sprintf("PSI ≥ %.3f, calibrated", limit), false, reference, rows, func(ref [][]float64) func() judge { return fixedPSI(ref, limit) }})
		}
	}
	return all
}

// ours is the detector. A finding of any kind about a feature counts as one about it.
func ours(reference [][]float64, o drift.Options) func() judge {
	p := profileOf(reference, "FP32")
	return func() judge {
		d, number := newDetector(p, o), 0
		var split drift.Splitter
		return func(columns [][]float64) (alarms [features]bool) {
			w := newWindow(p, number, len(columns[0]))
			number++
			halves := halvesOf(&split, len(columns[0]))
			for i, column := range columns {
				for row, x := range column {
					w.Counts[i].AddIn(&p.Features[i], x, halves[row])
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

// outcome is what a method says of one stream.
type outcome struct {
	windows, alarms, featureAlarms float64 // before anything has changed
	after                          []int   // windows from the change to the alarm by change; -1: none, 0: a false one was on
}

// delay measures all methods on the same streams: how often each alarms before anything has
// changed, and how soon it says that the first feature has. Streams in which a false alarm
// about it was on are counted apart.
func (b *bench) delay() error {
	methods := b.methods()
	streams := parallel(b.streams, func(number int) (all []outcome) {
		s := b.newStream(number)
		for i := range methods {
			all = append(all, s.judge(&methods[i]))
		}
		return all
	})
	for i, m := range methods {
		clean := map[string]float64{}
		for _, of := range streams {
			clean["windows"] += of[i].windows
			clean["alarms"] += of[i].alarms
			clean["feature_alarms"] += of[i].featureAlarms
		}
		b.add(partClean, clean, "method", m.name, "reference_rows", m.reference, "window_rows", m.rows)
		for k, c := range changes() {
			f := map[string]float64{"missed": 0, "already": 0}
			for _, of := range streams {
				switch after := of[i].after[k]; after {
				case -1:
					f["missed"]++
				case 0:
					f["already"]++
				default:
					f[fmt.Sprintf("after_%d", after*m.rows)]++
				}
			}
			b.add(partDelay, f, "method", m.name, "reference_rows", m.reference, "window_rows", m.rows, "change", c.name)
		}
	}
	if b.python == "" {
		return nil
	}
	return b.evidently()
}

// judge replays the stream once for each change.
func (s *stream) judge(m *method) (o outcome) {
	ref, window := make([][]float64, features), make([][]float64, features)
	for i := range ref {
		ref[i] = s.reference[i][:m.reference]
	}
	start := m.learn(ref)
	for c := range s.changed {
		j, on := start(), [features]bool{}
		o = outcome{after: o.after}
		for from := 0; from < cleanRows; from += m.rows {
			for i := range window {
				window[i] = s.clean[i][from : from+m.rows]
			}
			before := on
			on = j(window)
			o.count(before, on, m.keeps)
		}
		if m.keeps && on[0] {
			o.after = append(o.after, 0)
			continue
		}
		o.after = append(o.after, -1)
		for from := 0; from < changedRows && o.after[c] < 0; from += m.rows {
			window[0] = s.changed[c][from : from+m.rows]
			for i := 1; i < features; i++ {
				window[i] = s.after[i][from : from+m.rows]
			}
			if j(window)[0] {
				o.after[c] = from/m.rows + 1
			}
		}
	}
	return o
}

// count adds a clean window. An alarm that lasts is counted when it begins.
func (o *outcome) count(before, on [features]bool, keeps bool) {
	o.windows++
	alarms := 0.0
	for i := range on {
		if on[i] && (!keeps || !before[i]) {
			alarms++
		}
	}
	o.featureAlarms += alarms
	o.alarms += min(alarms, 1)
}

// evidently writes the streams to a file and has the Python program judge them. It answers
// with lines of the same form.
func (b *bench) evidently() error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := b.writeStreams(filepath.Join(dir, "streams")); err != nil {
		return err
	}
	cmd := exec.Command(b.python, "drift/evidently_compare.py", filepath.Join(dir, "streams")) //nolint:gosec // the operator's own Python
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	for line := range bytes.Lines(text) {
		var r record.Record
		err = errors.Join(err, json.Unmarshal(line, &r))
		b.rows = append(b.rows, r)
	}
	return err
}

// writeStreams writes NAME.json and NAME.f32, in which each stream has its columns one after
// the other: the reference's, the clean ones, and the first feature's by change.
func (b *bench) writeStreams(name string) error {
	var names []string
	for _, c := range changes() {
		names = append(names, c.name)
	}
	text, err := json.Marshal(map[string]any{
		"streams": b.streams, "features": features, "reference_rows": referenceRows, "clean_rows": cleanRows, "changed_rows": changedRows, "changes": names,
	})
	if err := errors.Join(err, os.WriteFile(name+".json", text, 0o600)); err != nil {
		return err
	}
	file, err := os.Create(name + ".f32") //nolint:gosec // in a folder of our own
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for number := range b.streams {
		s := b.newStream(number)
		for _, column := range slices.Concat(s.reference[:], s.clean[:], s.changed) {
			for _, x := range column {
				err = errors.Join(err, binary.Write(out, binary.LittleEndian, float32(x)))
			}
		}
	}
	return errors.Join(err, out.Flush(), file.Close())
}

// seeded returns a source of its own for each choice of numbers below 65,536.
func (b *bench) seeded(of ...int) *rand.Rand {
	at := uint64(0)
	for _, n := range of {
		at = at<<16 | uint64(n) //nolint:gosec // small
	}
	return rand.New(rand.NewPCG(b.seed, at)) //nolint:gosec // numbers that can be had again are wanted
}
