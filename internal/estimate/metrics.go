package estimate

import "math"

// leastProbability is the smallest one in the log loss, as in the measured one.
const leastProbability = 1.1920929e-07

// statistic is a metric as a function of the rows n and rates c by bin of one curve.
type statistic struct {
	name  string
	value float64
	grad  []float64 // by bin: the derivative by the rate
	row   []float64 // by bin: how much a row of it changes the metric, times the rows
}

// positive returns the metrics of the positive class of two. Classes are predicted from the bin
// half on.
func positive(n, c, scores []float64) []statistic {
	half := len(n) / 2
	upper := make([]float64, len(n))
	for b := half; b < len(n); b++ {
		upper[b] = 1
	}
	hit, loss, square := func(b int) (float64, float64) { return upper[b], 1 - upper[b] }, logLosses(scores), squares(scores)
	list := []statistic{mean("accuracy", n, c, hit), mean("log_loss", n, c, loss), mean("brier", n, c, square)}
	if s, ok := area("auc", n, c); ok {
		list = append(list, s)
	}
	return append(list, shares(n, c, upper)...)
}

// logLosses returns the log loss of a row that comes true, and of one that does not.
func logLosses(scores []float64) func(b int) (yes, no float64) {
	return func(b int) (yes, no float64) {
		return -math.Log(max(scores[b], leastProbability)), -math.Log(max(1-scores[b], leastProbability))
	}
}

func squares(scores []float64) func(b int) (yes, no float64) {
	return func(b int) (yes, no float64) { return (1 - scores[b]) * (1 - scores[b]), scores[b] * scores[b] }
}

// mean returns a mean over rows of a value that a row has if it comes true, or if it does not.
func mean(name string, n, c []float64, values func(b int) (yes, no float64)) statistic {
	s := statistic{name, 0, make([]float64, len(n)), make([]float64, len(n))}
	total := sum(n)
	for b := range n {
		yes, no := values(b)
		s.row[b] = c[b]*yes + (1-c[b])*no
		s.grad[b] = n[b] * (yes - no) / total
		s.value += n[b] * s.row[b] / total
	}
	for b := range n {
		s.row[b] -= s.value
	}
	return s
}

// area returns the area under the ROC curve. A pair of scores in one bin counts as a half. ok is
// false if no row, or every row, comes true.
func area(name string, n, c []float64) (s statistic, ok bool) {
	var p, q float64
	for b := range n {
		p, q = p+n[b]*c[b], q+n[b]*(1-c[b])
	}
	if p <= 0 || q <= 0 {
		return s, false
	}
	s = statistic{name, 0, make([]float64, len(n)), make([]float64, len(n))}
	wins, losses := make([]float64, len(n)), make([]float64, len(n)) // of a row of a bin: the share that it is above, or below
	below, pBelow := 0.0, 0.0
	for b := range n {
		x, y := n[b]*c[b], n[b]*(1-c[b])
		wins[b], losses[b] = (below+y/2)/q, (p-pBelow-x/2)/p
		s.value += x * wins[b] / p
		below, pBelow = below+y, pBelow+x
	}
	total := p + q
	for b := range n {
		yes, no := (wins[b]-s.value)/p, (losses[b]-s.value)/q
		s.grad[b] = n[b] * (yes - no)
		s.row[b] = total * (c[b]*yes + (1-c[b])*no)
	}
	return s, true
}

// shares returns precision, recall and F1 of the rows that are predicted to come true.
func shares(n, c, upper []float64) []statistic {
	var predicted, came, both float64
	for b := range n {
		predicted, came, both = predicted+n[b]*upper[b], came+n[b]*c[b], both+n[b]*c[b]*upper[b]
	}
	total := sum(n)
	// Each is both·scale divided by a sum of a·predicted + d·true rows.
	share := func(name string, scale, a, d float64) (s statistic, ok bool) {
		under := a*predicted + d*came
		if under <= 0 {
			return s, false
		}
		s = statistic{name, scale * both / under, make([]float64, len(n)), make([]float64, len(n))}
		for b := range n {
			slope := (scale*upper[b] - s.value*d) / under
			s.grad[b] = n[b] * slope
			s.row[b] = total * (c[b]*slope - s.value*a*upper[b]/under)
		}
		return s, true
	}
	var list []statistic
	for _, x := range [...]struct {
		name        string
		scale, a, d float64
	}{{"precision", 1, 1, 0}, {"recall", 1, 0, 1}, {"f1", 2, 1, 1}} {
		if s, ok := share(x.name, x.scale, x.a, x.d); ok {
			list = append(list, s)
		}
	}
	return list
}

func sum(list []float64) float64 {
	total := 0.0
	for _, x := range list {
		total += x
	}
	return total
}
