package main

import (
	"strings"
	"testing"
)

// A small race: what all methods must find is found, and what nobody can find is not. The rate of false alarms is the one that
// was asked for, as far as a small number of clean rows shows it.
func TestRivals(t *testing.T) {
	r := newRace(1, 2, 40)
	r.every = 20_000
	r.run()
	changes := shifts()
	for i := range r.table {
		l := &r.table[i]
		for c := range changes {
			mean, missed := l.delayOf(c)
			name := changes[c].name
			switch {
			case l.name == "always" && (mean != 1 || missed != 0):
				t.Errorf("%s: always takes %v rows", name, mean)
			case l.name == "never" && missed != 1:
				t.Errorf("%s: never misses it in %v of the streams", name, missed)
			case i == 0 && (name == "mean +1 s.d." || name == "30 % missing" || name == "two columns swapped") && (missed > 0 || mean > 2*rivalsWindow):
				t.Errorf("%s: the gateway takes %v rows and misses it in %v of the streams", name, mean, missed)
			case !l.sanity && l.name != "KSWIN" && name == "mean +1 s.d." && (missed > 0 || mean > 2*rivalsWindow):
				t.Errorf("%s: %s takes %v rows and misses it in %v of the streams", name, l.name, mean, missed)
			default:
			}
		}
		// Two are expected of a calibrated one.
		if allowed := 12; !l.sanity && l.falseAlarms[0] > allowed {
			t.Errorf("%s has %d false alarms in %d clean rows; want at most %d", l.name, l.falseAlarms[0], l.cleanRows, allowed)
		}
	}
	text := r.page()
	for _, want := range []string{"| mean +1 s.d. |", "| ADWIN |", "- **mean +0.1 s.d.**: "} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}
