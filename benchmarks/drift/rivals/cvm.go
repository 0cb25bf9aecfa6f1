package rivals

import (
	"math"
	"sort"
)

const cvmCells = 128

func cvmWindows() []int { return []int{25, 100, 500} }

// cvm compares the last rows with the reference after each row by the statistic of Cramér and von Mises, in windows of several
// sizes, in the manner of the online detector of alibi-detect. The statistic is w ∫ (F_w - F)² dF for a window of w rows; the
// integral is a sum over 128 quantiles of the reference. It has nearly the same law for all sizes, so that the largest one is
// compared with one limit, and not with one for each row since the start as there. Missing values are left out.
type cvm struct {
	law     cvmLaw
	windows []cvmWindow
	past    []int // the cells of all rows so far
}

// cvmLaw is the reference: the upper edges of cells, the share of the values up to each of them, and the share in each cell.
type cvmLaw struct{ edges, upTo, share []float64 }

type cvmWindow struct {
	rows  int
	above []float64 // rows up to the edge, more than expected, by cell
	sum   float64   // of the squares of above, each times the cell's share
}

func newCVM(ref *Reference) *cvm {
	c := &cvm{law: cvmLaw{edges: ref.quantiles(cvmCells)}}
	before := 0.0
	for _, edge := range c.law.edges {
		upTo := ref.upTo(edge)
		c.law.upTo, c.law.share = append(c.law.upTo, upTo), append(c.law.share, upTo-before)
		before = upTo
	}
	for _, rows := range cvmWindows() {
		c.windows = append(c.windows, cvmWindow{rows: rows})
	}
	return c
}

func (c *cvm) Add(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	c.past = append(c.past, sort.SearchFloat64s(c.law.edges, x))
	most := math.Inf(-1)
	for i := range c.windows {
		w := &c.windows[i]
		switch n := len(c.past); {
		case n < w.rows:
			continue
		case n == w.rows:
			w.fill(&c.law, c.past)
		default:
			w.move(&c.law, c.past[n-1-w.rows], c.past[n-1])
		}
		most = max(most, w.sum/float64(w.rows))
	}
	return most
}

// fill sets the counts of the first full window.
func (w *cvmWindow) fill(law *cvmLaw, cells []int) {
	w.above = make([]float64, len(law.edges))
	for k := range w.above {
		w.above[k] = -float64(w.rows) * law.upTo[k]
		for _, cell := range cells {
			if cell <= k {
				w.above[k]++
			}
		}
		w.sum += law.share[k] * w.above[k] * w.above[k]
	}
}

// move takes out the oldest row and puts in the newest one, given their cells.
func (w *cvmWindow) move(law *cvmLaw, oldest, newest int) {
	step, from, to := 1.0, newest, oldest
	if newest > oldest {
		step, from, to = -1, oldest, newest
	}
	for k := from; k < to; k++ {
		w.sum += law.share[k] * (1 + 2*step*w.above[k])
		w.above[k] += step
	}
}
