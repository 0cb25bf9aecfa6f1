package drift

import (
	"math"

	"sluice.io/sluice/internal/infer"
)

// A break is a gross change that shows within some rows: a value that is stuck, a flood of missing
// values, another unit. It need not wait for the end of the window.
//
// The statistic is a mixture e-detector in Shiryaev-Roberts form (Shin, Ramdas and Rinaldo, New England
// Journal of Statistics in Data Science, 2023) on the counts of a feature, by batches of rows. A category
// is a bin, the missing values, or the infinite ones. For each category k there is an alternative in which
// half of the rows are in k and the others are like the reference. With L_k the likelihood ratio of a batch,
//
//	R_k ← (1 + R_k) · L_k
//
// and there is an alarm when the mean of R_k over the categories reaches γ. While there is no change, the
// expected number of alarms in n batches is at most n/γ.
//
// The denominator of the ratio has for each category the largest share that the gates allow. These add up
// to more than 1, and the ratio has a mean of at most 1 under every law within the gates, whatever
// the error of the reference. The logarithm of the ratio is divided by the design effect of the rows.

// GateBreak is the kind of change that the e-detector finds.
const GateBreak = "break"

const (
	breakRows    = 32  // min rows of a batch
	breakBatches = 512 // max batches in a window
	breakAlpha   = 0.1 // the share of the promise that breaks may use; windows have the rest
	breakMix     = 0.5 // the share of the rows that are in the category of an alternative
	// breakEffect is the least design effect until breakKnown windows have shown that it is smaller.
	breakEffect = 8
	breakKnown  = 3

	noEvidence = -1e9 // log R at the beginning; JSON has no infinities
)

// Break is what the e-detector found in a window: the last batch of a feature, and its evidence before.
type Break struct {
	Feature int       `json:"feature"` // its index in the profile
	Before  []float64 `json:"before"`  // log R before the batch, by category
	Batch   []uint64  `json:"batch"`   // the rows of the batch, by category
	Effect  float64   `json:"effect"`  // the design effect
}

// breaker is the e-detector of a stream. Its state is not part of a snapshot: evidence begins anew
// after a restart.
type breaker struct {
	gamma float64 // its logarithm
	laws  []breakLaw
	logR  [][]float64
	seen  [][]uint64 // by feature: the counts of the window that earlier batches have
	rows  uint64     // of the window in earlier batches
	looks int        // batches in the window
	last  uint64     // rows of the last window
}

// breakLaw are the log likelihood ratios of a value of each category: outside of the alternative's own
// category, and what is added inside of it.
type breakLaw struct{ base, bonus []float64 }

// categoriesOf returns the rows of counts by category.
func categoriesOf(c *Counts) []uint64 {
	return append(append(make([]uint64, 0, len(c.Bins)+2), c.Bins...), c.Absent(), c.PosInf+c.NegInf)
}

func (d *Tumbling) breakLawOf(i int) (l breakLaw) {
	f := &d.profile.Features[i]
	ref, most := categoriesOf(&f.Reference), d.weekly[i].largest()
	total := 0.0
	for _, n := range ref {
		total += float64(n) + 0.5
	}
	shares := allowance{ratio: 1.5, gain: 0.002}
	if d.options.Gates.shares() {
		shares = d.options.Gates.share()
	}
	for k, n := range ref {
		p := (float64(n) + 0.5) / total
		largest := p
		if most != nil {
			largest = max(p, most[k])
		}
		allowed := min(1, shares.of(largest))
		if k >= len(ref)-2 {
			allowed = min(1, max(allowed, largest+d.options.QualityTolerance))
		}
		base := math.Log((1 - breakMix) * p / allowed)
		l.base = append(l.base, base)
		l.bonus = append(l.bonus, math.Log(((1-breakMix)*p+breakMix)/allowed)-base)
	}
	return l
}

// newBreaker returns nil if the options have no breaks.
func (d *Tumbling) newBreaker() *breaker {
	if !d.options.Breaks {
		return nil
	}
	tests := d.options.windows() * float64(max(1, len(d.profile.Features))) * breakBatches
	b := &breaker{gamma: math.Log(tests / breakAlpha)}
	for i := range d.profile.Features {
		b.laws = append(b.laws, d.breakLawOf(i))
	}
	b.logR, b.seen = make([][]float64, len(b.laws)), make([][]uint64, len(b.laws))
	b.reset()
	return b
}

// reset forgets the evidence.
func (b *breaker) reset() {
	for i, law := range b.laws {
		b.logR[i] = make([]float64, len(law.base))
		for k := range b.logR[i] {
			b.logR[i][k] = noEvidence
		}
	}
}

// next begins a window after w. A window that ended early says nothing about the rows of the next one.
func (b *breaker) next(w *Window) {
	if b == nil {
		return
	}
	if len(w.Breaks) > 0 {
		b.reset()
	} else {
		b.last = w.Rows
	}
	b.rows, b.looks = 0, 0
	clear(b.seen)
}

// step returns log R after a batch, by category, and the logarithm of their mean.
func (l *breakLaw) step(x *Break) (logR []float64, mean float64) {
	base := 0.0
	for k, n := range x.Batch {
		base += float64(n) * l.base[k]
	}
	logR, top := make([]float64, len(x.Before)), math.Inf(-1)
	for k, before := range x.Before {
		ratio := (base + float64(x.Batch[k])*l.bonus[k]) / x.Effect
		logR[k] = math.Max(before, 0) + math.Log1p(math.Exp(-math.Abs(before))) + ratio
		top = max(top, logR[k])
	}
	sum := 0.0
	for _, r := range logR {
		sum += math.Exp(r - top)
	}
	return logR, top + math.Log(sum/float64(len(logR)))
}

// Watch looks at a window that has not ended. It returns the breaks in it, if there are any: then the
// window should end, and be judged with them.
func (d *Tumbling) Watch(w *Window) (found []Break) {
	b := d.breaker
	if b == nil || w.Rows < d.options.MinRows || w.Rows < b.rows+max(breakRows, b.last/breakBatches) || b.looks >= breakBatches {
		return nil
	}
	b.looks++
	b.rows = w.Rows
	for i := range w.Counts {
		now := categoriesOf(&w.Counts[i])
		x := Break{Feature: i, Before: b.logR[i], Batch: now, Effect: d.breakEffect(i)}
		if before := b.seen[i]; before != nil {
			x.Batch = make([]uint64, len(now))
			for k := range now {
				x.Batch[k] = now[k] - before[k]
			}
		}
		b.seen[i] = now
		logR, mean := b.laws[i].step(&x)
		if 2*w.Known > w.Rows {
			x.Effect = max(x.Effect, userEffect(strongest(logR), &w.Counts[i]))
			logR, mean = b.laws[i].step(&x)
		}
		if c, k := &w.Counts[i], strongest(logR); d.options.Clustered && x.Batch[k] > 0 && trackOf(k, len(c.Bins)) > 0 {
			j := trackOf(k, len(c.Bins)) - 1
			x.Effect = max(x.Effect, d.history[i].Flaws[j].breakEffect(c, j, 2*w.Known > w.Rows, d.limits))
			logR, mean = b.laws[i].step(&x)
		}
		b.logR[i] = logR
		if mean >= b.gamma && d.isNew(i, strongest(logR), &w.Counts[i]) {
			found = append(found, x)
		}
	}
	return found
}

// userEffect returns the design effect in a category: how many of its rows in the window so far are of the same
// user. A client that sends the same value again and again is not a break.
func userEffect(k int, c *Counts) float64 {
	if k >= len(c.Bins) { // missing or infinite values have no halves
		return 1
	}
	return c.clusters(k)
}

// breakEffect returns the design effect of a feature's rows so far.
func (d *Tumbling) breakEffect(i int) float64 {
	past := &d.history[i]
	effect := past.with([numClusterings]variance{}).largest
	if past.By[byTime].Windows < breakKnown {
		effect = max(effect, breakEffect)
	}
	return effect
}

// strongest returns the category with the most evidence.
func strongest(logR []float64) int {
	most := 0
	for k := range logR {
		if logR[k] > logR[most] {
			most = k
		}
	}
	return most
}

// trackOf returns the index of the track that a break in a category belongs to: of the bins, or of the missing or the
// infinite values.
func trackOf(k, bins int) int {
	switch k {
	case bins:
		return 1 // StatisticMissing
	case bins + 1:
		return 2 // StatisticInf
	default:
		return 0
	}
}

// isNew reports whether a break in a category is not known yet from an alarm that is promised, and the window has rows
// enough for a verdict on it.
func (d *Tumbling) isNew(feature, k int, c *Counts) bool {
	track, rows := trackOf(k, len(c.Bins)), c.N()
	if track == 0 {
		rows = c.Finite()
	}
	t := &d.tracks[feature][track]
	return rows >= d.options.MinRows && (!t.alarmed() || t.Unpromised)
}

// broken is a break of a window that is judged.
type broken struct {
	logP   float64 // below the limit
	change string
	rows   uint64
}

// brokenIn returns the break of a feature's track in a window, nil if there is none. The p-value is such that
// it is below the limit exactly if the e-detector has reached γ.
func (d *Tumbling) brokenIn(w *Window, feature, track int) *broken {
	if d.breaker == nil {
		return nil
	}
	for i := range w.Breaks {
		x := &w.Breaks[i]
		if x.Feature != feature {
			continue
		}
		logR, mean := d.breaker.laws[feature].step(x)
		k := strongest(logR)
		if mean < d.breaker.gamma || trackOf(k, len(w.Counts[feature].Bins)) != track {
			continue
		}
		rows := uint64(0)
		for _, n := range x.Batch {
			rows += n
		}
		return &broken{
			logP: d.limits.detect - (mean - d.breaker.gamma) - 1e-9, rows: rows,
			change: "within " + count(rows) + ": " + percent(float64(x.Batch[k])/float64(max(1, rows))) + " of the rows are " + d.categoryName(feature, k) +
				", " + percent(d.referenceShare(feature, k)) + " in the reference",
		}
	}
	return nil
}

func count(rows uint64) string { return number(float64(rows)) + " rows" }

func (d *Tumbling) categoryName(feature, k int) string {
	f := &d.profile.Features[feature]
	switch n := len(f.Reference.Bins); k {
	case n:
		return "missing"
	case n + 1:
		return "infinite"
	default:
		return binName(f, k)
	}
}

func (d *Tumbling) referenceShare(feature, k int) float64 {
	c := &d.profile.Features[feature].Reference
	return float64(categoriesOf(c)[k]) / float64(max(1, c.N()))
}

// checkBreaks returns an error about stored breaks that are not valid for a window.
func checkBreaks(p *Profile, w *Window) error {
	for i := range w.Breaks {
		x := &w.Breaks[i]
		if x.Feature < 0 || x.Feature >= len(p.Features) {
			return infer.Errorf(infer.Invalid, "window: a break of feature %d; the profile has %d", x.Feature, len(p.Features))
		}
		c := &w.Counts[x.Feature]
		now := categoriesOf(c)
		valid := len(x.Before) == len(now) && len(x.Batch) == len(now) && x.Effect >= 1 && x.Effect <= math.MaxFloat64
		for k := 0; valid && k < len(now); k++ {
			valid = x.Batch[k] <= now[k] && x.Before[k] == x.Before[k] && x.Before[k] <= maxRows
		}
		if !valid {
			return infer.Errorf(infer.Invalid, "window: the break of %s is not valid", p.Features[x.Feature].Name)
		}
	}
	return nil
}
