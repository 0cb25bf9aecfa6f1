package drift_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
)

// day is the number of windows of a day in these tests.
const day = 144

// calibrating are options for windows of 10 minutes that learn for a day.
func calibrating() drift.Options {
	o := drift.CompleteOptions()
	o.Window = 24 * time.Hour / day
	o.Calibration = drift.Calibration{Windows: 100, Span: 24 * time.Hour, Gross: 4}
	return o
}

// stretch is a stream whose rows are normal values that move by a number of standard deviations.
type stretch struct {
	p     *drift.Profile
	d     *drift.Tumbling
	rng   *rand.Rand
	rows  int
	split drift.Splitter
	k     int // windows so far
	// by returns how far the mean is away from that of the reference in window k.
	by func(k int) float64
	s  func(*rand.Rand) sender
	of sender
}

// judge judges the next window. Pairs are counted if the profile has them, and breaks end the window if the detector looks for them.
func (x *stretch) judge() drift.Verdict {
	if x.of == nil {
		x.of = x.s(x.rng)
	}
	w := x.p.NewWindow(epoch.Add(time.Duration(x.k) * 24 * time.Hour / day))
	w.End = w.Start.Add(24 * time.Hour / day)
	x.split.Begin(uint64(x.rows))
	row, by := make([]float64, len(x.p.Features)), x.by(x.k)
	paired, pairs := x.p.Pairs != nil, drift.Pairing{}
	if paired {
		w.Pairs, pairs = drift.NewPairCounts(x.p), drift.NewPairing(x.p)
	}
	for range x.rows {
		user := x.of(row)
		if user != 0 {
			w.Known++
		}
		halves := x.split.Next(user)
		for i, v := range row {
			bin := w.Counts[i].AddIn(&x.p.Features[i], v+by, halves)
			if paired {
				pairs.See(i, bin)
			}
		}
		if paired {
			pairs.End(w.Pairs)
		}
		if w.Rows++; w.Rows%32 != 0 {
			continue
		}
		if w.Breaks = x.d.Watch(&w); len(w.Breaks) > 0 {
			break
		}
	}
	w.CountHour(x.p, w.Start, int(w.Rows)) //nolint:gosec // few
	x.k++
	return x.d.Judge(w)
}

// independent has independent rows.
func independent(rng *rand.Rand) sender {
	return func(row []float64) uint64 {
		for i := range row {
			row[i] = rng.NormFloat64()
		}
		return 0
	}
}

// swing is a daily swing.
func swing(size float64) func(k int) float64 {
	return func(k int) float64 { return size * math.Sin(2*math.Pi*float64(k)/day) }
}

// swung is a stream with a reference that covers the day evenly. The profile has pairs if they are tested.
func swung(t testing.TB, seed uint64, features, reference, rows int, by func(k int) float64, s func(*rand.Rand) sender, o drift.Options) *stretch {
	t.Helper()
	rng := rand.New(rand.NewPCG(41, seed))
	k, source := 0, s(rng)
	next := func(row []float64) {
		source(row)
		shift := by(k * 37)
		for i := range row {
			row[i] += shift
		}
		k++
	}
	var p *drift.Profile
	if o.Gates.Joint > 0 {
		p = paired(t, features, reference, next)
	} else {
		p = profileOfRows(features, reference, next)
	}
	return &stretch{p: p, d: detector(t, p, o), rng: rng, rows: rows, by: by, s: s}
}

// profileOfRows makes a profile from rows.
func profileOfRows(features, rows int, next func(row []float64)) *drift.Profile {
	columns := make([][]float64, features)
	row := make([]float64, features)
	for range rows {
		next(row)
		for i, x := range row {
			columns[i] = append(columns[i], x)
		}
	}
	p := &drift.Profile{Format: drift.Format, Model: "m", Rows: int64(rows), Sampled: int64(rows)}
	for i := range columns {
		p.Features = append(p.Features, feature(string(rune('a'+i)), columns[i]))
	}
	return p
}

func alarmed(v *drift.Verdict) bool { return v.State == drift.Detected || v.State == drift.Recovering }

// promised reports whether a feature is in an alarm that is promised.
func promised(v *drift.Verdict) bool {
	return slices.ContainsFunc(v.Features, func(f drift.Finding) bool {
		return (f.State == drift.Detected || f.State == drift.Recovering) && !f.Unpromised
	})
}

// A daily swing is in alarm for half of the day until the stream is calibrated, and never after that. A
// change on top of the swing is found.
func TestCalibrationCoversTheTimeOfDay(t *testing.T) {
	const streams, clean = 2, 3 * day
	before, after, found := 0, 0, 0
	for seed := range uint64(streams) {
		step := false
		x := swung(t, seed, 3, 20_000, 1000, func(k int) float64 {
			by := swing(0.2)(k)
			if step {
				by += 0.5
			}
			return by
		}, independent, calibrating())
		for k := range clean {
			v := x.judge()
			if !alarmed(&v) {
				continue
			}
			if k < day {
				before++
				if promised(&v) {
					t.Errorf("window %d: a detection is promised before the stream is calibrated", k)
				}
			} else if k >= day+3 { // alarms of the first day need some windows to end
				after++
			}
		}
		if c := x.d.Calibration(); c.State != api.CalibrationDone || c.Learned < 2*day || c.Text == "" {
			t.Errorf("got %+v", c)
		}
		step = true
		for range 12 {
			if v := x.judge(); v.State == drift.Detected {
				if !promised(&v) {
					t.Errorf("the step is not promised: %+v", v.Features[0])
				}
				found++
				break
			}
		}
	}
	t.Logf("in alarm for %d of %d windows of the first day and %d of %d after it; the step was found in %d of %d streams",
		before, streams*day, after, streams*(clean-day), found, streams)
	if before < streams*day/10 || after > 0 || found < streams {
		t.Error("the calibration does not cover the swing, or hides the step")
	}
}

// Drift that begins while a stream learns is not taken for usual.
func TestCalibrationDoesNotHideDrift(t *testing.T) {
	for name, by := range map[string]func(k int) float64{
		"from the start": func(int) float64 { return 0.3 },
		"step": func(k int) float64 {
			if k > day*7/10 {
				return 0.3
			}
			return 0
		},
		"ramp":          func(k int) float64 { return min(1, 0.3*float64(k)/day) },
		"slow ramp":     func(k int) float64 { return 0.1 * float64(k) / day },
		"swinging ramp": func(k int) float64 { return swing(0.2)(k) + 0.15*float64(k)/day },
	} {
		x := swung(t, 7, 2, 20_000, 1000, func(int) float64 { return 0 }, independent, calibrating())
		if name == "swinging ramp" {
			x = swung(t, 7, 2, 20_000, 1000, swing(0.2), independent, calibrating())
		}
		x.by = by
		last, first := -1, -1
		for k := 0; k < 6*day && last < 0; k++ {
			v := x.judge()
			if v.State != drift.Detected {
				continue
			}
			if first < 0 {
				first = k
			}
			if promised(&v) {
				last = k
			}
		}
		t.Logf("%s: first detection after %d windows, promised after %d, when the mean is %.2f s.d. away", name, first, last, by(max(0, last)))
		if last < 0 {
			t.Errorf("%s: not found: %+v", name, x.d.Calibration())
		}
	}
}

// Gross changes are promised from the first window on.
func TestGrossChangesNeedNoCalibration(t *testing.T) {
	x := swung(t, 9, 2, 5000, 500, func(int) float64 { return 0 }, independent, calibrating())
	for range 5 {
		if v := x.judge(); v.State != drift.OK {
			t.Fatalf("got %+v", v)
		}
	}
	x.by = func(int) float64 { return 1 }
	if v := x.judge(); v.State != drift.Detected || v.Features[0].Unpromised {
		t.Errorf("got %+v", v.Features[0])
	}
}

// What was learned survives a stored snapshot, and a replay gives the same verdicts.
func TestCalibrationIsReplayed(t *testing.T) {
	o := calibrating()
	o.Calibration.Windows, o.Calibration.Span = 20, 0
	x := swung(t, 11, 2, 5000, 300, swing(0.4), independent, o)
	var learned bool
	for k := range 70 {
		if k == 60 {
			x.by = func(int) float64 { return 0.8 }
		}
		raw, err := json.Marshal(x.d.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var stored drift.Snapshot
		if err := json.Unmarshal(raw, &stored); err != nil {
			t.Fatal(err)
		}
		again, err := drift.Restore(x.p, stored.Options, stored)
		if err != nil {
			t.Fatal(err)
		}
		other := *x
		other.d = again
		rng := *rand.New(rand.NewPCG(1, uint64(k)))
		other.rng, x.rng = &rng, rand.New(rand.NewPCG(1, uint64(k)))
		other.of, x.of = independent(other.rng), independent(x.rng)
		if a, b := valid(t, x.judge()), valid(t, other.judge()); a != b {
			t.Fatalf("window %d: %s\n%s", k, a, b)
		}
		learned = learned || x.d.Calibration().Learned > 0
	}
	if !learned {
		t.Error("nothing was learned")
	}
}

// Features that swing together, each by little, raise no alarm together once they are calibrated. A change of
// all of them does.
func TestCalibrationOfSeveralFeatures(t *testing.T) {
	const features, round = 8, 100
	rng := rand.New(rand.NewPCG(47, 1))
	k := 0
	p := paired(t, features, 20_000, func(row []float64) {
		factors(rng, 0)(row)
		for i := range row {
			row[i] += 0.12 * math.Sin(2*math.Pi*float64(k)/50)
		}
		k++
	})
	o := togetherOptions(2000)
	o.Calibration = drift.Calibration{Windows: round, Gross: 4}
	before, after, found := 0, 0, 0
	for w, v := range judged(p, detector(t, p, o), 1000, 3*round+20, func(w int) rowsOf {
		by := 0.12 * math.Sin(2*math.Pi*float64(w)/50)
		if w >= 3*round {
			by += 0.25
		}
		return moved(factors(rng, 0), features, by)
	}) {
		list := detectedBy(&v, drift.StatisticJoint)
		switch unpromised := len(list) > 0 && list[0].Unpromised; {
		case w < round && len(list) > 0 && unpromised:
			before++
		case len(list) > 0 && !unpromised && w < 3*round:
			after++
		case promised(&v) && w >= 3*round:
			found++
		}
	}
	if before == 0 || after > 0 || found == 0 {
		t.Errorf("%d alarms before the calibration, %d after it, the change was found in %d windows", before, after, found)
	}
}
