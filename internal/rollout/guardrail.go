package rollout

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/mathext"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
)

// ratios are the ratios of rates that a Guardrail looks for, as multiples of its limit.
var ratios = [...]float64{1.1, 1.25, 1.5, 2, 3, 5, 10, 30}

// Guardrail compares how many requests of the canary and of the control were bad.
//
// If the rates of both are equal, each bad request is one of the canary's with the probability w, the
// canary's share of the requests at that time, whatever the rate is and however it changes. So the
// numbers of bad requests are compared given their sum, and requests that fail together
// in both do no harm. The likelihood ratio for a ratio r of the rates against the limit is a
// supermartingale if the true ratio is within the limit, also if w changes, and so is a mixture
// over r: by Ville's inequality the probability that it ever reaches 1/alpha is at most alpha (Lindon and Malek:
// Anytime-valid inference for multinomial count data, 2022).
//
// If a client retries, several requests of one variant fail together, and they are not independent. The counts
// of blocks then vary more than those of independent requests. The logs of the ratios are divided by that dispersion, as in a quasi-likelihood (McCullagh and Nelder: Generalized Linear Models, 1989, chapter 9).
type Guardrail struct {
	name  string
	limit api.Limit
	alpha float64

	canary, control api.RolloutRate
	logs            [len(ratios)]float64
	looks           int64

	block    block
	squares  float64 // of the deviations of the blocks' bad requests
	variance float64 // what the squares would be if requests were independent
}

// block is a time in which requests may depend on each other.
type block struct {
	canary, control api.RolloutRate
	over            time.Duration
}

// A block ends after blockTime, or with blockBad bad requests: a version that fails many is found at once.
const (
	blockTime = 10 * time.Second
	blockBad  = 30
)

// The dispersion before any block is priorDispersion, which counts as much as about twenty bad requests.
// With less, a few groups at the beginning would be taken for evidence (benchmarks/results/rollouts.md).
const (
	priorDispersion = 3
	priorVariance   = 5
)

// NewGuardrail returns a guardrail. alpha is the probability of a false alarm.
func NewGuardrail(name string, limit api.Limit, alpha float64) *Guardrail {
	return &Guardrail{name: name, limit: limit, alpha: alpha}
}

// Resume continues from evidence in the journal.
func (g *Guardrail) Resume(e api.RolloutEvidence) {
	if len(e.Logs) == len(g.logs) {
		g.logs = [len(ratios)]float64(e.Logs)
		g.canary, g.control, g.looks = e.Canary, e.Control, e.Looks
		g.squares, g.variance = e.Squares, e.Variance
	}
}

// Look takes the requests since the last look, over was how long ago.
func (g *Guardrail) Look(canary, control api.RolloutRate, over time.Duration) {
	g.canary, g.control = sum(g.canary, canary), sum(g.control, control)
	if canary.Requests+control.Requests > 0 {
		g.looks++
	}
	b := &g.block
	b.canary, b.control, b.over = sum(b.canary, canary), sum(b.control, control), b.over+over
	if b.over >= blockTime || b.canary.Bad+b.control.Bad >= blockBad {
		g.take(b)
		*b = block{}
	}
}

func sum(a, b api.RolloutRate) api.RolloutRate {
	return api.RolloutRate{Requests: a.Requests + b.Requests, Bad: a.Bad + b.Bad}
}

// take takes a block that has ended.
func (g *Guardrail) take(b *block) {
	bad := float64(b.canary.Bad + b.control.Bad)
	if b.canary.Requests == 0 || b.control.Requests == 0 || bad == 0 {
		return // nothing to compare
	}
	w := float64(b.canary.Requests) / float64(b.canary.Requests+b.control.Requests)
	part := func(r float64) float64 { return w * r / (w*r + 1 - w) } // of the bad requests
	p0 := part(g.limit.Ratio)
	for i, r := range ratios {
		p1 := part(g.limit.Ratio * r)
		g.logs[i] += float64(b.canary.Bad)*math.Log(p1/p0) + float64(b.control.Bad)*math.Log((1-p1)/(1-p0))
	}
	p := part(g.ratio()) // the estimated ratio: a version that is worse must not raise the dispersion
	deviation := float64(b.canary.Bad) - bad*p
	g.squares += deviation * deviation
	g.variance += bad * p * (1 - p)
}

// ratio returns that of the rates so far.
func (g *Guardrail) ratio() float64 {
	const some = 0.5 // so that there is one from the first bad request on
	return (float64(g.canary.Bad) + some) / (float64(g.canary.Requests) + 1) * (float64(g.control.Requests) + 1) / (float64(g.control.Bad) + some)
}

// dispersion returns by how much counts vary more than those of independent requests, at least 1.
func (g *Guardrail) dispersion() float64 {
	return max(1, (priorVariance*priorDispersion+g.squares)/(priorVariance+g.variance))
}

// logE returns the log of the evidence.
func (g *Guardrail) logE() float64 {
	largest := math.Inf(-1)
	for _, l := range g.logs {
		largest = max(largest, l)
	}
	sum, d := 0.0, g.dispersion()
	for _, l := range g.logs {
		sum += math.Exp((l - largest) / d)
	}
	return largest/d + math.Log(sum/float64(len(g.logs)))
}

// Regresses reports whether the evidence that the canary is worse has reached the threshold.
func (g *Guardrail) Regresses() bool { return g.logE() >= math.Log(1/g.alpha) }

// maxE is the largest evidence that is shown: JSON has no infinity.
const maxE = 1e12

// Evidence returns what was seen and the verdict.
func (g *Guardrail) Evidence() api.RolloutEvidence {
	e := api.RolloutEvidence{
		Guardrail: g.name, Canary: g.canary, Control: g.control, Looks: g.looks,
		EValue: min(math.Exp(g.logE()), maxE), Threshold: 1 / g.alpha, Logs: slices.Clone(g.logs[:]), Verdict: api.VerdictInconclusive,
		Dispersion: g.dispersion(), Squares: g.squares, Variance: g.variance,
	}
	upper := rate(g.canary, g.alpha/2, e.Dispersion).High
	lower := rate(g.control, g.alpha/2, e.Dispersion).Low
	e.Excess = upper - lower
	rates := fmt.Sprintf("%s of the canary's %d requests and %s of the control's %d", percent(g.canary.Rate()), g.canary.Requests, percent(g.control.Rate()), g.control.Requests)
	switch {
	case e.EValue >= e.Threshold:
		e.Verdict = api.VerdictRegress
		e.Why = fmt.Sprintf("%s: %s; e-value %.3g, threshold %.3g", g.name, rates, e.EValue, e.Threshold)
	case g.canary.Requests == 0 || g.control.Requests == 0:
		e.Why = g.name + ": no requests to compare"
	case e.Excess <= g.limit.Tolerance:
		e.Verdict = api.VerdictPass
		e.Why = fmt.Sprintf("%s: %s; at most %s more, tolerance %s", g.name, rates, percent(e.Excess), percent(g.limit.Tolerance))
	default:
		e.Why = fmt.Sprintf("%s: %s; up to %s more is possible, tolerance %s", g.name, rates, percent(e.Excess), percent(g.limit.Tolerance))
	}
	return e
}

// rate returns the interval of a rate, as that of as many independent requests as they are worth.
func rate(r api.RolloutRate, alpha, dispersion float64) confseq.Interval {
	return confseq.MeanBinary(float64(r.Requests)/dispersion, float64(min(r.Bad, r.Requests))/dispersion, alpha)
}

func percent(x float64) string { return fmt.Sprintf("%.3g%%", 100*x) }

// Split checks that requests without a sticky key reach canary and control as the weights say. A mismatch is a
// fault of the gateway or of what is before it, and makes every comparison doubtful. The evidence is
// the beta-binomial probability of the counts, with a prior around the configured share, against the binomial one
// (Lindon and Malek, as above). It begins again when the weights change, and the products are
// evidence too.
type Split struct {
	alpha, before         float64 // before is the log of the evidence of earlier weights
	share                 float64 // of the present weights
	canary, control       int64   // since they are
	allCanary, allControl int64
}

// NewSplit returns a check whose probability of a false alarm is alpha.
func NewSplit(alpha float64) *Split { return &Split{alpha: alpha} }

// strength of the prior: it expects shares that differ by some percent of themselves.
const strength = 1000

// Look takes the requests by chance since the last look, and the canary's part of the weights of both.
func (s *Split) Look(canary, control int64, share float64) {
	if share != s.share {
		s.before, s.share, s.canary, s.control = s.logE(), share, 0, 0
	}
	s.canary += canary
	s.control += control
	s.allCanary += canary
	s.allControl += control
}

func (s *Split) logE() float64 {
	if s.share <= 0 || s.share >= 1 {
		return s.before
	}
	a, b := strength*s.share, strength*(1-s.share)
	x, y := float64(s.canary), float64(s.control)
	return s.before + mathext.Lbeta(a+x, b+y) - mathext.Lbeta(a, b) - x*math.Log(s.share) - y*math.Log(1-s.share)
}

// Evidence returns what was seen and the verdict, which is never a pass.
func (s *Split) Evidence() api.RolloutEvidence {
	e := api.RolloutEvidence{
		Guardrail: api.GuardrailSplit, Canary: api.RolloutRate{Requests: s.allCanary}, Control: api.RolloutRate{Requests: s.allControl},
		EValue: min(math.Exp(s.logE()), maxE), Threshold: 1 / s.alpha, Verdict: api.VerdictPass,
		Why: fmt.Sprintf("split: %d requests by chance for the canary, %d for the control", s.allCanary, s.allControl),
	}
	if e.EValue >= e.Threshold {
		e.Verdict = api.VerdictRegress
		e.Why += fmt.Sprintf("; the weights do not explain that, e-value %.3g, threshold %.3g", e.EValue, e.Threshold)
	}
	return e
}
