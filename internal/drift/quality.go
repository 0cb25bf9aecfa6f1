package drift

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// The statistics of a Finding.
const (
	StatisticG       = "g"       // the bins of the finite values
	StatisticMissing = "missing" // rows without a value, or with NaN
	StatisticInf     = "inf"     // of either sign
	StatisticRange   = "range"   // finite values outside the reference's range
)

// qualities are the statistics about values that should not be there.
var qualities = [...]string{StatisticMissing, StatisticInf, StatisticRange}

// formerNaN is the statistic that earlier versions had beside StatisticMissing.
const formerNaN = "nan"

// Statistic returns the present name of a statistic in a document of an earlier version.
func Statistic(name string) string {
	if name == formerNaN {
		return StatisticMissing
	}
	return name
}

// fraction is how many of some rows have a flaw.
type fraction struct{ bad, rows float64 }

func (s fraction) value() float64 { return s.bad / max(1, s.rows) }

// qualityOf returns how many rows of the counts have a flaw.
func qualityOf(statistic string, c *Counts) fraction {
	s := fraction{rows: float64(c.N())}
	switch statistic {
	case StatisticMissing:
		s.bad = float64(c.Absent())
	case StatisticInf:
		s.bad = float64(c.PosInf) + float64(c.NegInf)
	case StatisticRange:
		s.bad, s.rows = float64(c.Below)+float64(c.Above), float64(c.Finite())
	}
	return s
}

// referenceQuality returns the same of the reference. None of its values is outside
// its own range; but of later values that come from where it came from, some are:
// beyond the least and the greatest of m lies a share with the law Beta(2, m-1), which
// is what one such row in the reference would let one believe.
func referenceQuality(statistic string, c *Counts) fraction {
	s := qualityOf(statistic, c)
	if statistic == StatisticRange && s.bad == 0 && s.rows > 1 {
		s.bad = 1
	}
	return s
}

// excessTail returns the log probability of at least as many flawed rows in a window
// where the true share is at most the reference's plus a tolerance.
//
// The reference's true share is not known, so the binomial tail is averaged over its
// law given the reference, Beta(bad+1, good): with no tolerance this is Fisher's exact
// test, whose false-alarm rate is never above the nominal one. The average is an
// integral over the share's logit, in which what is integrated is smooth and has one
// peak; the trapezoid rule is then exact but for rounding.
func excessTail(window, ref fraction, tolerance float64) float64 {
	x, n := window.bad, window.rows
	a, b := ref.bad+1, ref.rows-ref.bad
	if x == 0 || b <= 0 || x/n <= ref.value()+tolerance {
		return 0 // what is no excess needs no number
	}
	logAt := func(logit float64) float64 {
		p := 1 / (1 + math.Exp(-logit))
		// log of p^a (1-p)^b, the density of the logit but for its factor
		density := -a*math.Log1p(math.Exp(-logit)) - b*math.Log1p(math.Exp(logit))
		if p+tolerance >= 1 {
			return density
		}
		return density + logBinomialTail(x, n, p+tolerance)
	}
	center := math.Log(a / b)
	sd := math.Sqrt(1/a + 1/b)
	peak := maximum(logAt, center-2*sd, center+2*sd+math.Log(b/a)-math.Log((n-x+0.5)/(x+0.5)))
	top := logAt(peak)
	// The width from the curvature there.
	h := sd / 100
	if curve := (2*top - logAt(peak-h) - logAt(peak+h)) / (h * h); curve > 0 {
		sd = 1 / math.Sqrt(curve)
	}
	const step, reach = 0.5, 11.0
	sum := 0.0
	for z := -reach; z <= reach; z += step {
		sum += math.Exp(logAt(peak+z*sd) - top)
	}
	return min(0, top+math.Log(sum*step*sd)-mathext.Lbeta(a, b))
}

// maximum finds where a function with one peak is largest.
func maximum(f func(float64) float64, low, high float64) float64 {
	const golden = 0.6180339887498949
	x1, x2 := high-golden*(high-low), low+golden*(high-low)
	f1, f2 := f(x1), f(x2)
	for range 24 {
		if f1 > f2 {
			high, x2, f2 = x2, x1, f1
			x1 = high - golden*(high-low)
			f1 = f(x1)
		} else {
			low, x1, f1 = x1, x2, f2
			x2 = low + golden*(high-low)
			f2 = f(x2)
		}
	}
	return (low + high) / 2
}

// logBinomialTail returns log P(X >= x) of n rows that have each a chance of p. Far
// above the mean it is the first term times a sum that falls off quickly, so that
// nothing underflows.
func logBinomialTail(x, n, p float64) float64 {
	if x <= n*p+4*math.Sqrt(n*p) {
		return math.Log(mathext.RegIncBeta(x, n-x+1, p))
	}
	term, sum := 1.0, 1.0
	odds := p / (1 - p)
	for k := x; k < n && term > sum*1e-16; k++ {
		term *= (n - k) / (k + 1) * odds
		sum += term
	}
	return x*math.Log(p) + (n-x)*math.Log1p(-p) - math.Log(n+1) - mathext.Lbeta(x+1, n-x+1) + math.Log(sum)
}

// excess returns how much larger the window's share is, with a 95 % interval:
// Newcombe's, made of the Wilson intervals of both shares.
func excess(window, ref fraction) (effect, low, high float64) {
	w, r := window.value(), ref.value()
	lw, hw := wilson(window)
	lr, hr := wilson(ref)
	effect = w - r
	return effect, effect - math.Hypot(w-lw, hr-r), effect + math.Hypot(hw-w, r-lr)
}

// wilson returns the 95 % score interval of a share.
func wilson(s fraction) (low, high float64) {
	if s.rows == 0 {
		return 0, 1
	}
	const z = 1.96
	p, n := s.value(), s.rows
	center := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, center-half), min(1, center+half)
}
