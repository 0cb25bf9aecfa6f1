package champion

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// pairs sums the losses of two versions on the same rows. Rows of one request are not independent, so that the variance is that of
// the sums over requests (cluster-robust: Liang and Zeger, Biometrika 73, 1986).
type pairs struct {
	rows, groups  float64
	parent, newer float64 // sums of losses
	sums          float64 // of the differences
	squares       float64 // of the sums of each request
	cross, sizes  float64 // sum of size times sum, and of squared sizes
	size, sum     float64 // of the present request
}

// add adds the losses of a row.
func (p *pairs) add(parent, newer float64) {
	p.rows++
	p.parent += parent
	p.newer += newer
	p.size++
	p.sum += newer - parent
}

// end ends a request.
func (p *pairs) end() {
	if p.size == 0 {
		return
	}
	p.groups++
	p.sums += p.sum
	p.squares += p.sum * p.sum
	p.cross += p.sum * p.size
	p.sizes += p.size * p.size
	p.size, p.sum = 0, 0
}

// difference returns the mean of the differences, and the ends of its interval at a confidence: mean ± t·s, with Student's t of one
// degree of freedom less than there are requests. ok is false with fewer than two requests.
func (p *pairs) difference(confidence float64) (mean, low, high float64, ok bool) {
	if p.groups < 2 {
		return 0, 0, 0, false
	}
	mean = p.sums / p.rows
	// The sum over requests of (sum − mean·size)², written with the sums that are kept.
	spread := max(p.squares-2*mean*p.cross+mean*mean*p.sizes, 0)
	s := math.Sqrt(p.groups/(p.groups-1)*spread) / p.rows
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: p.groups - 1}.Quantile(1 - (1-confidence)/2)
	return mean, mean - t*s, mean + t*s, true
}
