package drift

import (
	"math"
	"time"

	"sluice.io/sluice/internal/infer"
)

// window is a window of a feature with the evidence that was found in it.
type window struct {
	start  time.Time
	counts *Counts
	of     *grouped
	by     [numClusterings]variance
	alone  *judgement
	best   *judgement // the stronger one of the window and its run
	sum    *Counts    // that best is about
	broke  *broken    // nil: the e-detector found nothing
}

// weighed is the evidence of a window, compared with what is usual.
type weighed struct {
	logP     float64 // the larger p-value of the two
	promised bool    // it keeps the promise, also if windows swing
	usual    bool    // there is as much evidence in many clean windows
}

// weigh compares the evidence of a window with that of clean windows, and learns from the window. What was learned only raises p: the
// detector never says more than it would without.
func (d *Tumbling) weigh(i int, w *window) weighed {
	if d.learned == nil {
		said := weighed{logP: w.best.best, promised: true}
		if w.broke != nil {
			said.logP = min(said.logP, w.broke.logP)
		}
		return said
	}
	l, t, rows := &d.learned[i], &d.tracks[i][0], w.counts.Finite()
	said := weighed{logP: w.best.best, promised: l.Differs >= lasting}
	if l.calibrated() {
		said.logP, said.usual = max(said.logP, l.Usual.tail(-w.best.best, rows)), l.Usual.contains(-w.best.best, rows)
		said.promised = true
	}
	if w.broke != nil {
		said.logP, said.promised = min(said.logP, w.broke.logP), true
	}
	if !said.promised && said.logP < d.limits.detect {
		said.promised = d.isGross(i, w)
	}
	evidence := -w.best.best
	if t.alarmed() && t.Unpromised {
		evidence = max(evidence, -d.withoutAlarm(i, w))
	} else {
		l.Run = nil
	}
	alarm := t.alarmed() && !t.Unpromised || said.promised && said.logP < d.limits.detect
	suspicious := l.calibrated() && said.logP < d.limits.suspect
	if !alarm && !suspicious {
		l.enter(w.counts, evidence)
	}
	if d.ending && 2*l.Next.Windows >= d.options.Calibration.Windows {
		l.end(d.differs(i))
	}
	return said
}

// isGross reports whether a change is so large that no swing explains it.
func (d *Tumbling) isGross(i int, w *window) bool {
	gates, tolerance := d.options.gross()
	passes := func(of *grouped, by [numClusterings]variance) bool {
		j := d.testGates(i, of, by, &gates, tolerance)
		return j.best < d.limits.detect
	}
	if passes(w.of, w.by) {
		return true
	}
	if w.sum == w.counts {
		return false
	}
	of := d.groups(i, w.sum)
	return passes(&of, of.estimate())
}

// withoutAlarm returns the strongest log p that the window would have with its run if the alarm had not been
// raised: an alarm collects no evidence.
func (d *Tumbling) withoutAlarm(i int, w *window) float64 {
	l := &d.learned[i]
	if l.Run == nil {
		l.Run = &track{State: OK}
	}
	l.Run.begin(w.start, w.alone.best)
	recent, best := w.alone, w.alone.best
	if sum := l.Run.extend(w.counts); sum != nil {
		of := d.groups(i, sum)
		together := d.test(i, &of, of.estimate())
		recent, best = &together, min(best, together.best)
	}
	if recent.above < wellMargin && recent.effect < d.options.Tolerance/2 {
		l.Run.forget()
	}
	return best
}

// differs reports whether the windows of a round together pass a gate.
func (d *Tumbling) differs(i int) bool {
	of := d.groups(i, d.learned[i].Pool)
	j := d.test(i, &of, of.estimate())
	return j.best < d.limits.detect
}

// contains reports whether evidence is below the tail of what is usual.
func (u *usual) contains(evidence float64, rows uint64) bool {
	k := u.excesses()
	return k > 0 && u.tail(evidence, rows) >= math.Log(float64(k+1)/float64(u.Windows+1))
}

// resume continues from what a snapshot has learned.
func (d *Tumbling) resume(s *Snapshot) error {
	if d.learned == nil || len(s.Learned) == 0 {
		return nil
	}
	if len(s.Learned) != len(d.learned) {
		return infer.Errorf(infer.Invalid, "calibration: %d features; the profile has %d", len(s.Learned), len(d.learned))
	}
	if s.Round.Windows < 0 {
		return infer.Errorf(infer.Invalid, "calibration: %d windows in a round", s.Round.Windows)
	}
	for i := range s.Learned {
		l, f := &s.Learned[i], &d.profile.Features[i]
		if why := l.check(f); why != "" {
			return infer.Errorf(infer.Invalid, "calibration of %s %s: %s", f.Kind, f.Name, why)
		}
		d.learned[i] = l.clone()
	}
	d.round = s.Round
	return d.resumeTogether(s.Expected)
}

// check returns the error in a stored value, "" if there is none.
func (l *learned) check(f *Feature) string {
	if !l.Usual.valid() || !l.Next.valid() || l.Differs < 0 || l.From < 0 || (l.Pool == nil) != (l.Next.Windows == 0) {
		return "its numbers are not valid"
	}
	for _, c := range [...]*Counts{l.Pool, l.Run.sum()} {
		if c == nil {
			continue
		}
		if err := checkCounts(f, c, maxRows); err != nil {
			return err.Msg
		}
	}
	if l.Run != nil && (l.Run.State != OK || l.Run.Windows < 0 || l.Run.Windows > maxRun || (l.Run.Windows == 0) != (l.Run.Run == nil)) {
		return "its run is not valid"
	}
	return ""
}

// sum returns the run of a track, which may be nil.
func (t *track) sum() *Counts {
	if t == nil {
		return nil
	}
	return t.Run
}
