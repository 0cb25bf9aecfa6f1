package parity

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// fewValues is the number of different values up to which Evidently compares values and not bins.
const fewValues = 20

// evidently returns PSI, the Jensen-Shannon distance, and for numbers the Wasserstein distance and the
// p-value of the Kolmogorov-Smirnov test, with their default limits.
func evidently(reference, current Column) []Result {
	s := evidentlyShares(reference, current)
	const distance, p = 0.1, 0.05
	psi, js := evidentlyPSI(s), jensenShannon(s)
	results := append(make([]Result, 0, 4), limited("psi", psi, distance, psi >= distance), limited("jensenshannon", js, distance, js >= distance))
	if reference.Texts != nil {
		return results
	}
	const leastDeviation = 0.001
	w := wasserstein(reference.Numbers, current.Numbers) / max(stat.PopStdDev(reference.Numbers, nil), leastDeviation)
	ks := ksTest(reference.Numbers, current.Numbers)
	return append(results, limited("wasserstein", w, distance, w >= distance), limited("ks", ks, p, ks <= p))
}

// evidentlyShares returns the shares of Sturges' bins over both tables together, or of the values if the
// reference has few.
func evidentlyShares(reference, current Column) shares {
	if reference.Texts != nil {
		return valuesOf(reference.Texts, current.Texts)
	}
	different := map[float64]bool{}
	for _, x := range reference.Numbers {
		if different[x] = true; len(different) > fewValues {
			edges := sturges(slices.Concat(reference.Numbers, current.Numbers), reference.Integers && current.Integers)
			return shares{histogram(reference.Numbers, edges), histogram(current.Numbers, edges)}
		}
	}
	return valuesOf(reference.Numbers, current.Numbers)
}

// sturges returns the edges of log2(n) + 1 bins, rounded up, as numpy does.
func sturges(values []float64, integers bool) []float64 {
	low, high := slices.Min(values), slices.Max(values)
	width := (high - low) / (math.Log2(float64(len(values))) + 1)
	if integers {
		width = max(1, width)
	}
	return linspace(low, high, int(math.Ceil((high-low)/width)))
}

// evidentlyPSI replaces the shares of empty bins by 0.0001, or by a millionth of the smallest share that is not
// empty if that is at most 0.0001.
func evidentlyPSI(s shares) (psi float64) {
	filled := func(list []float64) []float64 {
		const usual = 0.0001
		fill := math.Inf(1)
		for _, x := range list {
			if x > 0 {
				fill = min(fill, x)
			}
		}
		if fill /= 1e6; fill*1e6 > usual {
			fill = usual
		}
		list = slices.Clone(list)
		for i, x := range list {
			if x == 0 {
				list[i] = fill
			}
		}
		return list
	}
	p, q := filled(s.reference), filled(s.current)
	for i := range p {
		psi += (p[i] - q[i]) * math.Log(p[i]/q[i])
	}
	return psi
}
