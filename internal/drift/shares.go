package drift

import "math"

// testShares tests whether the share of a bin grew by more than the gate. A bin is a category, a code
// or a range of values. The p-value of a bin is that of excessTail, and the smallest one is multiplied
// by the number of bins.
func testShares(c *Counts, ref []uint64, a allowance, effect float64) passing {
	n, m := float64(c.Finite()), rowsOf(ref)
	p := passing{gate: GateShare, above: math.Inf(-1)}
	for i := range ref {
		p.take(i, fraction{float64(c.Bins[i]), n}, fraction{float64(ref[i]), m}, a, max(effect, c.clusters(i)), len(ref))
	}
	p.logP = min(0, p.logP+math.Log(float64(len(ref))))
	return p
}

// testTails tests whether one of the tails grew by more than the gate for shares. ok is false for
// profiles without tails.
func testTails(f *Feature, c *Counts, a allowance, effect float64) (p passing, ok bool) {
	if len(f.Tails) == 0 {
		return p, false
	}
	n, m := float64(c.Finite()), float64(f.Reference.Finite())
	p = passing{gate: GateTail, above: math.Inf(-1)}
	p.take(0, fraction{float64(c.Low), n}, fraction{float64(f.Reference.Low), m}, a, max(effect, c.clusters(0)), 2)
	p.take(1, fraction{float64(c.High), n}, fraction{float64(f.Reference.High), m}, a, max(effect, c.clusters(len(c.Bins)-1)), 2)
	p.logP = min(0, p.logP+math.Ln2)
	return p, true
}

func rowsOf(bins []uint64) (rows float64) {
	for _, n := range bins {
		rows += float64(n)
	}
	return rows
}

// take tests one of several shares, and keeps the strongest evidence. A share that is less than
// wellMargin standard errors above what is allowed gets no p-value, since most are not and the
// p-value takes long to compute.
func (p *passing) take(at int, window, ref fraction, a allowance, effect float64, of int) {
	limit := a.of(ref.value())
	p.above = max(p.above, aboveShare(window, ref, a, effect, of))
	if at == 0 {
		p.size, p.low, p.high = excessIn(window, ref, effect)
	}
	if limit >= 1 || window.value()-limit <= wellMargin*growthError(window, ref, limit, effect) {
		return
	}
	logP := excessTail(fraction{window.bad / effect, window.rows / effect}, ref, a)
	if logP < p.logP {
		p.logP, p.at = logP, at
		p.size, p.low, p.high = excessIn(window, ref, effect)
	}
}

// aboveShare returns by how many standard errors the share of a window is above the middle between that
// of the reference and the one that is allowed. For one of several shares it is so much less that the
// largest of them is as rarely above a limit as a single one.
func aboveShare(window, ref fraction, a allowance, effect float64, of int) float64 {
	half := (ref.value() + a.of(ref.value())) / 2
	if half >= 1 { // no share is
		return math.Inf(-1)
	}
	z := (window.value() - half) / growthError(window, ref, half, effect)
	return normalQuantile(1 - min(1, normalTail(z)*float64(of)))
}

// growthError returns the standard error of a window's share that is expected to be so large, given
// the share in the reference.
func growthError(window, ref fraction, expected, effect float64) float64 {
	r := ref.value()
	grown := max(1, expected/max(r, 1/ref.rows))
	if r == 0 {
		grown = 1
	}
	known := (r*(1-r) + 1/ref.rows) / ref.rows
	return math.Sqrt(expected*(1-expected)*effect/window.rows + grown*grown*known)
}

// excessIn returns the growth of a share with its interval, for rows with a design effect.
func excessIn(window, ref fraction, effect float64) (size, low, high float64) {
	return excess(fraction{window.bad / effect, window.rows / effect}, ref)
}

func normalTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }
