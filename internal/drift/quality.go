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
	StatisticNew     = "new"     // values that the reference does not have, of a feature with few values
)

// qualities are the statistics of flawed values.
var qualities = [...]string{StatisticMissing, StatisticInf, StatisticRange, StatisticNew}

// formerNaN is the statistic that earlier releases had beside StatisticMissing.
const formerNaN = "nan"

// Statistic returns the current name of a statistic in a document of an earlier release.
func Statistic(name string) string {
	if name == formerNaN {
		return StatisticMissing
	}
	return name
}

// fraction is the number of flawed rows among some rows.
type fraction struct{ bad, rows float64 }

func (s fraction) value() float64 { return s.bad / max(1, s.rows) }

// qualityOf returns the fraction of flawed rows in the counts.
func qualityOf(statistic string, c *Counts) fraction {
	s := fraction{rows: float64(c.N())}
	switch statistic {
	case StatisticMissing:
		s.bad = float64(c.Absent())
	case StatisticInf:
		s.bad = float64(c.PosInf) + float64(c.NegInf)
	case StatisticRange:
		s.bad, s.rows = float64(c.Below)+float64(c.Above), float64(c.Finite())
	case StatisticNew:
		s.bad, s.rows = float64(c.New)+float64(c.Unseen), float64(c.Finite())+float64(c.Unseen)
	}
	return s
}

// referenceQuality returns the fraction in the reference. None of its values is outside its own
// range, but some of later values from the same source are: the share beyond the min and the max of
// m values has the distribution Beta(2, m-1), as if one row in the reference were outside. For values
// that the reference does not have, their share is estimated by that of the values that it has once
// (Good, Biometrika 40, 1953), and by one row more.
func referenceQuality(statistic string, f *Feature) fraction {
	c := &f.Reference
	s := qualityOf(statistic, c)
	switch {
	case s.rows <= 1:
	case statistic == StatisticRange && s.bad == 0:
		s.bad = 1
	case statistic == StatisticNew && f.IsCategory():
		s.bad = min(1+f.Text.once(), s.rows)
	case statistic == StatisticNew:
		s.bad = 1
		for _, n := range c.Bins {
			if n == 1 && s.bad < s.rows {
				s.bad++
			}
		}
	default:
	}
	return s
}

// excessTail returns the log probability of at least as many flawed rows in a window if the true
// share is at most the one that is allowed for the reference's.
//
// The reference's true share is not known, so the binomial tail is averaged over its distribution
// given the reference, Beta(bad+1, good). Without a tolerance this is Fisher's exact test, whose
// false-alarm rate is never above the nominal one. The average is an integral over the share's
// logit. The integrand is smooth there and has one peak, so that the trapezoid rule is exact except
// for rounding.
func excessTail(window, ref fraction, allowed allowance) float64 {
	x, n := window.bad, window.rows
	a, b := ref.bad+1, ref.rows-ref.bad
	if x == 0 || b <= 0 || x/n <= allowed.of(ref.value()) {
		return 0 // not an excess
	}
	logAt := func(logit float64) float64 {
		p := 1 / (1 + math.Exp(-logit))
		// log of p^a (1-p)^b, the density of the logit without its constant factor
		density := -a*math.Log1p(math.Exp(-logit)) - b*math.Log1p(math.Exp(logit))
		if p = allowed.of(p); p >= 1 {
			return density
		}
		return density + logBinomialTail(x, n, p)
	}
	center := math.Log(a / b)
	sd := math.Sqrt(1/a + 1/b)
	peak := maximum(logAt, center-2*sd, center+2*sd+math.Log(b/a)-math.Log((n-x+0.5)/(x+0.5)))
	top := logAt(peak)
	// The width follows from the curvature at the peak.
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

// maximum returns the position of the max of a function with one peak.
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

// logBinomialTail returns log P(X >= x) for n rows with a probability of p each. Far above the mean
// it is the first term times a quickly converging sum, so that nothing underflows.
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

// excess returns how much larger the window's share is, with a 95 % interval: Newcombe's, from the
// Wilson intervals of both shares.
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
