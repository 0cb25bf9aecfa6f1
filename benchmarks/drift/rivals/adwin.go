package rivals

import (
	"math"
	"slices"
)

// ADWIN's settings, as river has them by default.
const (
	adwinClock      = 32 // rows from one test to the next
	adwinMaxBuckets = 5  // of the same size
	adwinMinWindow  = 5  // rows of either part
	adwinGrace      = 10 // rows before the first test
)

// adwin is ADWIN (Bifet and Gavaldà, Learning from time-changing data with adaptive windowing, SDM 2007). The window is a histogram
// of buckets of 1, 2, 4 and more rows. Each limit between two buckets cuts the window into an older part of n0 rows and a newer one
// of n1 rows. There is a change if for one of them, with W rows and the variance v of the window,
//
//	|mean0 - mean1| > √(2 m v L) + 2/3 m L, L = ln(2 ln(W) / delta), m = 1/(n0-4) + 1/(n1-4)
//
// as in river after 0.21.2. The score is -ln(delta) of the smallest delta with which this holds. Values are in standard deviations
// of the reference.
type adwin struct {
	ref     *Reference
	buckets [][]float64 // sums of the buckets of 2^i rows, the oldest first
	rows    float64
	sum     float64
	squares float64 // of the deviations from the mean
}

func newADWIN(ref *Reference) *adwin { return &adwin{ref: ref} }

func (a *adwin) Add(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	a.insert(a.ref.standard(x))
	if math.Mod(a.rows, adwinClock) != 0 || a.rows <= adwinGrace {
		return math.Inf(-1)
	}
	return a.test()
}

// insert adds a row and joins the two oldest buckets of a size if there are too many.
func (a *adwin) insert(z float64) {
	if a.rows > 0 {
		d := z - a.sum/a.rows
		a.squares += a.rows * d * d / (a.rows + 1)
	}
	a.rows++
	a.sum += z
	carried := z
	for i := 0; ; i++ {
		if i == len(a.buckets) {
			a.buckets = append(a.buckets, nil)
		}
		a.buckets[i] = append(a.buckets[i], carried)
		same := a.buckets[i]
		if len(same) <= adwinMaxBuckets {
			return
		}
		carried = same[0] + same[1]
		copy(same, same[2:])
		a.buckets[i] = same[:len(same)-2]
	}
}

// test returns the largest score of all cuts.
func (a *adwin) test() float64 {
	variance := a.squares / a.rows
	n0, sum0, most := 0.0, 0.0, math.Inf(-1)
	for i, same := range slices.Backward(a.buckets) {
		size := math.Ldexp(1, i)
		for _, sum := range same {
			n0, sum0 = n0+size, sum0+sum
			n1 := a.rows - n0
			if n0 < adwinMinWindow || n1 < adwinMinWindow {
				continue
			}
			m := 1/(n0-adwinMinWindow+1) + 1/(n1-adwinMinWindow+1)
			d := math.Abs(sum0/n0 - (a.sum-sum0)/n1)
			// The root of L solves a quadratic equation.
			linear, square := math.Sqrt(2*m*variance), 2*m/3
			root := (math.Sqrt(linear*linear+4*square*d) - linear) / (2 * square)
			most = max(most, root*root)
		}
	}
	return most - math.Log(2*math.Log(a.rows))
}
