package reconcile

import (
	"cmp"
	"math"
	"slices"
	"strconv"
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
	named   map[string]bool     // the outputs whose elements have the names of classes
	labels  map[string][]string // these names
	with    map[int64]*comparedWith
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
	options := compare.Options{Tolerance: s.Tolerance, Payloads: s.Payloads}
	if c.leased == leased && c.options == options {
		return c
	}
	c.leased, c.options, c.with = leased, options, map[int64]*comparedWith{}
	c.named, c.labels = map[string]bool{}, map[string][]string{}
	outputs := leased.Model().Outputs
	for i := range outputs {
		if len(outputs[i].Labels) > 0 {
			c.named[outputs[i].Name], c.labels[outputs[i].Name] = true, outputs[i].Labels
		}
	}
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
			ID: p.Request.RequestID, Inputs: p.Request.Inputs, Named: c.named, Reference: p.PrimaryOutputs, Candidate: p.ShadowOutputs,
			ReferenceTook: p.PrimaryTiming.Compute, CandidateTook: p.ShadowTiming.Compute,
		})
	}
	d := &w.disagreement
	d.N, d.Sum, d.Squares = d.N+1, d.Sum+disagreement, d.Squares+disagreement*disagreement
	return disagreement
}

// total returns the disagreement with all versions that answered callers.
func (c *comparedShadow) total() (m rollout.Mean) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.with {
		d := w.disagreement
		m.N, m.Sum, m.Squares = m.N+d.N, m.Sum+d.Sum, m.Squares+d.Squares
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
		r := api.ShadowComparison{
			Comparison: w.answers.Report(), Version: version, Against: against, Since: w.since, Failed: w.failed,
			Disagreement: api.Number(d.Sum / d.N), Low: api.Number(interval.Low), High: api.Number(interval.High),
		}
		for i := range r.Outputs {
			for k := range r.Outputs[i].Changes {
				change := &r.Outputs[i].Changes[k]
				change.From, change.To = c.class(r.Outputs[i].Name, change.From), c.class(r.Outputs[i].Name, change.To)
			}
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b api.ShadowComparison) int { return cmp.Compare(a.Against, b.Against) })
	return list
}

// class returns the name of a class, its number if it has none.
func (c *comparedShadow) class(output, number string) string {
	i, err := strconv.Atoi(number)
	if names := c.labels[output]; err == nil && i < len(names) {
		return names[i]
	}
	return number
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
