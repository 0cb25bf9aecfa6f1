package drift_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice.io/sluice/internal/drift"
)

// heavy has a client that sends a third of the rows for an hour, now and then. All of these rows are nearly
// the same. The clients are known by their sticky keys.
func heavy(perWindow int) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		sent, left, base := 0, 0, []float64(nil) // left are the rows of the client's hour
		return func(row []float64) uint64 {
			if sent++; sent%perWindow == 0 && left <= 0 && rng.Float64() < 0.02 {
				left, base = 6*perWindow, take(len(row), normal(rng))
			}
			left--
			is := left > 0 && sent%3 == 0
			for i := range row {
				row[i] = rng.NormFloat64()
				if is {
					row[i] = base[i] + 0.1*row[i]
				}
			}
			if is {
				return 1
			}
			return 2 + rng.Uint64N(1e6)
		}
	}
}

// bursts has an hour now and then in which rows come from five users only, who are known by their sticky keys.
func bursts(perWindow int) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		sent, left, few := 0, 0, sender(nil)
		return func(row []float64) uint64 {
			if sent++; sent%perWindow == 0 && left <= 0 && rng.Float64() < 0.02 {
				left, few = 6*perWindow, users(5)(rng)
			}
			if left--; left > 0 {
				return few(row)
			}
			copy(row, take(len(row), normal(rng)))
			return 6 + rng.Uint64N(1e6)
		}
	}
}

// waves are slow swings without a period: each feature's mean is an AR(1) sequence over windows, with this
// standard deviation.
func waves(perWindow int, sd float64) func(*rand.Rand) sender {
	return func(rng *rand.Rand) sender {
		sent := 0
		var at []float64
		return func(row []float64) uint64 {
			for i := range row {
				if len(at) == i {
					at = append(at, sd*rng.NormFloat64())
				}
				if sent%perWindow == 0 {
					at[i] = 0.9*at[i] + sd*math.Sqrt(1-0.81)*rng.NormFloat64()
				}
				row[i] = rng.NormFloat64() + at[i]
			}
			sent++
			return 0
		}
	}
}

// rates are what became of streams of a kind.
type rates struct {
	windows, alarms, before, inAlarm, streams int
	step, spike, ramp                         []int // windows until a promised detection, -1 if there was none
}

// promisedRates runs clean streams for days, and then changes each in three ways.
func promisedRates(t *testing.T, streams, days, reference, rows int, by func(k int) float64, s func(*rand.Rand) sender, o drift.Options) rates {
	t.Helper()
	r := rates{streams: streams}
	for seed := range uint64(streams) {
		x := swung(t, seed, 3, reference, rows, by, s, o)
		was := false
		for k := range days * day {
			v := x.judge()
			is := promised(&v)
			if k < day {
				if alarmed(&v) {
					r.before++
				}
				continue
			}
			r.windows++
			if is {
				r.inAlarm++
			}
			if is && !was {
				r.alarms++
			}
			was = is
		}
		state := x.d.Snapshot()
		after := func(windows int, change func(k int, row []float64)) int {
			again, err := drift.Restore(x.p, o, state)
			if err != nil {
				t.Fatal(err)
			}
			y := *x
			y.d, y.rng = again, rand.New(rand.NewPCG(43, seed))
			inner, n := s(y.rng), 0
			y.of = func(row []float64) uint64 {
				user := inner(row)
				change(n/rows, row)
				n++
				return user
			}
			for k := range windows {
				if v := y.judge(); promised(&v) {
					return k + 1
				}
			}
			return -1
		}
		r.step = append(r.step, after(day, func(_ int, row []float64) { row[1] += 0.5 }))
		r.spike = append(r.spike, after(day, func(_ int, row []float64) {
			if x.rng.Float64() < 0.1 {
				row[1] = 0.3
			}
		}))
		r.ramp = append(r.ramp, after(2*day, func(k int, row []float64) { row[1] += float64(k) / day }))
	}
	return r
}

// middle returns the median of delays, and how many there are.
func middle(delays []int) (median, found int) {
	var list []int
	for _, d := range delays {
		if d > 0 {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return -1, 0
	}
	slices.Sort(list)
	return list[len(list)/2], len(list)
}

// Once they are calibrated, clean streams keep the promise with all detectors at once, whatever their rows are like. Changes
// are still found. docs/drift.md has the result of more streams.
func TestFalseAlarmsOnceCalibrated(t *testing.T) {
	flat := func(int) float64 { return 0 }
	f := func(name string, streams, reference, rows int, by func(k int) float64, s func(*rand.Rand) sender) {
		t.Helper()
		const every = 200 // windows
		o := everything(every)
		o.Window = calibrating().Window
		o.FalseAlarmEvery = every * o.Window
		const days = 3
		r := promisedRates(t, streams, days, reference, rows, by, s, o)
		allowed := float64(r.windows) / every
		step, steps := middle(r.step)
		spike, spikes := middle(r.spike)
		ramp, ramps := middle(r.ramp)
		t.Logf("| %s | %.0f %% | %d of %.1f | %.0f %% | %d (%d/%d) | %d (%d/%d) | %d (%d/%d) |", name,
			100*float64(r.before)/float64(streams*day), r.alarms, allowed, 100*float64(r.inAlarm)/float64(r.windows),
			step, steps, streams, spike, spikes, streams, ramp, ramps, streams)
		if float64(r.alarms) > allowed+4*math.Sqrt(allowed) {
			t.Errorf("%s: %d alarms, allowed %.1f", name, r.alarms, allowed)
		}
		if 2*steps < streams || 2*ramps < streams {
			t.Errorf("%s: the calibration hides the changes: %+v", name, r)
		}
	}
	const streams = 1
	f("independent rows", streams, 5000, 500, flat, independent)
	f("daily swing of 0.2 s.d.", streams, 20_000, 500, swing(0.2), independent)
	f("daily swing of 0.5 s.d.", streams, 20_000, 500, swing(0.5), independent)
	f("slow waves of 0.1 s.d.", streams, 20_000, 500, flat, waves(500, 0.1))
	f("each row twice", streams, 5000, 500, flat, again(2))
	f("each row ten times", streams, 5000, 500, flat, again(10))
	f("correlation from row to row 0.3", streams, 5000, 500, flat, sequence(0.3))
	f("correlation from row to row 0.6", streams, 5000, 500, flat, sequence(0.6))
	f("correlation from row to row 0.9", streams, 5000, 500, flat, sequence(0.9))
	f("a heavy client now and then", streams, 20_000, 500, flat, heavy(500))
	f("bursts of few users", streams, 20_000, 500, flat, bursts(500))
	f("reference of 500 rows", streams, 500, 500, flat, independent)
	f("reference of 500 rows, daily swing of 0.2 s.d.", streams, 500, 500, swing(0.2), independent)
}
