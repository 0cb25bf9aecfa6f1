package rivals

import "math"

// The settings of Page-Hinkley, as river has them by default.
const (
	pageHinkleyDelta = 0.005
	pageHinkleyAlpha = 1 - 0.0001
	pageHinkleyMin   = 30 // rows before the first test
)

// pageHinkley is the test of Page (Continuous inspection schemes, Biometrika 41, 1954) and Hinkley in the form of river: sums of the
// deviations from the mean so far, which fade by alpha, less delta upwards and more delta downwards. The score is the distance of
// one sum from its minimum, or of the other from its maximum, which begins at -1. Values are in standard deviations of the reference.
type pageHinkley struct {
	ref        *Reference
	rows, mean float64
	up, down   float64
	lowest     float64
	highest    float64
}

func newPageHinkley(ref *Reference) *pageHinkley {
	return &pageHinkley{ref: ref, lowest: math.Inf(1), highest: -1}
}

func (p *pageHinkley) Add(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	z := p.ref.standard(x)
	p.rows++
	p.mean += (z - p.mean) / p.rows
	d := z - p.mean
	p.up = pageHinkleyAlpha*p.up + d - pageHinkleyDelta
	p.down = pageHinkleyAlpha*p.down + d + pageHinkleyDelta
	p.lowest, p.highest = min(p.lowest, p.up), max(p.highest, p.down)
	if p.rows < pageHinkleyMin {
		return math.Inf(-1)
	}
	return max(p.up-p.lowest, p.highest-p.down)
}
