package drift

import "math"

// noncentralTail returns log P(X >= x) for X with the noncentral chi-square distribution with df
// degrees of freedom and noncentrality lambda. The logarithm is exact even if the probability
// itself is too small for a float64.
//
// Up to a noncentrality of seriesLimit it sums the mixture: chi-square distributions of df + 2j
// degrees of freedom with Poisson weights of mean lambda/2, over the relevant js. The terms are
// positive and are computed from the lowest j upwards, so that nothing cancels out. Beyond
// seriesLimit it uses the saddlepoint approximation.
func noncentralTail(x, df, lambda float64) float64 {
	switch {
	case x <= 0:
		return 0
	case lambda <= 0:
		q, scale := chiTail(df/2, x/2)
		return min(0, math.Log(q)+scale)
	case lambda > seriesLimit || x > 100*seriesLimit:
		return saddlepointTail(x, df, lambda)
	}
	mean, y := lambda/2, x/2
	// The largest terms: at the Poisson distribution's mode if x is below the mean, otherwise at
	// the max of weight times tail.
	peak := mean
	if x > df+lambda {
		peak = (math.Sqrt(df*df/4+lambda*x) - df/2) / 2
	}
	reach := 10*math.Sqrt(peak+1) + 20
	first := math.Floor(max(0, peak-reach))
	last := first + math.Ceil(2*reach)

	// q is the tail and g the step to the next one, Q(a+1, y) = Q(a, y) + g, both times the Poisson
	// weight and with a common scale.
	a := df/2 + first
	q, scale := chiTail(a, y)
	lg, _ := math.Lgamma(a + 1)
	g := math.Exp(a*math.Log(y) - y - lg - scale)
	lj, _ := math.Lgamma(first + 1)
	scale += first*math.Log(mean) - mean - lj
	sum := 0.0
	for j := first; j <= last; j++ {
		sum += q
		w := mean / (j + 1)
		q = (q + g) * w
		g *= w * y / (a + j - first + 1)
	}
	return min(0, math.Log(sum)+scale)
}

const seriesLimit = 2000

// chiTail returns the regularized upper incomplete gamma function Q(a, y), the tail of half a
// chi-square, as q * exp(scale).
func chiTail(a, y float64) (q, scale float64) {
	lg, _ := math.Lgamma(a + 1)
	front := a*math.Log(y) - y - lg // log of y^a e^-y / Γ(a+1)
	if y < a+1 {
		term, sum := 1.0, 1.0
		for k := 1.0; term > sum*1e-17; k++ {
			term *= y / (a + k)
			sum += term
		}
		return max(0, 1-math.Exp(front)*sum), 0
	}
	// Lentz's evaluation of the continued fraction of Γ(a, y).
	const tiny = 1e-300
	b := y + 1 - a
	c, d := 1/tiny, 1/b
	h := d
	for k := 1.0; k < 1e5; k++ {
		n := -k * (k - a)
		b += 2
		d = 1 / nonzero(n*d+b)
		c = nonzero(b + n/c)
		h *= d * c
		if math.Abs(d*c-1) < 1e-15 {
			break
		}
	}
	return a * h, front
}

func nonzero(x float64) float64 {
	if math.Abs(x) < 1e-300 {
		return 1e-300
	}
	return x
}

// saddlepointTail is the approximation of Lugannani and Rice. For the large noncentralities here,
// its relative error is far below 0.001.
func saddlepointTail(x, df, lambda float64) float64 {
	mean := df + lambda
	sd := math.Sqrt(2 * (df + 2*lambda))
	if math.Abs(x-mean) < 1e-3*sd { // the formula divides by the distance
		skewness := 8 * (df + 3*lambda) / (sd * sd * sd)
		return math.Log(0.5 - ((x-mean)/sd+skewness/6)/math.Sqrt(2*math.Pi))
	}
	u := 2 * x / (df + math.Sqrt(df*df+4*lambda*x)) // 1/(1-2s) at the saddlepoint s
	s := (1 - 1/u) / 2
	k := lambda*s*u + df/2*math.Log(u)
	w := math.Copysign(math.Sqrt(2*max(0, s*x-k)), s)
	v := s * math.Sqrt(4*lambda*u*u*u+2*df*u*u)
	// P = Φ(-w) + φ(w)(1/v - 1/w), with φ(w) taken out above the mean.
	if w <= 0 {
		return math.Log(max(0, math.Erfc(w/math.Sqrt2)/2+math.Exp(-w*w/2)/math.Sqrt(2*math.Pi)*(1/v-1/w)))
	}
	return min(0, -w*w/2-math.Log(2*math.Pi)/2+math.Log(millsRatio(w)+1/v-1/w))
}

// millsRatio returns Φ(-w)/φ(w) for w > 0.
func millsRatio(w float64) float64 {
	if w < 20 {
		return math.Erfc(w/math.Sqrt2) / 2 * math.Sqrt(2*math.Pi) * math.Exp(w*w/2)
	}
	r := 1 / (w * w)
	return (1 - r*(1-3*r*(1-5*r*(1-7*r)))) / w
}
