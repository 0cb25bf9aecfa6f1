package drift

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sluice.io/sluice/internal/infer"
)

// The statistics of several features together, beside StatisticG. The name of the finding of
// StatisticJoint is JointFeature, since it belongs to no single feature.
const (
	StatisticJoint       = "joint"       // several means moved, each by little
	StatisticCorrelation = "correlation" // of a feature with another one
	StatisticMMD         = "mmd"         // of a vector

	KindJoint    = "joint"
	JointFeature = "several features"
)

// IsDrift reports whether a statistic is about drift, and not about the quality of data.
func IsDrift(statistic string) bool {
	return statistic == StatisticG || statistic == StatisticJoint || statistic == StatisticCorrelation || statistic == StatisticMMD
}

// together judges the paired features of a profile together: their means, and their correlations.
type together struct {
	pairs        *Pairs
	scores       []scores // by paired feature
	known        []dependence
	run          run
	joint        track
	correlations []track // by paired feature
	past         jointPast
	hushed       bool // a feature has an alarm of its own in this window that is not promised yet
}

// run has the sums of up to maxRun windows in a row. It begins again after that many, whatever the
// windows hold.
type run struct {
	Windows int         `json:"windows"`
	Bins    [][]uint64  `json:"bins"`    // by paired feature
	Effects []float64   `json:"effects"` // the largest design effect, by paired feature; 0: not judged
	Own     [2]float64  `json:"own"`     // sums of jointEffects of the windows, by user and by time
	Pairs   *PairCounts `json:"pairs,omitempty"`
	Hours   Hours       `json:"hours,omitempty"` // of the windows
}

// meanScore has the moments of a feature's scores over some rows. effect is the design effect of their
// mean, 0 if the feature cannot be judged. expected is the mean that the hours of the rows let expect, 0 without a Week, and known
// are the rows of the reference that know it.
type meanScore struct {
	mean, variance, rows, effect float64
	expected, known              float64
}

// moved returns by how much the mean differs from that of the reference.
func (x *meanScore) moved() float64 { return x.mean - x.expected }

// newTogether returns nil if there is nothing to judge.
func newTogether(p *Profile, g *Gates) *together {
	if p.Pairs == nil || g.Joint == 0 && g.Correlation == 0 {
		return nil
	}
	t := &together{pairs: p.Pairs, joint: track{State: OK}}
	for _, i := range p.Pairs.Features {
		t.scores = append(t.scores, scoresOf(p.Features[i].Reference.Bins))
		t.correlations = append(t.correlations, track{State: OK})
	}
	t.known = p.Pairs.dependences(t.scores)
	return t
}

// judgeTogether judges the paired features of a window together. It leaves out features that have an
// alarm of their own, which says more. Those whose alarm is not promised yet are not left out: most of these alarms are swings, which
// must be part of what is learned, since there is no alarm of their own once the features are calibrated. Beside such an alarm only a
// promised alarm of several features is raised.
func (d *Tumbling) judgeTogether(w *Window) (found []ranked) {
	t := d.together
	if t == nil {
		return nil
	}
	bins, effects := make([][]uint64, len(t.scores)), make([]float64, len(t.scores))
	for k, i := range t.pairs.Features {
		bins[k] = w.Counts[i].Bins
		if w.Counts[i].Finite() >= d.options.MinRows {
			effects[k] = d.singles[i]
		}
	}
	t.run.add(bins, effects, w.Pairs, w.Hours)
	t.hushed = false
	for k, i := range t.pairs.Features {
		switch own := &d.tracks[i][0]; {
		case !own.alarmed():
		case own.Unpromised:
			t.hushed = true
		default:
			effects[k] = 0
			t.run.drop(k)
		}
	}
	alone, all := d.moments(bins, effects, w.Hours), d.moments(t.run.Bins, t.run.Effects, t.run.Hours)
	by := t.jointEffects(w, alone)
	t.past.observe(by)
	t.past.passed(alone)
	for i := range t.run.Own {
		t.run.Own[i] += by[i].mean
	}
	known := t.past.factor(d.limits)
	factors := pairEffects{
		alone: max(known, ownEffect(by[byUser].mean, 1), ownEffect(by[byTime].mean, 1)),
		run:   max(known, ownEffect(t.run.Own[byUser], t.run.Windows), ownEffect(t.run.Own[byTime], t.run.Windows)),
	}
	if d.options.Gates.Joint > 0 {
		if r := d.judgeJoint(w, alone, all, factors); t.joint.told() {
			found = append(found, r)
		}
	}
	if d.options.Gates.Correlation > 0 && w.Pairs != nil {
		found = append(found, d.judgeCorrelations(w, alone, all, factors)...)
	}
	return found
}

// pairEffects are the design effects of several features together, on top of those of each: of a window, and of
// its run.
type pairEffects struct{ alone, run float64 }

// add adds a window.
func (r *run) add(bins [][]uint64, effects []float64, pairs *PairCounts, hours Hours) {
	if r.Windows == 0 || r.Windows >= maxRun {
		*r = run{Bins: make([][]uint64, len(bins)), Effects: slices.Clone(effects)}
		for k := range bins {
			r.Bins[k] = make([]uint64, len(bins[k]))
		}
		if pairs != nil {
			r.Pairs = newPairCounts(len(pairs.Rows))
		}
	}
	r.Windows++
	r.Hours = r.Hours.with(hours)
	for k := range bins {
		for i, n := range bins[k] {
			r.Bins[k][i] += n
		}
		r.Effects[k] = max(r.Effects[k], effects[k])
	}
	if pairs != nil && r.Pairs != nil {
		r.Pairs.Merge(pairs)
	} else {
		r.Pairs = nil
	}
}

// drop removes a feature from the windows so far.
func (r *run) drop(k int) {
	clear(r.Bins[k])
	r.Effects[k] = 0
	for other := range r.Bins {
		if other != k && r.Pairs != nil {
			at := pairOf(min(k, other), max(k, other))
			r.Pairs.Rows[at], r.Pairs.Products[at] = 0, 0
		}
	}
}

// moments returns the moments of the scores over counts.
func (d *Tumbling) moments(bins [][]uint64, effects []float64, hours Hours) []meanScore {
	t := d.together
	list := make([]meanScore, len(bins))
	for k := range bins {
		x := meanScore{effect: effects[k]}
		x.mean, x.variance, x.rows = t.scores[k].moments(bins[k])
		x.expected, x.known = d.expect(t.pairs.Features[k], &t.scores[k], hours)
		list[k] = x
	}
	return list
}

// observe updates the state of a finding of several features, and completes it. place is as of weighTogether.
func (d *Tumbling) observe(start time.Time, t *track, place int, p *passing, well bool, rows uint64, r ranked) ranked {
	t.begin(start, p.logP)
	said, was := d.weighTogether(t, place, p.logP, rows), *t
	if d.together.hushed && !said.promised {
		said.logP = 0
	}
	well = well || said.usual
	t.observe(evidence{best: said.logP, well: well, rows: rows}, d.limits, d.options.Recover)
	t.mark(&was, said.promised && said.logP < d.limits.detect)
	f := &r.finding
	r.logP, r.order = said.logP, said.logP
	f.P, f.State, f.Unpromised = max(math.Exp(said.logP), 1e-300), t.State, t.Unpromised
	f.Gate, f.Limit = p.gate, math.Exp(d.limits.detect)
	f.Low, f.High = p.low, p.high
	if t.State != OK {
		began := t.Began
		f.Began = &began
	}
	if t.State == OK {
		f.Change = ""
	} else if well {
		f.Change = "as in the reference"
	}
	return r
}

// restore continues a saved state; nil has none.
func (t *together) restore(s *TogetherStatus) error {
	if s == nil {
		return nil
	}
	if err := t.checkRun(&s.Run); err != nil {
		return infer.Errorf(infer.Invalid, "windows of several features: %v", err)
	}
	if n := len(s.Past.Before); n != len(s.Past.Rows) || n != 0 && n != len(t.scores) {
		return infer.Errorf(infer.Invalid, "the last means of %d features; expected %d", n, len(t.scores))
	}
	for _, by := range s.Past.By {
		if !by.valid() {
			return infer.Errorf(infer.Invalid, "the dependence of several features is not valid")
		}
	}
	t.run, t.past = s.Run.clone(), s.Past.clone()
	return nil
}

func (r *run) clone() run {
	c := run{Windows: r.Windows, Hours: r.Hours, Own: r.Own, Effects: slices.Clone(r.Effects), Bins: slices.Clone(r.Bins)}
	for k := range c.Bins {
		c.Bins[k] = slices.Clone(c.Bins[k])
	}
	if r.Pairs != nil {
		c.Pairs = r.Pairs.clone()
	}
	return c
}

func (h *jointPast) clone() jointPast {
	return jointPast{By: h.By, Before: slices.Clone(h.Before), Rows: slices.Clone(h.Rows)}
}

// checkRun returns an error if a stored run is not one of these features.
func (t *together) checkRun(r *run) error {
	if r.Windows == 0 {
		return nil
	}
	if r.Windows < 0 || r.Windows > maxRun || !(min(r.Own[0], r.Own[1]) >= 0 && max(r.Own[0], r.Own[1]) <= math.MaxFloat64) || len(r.Bins) != len(t.scores) || len(r.Effects) != len(t.scores) {
		return fmt.Errorf("%d windows of %d features; expected %d features", r.Windows, len(r.Bins), len(t.scores))
	}
	for k := range r.Bins {
		if len(r.Bins[k]) != len(t.scores[k].of) || !(r.Effects[k] >= 0 && r.Effects[k] <= math.MaxFloat64) {
			return fmt.Errorf("feature %d has %d bins and a design effect of %v; expected %d bins", k, len(r.Bins[k]), r.Effects[k], len(t.scores[k].of))
		}
	}
	if err := r.Hours.check(math.MaxUint64); err != nil {
		return err
	}
	if r.Pairs != nil {
		return r.Pairs.check(t.pairs, math.MaxUint64)
	}
	return nil
}
