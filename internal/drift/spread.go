package drift

import "math"

// maxKurtosis is the max kurtosis of scores whose spread is tested. It is above that of bins of equal
// shares, and below that of rare values, for which a spread says nothing that a share does not.
const maxKurtosis = 6

// minCells is the min number of bins with rows for a test of the spread.
const minCells = 5

// testSpread tests whether the standard deviation of the scores changed by more than the gate.
//
// The statistic is the delta method's for the ratio of two variances (Layard, JASA 68, 1973): the
// variance of a sample variance follows from the kurtosis. An increase is tested on the logarithm, a
// decrease on the ratio itself: in both cases the statistic's tail is lighter than the normal one, so
// the test errs on the safe side in small windows. The test is two-sided. ok is false if the feature
// has too few values for a spread.
func (s *scores) testSpread(c *Counts, ref []uint64, gate, effect float64) (p passing, ok bool) {
	if s.cells < minCells || s.kurtosis > maxKurtosis {
		return p, false
	}
	mean, variance, n := s.moments(c.Bins)
	_, _, m := s.moments(ref)
	var fourth float64
	for i, rows := range c.Bins {
		fourth += float64(rows) * math.Pow(s.of[i]-mean, 4)
	}
	kurtosis := s.kurtosis
	if variance > 0 {
		kurtosis = max(kurtosis, fourth/n/(variance*variance))
	}
	se := math.Sqrt((kurtosis-1)*effect/n + (s.kurtosis-1)/m) // of the log variance
	sd := math.Sqrt(variance)
	half := math.Log1p(gate) // half of the tolerated change of the log variance, and the limit for the log s.d.
	p = passing{gate: GateSpread, size: sd, low: sd * math.Exp(-0.98*se), high: sd * math.Exp(0.98*se)}
	p.above = (math.Abs(math.Log(max(variance, 1e-300))) - half) / se
	var z float64
	if most := 2 * half; variance >= 1 {
		z = (math.Log(variance) - most) / se
	} else {
		least := math.Exp(-most)
		z = (least - variance) / (se * least)
	}
	if z > 0 {
		p.logP = min(0, math.Ln2+logNormalTail(z))
	}
	return p, true
}
