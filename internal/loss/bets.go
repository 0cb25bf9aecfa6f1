package loss

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// bets is the number of bets on a loss that is too large, each against another size of the growth.
const bets = 12

// logWealth returns the logarithms of what each bet makes of a stake of 1, for losses with the given
// sums, against the hypothesis that their means given the past are at most m. Under that hypothesis
// the expected wealth of each is at most 1.
//
// The first bets are likelihood ratios of a Bernoulli law with larger odds. For a loss x from 0 to 1
// their wealth is at most 1 + l(x-m) for an l, by the concavity of the logarithm. The others are
// exp(l(x-m) - psi(l)(x-m)²) with psi(l) = -log(1-l) - l (Fan, Grama, Liu: Exponential inequalities
// for martingales, Electronic Journal of Probability 2015), which is better for losses that vary
// little. Both depend on sums only.
//
// Rows that depend on each other make the sum vary more. With the design effect d, the wealth to the
// power of 1/d has the expectation that independent rows would give: exactly if each row came d
// times, and as the sum becomes normal in general.
func logWealth(s *Moments, m, d float64) (log [bets]float64) {
	n := float64(s.Rows)
	odds, l := 0.1, 0.5
	apart := s.Sum - n*m
	squares := max(s.Squares-2*m*s.Sum+n*m*m, 0)
	for j := range bets / 2 {
		log[j] = (odds*s.Sum - n*math.Log1p(m*math.Expm1(odds))) / d
		log[bets/2+j] = (l*apart + (math.Log1p(-l)+l)*squares) / d
		odds, l = 2*odds, l/2
	}
	return log
}

// addLog returns the logarithm of exp(a) + exp(b).
func addLog(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// mixture returns the logarithm of the mean wealth.
func mixture(log []float64) float64 {
	total := math.Inf(-1)
	for _, x := range log {
		total = addLog(total, x)
	}
	return total - math.Log(bets)
}

// underestimated is the probability with which the upper bound of a reference is below the true mean.
// A false alarm for that reason also needs an error beyond the tolerance.
const underestimated = 0.01

// upper returns an upper bound of the true mean of a sample with a design effect: the quantile of a
// beta law with the mean and the variance of the sample's mean. For independent losses of 0 or 1
// that is the bound of Clopper and Pearson.
func upper(s *Moments, d float64) float64 {
	const most = 100 // the sample may look as if its losses did not vary
	mean, n := min(max(s.mean(), 0), 1), float64(s.Rows)/d
	if binary, v := mean*(1-mean), s.variance(); binary > 0 {
		n *= min(max(binary/max(v, binary/most), 1), most)
	}
	if mean*n >= n {
		return 1
	}
	return mathext.InvRegIncBeta(mean*n+1, (1-mean)*n, 1-underestimated)
}
