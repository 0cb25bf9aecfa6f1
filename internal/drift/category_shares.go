package drift

import (
	"fmt"
	"math"
)

// testCategories tests whether the share of a category grew or fell by more than its gates. Categories
// have no order, so there is no mean that could move. Instead each category is a variable that is 1 for
// its rows, whose mean may not move by more than the gate of the mean. The share may not grow by more
// than the gate for shares either. The p-value of a category is that of excessTail, for it and for all
// others together, and the smallest one is multiplied by twice the number of bins.
func testCategories(c *Counts, ref []uint64, g *Gates, effect float64) passing {
	n, m := float64(c.Finite()), rowsOf(ref)
	p := passing{gate: GateShare, above: math.Inf(-1)}
	allowed := g.share()
	allowed.mean = g.Mean
	tests := 2 * len(ref)
	for i := range ref {
		window, reference := fraction{float64(c.Bins[i]), n}, fraction{float64(ref[i]), m}
		p.take(i, window, reference, allowed, max(effect, c.clusters(i)), tests)
	}
	for i := range ref {
		if g.Mean > 0 && ref[i] > 0 {
			p.takeFall(i, fraction{n - float64(c.Bins[i]), n}, fraction{m - float64(ref[i]), m}, allowed, max(effect, c.clusters(i)), tests)
		}
	}
	p.logP = min(0, p.logP+math.Log(float64(tests)))
	return p
}

// takeFall tests the share of all categories but one, which grows if that of the one falls. It counts if it is
// clearly stronger evidence than a share that grew: of two values, one grows by what the other loses.
func (p *passing) takeFall(at int, window, ref fraction, a allowance, effect float64, of int) {
	const clearly = 1.01
	q := passing{above: math.Inf(-1)}
	q.take(at, window, ref, a, effect, of)
	p.above = max(p.above, q.above)
	if q.logP < clearly*p.logP {
		p.logP, p.at, p.fell = q.logP, at, true
		p.size, p.low, p.high = q.size, q.low, q.high
	}
}

// describeCategories describes a change of the shares of categories; of that of p if it passed the gate
// for shares, else of the share that changed most.
func describeCategories(f *Feature, c *Counts, p *passing) string {
	n, m := float64(c.Finite()), float64(f.Reference.Finite())
	if n == 0 || m == 0 {
		return ""
	}
	share := func(bin int) (window, ref float64) {
		return float64(c.Bins[bin]) / n, float64(f.Reference.Bins[bin]) / m
	}
	if p != nil && p.gate == GateShare {
		window, ref := share(p.at)
		if !p.fell {
			return grown(window, ref, f.CategoryName(p.at), p)
		}
		return fmt.Sprintf("%s of the values are %s, %s in the reference (less by %s to %s)",
			percent(window), f.CategoryName(p.at), percent(ref), points(p.low), points(p.high))
	}
	most, bin := -1.0, 0
	for i := range c.Bins {
		window, ref := share(i)
		if change := math.Abs(window - ref); change > most {
			most, bin = change, i
		}
	}
	window, ref := share(bin)
	return fmt.Sprintf("%s of the values are %s, %s in the reference", percent(window), f.CategoryName(bin), percent(ref))
}

// describeFresh names the most frequent new value of a window, if values may be named.
func describeFresh(c *Counts) string {
	most := c.mostFresh()
	if most == nil {
		return ""
	}
	return ", for example " + quoted(most.Name)
}
