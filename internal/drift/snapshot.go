package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// Snapshot is the state of a detector between two windows. A detector restored from it gives the
// same verdicts.
type Snapshot struct {
	Options  Options         `json:"options"`
	Findings []FindingStatus `json:"findings"` // only those with something to remember
	// History has what is known of each feature from earlier windows, in the order of the profile. It is empty in
	// documents of earlier releases.
	History []history `json:"history,omitempty"`
	// Together is what several features have together.
	Together *TogetherStatus `json:"together,omitempty"`
	// Learned is what was learned of clean windows, in the order of the profile, and Round the progress of the
	// current round. They are empty without a calibration.
	Learned []learned `json:"learned,omitempty"`
	Round   round     `json:"round,omitzero"`
	// Vectors has the same for the vectors of the profile, in their order.
	Vectors []vectorStatus `json:"vectors,omitempty"`
	// Expected is the same for several features together: their means, then the correlations by paired feature.
	Expected []expected `json:"expected,omitempty"`
}

// TogetherStatus has the last windows of the paired features, and what is known of their dependence.
type TogetherStatus struct {
	Run  run       `json:"run"`
	Past jointPast `json:"past"`
}

// FindingStatus is the state of one finding.
type FindingStatus struct {
	Feature   string `json:"feature"`
	Kind      string `json:"kind"`
	Statistic string `json:"statistic"`
	track
}

// Snapshot returns a copy of the detector's state.
func (d *Tumbling) Snapshot() Snapshot {
	s := Snapshot{Options: d.options, Findings: []FindingStatus{}, History: cloned(d.history), Round: d.round, Expected: clonedExpected(d.expected)}
	if d.learned != nil {
		s.Learned = make([]learned, len(d.learned))
		for i := range d.learned {
			s.Learned[i] = d.learned[i].clone()
		}
	}
	for i := range d.tracks {
		for j := range d.tracks[i] {
			t := d.tracks[i][j]
			if t.idle() {
				continue
			}
			if t.Run != nil {
				run := d.profile.Features[i].newSplitCounts()
				run.Merge(*t.Run)
				t.Run = &run
			}
			f := &d.profile.Features[i]
			s.Findings = append(s.Findings, FindingStatus{Feature: f.Name, Kind: f.Kind, Statistic: statisticAt(j), track: t})
		}
	}
	if t := d.together; t != nil {
		t.saved(&s, d.profile)
	}
	for _, v := range d.vectors {
		s.Vectors = append(s.Vectors, v.past.clone())
		if !v.track.idle() {
			s.Findings = append(s.Findings, FindingStatus{Feature: v.of.Name, Kind: v.of.Kind, Statistic: StatisticMMD, track: v.track})
		}
	}
	return s
}

// saved adds the state of the paired features to a snapshot.
func (t *together) saved(s *Snapshot, p *Profile) {
	s.Together = &TogetherStatus{Run: t.run.clone(), Past: t.past.clone()}
	if !t.joint.idle() {
		s.Findings = append(s.Findings, FindingStatus{Feature: JointFeature, Kind: KindJoint, Statistic: StatisticJoint, track: t.joint})
	}
	for k := range t.correlations {
		if tr := t.correlations[k]; !tr.idle() {
			f := &p.Features[t.pairs.Features[k]]
			s.Findings = append(s.Findings, FindingStatus{Feature: f.Name, Kind: f.Kind, Statistic: StatisticCorrelation, track: tr})
		}
	}
}

// Restore makes a detector from a snapshot. The options come from the caller, since they may have
// changed.
func Restore(p *Profile, o Options, s Snapshot) (*Tumbling, error) {
	d, err := NewDetector(p, o)
	if err != nil {
		return nil, err
	}
	if len(s.History) > 0 {
		if err := checkHistory(p, s.History); err != nil {
			return nil, err
		}
		d.history = cloned(s.History)
	}
	if err := d.resume(&s); err != nil {
		return nil, err
	}
	type key struct{ feature, kind, statistic string }
	places := make(map[key]*track)
	features := make(map[string]*Feature)
	for i := range d.tracks {
		f := &p.Features[i]
		features[f.Kind+"/"+f.Name] = f
		for j := range d.tracks[i] {
			places[key{f.Name, f.Kind, statisticAt(j)}] = &d.tracks[i][j]
		}
	}
	if t := d.together; t != nil {
		if err := t.restore(s.Together); err != nil {
			return nil, err
		}
		places[key{JointFeature, KindJoint, StatisticJoint}] = &t.joint
		for k, i := range p.Pairs.Features {
			places[key{p.Features[i].Name, p.Features[i].Kind, StatisticCorrelation}] = &t.correlations[k]
		}
	}
	if err := d.resumeVectors(s.Vectors); err != nil {
		return nil, err
	}
	for _, v := range d.vectors {
		places[key{v.of.Name, v.of.Kind, StatisticMMD}] = &v.track
	}
	for _, saved := range s.Findings {
		bad := func(why string) error {
			return infer.Errorf(infer.Invalid, "state of %s %s, %s: %s", saved.Kind, saved.Feature, saved.Statistic, why)
		}
		t := places[key{saved.Feature, saved.Kind, Statistic(saved.Statistic)}]
		if t == nil {
			return nil, bad("the profile has no such feature")
		}
		if why := saved.check(features[saved.Kind+"/"+saved.Feature]); why != "" {
			return nil, bad(why)
		}
		if !t.idle() && !saved.graver(t) { // earlier releases had two states for this one
			continue
		}
		*t = saved.track
		if saved.Run != nil {
			run := Counts{Bins: make([]uint64, len(saved.Run.Bins)), Halves: make([]Halves, len(saved.Run.Bins))}
			run.Merge(*saved.Run)
			t.Run = &run
		}
	}
	return d, nil
}

// cloned copies design effects with their windows.
func cloned(all []history) []history {
	all = slices.Clone(all)
	for i := range all {
		all[i].Before, all[i].Seen = slices.Clone(all[i].Before), slices.Clone(all[i].Seen)
	}
	return all
}

// checkHistory returns an error if stored design effects are not valid for a profile.
func checkHistory(p *Profile, all []history) error {
	if len(all) != len(p.Features) {
		return infer.Errorf(infer.Invalid, "history: %d features; the profile has %d", len(all), len(p.Features))
	}
	for i := range all {
		if n := len(all[i].Before); n != 0 && n != len(p.Features[i].Edges)+1 {
			return infer.Errorf(infer.Invalid, "history: %s %s has %d bins; the profile has %d", p.Features[i].Kind, p.Features[i].Name, n, len(p.Features[i].Edges)+1)
		}
		if err := all[i].Hours.check(maxRows); err != nil {
			return infer.Errorf(infer.Invalid, "history of %s %s: %s", p.Features[i].Kind, p.Features[i].Name, err.Msg)
		}
		for j := range all[i].Flaws {
			if !all[i].Flaws[j].valid() {
				return infer.Errorf(infer.Invalid, "history: the flawed values of %s %s are not valid", p.Features[i].Kind, p.Features[i].Name)
			}
		}
		if h := &all[i]; h.Clean < 0 || h.Clean > maxSmoothed || !(h.Usual >= 0 && h.Usual <= math.MaxFloat64) {
			return infer.Errorf(infer.Invalid, "history: the usual effect of %s %s is not valid", p.Features[i].Kind, p.Features[i].Name)
		}
		for _, s := range all[i].Seen {
			if len(all[i].Seen) > maxSeen || !(s.Rows >= 0 && s.Rows <= math.MaxFloat32 && math.Abs(float64(s.Mean)) <= math.MaxFloat32 && s.Root >= 0 && s.Root <= math.MaxFloat32) {
				return infer.Errorf(infer.Invalid, "history: the last windows of %s %s are not valid", p.Features[i].Kind, p.Features[i].Name)
			}
		}
		for _, s := range all[i].By {
			if !s.valid() {
				return infer.Errorf(infer.Invalid, "history: the values of %s %s are not valid", p.Features[i].Kind, p.Features[i].Name)
			}
		}
	}
	return nil
}

func (s *smoothed) valid() bool {
	return s.Windows >= 0 && s.Windows <= maxSmoothed && s.Bins >= 0 && s.Mean >= 0 && s.Bins <= math.MaxFloat64 && s.Mean <= math.MaxFloat64
}

// check returns the error in a stored state, "" if there is none.
func (t *track) check(f *Feature) string {
	switch t.State {
	case OK, Suspected:
		if t.Calm != 0 {
			return "it recovers but was not detected"
		}
	case Recovering:
	case Detected:
		if t.Run != nil || t.Windows != 0 {
			return "it collects evidence although it is detected"
		}
	default:
		return "unknown state " + t.State
	}
	switch {
	case t.Former.IsZero() && t.Quiet != 0 || t.Quiet > relapseRows:
		return "its number of quiet rows is not valid"
	case t.Began.IsZero() && (t.Former.IsZero() || t.State != OK || t.Run != nil):
		return "the time when it began is missing"
	case t.Calm < 0 || t.Windows < 0 || t.Windows > maxRun || (t.Windows == 0) != (t.Run == nil):
		return "its numbers of windows are not valid"
	case t.Run != nil && f == nil:
		return "it has the run of a feature"
	case t.Run != nil:
		if err := checkCounts(f, t.Run, maxRows); err != nil {
			return err.Msg
		}
	}
	return ""
}

func statisticAt(j int) string {
	if j == 0 {
		return StatisticG
	}
	return qualities[j-1]
}
