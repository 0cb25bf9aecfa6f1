package parity

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// exactRows is the number of rows of a reference from which on NannyML estimates distribution functions
// from so many equal bins.
const exactRows = 10_000

// nannyML returns the Jensen-Shannon distance, and for numbers the Kolmogorov-Smirnov and the Wasserstein
// distance, of all current rows as one chunk. NannyML compares them with three standard deviations over the
// chunks of the reference, so there is no fixed limit.
func nannyML(reference, current Column) []Result {
	js := Result{Statistic: "jensen_shannon"}
	if reference.Texts != nil {
		js.Value = jensenShannonBits(withLeftover(knownValues(reference.Texts, current.Texts)))
		return []Result{js}
	}
	a, b := reference.Numbers, current.Numbers
	edges := doane(a)
	js.Value = jensenShannonBits(withLeftover(shares{histogram(a, edges), histogram(b, edges)}))
	ks, w := Result{Statistic: "kolmogorov_smirnov"}, Result{Statistic: "wasserstein"}
	if len(a) < exactRows {
		ks.Value, w.Value = kolmogorovSmirnov(a, b), wasserstein(a, b)
	} else {
		ks.Value, w.Value = estimated(a, b)
	}
	return []Result{js, ks, w}
}

// jensenShannonBits is the distance with the divergence in bits.
func jensenShannonBits(s shares) float64 { return jensenShannon(s) / math.Sqrt(math.Ln2) }

// withLeftover puts current values outside of all bins in a bin of their own.
func withLeftover(s shares) shares {
	left := 1.0
	for _, x := range s.current {
		left -= x
	}
	if left > 0 {
		s.reference, s.current = append(s.reference, 0), append(s.current, left)
	}
	return s
}

// knownValues returns the shares of the reference's values.
func knownValues(reference, current []string) shares {
	s := valuesOf(reference, current)
	n := slices.Index(s.reference, 0) // values of the current table alone come last
	if n < 0 {
		return s
	}
	return shares{s.reference[:n], s.current[:n]}
}

// doane returns the edges of Doane's bins, as numpy does: more than Sturges' for skewed values.
func doane(values []float64) []float64 {
	low, high := slices.Min(values), slices.Max(values)
	if low == high {
		return []float64{low - 0.5, high + 0.5}
	}
	n := float64(len(values))
	if n <= 2 {
		return linspace(low, high, 1)
	}
	mean, sd := stat.Mean(values, nil), stat.PopStdDev(values, nil)
	skew := 0.0
	for _, x := range values {
		d := (x - mean) / sd
		skew += d * d * d
	}
	skew /= n
	of := math.Sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))
	width := (high - low) / (1 + math.Log2(n) + math.Log2(1+math.Abs(skew)/of))
	return linspace(low, high, int(math.Ceil((high-low)/width)))
}

// estimated returns the two distances from equal bins over the range of the reference. NannyML counts one
// more value outside the range than there is, and so do we.
func estimated(reference, current []float64) (ks, w float64) {
	low, high := slices.Min(reference), slices.Max(reference)
	edges := linspace(low, high, exactRows)
	if low == high {
		edges = linspace(low-0.5, high+0.5, exactRows)
	}
	first, last, width := edges[0], edges[exactRows], edges[1]-edges[0]
	n := float64(len(current))
	var below, above []float64
	for _, x := range current {
		if x < first {
			below = append(below, x)
		} else if x > last {
			above = append(above, x)
		}
	}
	lower := 0.0
	if len(below) > 0 {
		lower = float64(len(below)+1) / n
		w += lower * area(append(slices.Clone(below), first), func(below float64) float64 { return below })
	}
	if len(above) > 0 {
		w += float64(len(above)+1) / n * area(append(slices.Clone(above), last), func(below float64) float64 { return 1 - below })
	}
	p, q := histogram(reference, edges), histogram(current, edges)
	a, b, under := 0.0, 0.0, float64(len(below))/n
	for i := range p {
		a, b = a+p[i], b+q[i]
		ks = max(ks, math.Abs(a-b-under))
		w += math.Abs(a-b-lower) * width
	}
	return ks, w
}

// area sums a height over the range of values: a function of the share of the values up to each.
func area(values []float64, height func(share float64) float64) (sum float64) {
	slices.Sort(values)
	for i, x := range values[:len(values)-1] {
		sum += height(float64(i+1)/float64(len(values))) * (values[i+1] - x)
	}
	return sum
}
