package drift

import "math"

// testMean tests whether the mean of the scores moved by more than the gate.
//
// The statistic is the signed root of the likelihood ratio for two samples of the exponential family
// that tilts the distribution of both samples together (Barndorff-Nielsen and Cox, Inference and
// Asymptotics, 1994, chapter 6): for two values it is the root of the G statistic, which follows its
// distribution far into the tail in small and in skewed samples too. The hypothesis is the
// pair of distributions whose means differ by the gate and that fits best. The test is two-sided.
// effect is the design effect of the mean of the window's rows.
func (s *scores) testMean(c *Counts, ref []uint64, gate, effect float64) passing {
	mean, variance, n := s.moments(c.Bins)
	_, _, m := s.moments(ref)
	se := math.Sqrt(variance*effect/n + 1/m)
	p := passing{gate: GateMean, above: (math.Abs(mean) - gate/2) / math.Sqrt(max(variance, 1)*effect/n+1/m)}
	p.estimate(mean, se)
	if math.Abs(mean) <= gate {
		return p
	}
	t := tilted{s: s.of, base: make([]float64, len(ref))}
	n /= effect
	for i := range ref {
		t.base[i] = (float64(c.Bins[i])/effect + float64(ref[i])) / (n + m)
	}
	shift := math.Copysign(gate, mean)
	p.logP = min(0, math.Ln2+logNormalTail(math.Sqrt(2*t.contrast(mean, n, 0, m, shift))))
	return p
}

// tilted is the exponential family of a distribution over numbers: the weights of base times
// exp(θ s), normalized.
type tilted struct{ s, base []float64 }

// maxTilt bounds θ. The scores are at most about 10, and farther out all rows are in one bin.
const maxTilt = 60

// at returns the cumulant, the mean and the variance for a θ.
func (t *tilted) at(theta float64) (k, mean, variance float64) {
	top := math.Inf(-1)
	for i, s := range t.s {
		if t.base[i] > 0 {
			top = max(top, theta*s)
		}
	}
	var sum, first, second float64
	for i, s := range t.s {
		w := t.base[i] * math.Exp(theta*s-top)
		sum += w
		first += w * s
		second += w * s * s
	}
	mean = first / sum
	return top + math.Log(sum), mean, second/sum - mean*mean
}

// with returns the θ whose mean is mu, and the cumulant there.
func (t *tilted) with(mu float64) (theta, k float64) {
	low, high := -float64(maxTilt), float64(maxTilt)
	for range 60 {
		cumulant, mean, variance := t.at(theta)
		k = cumulant
		if math.Abs(mean-mu) < 1e-10 {
			break
		}
		if mean < mu {
			low = theta
		} else {
			high = theta
		}
		next := theta + (mu-mean)/variance
		if !(next > low && next < high) { // Newton's step left the interval, or is not a number
			next = (low + high) / 2
		}
		theta = next
	}
	return theta, k
}

// fit returns the mean log likelihood of rows with mean x under the member of the family with mean mu.
func (t *tilted) fit(x, mu float64) float64 {
	theta, k := t.with(mu)
	return theta*x - k
}

// contrast returns the log likelihood ratio of two samples with means x and y of n and m rows: their
// own means against the best pair that differs by shift.
func (t *tilted) contrast(x, n, y, m, shift float64) float64 {
	free := n*t.fit(x, x) + m*t.fit(y, y)
	held := func(mu float64) float64 { return n*t.fit(x, mu+shift) + m*t.fit(y, mu) }
	low, high := min(y, x-shift), max(y, x-shift)
	return max(0, free-held(maximum(held, low, high)))
}
