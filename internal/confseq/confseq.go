// Package confseq has confidence sequences: intervals that are valid at every look, however often one looks and whenever
// one stops. All depend on sums only.
package confseq

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Interval is the interval of a confidence sequence.
type Interval struct{ Low, High float64 }

// MeanBinary returns the confidence sequence of the mean of n values of which s are 1 and the
// others 0. The probability that any of the intervals, for n = 1, 2, 3 …, misses the mean is at
// most alpha.
//
// The likelihood ratio of a beta-binomial mixture against a mean p is a nonnegative martingale
// that begins at 1, so by Ville's inequality it rarely exceeds 1/alpha (Robbins 1970; Howard,
// Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences,
// Annals of Statistics 2021). The interval has the p for which it does not. It depends on sums
// only, so labels may be taken back and sums of several gateways added.
func MeanBinary(n, s, alpha float64) Interval {
	if n <= 0 {
		return Interval{0, 1}
	}
	const a = 0.5 // both parameters of the prior
	f := n - s
	mixture := mathext.Lbeta(a+s, a+f) - mathext.Lbeta(a, a)
	evidence := func(p float64) float64 { return mixture - xlogy(s, p) - xlogy(f, 1-p) }
	return Interval{
		Low:  cross(s/n, evidence, math.Log(1/alpha)),
		High: 1 - cross(f/n, func(q float64) float64 { return evidence(1 - q) }, math.Log(1/alpha)),
	}
}

// MeanBounded is MeanBinary for n values from 0 to 1, given their sum and the sum of their
// squares. It is shorter than that of MeanBinary if the values vary little.
//
// For x in [0, 1], m = E x and 0 <= l < 1, exp(l(x-m) - psi(l)(x-m)²) with psi(l) = -log(1-l) - l
// has a mean of at most 1 (Fan, Grama, Liu: Exponential inequalities for martingales, Electronic
// Journal of Probability 2015), and so has 1-x. It is a lower bound of the wealth of a bet
// (Waudby-Smith, Ramdas: Estimating means of bounded random variables by betting, JRSS B 2024)
// that depends on sums only. The evidence against m is a mixture over l and both directions.
func MeanBounded(n, sum, squares, alpha float64) Interval {
	if n <= 0 {
		return Interval{0, 1}
	}
	limit := math.Log(2 / alpha) // half of the mixture for each direction
	mean := min(max(sum/n, 0), 1)
	low := func(m float64) float64 { return wealth(sum-n*m, max(squares-2*m*sum+n*m*m, 0)) }
	high := func(q float64) float64 { return wealth((n-sum)-n*q, max(squares-2*(1-q)*sum+n*(1-q)*(1-q), 0)) }
	return Interval{cross(mean, low, limit), 1 - cross(1-mean, high, limit)}
}

// bets is the number of bets in the mixture. The j-th has l = 1/2 · 2^(-j/2) and the weight
// 1/((j+1)(j+2)): it is for about 2^j values. All l are at most 1/2, for which the evidence
// grows with the distance from the mean, so that the m within the limit are an interval.
const bets = 32

// wealth returns the log of the mixture for a sum of differences and the sum of their squares.
func wealth(sum, squares float64) float64 {
	var terms [bets]float64
	largest, l := math.Inf(-1), 0.5
	for j := range terms {
		psi := -math.Log1p(-l) - l
		terms[j] = l*sum - psi*squares - math.Log(float64((j+1)*(j+2)))
		largest = max(largest, terms[j])
		l *= math.Sqrt2 / 2
	}
	total := 0.0
	for _, t := range terms {
		total += math.Exp(t - largest)
	}
	return largest + math.Log(total)
}

// cross returns the smallest x from 0 to high at which the evidence, which falls up to high, is at
// most the limit.
func cross(high float64, evidence func(float64) float64, limit float64) float64 {
	low := 0.0
	if evidence(low) <= limit {
		return low
	}
	const halvings = 45
	for range halvings {
		if mid := (low + high) / 2; evidence(mid) <= limit {
			high = mid
		} else {
			low = mid
		}
	}
	return low // the outer end, so that rounding never makes the interval shorter
}

// MinAsymptotic is the number of rows from which there is an asymptotic interval.
const MinAsymptotic = 100

// Margin returns half of the length of the asymptotic confidence sequence of a mean, in standard
// deviations of a value, for n values (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas: Time-uniform
// central limit theory and asymptotic confidence sequences, Annals of Statistics 2024, theorem
// 2.2). It is shortest for about 1,000 values.
//
// It is for values without a bound. Like a normal interval it is only valid for many values, the
// more of them the heavier their tails are. Unlike that, it stays valid however often one looks.
func Margin(n, alpha float64) float64 {
	const shortest = 1000
	l := -2 * math.Log(alpha)
	rho2 := (l + math.Log(l) + 1) / shortest
	return math.Sqrt(2 * (n*rho2 + 1) / (n * n * rho2) * math.Log(math.Sqrt(n*rho2+1)/alpha))
}

// MeanUnbounded is the asymptotic confidence sequence of the mean of n values. ok is false for
// fewer values than it can be for.
func MeanUnbounded(n, sum, squares, alpha float64) (i Interval, ok bool) {
	if n < MinAsymptotic {
		return Interval{}, false
	}
	mean := sum / n
	half := math.Sqrt(max(squares/n-mean*mean, 0)) * Margin(n, alpha)
	return Interval{mean - half, mean + half}, true
}

// xlogy returns x·log(y), which is 0 for x = 0.
func xlogy(x, y float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(y)
}
