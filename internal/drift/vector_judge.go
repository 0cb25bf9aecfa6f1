package drift

import (
	"fmt"
	"math"

	"sluice.io/sluice/internal/infer"
)

// vectorJudge judges a vector of a stream: whether the mean of its cosines is that of the reference.
//
// The whitened difference of the two means has independent normal numbers in clean windows, so its squared length is a sum of
// chi-square variables (Hotelling's statistic). Their mean variance and mean squared variance give scale and degrees of
// freedom (Satterthwaite, Biometrics Bulletin 2, 1946). They contain the error of the reference, rows that depend on each
// other, and heavy tails. The gate is the noncentrality: a difference of so many standard deviations in any direction.
type vectorJudge struct {
	of    *Vector
	white *whitening
	track track
	past  vectorStatus
}

// vectorStatus is what is known of a vector from earlier windows.
type vectorStatus struct {
	By      [numClusterings]smoothed `json:"by"`               // Bins: mean variance, Mean: mean of its square
	Before  *VectorCounts            `json:"before,omitempty"` // the last window
	Run     *VectorCounts            `json:"run,omitempty"`    // the sum of the last windows
	Windows int                      `json:"windows,omitempty"`
	// Usual to Differs are as in learned.
	Usual   usual         `json:"usual,omitzero"`
	From    int64         `json:"from,omitempty"`
	Next    usual         `json:"next,omitzero"`
	Pool    *VectorCounts `json:"pool,omitempty"`
	Differs int           `json:"differs,omitempty"`
}

// newVectorJudges returns nil if no vector is judged.
func newVectorJudges(p *Profile, o *Options) (list []*vectorJudge) {
	if o.Gates.Vector == 0 {
		return nil
	}
	for i := range p.Vectors {
		list = append(list, &vectorJudge{of: &p.Vectors[i], white: newWhitening(&p.Vectors[i]), track: track{State: OK}})
	}
	return list
}

// judgeVectors judges the vectors of a window.
func (d *Tumbling) judgeVectors(w *Window) (found []ranked) {
	for i, v := range d.vectors {
		if i < len(w.Vectors) {
			found = append(found, d.judgeVector(w, v, w.Vectors[i]))
		}
	}
	return found
}

func (d *Tumbling) judgeVector(w *Window, v *vectorJudge, c *VectorCounts) ranked {
	t := &v.track
	r := ranked{finding: Finding{Windows: 1, Rows: c.Rows}}
	if c.Rows < d.options.MinRows || v.white.rank() == 0 {
		return v.finding(t, r)
	}
	own := v.estimate(c)
	v.past.observe(own)
	effect := v.past.with(own, v.white)
	best := v.test(c, effect, d.options.Gates.Vector)
	t.begin(w.Start, best.logP)
	recent, sum := best, c
	if run := v.extend(c); run != nil {
		if recent = v.test(run, effect, d.options.Gates.Vector); recent.logP < best.logP {
			best, sum = recent, run
			r.finding.Windows, r.finding.Rows = v.past.Windows, run.Rows
		}
	}
	t.begin(w.Start, best.logP)
	well := recent.above < t.margin()
	said := d.weighVector(v, c, sum, best.logP, effect)
	well = well || said.usual
	was := *t
	t.observe(evidence{best: said.logP, well: well, rows: w.Rows}, d.limits, d.options.Recover)
	t.mark(&was, said.promised && said.logP < d.limits.detect)
	v.past.Before = c.clone()
	r.logP, r.order = said.logP, said.logP
	f := &r.finding
	f.Value, f.Effect, f.Low, f.High = v.mmd(sum, effect), best.size, best.low, best.high
	f.DesignEffect, f.Unpromised, f.Gate, f.Limit = effect.first, t.Unpromised, GateVector, math.Exp(d.limits.detect)
	switch {
	case t.State == OK:
	case well:
		f.Change = "as in the reference"
	default:
		f.Change = fmt.Sprintf("its vectors differ by %.2g s.d. (%.2g to %.2g) in the direction in which they differ most", best.size, best.low, best.high)
	}
	return v.finding(t, r)
}

// finding sets the fields that all findings have.
func (v *vectorJudge) finding(t *track, r ranked) ranked {
	f := &r.finding
	f.Feature, f.Kind, f.Statistic = v.of.Name, v.of.Kind, StatisticMMD
	f.P, f.State = max(math.Exp(r.logP), 1e-300), t.State
	if t.State != OK {
		began := t.Began
		f.Began = &began
	}
	return r
}

// vectorEffect has the mean variance of the whitened numbers of a row, and the mean of its square, relative to independent normal
// rows.
type vectorEffect struct{ first, cross float64 }

// difference returns the whitened difference from the reference.
func (v *vectorJudge) difference(c *VectorCounts) []float64 {
	y := make([]float64, v.white.rank())
	v.white.of(y, meanOf(c.Sums, c.Rows), v.white.mean)
	return y
}

// noise returns the variance of a whitened number of the difference, and the mean of its square.
func (v *vectorJudge) noise(rows float64, e vectorEffect) (first, cross float64) {
	r := float64(v.white.rank())
	ref := v.white.rows
	// The variance of a squared length has a part from the fourth moment of single rows.
	heavy := max(0, v.of.Fourth-r*(r+2)) / (2 * r)
	first = e.first/rows + v.white.first/ref
	cross = (e.cross+heavy*e.first*e.first/rows)/(rows*rows) + 2*e.first*v.white.first/(rows*ref) + v.white.cross/(ref*ref)
	return first, max(cross, first*first)
}

// test tests whether the difference is larger than a gate.
func (v *vectorJudge) test(c *VectorCounts, e vectorEffect, gate float64) passing {
	r := float64(v.white.rank())
	first, cross := v.noise(float64(c.Rows), e)
	sum, expected := squared(v.difference(c)), r*first
	scale := cross / first
	p := passing{gate: GateVector, logP: noncentralTail(sum/scale, expected/scale, gate*gate/scale)}
	root := func(x float64) float64 { return math.Sqrt(max(0, x)) }
	sd := math.Sqrt(2*r*cross + 4*scale*max(0, sum-expected))
	p.size, p.low, p.high = root(sum-expected), root(sum-expected-1.96*sd), root(sum-expected+1.96*sd)
	p.above = (sum - expected - gate*gate/4) / math.Sqrt(2*r*cross+scale*gate*gate)
	return p
}

// mmd returns the estimate of the MMD, at least 0.
func (v *vectorJudge) mmd(c *VectorCounts, e vectorEffect) float64 {
	mean, sum := meanOf(c.Sums, c.Rows), 0.0
	for i, x := range mean {
		sum += (x - v.white.mean[i]) * (x - v.white.mean[i])
	}
	sum -= v.white.noise * (e.first/float64(c.Rows) + 1/v.white.rows)
	return math.Sqrt(max(0, 2*sum/numCosines))
}

// estimate returns the mean variance and the mean of its square, from halves of the rows: two splits of the same rows have
// differences a and b, with E|a|² the trace of their covariance and E(a·b)² that of its square.
func (v *vectorJudge) estimate(c *VectorCounts) (by [numClusterings]variance) {
	r := float64(v.white.rank())
	for pair := byUser; pair <= byTime; pair++ {
		a, b := v.halves(c, 2*pair), v.halves(c, 2*pair+1)
		if a == nil || b == nil {
			continue
		}
		cross := product(a, b)
		by[pair] = variance{bins: (squared(a) + squared(b)) / 2 / r, mean: cross * cross / r, known: true}
	}
	if o := v.past.Before; o != nil && o.Rows > 0 {
		y := v.between(c.Sums, c.Rows, o.Sums, o.Rows)
		first := squared(y) / r
		by[byWindow] = variance{bins: first, mean: first * first, known: true}
	}
	return by
}

// halves compares the halves of a split; nil if one has too few rows.
func (v *vectorJudge) halves(c *VectorCounts, split int) []float64 {
	h := &c.Halves[split]
	const least = 0.1
	if n, all := float64(h.Rows), float64(c.Rows); min(n, all-n) <= least*all {
		return nil
	}
	other := make([]int64, numCosines)
	for i := range other {
		other[i] = c.Sums[i] - h.Sums[i]
	}
	return v.between(h.Sums, h.Rows, other, c.Rows-h.Rows)
}

// between returns the whitened difference of two samples, times the root of the rows that it is worth.
func (v *vectorJudge) between(a []int64, rowsA uint64, b []int64, rowsB uint64) []float64 {
	y := make([]float64, v.white.rank())
	v.white.of(y, meanOf(a, rowsA), meanOf(b, rowsB))
	root := math.Sqrt(float64(rowsA) * float64(rowsB) / float64(rowsA+rowsB))
	for i := range y {
		y[i] *= root
	}
	return y
}

// observe adds the estimates of a window.
func (s *vectorStatus) observe(by [numClusterings]variance) {
	const independent = 4 // windows that are assumed at first
	for i := range by {
		s.By[i].add(by[i], independent)
	}
}

// with returns what a test assumes of rows with these estimates.
func (s *vectorStatus) with(own [numClusterings]variance, w *whitening) vectorEffect {
	const margin = 1.25 // as in history.weighed
	own[byWindow] = variance{}
	e := vectorEffect{max(1, w.first), max(1, w.cross)}
	for i := range own {
		first := 1 + margin*(max(1, s.By[i].Bins, own[i].bins)-1)
		e.first = max(e.first, first)
		e.cross = max(e.cross, first*first, 1+margin*(s.By[i].Mean-1))
	}
	e.cross = max(min(e.cross, e.first*e.first*float64(max(1, w.rank()))), e.first*e.first)
	return e
}

// extend adds a window to the run, and returns its sum; nil if this is the only window. Small changes of a vector are not
// suspicious in any one window, so a run does not wait for a suspicion. It begins again after maxRun windows, whatever they
// hold, and while there is an alarm.
func (v *vectorJudge) extend(c *VectorCounts) *VectorCounts {
	s := &v.past
	if s.Run == nil || s.Windows >= maxRun || v.track.State == Detected {
		s.Run, s.Windows = c.clone(), 1
		return nil
	}
	s.Run.Merge(c)
	s.Windows++
	return s.Run
}

// weighVector is weigh for a vector.
func (d *Tumbling) weighVector(v *vectorJudge, c, sum *VectorCounts, logP float64, e vectorEffect) weighed {
	if d.learned == nil {
		return weighed{logP: logP, promised: true}
	}
	s, t := &v.past, &v.track
	calibrated := s.Usual.Windows > 0
	said := weighed{logP: logP, promised: s.Differs >= lasting}
	if calibrated {
		said.logP, said.usual = max(logP, s.Usual.tail(-logP, c.Rows)), s.Usual.contains(-logP, c.Rows)
		said.promised = true
	}
	if !said.promised && said.logP < d.limits.detect {
		gates, _ := d.options.gross()
		said.promised = v.test(sum, e, gates.Vector).logP < d.limits.detect
	}
	alarm := t.alarmed() && !t.Unpromised || said.promised && said.logP < d.limits.detect
	if !alarm && !(calibrated && said.logP < d.limits.suspect) {
		s.Next.add(max(0, -logP), c.Rows)
		if s.Pool == nil {
			s.Pool = newVectorCounts()
		}
		s.Pool.Merge(c)
	}
	if d.ending && 2*s.Next.Windows >= d.options.Calibration.Windows {
		s.end(v.test(s.Pool, e, d.options.Gates.Vector).logP < d.limits.detect)
	}
	return said
}

// end ends a round. differs says whether its sum passes the gate.
func (s *vectorStatus) end(differs bool) {
	if differs {
		s.Usual, s.From, s.Differs = usual{}, 0, s.Differs+1
	} else {
		if s.From != 0 {
			s.Usual, s.From = usual{}, 0
		}
		s.Usual.merge(&s.Next)
		s.Differs = 0
	}
	s.Next, s.Pool = usual{}, nil
}

func (s *vectorStatus) clone() vectorStatus {
	c := *s
	c.Before, c.Run, c.Pool = s.Before.clone(), s.Run.clone(), s.Pool.clone()
	c.Usual, c.Next = s.Usual.clone(), s.Next.clone()
	return c
}

// resumeVectors continues from a stored state; an empty one has none.
func (d *Tumbling) resumeVectors(list []vectorStatus) error {
	if len(list) == 0 || len(d.vectors) == 0 {
		return nil
	}
	if len(list) != len(d.vectors) {
		return infer.Errorf(infer.Invalid, "the state of %d vectors; the profile has %d", len(list), len(d.vectors))
	}
	for i := range list {
		s := &list[i]
		if !s.valid() {
			return infer.Errorf(infer.Invalid, "the state of vector '%.60s' is not valid", d.vectors[i].of.Name)
		}
		d.vectors[i].past = s.clone()
	}
	return nil
}

func (s *vectorStatus) valid() bool {
	for i := range s.By {
		if !s.By[i].valid() {
			return false
		}
	}
	for _, c := range [...]*VectorCounts{s.Before, s.Run, s.Pool} {
		if c != nil && c.check(maxVector) != nil {
			return false
		}
	}
	return s.Usual.valid() && s.Next.valid() && s.Differs >= 0 && s.Windows >= 0 && s.Windows <= maxRun &&
		(s.Run == nil) == (s.Windows == 0) && (s.Pool == nil) == (s.Next.Windows == 0)
}
