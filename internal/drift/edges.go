package drift

import "math"

// edges returns the borders of a feature's bins, from its sorted finite values.
//
// Bins have about equal shares of the sample, but a value with more than a bin's share gets its own
// bin. Every edge is halfway between two neighbouring values of the sample, never at one: a
// recomputed value that differs in its last digits stays in its bin. If the datatype is not known,
// values that are equal in FP32 are not separated, if there are enough others.
func edges(sorted []float64, unknown bool) []float64 {
	if len(sorted) == 0 {
		return []float64{}
	}
	groups := groupsOf(sorted, func(a, b float64) bool { return a == b })
	if unknown {
		same := func(a, b float64) bool { return float32(a) == float32(b) }
		if coarse := groupsOf(sorted, same); len(coarse) == len(groups) || len(coarse) >= MaxBins {
			groups = coarse
		} else {
			unknown = false // the values are too close together for FP32
		}
	}
	if len(groups) == 1 {
		low, high := sorted[0], sorted[len(sorted)-1]
		if unknown {
			low, _ = around(low)
			_, high = around(high)
		}
		return edgesAround(low, high)
	}
	result := make([]float64, 0, MaxBins-1)
	for _, at := range cuts(groups) {
		low, high := groups[at-1].last, groups[at].first
		if unknown {
			_, low = around(low)
			high, _ = around(high)
		}
		result = append(result, between(low, high))
	}
	return result
}

// between returns a number from low up to but excluding high, halfway if possible.
func between(low, high float64) float64 {
	half := low + (high/2 - low/2) // high-low may be out of range
	if half >= high || half < low {
		return low
	}
	return half
}

// edgesAround returns the edges close around a constant feature: within a few units of the last
// place of FP32.
func edgesAround(low, high float64) []float64 {
	const tolerance = 1.0 / (1 << 20)
	below, above := low-math.Abs(low)*tolerance, high+math.Abs(high)*tolerance
	if below == low {
		below = math.Nextafter(low, math.Inf(-1))
	}
	if above == high {
		above = math.Nextafter(high, math.Inf(1))
	}
	result := make([]float64, 0, 2)
	for _, e := range [...]float64{below, above} {
		if !math.IsInf(e, 0) {
			result = append(result, e)
		}
	}
	return result
}

// group is a value of the sample, or several that are not distinguished.
type group struct {
	first, last float64
	n           int
}

func groupsOf(sorted []float64, same func(a, b float64) bool) []group {
	var groups []group
	for _, x := range sorted {
		if k := len(groups); k > 0 && same(groups[k-1].first, x) {
			groups[k-1].last = x
			groups[k-1].n++
			continue
		}
		groups = append(groups, group{x, x, 1})
	}
	return groups
}

// stretch is a range of neighbouring groups that share some bins.
type stretch struct{ from, to, n, bins int }

// cuts returns the first group of each bin except the first. At first, heavy values and the
// stretches between them have one bin each. Each remaining bin goes to the stretch with the fullest
// bins.
func cuts(groups []group) []int {
	runs := joined(runsOf(groups))
	for left := MaxBins - len(runs); left > 0; left-- {
		best := -1
		for i, r := range runs {
			if r.bins < r.to-r.from && (best < 0 || r.n*runs[best].bins > runs[best].n*r.bins) {
				best = i
			}
		}
		if best < 0 {
			break // each value has a bin
		}
		runs[best].bins++
	}
	var at []int
	for _, r := range runs {
		at = r.split(groups, at)
	}
	return at[1:]
}

// runsOf separates the values with more than a bin's share from the others.
func runsOf(groups []group) []stretch {
	total := 0
	for _, g := range groups {
		total += g.n
	}
	var runs []stretch
	light := false // the last run is of light values
	for i, g := range groups {
		heavy := g.n*MaxBins > total
		if heavy || !light {
			runs = append(runs, stretch{from: i, to: i, bins: 1})
		}
		light = !heavy
		r := &runs[len(runs)-1]
		r.to, r.n = i+1, r.n+g.n
	}
	return runs
}

// joined reduces the runs to the max number of bins: heavy values far apart leave many thin
// stretches, and the thinnest join a neighbour.
func joined(runs []stretch) []stretch {
	for len(runs) > MaxBins {
		thin := 0
		for i := range len(runs) - 1 {
			if runs[i].n+runs[i+1].n < runs[thin].n+runs[thin+1].n {
				thin = i
			}
		}
		runs[thin].to, runs[thin].n = runs[thin+1].to, runs[thin].n+runs[thin+1].n
		runs = append(runs[:thin+1], runs[thin+2:]...)
	}
	return runs
}

// split appends the first group of each of the run's bins.
func (r stretch) split(groups []group, at []int) []int {
	at = append(at, r.from)
	seen, done := 0, 1 // values so far; bins begun
	for i := r.from; done < r.bins; i++ {
		left := r.to - i - 1 // groups after this one
		seen += groups[i].n
		if seen*r.bins >= done*r.n || left == r.bins-done {
			at = append(at, i+1)
			done++
		}
	}
	return at
}
