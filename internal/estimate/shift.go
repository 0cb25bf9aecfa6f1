package estimate

import (
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// maxCondition is the max condition number of the confusion matrix. Above it, small differences in
// the predicted classes would be large ones in the true classes.
const maxCondition = 50

// Share is the share of a class among the true classes.
type Share struct {
	Reference float64 // in the reference
	Value     float64 // expected
	Error     float64 // its standard error
	Low, High float64
	// Shifted: it is another one than in the reference. The probability that any class ever is if
	// nothing has shifted is at most alpha.
	Shifted bool
}

// ShareCheck compares an expected share with the labels of the same rows.
type ShareCheck struct {
	Value, Truth, Bound float64
	Holds               bool
}

// Shift estimates the shares of the true classes from the number of rows by predicted class. It
// assumes that rows of a class are predicted as those in the reference were, even if their number
// is another one (Lipton, Wang, Smola: Detecting and correcting for label shift with black box
// predictors, ICML 2018). ok is false if there are too few rows, or if the model confuses the
// classes too much.
func (c *Classifier) Shift(predicted []int64) (list []Share, ok bool) {
	s, ok := c.shift(predicted)
	if !ok {
		return nil, false
	}
	classes := float64(len(predicted))
	for j, value := range s.shares {
		reference := s.columns[j] / s.total
		chance, table := math.Sqrt(s.chance(j)), math.Sqrt(s.table(j))
		margin := c.o.Margin(s.n, c.o.Alpha/2/classes) * math.Sqrt(s.n) * chance
		z := distuv.UnitNormal.Quantile(1 - c.o.Alpha/4/classes)
		half := margin + z*table
		apart := half + z*math.Sqrt(reference*(1-reference)/s.total)
		list = append(list, Share{
			Reference: reference, Value: clip(value), Error: math.Hypot(chance, table), Low: clip(value - half), High: clip(value + half),
			Shifted: math.Abs(value-reference) > apart,
		})
	}
	return list, true
}

// CompareShift compares the shares that are expected of rows with labels, given by predicted and
// true class, with their true classes.
func (c *Classifier) CompareShift(confusion [][]int64) (list []ShareCheck, ok bool) {
	predicted, truth := make([]int64, len(confusion)), make([]float64, len(confusion))
	for i, row := range confusion {
		for j, n := range row {
			predicted[i] += n
			truth[j] += float64(n)
		}
	}
	s, ok := c.shift(predicted)
	if !ok {
		return nil, false
	}
	classes := float64(len(predicted))
	for j, value := range s.shares {
		chance := 0.0
		for k, n := range truth {
			chance += n / s.n * s.column(j, k) / s.n
		}
		x := ShareCheck{Value: clip(value), Truth: truth[j] / s.n}
		x.Bound = c.o.Margin(s.n, c.o.Alpha/2/classes)*math.Sqrt(s.n*chance) + distuv.UnitNormal.Quantile(1-c.o.Alpha/4/classes)*math.Sqrt(s.table(j))
		x.Holds = math.Abs(value-x.Truth) <= x.Bound
		list = append(list, x)
	}
	return list, true
}

// shifted solves for the shares of the true classes.
type shifted struct {
	n, total  float64    // rows, and rows of the reference
	columns   []float64  // the reference's rows by true class
	confusion *mat.Dense // shares of the predicted class, by predicted and true class
	inverse   *mat.Dense
	predicted []float64 // shares
	shares    []float64 // of the true classes
}

func (c *Classifier) shift(predicted []int64) (*shifted, bool) {
	k := len(c.confusion)
	if len(predicted) != k {
		return nil, false
	}
	s := &shifted{columns: make([]float64, k), confusion: mat.NewDense(k, k, nil), inverse: &mat.Dense{}, predicted: floats(predicted)}
	for i := range k {
		for j, n := range c.confusion[i] {
			s.columns[j] += float64(n)
		}
	}
	s.n, s.total = sum(s.predicted), sum(s.columns)
	if s.n < minIntervalRows {
		return nil, false
	}
	for j, n := range s.columns {
		if n == 0 {
			return nil, false
		}
		for i := range k {
			s.confusion.Set(i, j, float64(c.confusion[i][j])/n)
		}
	}
	for i := range s.predicted {
		s.predicted[i] /= s.n
	}
	if !(mat.Cond(s.confusion, 1) <= maxCondition) || s.inverse.Inverse(s.confusion) != nil {
		return nil, false
	}
	var shares mat.VecDense
	shares.MulVec(s.inverse, mat.NewVecDense(k, s.predicted))
	s.shares = shares.RawVector().Data
	return s, true
}

// chance returns the variance of a share since the predicted classes are those of n rows.
func (s *shifted) chance(j int) float64 {
	var mean, square float64
	for i, share := range s.predicted {
		r := s.inverse.At(j, i)
		mean, square = mean+r*share, square+r*r*share
	}
	return max(square-mean*mean, 0) / s.n
}

// table returns the variance of a share since the confusion matrix comes from a finite reference.
func (s *shifted) table(j int) float64 {
	v := 0.0
	for k, n := range s.columns {
		v += s.shares[k] * s.shares[k] * s.column(j, k) / n
	}
	return v
}

// column returns the variance that a row of the true class k contributes to the share of j.
func (s *shifted) column(j, k int) float64 {
	var mean, square float64
	for i := range s.predicted {
		r, share := s.inverse.At(j, i), s.confusion.At(i, k)
		mean, square = mean+r*share, square+r*r*share
	}
	return max(square-mean*mean, 0)
}

func clip(x float64) float64 { return min(max(x, 0), 1) }
