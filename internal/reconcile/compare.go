package reconcile

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/confseq"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/rollout"
	"sluice.io/sluice/internal/shadow"
)

// comparedShadow records for a shadow of a route, and compares its answers with those that callers got. It
// implements shadow.Recorder.
type comparedShadow struct {
	*metrics.Shadow

	mu      sync.Mutex
	leased  *registry.Leased // the loaded version that the comparisons are about
	options compare.Options
	with    map[int64]*comparedWith // by the version that answered callers
}

// comparedWith is the comparison with a version that answered callers.
type comparedWith struct {
	since        time.Time
	failed       int
	answers      *compare.Comparison
	disagreement rollout.Mean
}

// of begins new comparisons if the shadow was loaded again.
func (c *comparedShadow) of(leased *registry.Leased, s config.Shadow) *comparedShadow {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leased == leased && c.options.Tolerance == s.Tolerance && c.options.Payloads == s.Payloads {
		return c
	}
	c.leased, c.with = leased, map[int64]*comparedWith{}
	c.options = compare.Options{Tolerance: s.Tolerance, Payloads: s.Payloads, Labels: compare.LabelsOf(leased.Model().Outputs)}
	return c
}

// Answered implements shadow.Recorder.
func (c *comparedShadow) Answered(p *shadow.Pair) {
	c.Shadow.Answered(p.Err, p.ShadowElapsed)
	if code := infer.CodeOf(p.Err); code == infer.Canceled || code == infer.Overloaded {
		return // it says nothing about the version's answers
	}
	c.Compared(c.compare(p))
}

// compare compares an answer, and returns the share of its rows that disagree.
func (c *comparedShadow) compare(p *shadow.Pair) (disagreement float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.with[p.Primary.Number]
	if w == nil {
		w = &comparedWith{since: time.Now(), answers: compare.New(c.options)}
		c.with[p.Primary.Number] = w
	}
	if p.Err != nil {
		w.failed++
		disagreement = 1
	} else {
		disagreement = w.answers.Add(&compare.Pair{
			ID: p.Request.RequestID, Inputs: p.Request.Inputs, Reference: p.PrimaryOutputs, Candidate: p.ShadowOutputs,
			ReferenceTook: p.PrimaryTiming.Compute, CandidateTook: p.ShadowTiming.Compute,
		})
	}
	w.disagreement = w.disagreement.With(disagreement)
	return disagreement
}

// total returns the disagreement with all versions that answered callers.
func (c *comparedShadow) total() (m rollout.Mean) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.with {
		m = m.Plus(w.disagreement)
	}
	return m
}

// reports returns the comparisons, sorted by the version that answered callers.
func (c *comparedShadow) reports(version int64) (list []api.ShadowComparison) {
	const alpha = 0.05
	c.mu.Lock()
	defer c.mu.Unlock()
	for against, w := range c.with {
		d := w.disagreement
		interval := confseq.MeanBounded(d.N, d.Sum, d.Squares, alpha)
		list = append(list, api.ShadowComparison{
			Comparison: w.answers.Report(), Version: version, Against: against, Since: w.since, Failed: w.failed,
			Disagreement: api.Number(d.Sum / d.N), Low: api.Number(interval.Low), High: api.Number(interval.High),
		})
	}
	slices.SortFunc(list, func(a, b api.ShadowComparison) int { return cmp.Compare(a.Against, b.Against) })
	return list
}

// ShadowReport compares the answers of a route's shadows with those that callers got. It fails with NotFound.
func (r *Reconciler) ShadowReport(name string) (api.ShadowReport, error) {
	v, err := r.routeView(name)
	if err != nil {
		return api.ShadowReport{}, err
	}
	report := api.ShadowReport{Route: v.route.Name, Model: v.route.Model, Shadows: []api.ShadowComparison{}}
	for i, s := range v.route.Shadows {
		list := v.shadows[i].reports(s.Version)
		if len(list) == 0 {
			nan := api.Number(math.NaN())
			list = []api.ShadowComparison{{Version: s.Version, Disagreement: nan, Low: 0, High: 1, Comparison: compare.New(compare.Options{}).Report()}}
		}
		report.Shadows = append(report.Shadows, list...)
	}
	return report, nil
}
