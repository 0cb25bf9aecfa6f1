package drift

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"
)

// Tumbling is the Detector for consecutive windows. It judges every window alone and, during a
// suspicion, together with those before it.
//
// For each feature and stream it keeps four states of 64 bytes and, while a feature is suspected,
// the sum of its windows, up to 400 bytes more.
type Tumbling struct {
	profile *Profile
	options Options
	limits  alarmLimits
	tracks  [][1 + len(qualities)]track // by feature: its bins, then its qualities
	history []history                   // of the rows, by feature
	scores  []scores                    // of the bins, by feature
	weekly  []*weekly                   // by feature; nil: it has no hours
	singles []float64                   // the design effect of one number in the current window, by feature; 0: not judged

	vectors  []*vectorJudge
	together *together // nil: features are judged one by one only
	learned  []learned // by feature; nil without a calibration
	round    round
	expected []expected // of several features together
	breaker  *breaker   // nil: no breaks are looked for
	ending   bool       // the round ends with the window that is judged
}

var _ Resumable = (*Tumbling)(nil)

// NewDetector returns a detector in the state OK. The profile must not change.
func NewDetector(p *Profile, o Options) (*Tumbling, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Tumbling{profile: p, options: o, limits: o.thresholds(len(p.Features), p.numPairs(), len(p.Vectors)), together: newTogether(p, &o.Gates)}
	d.tracks, d.history = make([][1 + len(qualities)]track, len(p.Features)), make([]history, len(p.Features))
	d.scores, d.singles = make([]scores, len(p.Features)), make([]float64, len(p.Features))
	d.weekly = make([]*weekly, len(p.Features))
	for i := range d.tracks {
		for j := range d.tracks[i] {
			d.tracks[i][j].State = OK
		}
		if !p.Features[i].IsCategory() { // categories have no order, so no mean
			d.scores[i] = scoresOf(p.Features[i].Reference.Bins)
		}
		d.weekly[i] = newWeekly(&p.Features[i])
	}
	if o.Calibration.Windows > 0 {
		d.learned = make([]learned, len(p.Features))
	}
	d.breaker = d.newBreaker()
	d.vectors = newVectorJudges(p, &o)
	return d, nil
}

// Options returns the options.
func (d *Tumbling) Options() Options { return d.options }

// ranked is a finding and the logarithm of its p-value. It is ranked by order: by logP, but without
// the design effect for quality, since findings about the same rows differ only by its noise.
type ranked struct {
	finding     Finding
	logP, order float64
}

// Judge judges the next window. Its counts must fit the profile; use CheckWindow for a window from
// elsewhere.
func (d *Tumbling) Judge(w Window) Verdict {
	if len(w.Counts) != len(d.profile.Features) {
		panic(fmt.Sprintf("BUG: drift: a window of %d features for a profile of %d", len(w.Counts), len(d.profile.Features)))
	}
	defer d.breaker.next(&w)
	v := Verdict{Window: Span{Start: w.Start, End: w.End}, Rows: w.Rows, Features: []Finding{}, Quality: []Finding{}}
	if w.Rows < d.options.MinRows {
		v.Reason = fmt.Sprintf("the window has %d rows; expected at least %d", w.Rows, d.options.MinRows)
		v.State, v.Began = d.state()
		return v
	}
	w = d.inHours(w)
	d.ending = d.round.count(&w, &d.options)
	features := make([]ranked, 0, len(w.Counts))
	var quality []ranked
	clear(d.singles)
	for i := range w.Counts {
		f, c := &d.profile.Features[i], &w.Counts[i]
		if len(c.Bins) != len(f.Edges)+1 || len(c.Bins) > MaxBins {
			panic(fmt.Sprintf("BUG: drift: %s has %d bins in a window and %d edges in the profile", f.Name, len(c.Bins), len(f.Edges)))
		}
		judged, inflated := d.judgeBins(&w, i)
		features = append(features, judged)
		for j := range qualities {
			if r, ok := d.judgeQuality(&w, i, j, inflated); ok {
				quality = append(quality, r)
			}
			if d.options.Clustered {
				d.history[i].Flaws[j].passed(&w.Counts[i], j)
			}
		}
	}
	features = append(features, d.judgeTogether(&w)...)
	features = append(features, d.judgeVectors(&w)...)
	if d.ending {
		d.round.next(&w)
	}
	v.Features, v.Quality = rank(features), rank(quality)
	v.State, v.Began = d.state()
	return v
}

// judgeQuality compares the share of flawed values. ok is false if there is nothing to report. The
// design effect is at least that of the bins.
func (d *Tumbling) judgeQuality(w *Window, i, j int, inflated float64) (ranked, bool) {
	statistic, t := qualities[j], &d.tracks[i][1+j]
	window := qualityOf(statistic, &w.Counts[i])
	if window.bad == 0 && t.idle() {
		return ranked{}, false
	}
	f, c := d.against(i, &w.Counts[i])
	ref := referenceQuality(statistic, f)
	tolerance := d.options.quality(statistic)
	if tolerance == 0 {
		return ranked{}, false
	}
	r := ranked{finding: Finding{Value: window.bad, Windows: 1, Rows: uint64(window.rows)}}
	if ref.rows == 0 || window.rows < float64(d.options.MinRows) {
		return d.finding(f, statistic, t, r), t.told()
	}
	if d.options.Clustered {
		inflated = max(inflated, d.history[i].Flaws[j].effect(c, j, window, d.limits))
	}
	r.order = excessTail(window, ref, allowance{gain: tolerance})
	isWell := aboveShare(window, ref, allowance{gain: tolerance}, inflated, 1) < t.margin()
	window = fraction{bad: window.bad / inflated, rows: window.rows / inflated}
	r.finding.DesignEffect = inflated
	r.logP = excessTail(window, ref, allowance{gain: tolerance})
	r.finding.Effect, r.finding.Low, r.finding.High = excess(window, ref)
	if d.options.Gates == (Gates{}) {
		isWell = r.finding.Effect < tolerance/2
	} else {
		r.finding.Limit = math.Exp(d.limits.detect)
	}
	broke := d.brokenIn(w, i, 1+j)
	if broke != nil {
		r.logP, isWell, r.finding.Gate = min(r.logP, broke.logP), false, GateBreak
	}
	t.begin(w.Start, r.logP)
	t.observe(evidence{best: r.logP, well: isWell, rows: c.N()}, d.limits, d.options.Recover)
	if t.State != OK {
		r.finding.Change = percent(window.value()) + " of the rows, " + percent(qualityOf(statistic, &f.Reference).value()) + " in the reference"
		if statistic == StatisticNew {
			r.finding.Change += describeFresh(c)
		}
		if broke != nil {
			r.finding.Change = broke.change
		}
	}
	return d.finding(f, statistic, t, r), window.bad > 0 || t.told()
}

// finding sets the fields that all findings have.
func (d *Tumbling) finding(f *Feature, statistic string, t *track, r ranked) ranked {
	r.finding.Feature, r.finding.Kind, r.finding.Statistic = f.Name, f.Kind, statistic
	r.finding.P = max(math.Exp(r.logP), 1e-300)
	r.finding.State = t.State
	if t.State != OK {
		began := t.Began
		r.finding.Began = &began
		if !t.From.IsZero() {
			from, to := t.From, t.To
			r.finding.BeganFrom, r.finding.BeganTo = &from, &to
		}
	}
	return r
}

// rank orders findings by evidence, the strongest first.
func rank(all []ranked) []Finding {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &all[i], &all[j]
		return cmp.Or(
			cmp.Compare(a.order, b.order),
			cmp.Compare(b.finding.Effect, a.finding.Effect),
			cmp.Compare(a.finding.Kind, b.finding.Kind), // an input before the outputs that depend on it
			cmp.Compare(a.finding.Feature, b.finding.Feature),
			cmp.Compare(a.finding.Statistic, b.finding.Statistic),
		)
	})
	findings := make([]Finding, len(all))
	for i, from := range order {
		findings[i] = all[from].finding
	}
	return findings
}

// State returns the state of the stream: the most severe state of its findings.
func (d *Tumbling) State() string {
	state, _ := d.state()
	return state
}

// state also returns when the first finding in that state began.
func (d *Tumbling) state() (string, *time.Time) {
	state := OK
	var began *time.Time
	for t := range d.all() {
		switch s := severity(t.State) - severity(state); {
		case s > 0, s == 0 && t.State != OK && t.Began.Before(*began):
			at := t.Began
			state, began = t.State, &at
		default:
		}
	}
	return state, began
}

// all yields the states of all findings.
func (d *Tumbling) all() iter.Seq[*track] {
	return func(yield func(*track) bool) {
		for i := range d.tracks {
			for j := range d.tracks[i] {
				if !yield(&d.tracks[i][j]) {
					return
				}
			}
		}
		for _, v := range d.vectors {
			if !yield(&v.track) {
				return
			}
		}
		if d.together == nil || !yield(&d.together.joint) {
			return
		}
		for k := range d.together.correlations {
			if !yield(&d.together.correlations[k]) {
				return
			}
		}
	}
}
