package drift

import "math"

// judgement is the result of all gates for the bins of one or several windows.
type judgement struct {
	comparison
	inflation inflation // for the shape
	single    float64   // the design effect for the other gates
	gates     []passing // in the order in which they describe a change
	best      float64   // the strongest evidence, as log p
	above     float64   // the largest above, without the shape
	of        *grouped  // what was tested
}

// test tests all gates of the bins.
//
// The gates but the shape are about one number each, so the largest design effect counts. It is
// uncertain: the part above 1 is raised by the square of the ratio of Student's quantile at the limit to
// the normal one, to the first order in 1/degrees (Fisher and Cornish, Technometrics 2, 1960). Each
// window adds two splits in halves to the degrees.
func (d *Tumbling) test(i int, of *grouped, by [numClusterings]variance) judgement {
	return d.testGates(i, of, by, &d.options.Gates, d.options.Tolerance)
}

// testGates is test with other gates than those of the options.
func (d *Tumbling) testGates(i int, of *grouped, by [numClusterings]variance, gates *Gates, tolerance float64) judgement {
	f, c, past := of.f, of.c, &d.history[i]
	j := judgement{inflation: past.with(by), above: math.Inf(-1), of: of}
	j.comparison = of.compare(tolerance, j.inflation)
	add := func(p passing, ok bool) {
		if ok {
			j.gates, j.above = append(j.gates, p), max(j.above, p.above)
		}
	}
	ref := f.Reference.Bins
	degrees := 8 + 2*float64(past.By[byTime].Windows)
	ratio := 1 + (1-2*d.limits.detect)/(4*degrees) // the quantile's square is about -2 log p
	largest := 1 + (past.shrunk(by, len(of.all)).largest-1)*ratio*ratio
	j.single = largest
	if s := of.scores; s.of != nil && c.Finite() > 0 {
		if gates.Mean > 0 {
			add(s.testMean(c, ref, gates.Mean, largest), true)
		}
		if gates.Spread > 0 {
			add(s.testSpread(c, ref, gates.Spread, largest))
		}
	}
	switch {
	case !gates.shares() || f.Reference.Finite() == 0:
	case f.IsCategory():
		add(testCategories(c, ref, gates, largest), true)
	default:
		add(testTails(f, c, gates.share(), largest))
		share := testShares(c, ref, gates.share(), largest)
		add(share, true)
		if f.Values != nil { // a code or a category: its share says more than its mean
			j.gates = append([]passing{share}, j.gates[:len(j.gates)-1]...)
		}
	}
	j.gates = append(j.gates, passing{gate: GateShape, logP: j.logP})
	for _, p := range j.gates {
		j.best = min(j.best, p.logP)
	}
	return j
}

// passed returns the gate that describes the change: the first one that has at least half of the
// evidence, as log p.
func (j *judgement) passed() *passing {
	const half = 0.5
	for i := range j.gates {
		if p := &j.gates[i]; p.logP <= half*j.best {
			return p
		}
	}
	return &j.gates[len(j.gates)-1]
}

// closeToLimit is by how many times log p may exceed the limit if a detected change is likely overstated: among all
// that are as large, the test picks those that chance made larger.
const closeToLimit = 1.5

// judgeBins compares the bins of the finite values. It also returns the design effect of the
// window's rows.
func (d *Tumbling) judgeBins(w *Window, i int) (ranked, float64) {
	c, f, t, past := &w.Counts[i], &d.profile.Features[i], &d.tracks[i][0], &d.history[i]
	rows := c.Finite()
	if len(f.Edges) == 0 || rows < d.options.MinRows {
		return d.finding(f, StatisticG, t, ranked{finding: Finding{Windows: 1, Rows: rows}}), past.inflated()
	}
	of := d.groups(i, c)
	by := of.estimate()
	past.observe(by)
	alone := d.test(i, &of, by)
	d.singles[i] = alone.single
	t.begin(w.Start, alone.best)
	best, counts, windows, recent := alone, c, 1, alone
	if run := t.extend(c); run != nil {
		of := d.groups(i, run)
		recent = d.test(i, &of, of.estimate())
		if recent.best < alone.best {
			best, counts, windows, rows = recent, run, t.Windows, run.Finite()
		}
	}
	isWell := func(j *judgement) bool {
		return j.above < t.margin() && j.effect-past.usual(j.df, float64(j.of.f.Reference.Finite())) < d.options.Tolerance/2
	}
	well := isWell(&recent) && (!t.alarmed() || isWell(&alone)) // an alarm ends if its last windows together look well too
	broke := d.brokenIn(w, i, 0)
	said := d.weigh(i, &window{start: w.Start, counts: c, of: &of, by: by, alone: &alone, best: &best, sum: counts, broke: broke})
	well = (well || said.usual) && broke == nil
	t.begin(w.Start, said.logP)
	if t.State == OK && t.Began.IsZero() {
		past.clean(alone.effect)
	}
	was := *t
	t.observe(evidence{best: said.logP, well: well, rows: c.N()}, d.limits, d.options.Recover)
	t.mark(&was, said.promised && said.logP < d.limits.detect)
	if d.options.Onset {
		effect := alone.inflation.largest
		mean, _, n := of.scores.meanOf(c.Bins)
		past.saw(seen{Start: w.Start.UnixNano(), Rows: float32(n / effect), Mean: float32(mean), Root: float32(math.Sqrt(2 * alone.g / effect))})
		t.date(&was, func() onset { return findOnset(past.Seen, best.passed().gate == GateMean) })
	}
	past.passed(c, by)
	r := d.describeBins(t, &shown{
		judgement: &best, windows: windows, rows: rows, logP: said.logP, broke: broke, well: well, first: t.alarmed() && !was.alarmed(),
	})
	return d.finding(f, StatisticG, t, r), alone.inflation.bins
}

// shown is what a finding about bins shows.
type shown struct {
	*judgement
	windows int
	rows    uint64
	logP    float64
	broke   *broken
	well    bool
	first   bool // it is detected with this window
}

func (d *Tumbling) describeBins(t *track, x *shown) ranked {
	f, c := x.of.f, x.of.c
	r := ranked{logP: x.logP, order: x.logP, finding: Finding{
		Value: finite(x.g), Effect: x.effect, Low: x.low, High: x.high,
		Shift: shift(f, c), Windows: x.windows, Rows: x.rows, DesignEffect: x.inflation.bins, Unpromised: t.Unpromised,
	}}
	p := x.passed()
	if d.options.Gates != (Gates{}) {
		r.finding.Gate, r.finding.Limit = p.gate, math.Exp(d.limits.detect)
		if p.gate == GateMean && len(f.Values) == 2 { // it is the share of either value
			r.finding.Gate = GateShare
		}
	}
	switch {
	case t.State == OK:
	case x.broke != nil:
		r.finding.Gate, r.finding.Change = GateBreak, x.broke.change
	case x.well:
		r.finding.Change = "as in the reference"
	default:
		r.finding.Change = describeGate(f, c, p, x.single)
		if d.options.Onset && x.first && x.logP > closeToLimit*d.limits.detect {
			r.finding.Change += "; it may be smaller, since the evidence is close to the limit"
		}
	}
	return r
}
