package drift

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// whitening maps the cosines of a row to numbers that are not correlated in the reference and have a variance of 1: their
// squared length is the squared distance from the mean of the reference in standard deviations.
//
// The covariance is estimated from the reference, so it has an error. With y as the ratio of directions and rows, the mean of
// the eigenvalues of W·Σ is 1/(1-y), and that of their squares 1/(1-y)³ (the inverse Marchenko-Pastur law; Bai and
// Silverstein, Spectral Analysis of Large Dimensional Random Matrices, 2010). To keep y small, only the directions with the
// largest variances are used if the reference is small.
type whitening struct {
	mean  []float64
	axes  [][]float64 // the directions, with length 1 over the standard deviation
	first float64     // the mean variance of independent rows
	cross float64     // the mean of its square
	noise float64     // the sum of the cosines' variances
	rows  float64
}

const (
	rowsPerAxis = 20   // of the reference
	ridge       = 1e-3 // is added to the variances, in units of their mean
)

func newWhitening(v *Vector) *whitening {
	w := &whitening{mean: make([]float64, numCosines), rows: float64(v.Rows)}
	if v.Rows < 2*rowsPerAxis {
		return w
	}
	for i, x := range v.Sums {
		w.mean[i] = float64(x) / w.rows / cosineUnit
	}
	cov := mat.NewSymDense(numCosines, nil)
	at := 0
	for j := range numCosines {
		for i := range j + 1 {
			x := (float64(v.Products[at])/w.rows/(cosineUnit*cosineUnit) - w.mean[i]*w.mean[j]) * w.rows / (w.rows - 1)
			cov.SetSym(i, j, x)
			if i == j {
				w.noise += max(0, x)
			}
			at++
		}
	}
	var e mat.EigenSym
	if !(w.noise > 1e-12) || !e.Factorize(cov, true) {
		return w // constant rows
	}
	values, least := e.Values(nil), ridge*w.noise/numCosines
	var vectors mat.Dense
	e.VectorsTo(&vectors)
	n := min(numCosines, int(w.rows)/rowsPerAxis)
	for k := numCosines - 1; k >= numCosines-n && values[k] > least; k-- {
		axis := make([]float64, numCosines)
		for i := range axis {
			axis[i] = vectors.At(i, k) / math.Sqrt(values[k]+least)
		}
		w.axes = append(w.axes, axis)
		share := values[k] / (values[k] + least)
		w.first, w.cross = w.first+share, w.cross+share*share
	}
	if r := float64(len(w.axes)); r > 0 {
		y := r / w.rows
		w.first, w.cross = w.first/r/(1-y), w.cross/r/((1-y)*(1-y)*(1-y))
	}
	return w
}

// rank returns the number of directions; 0 if the vectors cannot be compared.
func (w *whitening) rank() int { return len(w.axes) }

// of sets to to the whitened difference of two means of cosines.
func (w *whitening) of(to, a, b []float64) {
	for k, axis := range w.axes {
		sum := 0.0
		for i, x := range axis {
			sum += x * (a[i] - b[i])
		}
		to[k] = sum
	}
}

// fourth returns the fourth power of a row's distance from the mean.
func (w *whitening) fourth(of *[numCosines]int32, white []float64) float64 {
	var x [numCosines]float64
	for i := range of {
		x[i] = float64(of[i]) / cosineUnit
	}
	w.of(white, x[:], w.mean)
	s := squared(white)
	return s * s
}

func squared(x []float64) (sum float64) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

func product(a, b []float64) (sum float64) {
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

// meanOf returns the mean cosines of some rows.
func meanOf(sums []int64, rows uint64) []float64 {
	mean := make([]float64, len(sums))
	for i, x := range sums {
		mean[i] = float64(x) / float64(rows) / cosineUnit
	}
	return mean
}
