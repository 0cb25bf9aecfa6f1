package main

import (
	"math"
	"math/rand/v2"
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

// A feature has the same law in all kinds of clean rows. They differ in how a row depends on the one before, and in what is known of
// its user.
func TestCleanKinds(t *testing.T) {
	neighbour := map[string]float64{"independent": 0, "each row twice": 0.5, "correlation from row to row 0.6": 0.6, "300 users, known by a key": 0}
	for k, kind := range cleanKinds() {
		const n = 200_000
		rows := kind.rows(rand.New(rand.NewPCG(7, uint64(k))), n)
		column, label := rows.columns[0], rows.columns[labelFeature]
		var mean, square, product, ones, pair float64
		for i, x := range column {
			mean += x / n
			square += x * x / n
			product += x * column[max(0, i-1)] / n
			ones += label[i] / n
			pair += rows.columns[leftFeature][i] * rows.columns[rightFeature][i] / n
		}
		// Of 300 users, the means have a standard error of 0.06, the variances one of 0.08.
		if math.Abs(mean) > 0.2 || math.Abs(square-1) > 0.3 || ones > 0.04 || math.Abs(pair-pairCorrelation) > 0.25 {
			t.Errorf("%s: mean %.3f, variance %.3f, %.4f ones, correlation of the pair %.3f", kind.name, mean, square, ones, pair)
		}
		if want, known := neighbour[kind.name]; !known || math.Abs(product/square-want) > 0.05 {
			t.Errorf("%s: the correlation from row to row is %.3f; want %.1f", kind.name, product/square, want)
		}
		if users := rows.users != nil; users != (k == len(cleanKinds())-1) {
			t.Errorf("%s: the users are known: %v", kind.name, users)
		}
	}
}
