// Package rivals has change detectors of other packages and of the literature, as their authors define them, for comparison with
// internal/drift. Each one watches one feature and gives a score for every row. It alarms if the score is above a limit, which is
// calibrated by simulation, so that all of them have the same rate of false alarms.
package rivals

import (
	"math"
	"slices"
	"sort"
)

// WindowRows is the number of rows of a tumbling window.
const WindowRows = 500

// Detector watches one feature. Add takes the value of the next row, NaN if it is missing, and returns the score after it; -Inf
// if there is no score for this row.
type Detector interface {
	Add(x float64) (score float64)
}

// Rival is a kind of detector.
type Rival struct {
	Name string
	// Settings are those that the calibration leaves alone, in words.
	Settings string
	New      func(ref *Reference) Detector
	// Sanity marks the two that always and never alarm. Their limit is 0.
	Sanity bool
}

// All returns the rivals.
func All() []Rival {
	return []Rival{
		{Name: "ADWIN", Settings: "clock 32, 5 buckets a row, windows from 5 rows, after 10 rows; calibrated: delta", New: as(newADWIN)},
		{Name: "KSWIN", Settings: "100 rows, the last 30 against 30 of the others by chance; calibrated: the distance", New: as(newKSWIN)},
		{Name: "Page-Hinkley", Settings: "both directions, delta 0.005, alpha 0.9999, after 30 rows; calibrated: the threshold", New: as(newPageHinkley)},
		{Name: "CUSUM, slack 0.25", Settings: "both directions, slack 0.25 s.d.; calibrated: the threshold", New: cusumWith(0.25)},
		{Name: "CUSUM, slack 0.5", Settings: "both directions, slack 0.5 s.d., as in river; calibrated: the threshold", New: cusumWith(0.5)},
		{Name: "KS", Settings: "windows of 500 rows, two samples, Bonferroni over ten features; calibrated: the distance", New: as(newKS)},
		{Name: "chi-square", Settings: "windows of 500 rows, 16 quantile bins, missing values as one more; calibrated: the statistic", New: as(newChiSquare)},
		{Name: "PSI", Settings: "windows of 500 rows, deciles, missing values as one more bin; calibrated: the index", New: as(newPSI)},
		{Name: "online CVM", Settings: "the last 25, 100 and 500 rows after each row, 128 quantiles; calibrated: the statistic", New: as(newCVM)},
		{Name: "always", Settings: "alarms at every row", New: constant(1), Sanity: true},
		{Name: "never", Settings: "never alarms", New: constant(0), Sanity: true},
	}
}

// as makes the constructor of one kind of detector that of any.
func as[D Detector](start func(*Reference) D) func(*Reference) Detector {
	return func(ref *Reference) Detector { return start(ref) }
}

// Reference is a sample of a feature without missing values.
type Reference struct {
	Sorted   []float64
	Mean, SD float64
}

// NewReference makes one of values in any order, which it leaves alone.
func NewReference(values []float64) *Reference {
	r := &Reference{Sorted: slices.Sorted(slices.Values(values))}
	n := float64(len(values))
	for _, x := range values {
		r.Mean += x / n
	}
	for _, x := range values {
		r.SD += (x - r.Mean) * (x - r.Mean) / n
	}
	r.SD = math.Sqrt(r.SD)
	return r
}

// standard returns a value in standard deviations from the mean.
func (r *Reference) standard(x float64) float64 { return (x - r.Mean) / r.SD }

// quantiles returns the different ones among n-1 limits of n parts with about as many rows each.
func (r *Reference) quantiles(n int) []float64 {
	edges := make([]float64, 0, n-1)
	for i := 1; i < n; i++ {
		edges = append(edges, r.Sorted[i*len(r.Sorted)/n-1])
	}
	return slices.Compact(edges)
}

// upTo returns the share of the values that are at most x.
func (r *Reference) upTo(x float64) float64 {
	above := sort.Search(len(r.Sorted), func(i int) bool { return r.Sorted[i] > x })
	return float64(above) / float64(len(r.Sorted))
}

// tumbling judges consecutive windows of WindowRows rows.
type tumbling struct {
	rows  []float64
	score func(rows []float64) float64
}

func newTumbling(score func(rows []float64) float64) *tumbling {
	return &tumbling{rows: make([]float64, 0, WindowRows), score: score}
}

func (t *tumbling) Add(x float64) float64 {
	t.rows = append(t.rows, x)
	if len(t.rows) < WindowRows {
		return math.Inf(-1)
	}
	score := t.score(t.rows)
	t.rows = t.rows[:0]
	return score
}
