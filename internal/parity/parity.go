// Package parity computes the statistics by which other tools judge drift, exactly as they do, for people
// who know those numbers. Nothing in the gateway decides by them: a fixed limit on a distance raises
// false alarms in small samples and hides changes in large ones.
//
// The definitions are those of Evidently 0.7.23 and NannyML 0.13.1; their values for the data of
// testdata are the test's.
package parity

import (
	"math"
	"slices"
)

// Column has the values of a column in one table, numbers or texts, without missing ones.
type Column struct {
	Numbers []float64 // in any order; all finite
	// Integers says that the numbers are integers and none is missing: bins are then at least 1 wide.
	Integers bool
	Texts    []string // nil: the column has numbers
}

// Result is the value of a statistic for a reference and later data.
type Result struct {
	Statistic string  `json:"statistic"`
	Value     float64 `json:"value"`
	// Limit is the tool's default, beyond which it says that the column drifted; nil if the tool has no
	// fixed one.
	Limit *float64 `json:"limit,omitempty"`
	Drift bool     `json:"drift"`
}

// The tools.
const (
	Evidently = "evidently"
	NannyML   = "nannyml"
)

// Of returns the statistics of a tool for a column. Both tables must have values of one kind, at least
// one each.
func Of(tool string, reference, current Column) []Result {
	if tool == NannyML {
		return nannyML(reference, current)
	}
	return evidently(reference, current)
}

// shares are the rows of each bin or value, as parts of all rows of their table.
type shares struct{ reference, current []float64 }

// valuesOf counts equal values of two tables.
func valuesOf[T float64 | string](reference, current []T) shares {
	at := map[T]int{}
	var s shares
	count := func(list []T, into func(i int) *float64) {
		for _, x := range list {
			i, known := at[x]
			if !known {
				i = len(at)
				at[x] = i
				s.reference, s.current = append(s.reference, 0), append(s.current, 0)
			}
			*into(i) += 1 / float64(len(list))
		}
	}
	count(reference, func(i int) *float64 { return &s.reference[i] })
	count(current, func(i int) *float64 { return &s.current[i] })
	return s
}

// histogram returns the shares of values between edges, as numpy does: each bin has its left edge, the last
// one also its right edge. Values outside are in no bin.
func histogram(values, edges []float64) []float64 {
	list := make([]float64, len(edges)-1)
	for _, x := range values {
		i, found := slices.BinarySearch(edges, x)
		if !found {
			i--
		}
		if i == len(list) && found {
			i--
		}
		if i >= 0 && i < len(list) {
			list[i]++
		}
	}
	for i := range list {
		list[i] /= float64(len(values))
	}
	return list
}

// linspace returns n+1 edges of equal bins, computed as numpy does.
func linspace(low, high float64, n int) []float64 {
	list := make([]float64, n+1)
	step := (high - low) / float64(n)
	for i := range list {
		list[i] = float64(i)*step + low
	}
	list[n] = high
	return list
}

// jensenShannon returns the square root of the divergence in nats of two distributions.
func jensenShannon(s shares) float64 {
	sum := func(list []float64) (total float64) {
		for _, x := range list {
			total += x
		}
		return total
	}
	p, q := sum(s.reference), sum(s.current)
	divergence := 0.0
	for i := range s.reference {
		a, b := s.reference[i]/p, s.current[i]/q
		m := (a + b) / 2
		if a > 0 {
			divergence += a * math.Log(a/m)
		}
		if b > 0 {
			divergence += b * math.Log(b/m)
		}
	}
	return math.Sqrt(max(0, divergence/2))
}

// wasserstein returns the area between the distribution functions of two samples, in units of the
// values.
func wasserstein(a, b []float64) (area float64) {
	walk(a, b, func(x, next, fa, fb float64) { area += math.Abs(fa-fb) * (next - x) })
	return area
}

// kolmogorovSmirnov returns the largest difference of the distribution functions of two samples.
func kolmogorovSmirnov(a, b []float64) (d float64) {
	walk(a, b, func(_, _, fa, fb float64) { d = max(d, math.Abs(fa-fb)) })
	return d
}

// walk goes over the values of both samples in ascending order, with the distribution functions between a
// value and the next one.
func walk(a, b []float64, between func(x, next, fa, fb float64)) {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		x := math.Inf(1)
		if i < len(a) {
			x = a[i]
		}
		if j < len(b) {
			x = min(x, b[j])
		}
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		next := x
		switch {
		case i < len(a) && j < len(b):
			next = min(a[i], b[j])
		case i < len(a):
			next = a[i]
		case j < len(b):
			next = b[j]
		default:
		}
		between(x, next, float64(i)/float64(len(a)), float64(j)/float64(len(b)))
	}
}

func limited(statistic string, value, limit float64, drift bool) Result {
	return Result{Statistic: statistic, Value: value, Limit: &limit, Drift: drift}
}
