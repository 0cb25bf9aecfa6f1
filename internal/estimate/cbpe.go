package estimate

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Margin returns half of the length of a confidence sequence of a mean in standard deviations of a
// value, for n values: a bound that holds at every look.
type Margin func(n, alpha float64) float64

// Options of estimates. All are required.
type Options struct {
	Scores []float64 // in the middle of the bins
	Alpha  float64   // the probability that an interval ever misses
	Margin Margin
}

// minIntervalRows is the min number of rows for an interval, as for measured metrics.
const minIntervalRows = 100

// Estimate is what a metric is expected to be, or was expected to be for rows whose labels came.
type Estimate struct {
	Name  string
	Rows  float64
	Value float64
	// Sampling is the standard deviation of the metric of as many rows, and Table that of the
	// estimate, since the reference is finite.
	Sampling, Table float64
	// Low and High are the ends of the interval, if HasInterval.
	Low, High   float64
	HasInterval bool
	// Outside is the share of the rows with a score below, or above, all those of the reference.
	Outside float64
}

// Error returns the standard error: that of the metric of other rows of the same kind, and of a
// reference of the same size.
func (e *Estimate) Error() float64 { return math.Hypot(e.Sampling, e.Table) }

// Comparison is an estimate beside the truth of the same rows.
type Comparison struct {
	Name        string
	Rows        float64
	Value       float64 // of the estimate
	Truth       float64
	Bound       float64 // max difference that chance explains
	Holds, Sure bool    // Sure: there are enough rows for Holds
}

// Classifier estimates how good a classification is.
type Classifier struct {
	o         Options
	tables    []*table
	confusion [][]int64
}

// NewClassifier fits a classifier to a reference. ok is false if it does not have enough rows, or
// if it has other bins.
func NewClassifier(r *Reference, o Options) (*Classifier, bool) {
	if r.Rows < MinRows || r.Bins != len(o.Scores) {
		return nil, false
	}
	c := &Classifier{o: o, confusion: r.Confusion}
	for k := range r.Curves {
		rows, hits := r.Curves[k].dense(r.Bins)
		c.tables = append(c.tables, newTable(floats(rows), floats(hits), o.Scores))
	}
	return c, true
}

// part is a statistic of one curve, a summand of a metric.
type part struct {
	statistic

	curve int
}

// metrics returns the metrics of curves, each as a sum of parts.
func (c *Classifier) metrics(n, rates [][]float64) [][]part {
	if len(c.tables) == 1 {
		metrics := positive(n[0], rates[0], c.o.Scores)
		list := make([][]part, 0, len(metrics))
		for _, s := range metrics {
			list = append(list, []part{{s, 0}})
		}
		return list
	}
	return c.classes(n, rates)
}

// Estimate estimates the metrics of rows, by curve and bin.
func (c *Classifier) Estimate(rows [][]int64) []Estimate {
	if len(rows) < len(c.tables) || sum(floats(rows[0])) == 0 {
		return nil
	}
	n, rates := make([][]float64, len(c.tables)), make([][]float64, len(c.tables))
	for k, t := range c.tables {
		n[k], rates[k] = floats(rows[k]), t.rate
	}
	var list []Estimate
	for _, parts := range c.metrics(n, rates) {
		e := Estimate{Name: parts[0].name}
		for _, p := range parts {
			t := c.tables[p.curve]
			e.Rows = sum(n[p.curve])
			e.Value += p.value
			e.Sampling += math.Sqrt(t.chance(p.grad, n[p.curve]) + spread(p.row, n[p.curve]))
			e.Table += math.Sqrt(t.error(p.grad))
			e.Outside = max(e.Outside, t.outside(n[p.curve]))
		}
		if half, ok := c.half(e.Rows, e.Sampling, e.Table); ok {
			e.Low, e.High, e.HasInterval = max(e.Value-half, 0), e.Value+half, true
			if most, bounded := c.most(e.Name); bounded {
				e.High = min(e.High, most)
			}
		}
		list = append(list, e)
	}
	return list
}

// most returns the largest value of a metric.
func (c *Classifier) most(name string) (x float64, bounded bool) {
	switch {
	case name == "log_loss":
		return 0, false
	case name == "brier" && len(c.tables) > 1:
		return 2, true
	default:
		return 1, true
	}
}

// Compare compares what is expected of rows with how many of them came true.
func (c *Classifier) Compare(rows, hits [][]int64) []Comparison {
	if len(rows) < len(c.tables) || len(hits) < len(c.tables) || sum(floats(rows[0])) == 0 {
		return nil
	}
	n, rates, truths := make([][]float64, len(c.tables)), make([][]float64, len(c.tables)), make([][]float64, len(c.tables))
	for k, t := range c.tables {
		n[k], rates[k], truths[k] = floats(rows[k]), t.rate, make([]float64, len(rows[k]))
		for b, h := range hits[k] {
			if n[k][b] > 0 {
				truths[k][b] = float64(h) / n[k][b]
			}
		}
	}
	truth := map[string]float64{}
	for _, parts := range c.metrics(n, truths) {
		for _, p := range parts {
			truth[p.name] += p.value
		}
	}
	var list []Comparison
	for _, parts := range c.metrics(n, rates) {
		x := Comparison{Name: parts[0].name}
		var known bool
		if x.Truth, known = truth[x.Name]; !known {
			continue
		}
		sampling, table := 0.0, 0.0
		for _, p := range parts {
			t := c.tables[p.curve]
			x.Rows = sum(n[p.curve])
			x.Value += p.value
			sampling += math.Sqrt(t.chance(p.grad, n[p.curve]))
			table += math.Sqrt(t.error(p.grad))
		}
		x.Bound, x.Sure = c.half(x.Rows, sampling, table)
		x.Holds = math.Abs(x.Truth-x.Value) <= x.Bound
		list = append(list, x)
	}
	return list
}

// half returns half of an interval: half of alpha is for the chance of the rows, which is bounded
// at every look, and half for the table, which does not change.
func (c *Classifier) half(n, sampling, table float64) (half float64, ok bool) {
	if n < minIntervalRows {
		return 0, false
	}
	return c.o.Margin(n, c.o.Alpha/2)*math.Sqrt(n)*sampling + distuv.UnitNormal.Quantile(1-c.o.Alpha/4)*table, true
}

// chance returns the variance of a metric if the rows of each bin come true with its rate.
func (t *table) chance(grad, n []float64) float64 {
	v := 0.0
	for b, g := range grad {
		if n[b] > 0 {
			v += g * g * t.rate[b] * (1 - t.rate[b]) / n[b]
		}
	}
	return v
}

// spread returns the variance of a metric since other rows would have other scores.
func spread(row, n []float64) float64 {
	total, v := sum(n), 0.0
	for b, x := range row {
		v += n[b] * x * x
	}
	return v / (total * total)
}

// error returns the variance of a metric since the rates come from a finite reference.
func (t *table) error(grad []float64) float64 {
	by := make([]float64, len(t.variance))
	for b, g := range grad {
		if g != 0 {
			by[t.block[b]] += g
		}
	}
	v := 0.0
	for k, g := range by {
		v += g * g * t.variance[k]
	}
	return v
}

func (t *table) outside(n []float64) float64 {
	some := 0.0
	for b, x := range n {
		if b < t.from || b > t.to {
			some += x
		}
	}
	return some / sum(n)
}
