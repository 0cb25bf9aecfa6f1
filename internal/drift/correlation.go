package drift

import (
	"fmt"
	"math"
	"slices"
)

// judgeCorrelations tests for each pair of features whether its correlation changed by more than the
// gate. A feature has one state for all of its pairs; its finding names the pair with the strongest
// evidence.
func (d *Tumbling) judgeCorrelations(w *Window, alone, all []meanScore, factors pairEffects) (found []ranked) {
	t := d.together
	best := d.testCorrelations(alone, w.Pairs, factors.alone)
	windows := make([]int, len(best))
	for k := range windows {
		windows[k] = 1
	}
	recent := best
	if t.run.Windows > 1 && t.run.Pairs != nil {
		recent = d.testCorrelations(all, t.run.Pairs, factors.run)
		best = slices.Clone(best)
		for k := range best {
			if recent[k].logP < best[k].logP {
				best[k], windows[k] = recent[k], t.run.Windows
			}
		}
	}
	for k, i := range t.pairs.Features {
		if best[k].with < 0 {
			continue
		}
		f, p := &d.profile.Features[i], &best[k]
		other := d.profile.Features[t.pairs.Features[p.with]].Name
		r := ranked{finding: Finding{
			Feature: f.Name, Kind: f.Kind, Statistic: StatisticCorrelation, Value: p.now, Effect: math.Abs(p.size),
			Windows: windows[k], Rows: p.rows, DesignEffect: p.effect,
			Change: fmt.Sprintf("correlation with %s is %.2f, %.2f in the reference", other, p.now, p.now-p.size),
		}}
		if p.more > 0 {
			r.finding.Change += fmt.Sprintf("; and with %d more features", p.more)
		}
		tr := &t.correlations[k]
		r = d.observe(w.Start, tr, 1+k, &p.passing, recent[k].above < tr.margin(), w.Rows, r)
		if tr.told() {
			found = append(found, r)
		}
	}
	return found
}

// pairTest is the result for the pairs of a feature: that of the strongest one.
type pairTest struct {
	passing
	with   int     // the other feature's index among the paired ones, -1 if no pair was tested
	now    float64 // the correlation in the window
	rows   uint64
	effect float64
	more   int // other pairs whose evidence is enough for an alarm
}

// minPairRows is the min number of independent rows of a pair that is tested: Fisher's z follows its
// law far into the tail only then.
const minPairRows = 50

// testCorrelations tests all pairs with Fisher's z (Fisher, Metron 1, 1921). The hypothesis is that the
// correlation differs from that of the reference by the gate at most. above is the largest one of a
// feature's pairs.
func (d *Tumbling) testCorrelations(list []meanScore, sums *PairCounts, factor float64) []pairTest {
	t := d.together
	tests := make([]pairTest, len(list))
	for k := range tests {
		tests[k] = pairTest{with: -1}
		tests[k].above = math.Inf(-1)
	}
	for j := range list {
		for i := range j {
			p := d.testPair(&list[i], &list[j], &t.known[pairOf(i, j)], sums.Rows[pairOf(i, j)], sums.Products[pairOf(i, j)], factor)
			if p.rows > 0 {
				tests[i].take(p, j, d.limits)
				tests[j].take(p, i, d.limits)
			}
		}
	}
	return tests
}

// take adds the test of a pair.
func (t *pairTest) take(p pairTest, with int, l alarmLimits) {
	above, more := max(t.above, p.above), t.more
	if p.logP < l.detect && t.with >= 0 && t.logP < l.detect {
		more++
	}
	if t.with < 0 || p.logP < t.logP {
		*t = p
		t.with = with
	}
	t.above, t.more = above, more
}

func (d *Tumbling) testPair(a, b *meanScore, known *dependence, rows uint64, product, factor float64) (p pairTest) {
	gate := d.options.Gates.Correlation
	effect := factor * max(a.effect, b.effect)
	n, m := float64(rows)/effect, known.rows
	if min(a.effect, b.effect) <= 0 || n < minPairRows || m < minPairRows {
		return p
	}
	p = pairTest{now: correlation(product/float64(rows), a, b), rows: rows, effect: effect}
	se := math.Sqrt(known.noise * (1/(n-3) + 1/(m-3)))
	r := known.correlation
	slope := 1 - p.now*p.now // of the correlation over Fisher's z
	p.gate, p.size = GateCorrelation, p.now-r
	p.low, p.high = max(0, math.Abs(p.size)-1.96*se*slope), math.Abs(p.size)+1.96*se*slope
	p.above = (math.Abs(p.size) - gate/2) / (se * max(slope, 1-r*r))
	limit := clampCorrelation(r + math.Copysign(gate, p.size))
	if z := (math.Atanh(p.now) - math.Atanh(limit)) * math.Copysign(1, p.size) / se; z > 0 {
		p.logP = min(0, math.Ln2+logNormalTail(z))
	}
	return p
}
