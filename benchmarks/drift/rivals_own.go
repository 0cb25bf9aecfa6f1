package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/internal/drift"
)

// ownMethod is a setting of the detector of the gateway.
type ownMethod struct {
	name, settings string
	options        drift.Options
}

// The names of our two methods.
const (
	ownDefault = "gateway"
	ownAny     = "gateway, any change"
)

// ownMethods are the default gates with the tests of pairs and of breaks, and the same with the smallest gates that the
// configuration allows. The first keeps its promise, at most one false alarm in so many rows, and is not calibrated, since
// a difference up to a gate is not evidence. The second one is calibrated like the rivals, which look for any change too. Neither
// learns what is usual in clean windows.
func (r *race) ownMethods() []ownMethod {
	usual := defaults()
	usual.FalseAlarmWindows = r.every / rivalsWindow
	usual.Gates.Joint, usual.Gates.Correlation, usual.Breaks = 0.05, 0.15, true
	bare := usual
	bare.Tolerance, bare.QualityTolerance, bare.RangeTolerance = 1e-4, 1e-4, 1e-4
	bare.Gates = drift.Gates{Mean: 1e-3, Spread: 1e-3, ShareRatio: 1, ShareGain: 1e-4, New: 1e-4, Joint: 1e-3, Correlation: 1e-3}
	bare.FalseAlarmWindows = max(1, usual.FalseAlarmWindows/r.slack(bare))
	return []ownMethod{
		{ownDefault, fmt.Sprintf("the default gates, correlation 0.15, breaks; promise: one false alarm in %s windows",
			page.Thousands(usual.FalseAlarmWindows)), usual},
		{ownAny, fmt.Sprintf("the smallest gates: mean, spread, joint and correlation 0.001, shares 0.01 points, shape 0.0001; "+
			"calibrated: the promise, one false alarm in %s windows", page.Thousands(math.Round(bare.FalseAlarmWindows))), bare},
	}
}

// slack returns by how many times p-values may be above the limits of a detector that still has one false alarm in so many
// rows: the quantile of the smallest p-values of clean stretches, in units of their limit.
func (r *race) slack(o drift.Options) float64 {
	stretches := max(stretchesPerReference, r.stretches/features)
	chunks := parallel(stretches/stretchesPerReference, func(chunk int) (smallest []float64) {
		rng := r.seeded(50, chunk)
		p := rivalsProfile(independentRows(rng, rivalsReference).columns)
		for range stretchesPerReference {
			smallest = append(smallest, smallestP(p, rng, o))
		}
		return smallest
	})
	all := slices.Sorted(slices.Values(slices.Concat(chunks...)))
	return all[int((1-math.Exp(-stretchRows/r.every))*float64(len(all)))]
}

// smallestP returns the smallest p-value of a clean stretch, in units of its limit.
func smallestP(p *drift.Profile, rng *rand.Rand, o drift.Options) float64 {
	least := math.Inf(1)
	for v := range drift.Simulate(p, newDetector(p, o), independentRows(rng, stretchRows).from(0), simulated(o)) {
		for _, f := range slices.Concat(v.Features, v.Quality) {
			if f.Limit > 0 {
				least = min(least, f.P/f.Limit)
			}
		}
	}
	return least
}

// own runs the detector of the gateway. It finds a change if a finding about a feature that changes is detected, or the one about
// several features together.
func (s *raceStream) own(c *shift, o drift.Options) raceOutcome {
	d, last := newDetector(s.profile, o), 0
	rows := func(yield func(drift.Row) bool) {
		missing := make([]bool, features)
		for k, row := range s.changed(c) {
			last = k
			if !yield(drift.Row{At: epoch(), Values: row, Missing: missing}) {
				return
			}
		}
	}
	for v := range drift.Simulate(s.profile, d, rows, simulated(o)) {
		for _, f := range slices.Concat(v.Features, v.Quality) {
			if f.State == drift.Detected && s.about(&f, c) {
				return s.outcome(last)
			}
		}
	}
	return raceMissed
}

// simulated are windows by rows, as a gateway judges them.
func simulated(o drift.Options) drift.SimulateOptions {
	return drift.SimulateOptions{Windows: drift.Windowing{Rows: rivalsWindow, MinRows: o.MinRows}, Pairs: true}
}

func (s *raceStream) about(f *drift.Finding, c *shift) bool {
	if f.Feature == drift.JointFeature {
		return true
	}
	i := slices.IndexFunc(s.profile.Features, func(x drift.Feature) bool { return x.Name == f.Feature })
	return slices.Contains(c.watched, i)
}

// ownFalseAlarms counts alarms in clean rows, with a new detector after each of them.
func (s *raceStream) ownFalseAlarms(clean *cleanStretch, o drift.Options) (alarms int) {
	for from := 0; from < stretchRows; {
		next := from
		rows := func(yield func(drift.Row) bool) {
			for row := range clean.from(from) {
				next++
				if !yield(row) {
					return
				}
			}
		}
		for v := range drift.Simulate(s.profile, newDetector(s.profile, o), rows, simulated(o)) {
			if v.State == drift.Detected {
				alarms++
				break
			}
		}
		from = next
	}
	return alarms
}
