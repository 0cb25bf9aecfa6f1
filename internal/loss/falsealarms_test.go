package loss_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"sluice.io/sluice/internal/loss"
)

// streams is how many streams of each kind the test of false alarms simulates.
var streams = flag.Int("streams", 10, "streams of each kind in the test of false alarms")

// kinds are rows that depend on each other, or do not.
func kinds() map[string]func(*rand.Rand) source {
	return map[string]func(*rand.Rand) source{
		"independent":                    independent,
		"little variance":                smooth,
		"each row twice":                 func(r *rand.Rand) source { return repeated(r, 2, false) },
		"each row 16 times":              func(r *rand.Rand) source { return repeated(r, 16, false) },
		"requests of 100 equal rows":     func(r *rand.Rand) source { return repeated(r, 100, true) },
		"requests of 16 alike rows":      func(r *rand.Rand) source { return shared(r, 16) },
		"correlation 0.3":                func(r *rand.Rand) source { return sequence(r, 0.3) },
		"correlation 0.9":                func(r *rand.Rand) source { return sequence(r, 0.9) },
		"100 users with constant losses": func(r *rand.Rand) source { return users(r, 100) },
	}
}

// TestFalseAlarms: streams whose losses are as large as the tolerance allows are in alarm at most as
// often as promised, however their rows depend on each other.
func TestFalseAlarms(t *testing.T) {
	const windows = 200
	for name, kind := range kinds() {
		for _, mean := range []float64{0.01, 0.1, 0.3} {
			alarms := 0
			o := options()
			for i := range *streams {
				rng := rand.New(rand.NewPCG(uint64(i), 5))
				d, s := detector(t, o, loss.Error), kind(rng)
				feed(d, s, int(o.ReferenceRows), mean)
				for range windows {
					feed(d, s, int(o.Rows), mean+o.Tolerance)
					for _, c := range d.State().Changes {
						if c.State == loss.Detected {
							alarms++
						}
					}
					d.Recorded(d.State().Judged)
				}
			}
			expected := float64(*streams*windows) / o.FalseAlarmWindows
			t.Logf("%s, mean loss %v: %d alarms in %d windows, at most %.0f are expected", name, mean, alarms, *streams*windows, expected)
			// The alarms are fewer than promised by far, so that no margin for chance is needed.
			if float64(alarms) > expected {
				t.Errorf("%s, mean loss %v: %d alarms, at most %.0f are expected", name, mean, alarms, expected)
			}
		}
	}
}

// TestDelays: a growth of the loss is found within some windows.
func TestDelays(t *testing.T) {
	f := func(name string, kind func(*rand.Rand) source, mean, growth float64, most float64) {
		t.Helper()
		o, total := options(), 0
		for i := range *streams {
			rng := rand.New(rand.NewPCG(uint64(i), 6))
			d, s := detector(t, o, loss.Error), kind(rng)
			feed(d, s, int(o.ReferenceRows+20*o.Rows), mean)
			for d.State().Status() != loss.Detected && total < 100**streams {
				feed(d, s, int(o.Rows), mean+growth)
				total++
			}
		}
		delay := float64(total) / float64(*streams)
		t.Logf("%s, mean loss from %v to %v: found after %.1f windows of %d rows", name, mean, mean+growth, delay, o.Rows)
		if delay > most {
			t.Errorf("%s, mean loss from %v to %v: found after %.1f windows, expected at most %v", name, mean, mean+growth, delay, most)
		}
	}
	f("independent", independent, 0.01, 0.05, 40)
	f("independent", independent, 0.01, 0.1, 4)
	f("independent", independent, 0.1, 0.1, 12)
	f("independent", independent, 0.1, 0.2, 3)
	f("independent", independent, 0.3, 0.1, 40)
	f("independent", independent, 0.3, 0.2, 5)
	f("little variance", smooth, 0.1, 0.05, 10)
	f("little variance", smooth, 0.1, 0.1, 5)
	twice := func(r *rand.Rand) source { return repeated(r, 2, false) }
	f("each row twice", twice, 0.1, 0.1, 80)
	f("each row twice", twice, 0.1, 0.2, 6)
	f("correlation 0.3", func(r *rand.Rand) source { return sequence(r, 0.3) }, 0.1, 0.2, 6)
	f("requests of 16 alike rows", func(r *rand.Rand) source { return shared(r, 16) }, 0.1, 0.2, 25)
}
