package rollout

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
)

// planShifts are the differences that a plan tells the power of, in limits of the guardrail.
var planShifts = [...]float64{1.5, 2, 3}

// What a plan assumes of answers if no earlier rollout of the route has compared any. These are cautious: a class with half of the answers
// varies most, and the last of ten values has the smallest part of alpha.
const (
	usualShare     = 0.5
	usualScore     = 0.8
	usualDeviation = 0.2 // of a score
	usualValues    = 10
)

// enoughCompared is the number of compared answers from which a plan takes their means for those of the model.
const enoughCompared = 100

// answered is what a plan knows of the answers of the stable version.
type answered struct {
	assumed bool // nothing is known
	values  int
	share   *Mean // of the class that varies most; nil: no classes
	score   *Mean // the one that varies most; nil: no scores
	numbers bool
	rollout string // that it is known from
}

// answersOf returns what the last rollout of a route that compared answers says of them, else what is assumed.
func answersOf(past []api.Rollout) answered {
	for i := range past {
		for j := range past[i].Evidence {
			e := &past[i].Evidence[j]
			if e.Guardrail != api.GuardrailAnswers || e.Control.Requests < enoughCompared {
				continue
			}
			a := answered{values: max(1, len(e.Values)), rollout: past[i].ID}
			for k := range e.Values {
				v := &e.Values[k]
				if v.Control.N < enoughCompared {
					continue
				}
				one := scale(v.Control, 1/v.Control.N)
				switch {
				case v.Kind == api.ValueNumber:
					a.numbers = true
				case v.Kind == api.ValueShare && (a.share == nil || deviation(one) > deviation(*a.share)):
					a.share = &one
				case v.Kind == api.ValueScore && (a.score == nil || deviation(one) > deviation(*a.score)):
					a.score = &one
				}
			}
			return a
		}
	}
	half, score := meanOf(usualShare, math.Sqrt(usualShare*(1-usualShare))), meanOf(usualScore, usualDeviation)
	return answered{assumed: true, values: usualValues, share: &half, score: &score, numbers: true}
}

// text says what the power of answers rests on.
func (a *answered) text() string {
	if a.assumed {
		return fmt.Sprintf("answers: no rollout of the route has compared answers yet. Assumed are %d values, a class with half of the answers, and a standard deviation of scores of %g",
			a.values, usualDeviation)
	}
	parts := []string{fmt.Sprintf("%d values", a.values)}
	if a.share != nil {
		parts = append(parts, "a class with "+percent(a.share.Sum)+" of the answers")
	}
	if a.score != nil {
		parts = append(parts, fmt.Sprintf("a mean best score of %.3g with a standard deviation of %.3g", a.score.Sum, deviation(*a.score)))
	}
	return fmt.Sprintf("answers: as rollout '%s' has seen those of its control: %s", a.rollout, strings.Join(parts, ", "))
}

// different returns a version of which one value, the last of so many, differs by shift in the unit of the guardrail's limit.
func different(kind string, control Mean, shift, limit, alpha float64, values int) *shifted {
	unit, toward := 1.0, shift
	switch kind {
	case api.ValueNumber:
		unit = deviation(control)
	case api.ValueLoss:
		unit = control.Sum
	case api.ValueScore:
		toward = -shift
	case api.ValueShare:
		if control.Sum+shift > 1 {
			toward = -shift
		}
	}
	mean, spread := control.Sum+toward*unit, deviation(control)
	switch kind {
	case api.ValueShare, api.ValueError:
		if mean < 0 || mean > 1 {
			return nil
		}
		spread = math.Sqrt(mean * (1 - mean))
	case api.ValueScore:
		if mean < 0 {
			return nil
		}
		spread = min(spread, math.Sqrt(mean*max(0, 1-mean)))
	case api.ValueLoss:
		spread *= 1 + shift
	}
	canary := meanOf(mean, spread)
	part := alpha / float64(values*(values+1))
	return &shifted{
		canary: canary, control: control, noise: math.Hypot(spread, deviation(control)) / max(unit, tiny),
		margin: func(canary, control blocked) float64 {
			v := value{kind: kind, canary: stream{blocked: canary}, control: stream{blocked: control}}
			low, high := v.difference(part)
			least, _ := bounds(kind, low, high)
			return least - limit
		},
	}
}

// answersPower adds the power of the guardrail answers.
func (d *planning) answersPower(a *answered) {
	looks := looksOf(d.p, nil)
	s := &d.p.Spec.Answers
	// Of a class, as many more answers as the shift are wrong ones; of a mean, each answer has its part.
	if a.share != nil {
		d.shifts(looks, api.GuardrailAnswers, api.ValueShare, *a.share, s.Tolerance, a.values, func(shift float64) (string, float64) {
			return fmt.Sprintf("a class %.3g points away", 100*shift), shift
		})
	}
	if a.score != nil {
		d.shifts(looks, api.GuardrailAnswers, api.ValueScore, *a.score, s.Tolerance, a.values, func(shift float64) (string, float64) {
			return fmt.Sprintf("a mean best score %.3g points lower", 100*shift), 1
		})
	}
	if a.numbers {
		d.shifts(looks, api.GuardrailAnswers, api.ValueNumber, meanOf(0, 1), s.Deviation, a.values, func(shift float64) (string, float64) {
			return fmt.Sprintf("a mean %.3g standard deviations away", shift), 1
		})
	}
	d.p.Assumptions = append(d.p.Assumptions, a.text())
}

// Labelled is what is known of a stable version's labelled predictions.
type Labelled struct {
	Values []Value // their losses; none: nothing is labelled
	Sample float64 // the part of the requests whose predictions are kept
	Share  float64 // the part of the kept predictions that get a label
	Delay  *api.LabelDelay
}

// arrived returns which part of the labels have come so long after the prediction. Between the known quantiles it is a straight line.
func (l *Labelled) arrived(age time.Duration) float64 {
	if l.Delay == nil {
		return 1
	}
	x, y := time.Duration(0), 0.0
	for _, next := range []struct {
		delay api.Duration
		part  float64
	}{{l.Delay.Median, 0.5}, {l.Delay.P90, 0.9}, {l.Delay.Max, 1}} {
		if to := time.Duration(next.delay); age < to {
			return y + (next.part-y)*float64(age-x)/float64(max(to-x, 1))
		}
		x, y = max(x, time.Duration(next.delay)), next.part
	}
	return 1
}

// lossPower adds the power of the guardrail loss, with as many labels and as late as those of the stable version.
func (d *planning) lossPower(l *Labelled) {
	none := func(why string) { d.p.NotComputed = append(d.p.NotComputed, api.GuardrailLoss+": "+why) }
	if l.Sample == 0 {
		none("no predictions of the model are kept for labels (labels.sample)")
		return
	}
	kept := l.Sample * l.Share
	looks := looksOf(d.p, func(age time.Duration) float64 { return kept * l.arrived(age) })
	known := false
	for _, v := range l.Values {
		if v.N < enoughCompared {
			continue
		}
		known = true
		d.shifts(looks, api.GuardrailLoss, v.Kind, scale(v.Mean, 1/v.N), d.p.Spec.Answers.Loss, len(l.Values), func(shift float64) (string, float64) {
			if v.Kind == api.ValueError {
				return fmt.Sprintf("%.3g points more wrong answers", 100*shift), shift
			}
			return fmt.Sprintf("%.3g × the absolute error", 1+shift), 1
		})
	}
	if !known {
		none(fmt.Sprintf("fewer than %d predictions of the stable version have labels", enoughCompared))
		return
	}
	text := fmt.Sprintf("loss: %s of the requests are kept, and %s of the kept predictions have a label", percent(l.Sample), percent(l.Share))
	if l.Delay != nil {
		text += fmt.Sprintf(", half of them within %v and 90%% within %v", round(l.Delay.Median), round(l.Delay.P90))
	}
	if end := looks[len(looks)-1]; end.n < 1 {
		text += "; none comes before the last step ends"
	} else {
		text += fmt.Sprintf("; about %.0f of the canary's come before the last step ends", end.n)
	}
	d.p.Assumptions = append(d.p.Assumptions, text)
}

func round(d api.Duration) time.Duration {
	t := time.Duration(d)
	if t > time.Minute {
		return t.Round(time.Minute)
	}
	return t.Round(10 * time.Millisecond)
}

// agreementPower adds the power of the guardrail agreement, for the time as a shadow.
func (d *planning) agreementPower() {
	s := &d.p.Spec
	if s.Shadow.For == 0 || s.Shadow.Sample == 0 {
		d.p.NotComputed = append(d.p.NotComputed, api.GuardrailAgreement+": the plan has no time as a shadow")
		return
	}
	shadow := api.RolloutPlan{Rate: d.p.Rate, Steps: []api.PlanStep{{
		RolloutStep: api.RolloutStep{Weight: s.Shadow.Sample, For: s.Shadow.For}, Control: s.Shadow.Sample,
	}}}
	looks := looksOf(&shadow, nil)
	alpha := Share(d.p.Alpha)
	for _, times := range planShifts {
		rate := times * s.Answers.Disagreement
		if rate > 1 {
			continue
		}
		one := meanOf(rate, math.Sqrt(rate*(1-rate)))
		version := shifted{canary: one, control: one, noise: deviation(one), margin: func(canary, _ blocked) float64 {
			m := canary.worth()
			return confseq.MeanBounded(m.N, m.Sum, m.Squares, alpha).Low - s.Answers.Disagreement
		}}
		d.add(&version, looks, api.PlanPower{
			Guardrail: api.GuardrailAgreement, Kind: api.ValueShare, Shift: rate, Change: fmt.Sprintf("other answers in %s of the rows, as a shadow", percent(rate)),
		}, 0)
	}
}

// planning is a plan in the making.
type planning struct {
	p   *api.RolloutPlan
	rng *rand.Rand
}

// shifts adds the power of a guardrail for versions whose value differs. change says how, and which part of the canary's requests is
// answered otherwise.
func (d *planning) shifts(looks []seenSoFar, guardrail, kind string, control Mean, limit float64, values int, change func(shift float64) (string, float64)) {
	for _, times := range planShifts {
		shift := times * limit
		version := different(kind, control, shift, limit, Share(d.p.Alpha), values)
		if version == nil {
			continue // there is no such version
		}
		text, part := change(shift)
		d.add(version, looks, api.PlanPower{Guardrail: guardrail, Kind: kind, Shift: shift, Change: text}, part)
	}
}

func (d *planning) add(version *shifted, looks []seenSoFar, w api.PlanPower, lost float64) {
	found, median := version.walk(d.rng, looks)
	w.Power = found
	if found > 0 {
		w.Median, w.Lost = api.Duration(median.at.Round(time.Second)), lost*median.requests
	}
	d.p.Power = append(d.p.Power, w)
}
