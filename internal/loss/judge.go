package loss

import (
	"math"
	"time"
)

// judge judges the current window and begins the next one.
func (l *Loss) judge(o *Options, lim limits, start time.Time) {
	w := &l.Window
	inflated := l.inflated(w)
	bound := upper(&l.Reference.Moments, inflated)
	most := bound + o.Tolerance
	// A loss that is as large as half of the tolerance allows is well.
	line := bound + o.Tolerance/2
	well := w.mean() <= line
	shown, evidence := w.Moments, 1.0 // what a detection needs
	if l.alarmed() {
		l.recover(well, line, o.Recover)
		if l.State == Recovering {
			shown = l.Well
		}
	} else {
		total := l.bet(&w.Moments, most, inflated, start)
		l.observe(total, well, lim, w.Rows)
		evidence = math.Exp(total - lim.detect)
		if !l.Began.IsZero() {
			shown = l.Since
		}
	}
	l.Finding = l.finding(&shown, bound+o.Tolerance, inflated)
	l.Finding.Evidence = min(evidence, math.MaxFloat64)
	l.passed()
}

// margin is the part of what the design effect is above 1 that is added to it, since it is only
// estimated.
const margin = 0.25

// inflated returns the design effect for a window: the largest estimate by blocks of some size, or
// from window to window, of earlier windows or with this one.
func (l *Loss) inflated(w *Sums) float64 {
	most := max(1, l.By[len(blockRows)].value())
	for i, b := range w.Blocks {
		ratio, freedom := b.inflation(&w.Moments)
		most = max(most, l.By[i].value(), l.By[i].with(ratio, freedom))
	}
	return most + margin*(most-1)
}

// passed counts the design effects of the window, after it was judged, and forgets the window.
func (l *Loss) passed() {
	w := &l.Window
	for i, b := range w.Blocks {
		l.By[i].observe(b.inflation(&w.Moments))
	}
	if n, m := float64(w.Rows), float64(l.Before.Rows); n > 0 && m > 0 {
		apart := w.mean() - l.Before.mean()
		all := w.Moments
		all.merge(&l.Before)
		if v := all.variance(); v > 0 {
			l.By[len(blockRows)].observe(apart*apart/(v*(1/n+1/m)), 1)
		}
	}
	l.Before, l.Window = w.Moments, Sums{}
}

// bet updates the evidence with a window, and returns its logarithm. It notes since when there is
// some.
func (l *Loss) bet(w *Moments, most, inflated float64, start time.Time) float64 {
	if len(l.Evidence) == 0 {
		l.Evidence = make([]float64, bets)
		for j := range l.Evidence {
			l.Evidence[j] = smallestLog
		}
	}
	if most < 1 {
		for j, log := range logWealth(w, most, inflated) {
			l.Evidence[j] = max(addLog(0, l.Evidence[j])+log, smallestLog)
		}
	}
	total := mixture(l.Evidence)
	if total <= 0 {
		l.Began, l.Since = time.Time{}, Moments{}
		return total
	}
	if l.Began.IsZero() {
		l.Began = start
	}
	l.Since.merge(w)
	return total
}

// smallestLog stands for the logarithm of 0, since JSON has no infinity.
const smallestLog = -1e9

// observe updates the state of a loss that is not in alarm.
//
//	OK ───── evidence > suspect ──► SUSPECTED ─── evidence > detect ──► DETECTED
//	 ▲                                  │                                │    ▲
//	 ├── well, and no evidence is left ─┘                           well ▼    │ not well
//	 └─────────────── well, recover times in a row ───────────────── RECOVERING
func (l *Loss) observe(total float64, well bool, lim limits, rows uint64) {
	if l.Quiet += rows; l.Former.IsZero() || l.Quiet > relapseRows {
		l.Former, l.Quiet = time.Time{}, 0
	}
	switch {
	case total >= lim.detect:
		if !l.Former.IsZero() {
			l.Began = l.Former
		}
		l.State, l.Evidence, l.Former, l.Quiet = Detected, nil, time.Time{}, 0
	case total >= lim.suspect:
		l.State = Suspected
	case total <= 0, well:
		l.State = OK
	default:
	}
}

// recover updates the state of a loss in alarm.
func (l *Loss) recover(well bool, line float64, recoverAfter int) {
	l.Well.merge(&l.Window.Moments)
	if !well || l.Well.mean() > line {
		l.State, l.Calm, l.Well = Detected, 0, Moments{}
		return
	}
	l.State = Recovering
	if l.Calm++; l.Calm >= recoverAfter {
		l.State, l.Calm, l.Well, l.Since = OK, 0, Moments{}, Moments{}
		l.Former, l.Began = l.Began, time.Time{}
	}
}

// finding describes rows beside the reference.
func (l *Loss) finding(rows *Moments, most, inflated float64) Finding {
	const z = 1.96
	mean, reference := rows.mean(), l.Reference.mean()
	half := z * math.Sqrt(inflated*(rows.variance()/float64(max(1, rows.Rows))+l.Reference.variance()/float64(max(1, l.Reference.Rows))))
	effect := mean - reference
	return Finding{
		Loss: l.Name, State: l.State, Began: l.Began, Rows: rows.Rows, DesignEffect: inflated,
		Value: l.Scale * mean, Reference: l.Scale * reference, Effect: l.Scale * effect,
		Low: l.Scale * (effect - half), High: l.Scale * (effect + half), Limit: l.Scale * (most - reference),
	}
}
