package rollout

import (
	"fmt"
	"math"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
)

// Answers compares values of the answers of the canary and of the control: the shares of classes, the mean best
// score, the means of numbers, or losses.
//
// Both variants get the same share of the same traffic. If the versions do not differ, their means are equal, even if
// the traffic changes. For each value and variant there is a confidence sequence of the mean (package confseq), and
// their difference lies between the differences of their ends, at all times at once, with the probability 1 - alpha for all values
// together: the j-th value has the part 1/((j+1)(j+2)) of alpha, so that values may be added.
//
// Requests of a block of time may depend on each other, so that the means of blocks vary more than those of independent
// requests. The number of requests is divided by that dispersion, as in Guardrail.
type Answers struct {
	name   string
	limits map[string]float64 // the largest difference by the kind of a value
	alpha  float64

	values []*value
	looks  int64
	over   time.Duration        // since the present block began
	judged *api.RolloutEvidence // since the last block; nil: not yet
}

// value is a value of both variants.
type value struct {
	name, kind      string
	canary, control stream
}

// maxValues bounds the values that are compared.
const maxValues = 100

// NewAnswers returns a guardrail. alpha is the probability of a false alarm. Values of a kind without a limit are ignored.
func NewAnswers(name string, limits map[string]float64, alpha float64) *Answers {
	return &Answers{name: name, limits: limits, alpha: alpha}
}

// Resume continues from evidence in the journal.
func (a *Answers) Resume(e api.RolloutEvidence) {
	a.looks, a.judged = e.Looks, nil
	for _, v := range e.Values {
		a.values = append(a.values, &value{
			name: v.Name, kind: v.Kind,
			canary: stream{blocked: blocked{v.Canary, v.CanaryTerms, v.Blocks}}, control: stream{blocked: blocked{v.Control, v.ControlTerms, v.Blocks}},
		})
	}
}

// Begin takes the sums from which on values count.
func (a *Answers) Begin(canary, control []Value) {
	a.each(canary, control, func(s *stream, m Mean) { s.last = m })
}

// each calls f with the sums of each value that is compared.
func (a *Answers) each(canary, control []Value, f func(s *stream, m Mean)) {
	for _, x := range canary {
		if v := a.value(x.Name, x.Kind); v != nil {
			f(&v.canary, x.Mean)
		}
	}
	for _, x := range control {
		if v := a.value(x.Name, x.Kind); v != nil {
			f(&v.control, x.Mean)
		}
	}
}

// Look takes the sums of both variants since the gateway first routed to them; over is how long the last look
// was ago.
func (a *Answers) Look(canary, control []Value, over time.Duration) {
	a.looks++
	a.each(canary, control, (*stream).look)
	if a.over += over; a.over < blockTime {
		return
	}
	a.over, a.judged = 0, nil
	for _, v := range a.values {
		v.take()
	}
}

// value returns a value by its name, nil if it is not compared.
func (a *Answers) value(name, kind string) *value {
	for _, v := range a.values {
		if v.name == name {
			return v
		}
	}
	if _, ok := a.limits[kind]; !ok || len(a.values) >= maxValues {
		return nil
	}
	v := &value{name: name, kind: kind}
	a.values = append(a.values, v)
	return v
}

// take takes the block. If one variant had more requests, they count as many as those of the other: else the variants' means
// would be those of different times.
func (v *value) take() {
	n := min(v.canary.block.N, v.control.block.N)
	if n <= 0 {
		return // wait for the other one
	}
	v.canary.end(n / v.canary.block.N)
	v.control.end(n / v.control.block.N)
}

// interval returns the confidence sequence of the mean of a value.
func (v *value) interval(b *blocked, alpha float64) confseq.Interval {
	m := b.worth()
	switch v.kind {
	case api.ValueShare, api.ValueScore, api.ValueError:
		return confseq.MeanBounded(m.N, m.Sum, min(m.Squares, m.Sum), alpha)
	}
	if i, ok := confseq.MeanUnbounded(m.N, m.Sum, m.Squares, alpha); ok {
		return i
	}
	return confseq.Interval{Low: math.Inf(-1), High: math.Inf(1)}
}

// difference returns the interval of the canary's mean less the control's, in the unit of the limit: a number in
// standard deviations of the control's, a loss in parts of the control's.
func (v *value) difference(alpha float64) (low, high float64) {
	const half = 0.5 // of alpha for each variant
	canary, control := v.interval(&v.canary.blocked, alpha*half), v.interval(&v.control.blocked, alpha*half)
	unit := 1.0
	mean := math.Abs(v.control.all.Sum) / max(1, v.control.all.N)
	switch v.kind {
	case api.ValueNumber:
		const least = 1e-3 // of the mean: the digits of a constant do not matter
		unit = max(deviation(v.control.all), least*mean)
	case api.ValueLoss:
		unit = mean
	}
	if unit = max(unit, tiny); v.control.all.N > 0 && v.canary.all.Sum == 0 && v.control.all.Sum == 0 {
		return 0, 0 // both are always 0
	}
	return (canary.Low - control.High) / unit, (canary.High - control.Low) / unit
}

// tiny is instead of a unit of 0.
const tiny = 1e-30

// Evidence returns what was seen until the last block ended, and the verdict.
func (a *Answers) Evidence() api.RolloutEvidence {
	if a.judged == nil {
		e := a.judge()
		a.judged = &e
	}
	e := *a.judged
	e.Looks = a.looks
	return e
}

// judge computes the intervals, which takes some milliseconds.
func (a *Answers) judge() api.RolloutEvidence {
	e := api.RolloutEvidence{Guardrail: a.name, Looks: a.looks, Verdict: api.VerdictPass, Values: make([]api.RolloutValue, len(a.values))}
	worst := -1.0
	for i, v := range a.values {
		low, high := v.difference(a.alpha / float64((i+1)*(i+2)))
		limit := a.limits[v.kind]
		e.Values[i] = api.RolloutValue{
			Name: v.name, Kind: v.kind, Canary: v.canary.all, Control: v.control.all, Low: api.Number(low), High: api.Number(high), Limit: limit,
			CanaryTerms: v.canary.terms, ControlTerms: v.control.terms, Blocks: v.canary.blocks,
		}
		e.Canary.Requests, e.Control.Requests = max(e.Canary.Requests, int64(v.canary.all.N)), max(e.Control.Requests, int64(v.control.all.N))
		least, most := bounds(v.kind, low, high)
		size := most / limit
		verdict := api.VerdictPass
		switch {
		case least > limit:
			verdict, size = api.VerdictRegress, math.MaxFloat64
		case most > limit:
			verdict = api.VerdictInconclusive
		}
		if verdict == api.VerdictRegress || e.Verdict == api.VerdictPass {
			e.Verdict = verdict
		}
		if size > worst || math.IsNaN(size) {
			worst, e.Why = size, a.why(&e.Values[i], least, most, verdict)
		}
	}
	switch {
	case len(a.values) == 0 && a.looks == 0:
		e.Verdict, e.Why = api.VerdictInconclusive, a.name+": nothing to compare yet"
	case len(a.values) == 0:
		e.Why = a.name + ": nothing that can be compared"
	}
	return e
}

// bounds returns between what the size of a difference is. A better score and a smaller loss are not one.
func bounds(kind string, low, high float64) (least, most float64) {
	switch kind {
	case api.ValueScore:
		return -high, max(0, -low)
	case api.ValueLoss, api.ValueError:
		return low, max(0, high)
	}
	return max(low, -high), max(high, -low)
}

func (a *Answers) why(v *api.RolloutValue, least, most float64, verdict string) string {
	show := func(x float64) string { return fmt.Sprintf("%.3g", x) }
	unit := ""
	switch v.Kind {
	case api.ValueShare, api.ValueError:
		show = percent
	case api.ValueNumber:
		unit = " standard deviations"
	case api.ValueLoss:
		unit = " of the control's"
	}
	mean := func(m Mean) string {
		if m.N == 0 {
			return "-"
		}
		return show(m.Sum / m.N)
	}
	if v.Kind == api.ValueNumber || v.Kind == api.ValueLoss {
		show = func(x float64) string { return fmt.Sprintf("%.3g", x) }
	}
	text := fmt.Sprintf("%s: %s is %s for the canary and %s for the control", a.name, v.Name, mean(v.Canary), mean(v.Control))
	if verdict == api.VerdictRegress {
		return fmt.Sprintf("%s; the difference is at least %s%s, limit %s", text, show(least), unit, show(v.Limit))
	}
	if math.IsInf(most, 0) {
		return text + "; too few to say"
	}
	return fmt.Sprintf("%s; the difference is at most %s%s, limit %s", text, show(most), unit, show(v.Limit))
}

// Agreement bounds how many rows a shadow answers differently.
type Agreement struct {
	limit, alpha float64
	rows         stream
	over         time.Duration
	looks        int64
}

// NewAgreement returns a guardrail. alpha is the probability that a version within the limit regresses.
func NewAgreement(limit, alpha float64) *Agreement { return &Agreement{limit: limit, alpha: alpha} }

// Resume continues from evidence in the journal.
func (a *Agreement) Resume(e api.RolloutEvidence) {
	for _, v := range e.Values {
		a.rows, a.looks = stream{blocked: blocked{v.Canary, v.CanaryTerms, v.Blocks}}, e.Looks
	}
}

// Look takes the disagreement since the shadow was loaded.
func (a *Agreement) Look(m Mean, over time.Duration) {
	a.looks++
	a.rows.look(m)
	if a.over += over; a.over >= blockTime && a.rows.block.N > 0 {
		a.rows.end(1)
		a.over = 0
	}
}

// Evidence returns what was seen and the verdict.
func (a *Agreement) Evidence() api.RolloutEvidence {
	m := a.rows.worth()
	i := confseq.MeanBounded(m.N, m.Sum, min(m.Squares, m.Sum), a.alpha)
	e := api.RolloutEvidence{
		Guardrail: api.GuardrailAgreement, Canary: api.RolloutRate{Requests: int64(a.rows.all.N)}, Looks: a.looks, Verdict: api.VerdictInconclusive,
		Values: []api.RolloutValue{{
			Name: "disagreement", Kind: api.ValueShare, Canary: a.rows.all, Low: api.Number(i.Low), High: api.Number(i.High), Limit: a.limit,
			CanaryTerms: a.rows.terms, Blocks: a.rows.blocks,
		}},
	}
	text := fmt.Sprintf("%s: the shadow disagrees in %s of the rows of %.0f requests", api.GuardrailAgreement, percent(a.rows.all.Sum/max(1, a.rows.all.N)), a.rows.all.N)
	switch {
	case a.rows.all.N == 0:
		e.Why = api.GuardrailAgreement + ": no answers to compare"
	case i.Low > a.limit:
		e.Verdict, e.Why = api.VerdictRegress, fmt.Sprintf("%s, at least %s, limit %s", text, percent(i.Low), percent(a.limit))
	case i.High <= a.limit:
		e.Verdict, e.Why = api.VerdictPass, fmt.Sprintf("%s, at most %s, limit %s", text, percent(i.High), percent(a.limit))
	default:
		e.Why = fmt.Sprintf("%s, at most %s, limit %s", text, percent(i.High), percent(a.limit))
	}
	return e
}
