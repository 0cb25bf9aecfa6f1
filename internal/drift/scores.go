package drift

import "math"

// scores are numbers for the bins of a feature: for each bin the mean of a standard normal variable
// between the quantiles of its borders (van der Waerden, 1952). Over the reference they have mean 0
// and standard deviation 1. If the values are normal, a mean that moves by some standard deviations
// moves the mean of the scores by as much, up to about 1.5; the largest score of 32 bins is 2.2.
// Scores are bounded, so that a few extreme values do not decide, and a test of their mean is valid
// far into the tail for any distribution.
type scores struct {
	of       []float64
	kurtosis float64 // the mean of the fourth power in the reference
	cells    int     // bins with rows in the reference
}

// scoresOf returns the scores of a feature's bins; its of is nil if fewer than two bins have rows.
func scoresOf(ref []uint64) (s scores) {
	var rows float64
	for _, n := range ref {
		rows += float64(n)
		if n > 0 {
			s.cells++
		}
	}
	if s.cells < 2 {
		return s
	}
	list := make([]float64, len(ref))
	density := func(share float64) float64 {
		z := normalQuantile(share)
		return math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	}
	var below, mean, square float64
	for i, n := range ref {
		share := float64(n) / rows
		if n > 0 {
			list[i] = (density(below) - density(min(1, below+share))) / share
		} else {
			list[i] = normalQuantile((below*rows + 0.5) / (rows + 1))
		}
		below = min(1, below+share)
		mean += share * list[i]
		square += share * list[i] * list[i]
	}
	sd := math.Sqrt(square - mean*mean)
	for i, n := range ref {
		list[i] = (list[i] - mean) / sd
		s.kurtosis += float64(n) / rows * math.Pow(list[i], 4)
	}
	s.of = list
	return s
}

// normalQuantile returns the value below which a standard normal variable is with a probability of
// p; it is limited to ±8.
func normalQuantile(p float64) float64 {
	return max(-8, min(math.Sqrt2*math.Erfinv(2*p-1), 8))
}

// meanOf is moments, and 0 for a feature without scores.
func (s *scores) meanOf(bins []uint64) (mean, variance, rows float64) {
	if s.of == nil {
		return 0, 0, 0
	}
	return s.moments(bins)
}

// moments returns the mean and the variance of the scores over counts, and their number.
func (s *scores) moments(bins []uint64) (mean, variance, rows float64) {
	for i, n := range bins {
		rows += float64(n)
		mean += float64(n) * s.of[i]
	}
	if rows == 0 {
		return 0, 0, 0
	}
	mean /= rows
	for i, n := range bins {
		d := s.of[i] - mean
		variance += float64(n) * d * d
	}
	return mean, variance / rows, rows
}
