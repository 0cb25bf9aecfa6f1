package labels

import (
	"math"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/confseq"
)

// Confidence is the probability with which all intervals of one metric cover the true value.
const Confidence = 0.95

const alpha = 1 - Confidence

// measure fills a stream with what the sums say.
func (c *cell) measure(f *Form, s *api.LabelStream) {
	s.Task, s.Output, s.Classes = f.Task, f.Output, f.Classes
	if f.Scored() && f.classes() == 2 {
		s.Positive = f.Name(f.Positive)
	}
	s.Predictions, s.Labels, s.Unmeasured = count(c.Kept), count(c.Labelled), count(c.Unmeasured)
	if c.Kept > 0 {
		s.Coverage = min(float64(c.Labelled)/float64(c.Kept), 1)
	}
	if c.First != 0 {
		s.First, s.Last = time.Unix(0, c.First).UTC(), time.Unix(0, c.Last).UTC()
	}
	s.Delay = c.delay()
	s.Metrics = []api.LabelMetric{}
	switch {
	case c.Labelled == 0:
	case f.Kind == kindValue:
		c.regression(s)
	default:
		addMetric(s, api.MetricAccuracy, count(c.Labelled), float64(c.Correct)/float64(c.Labelled), api.IntervalExact,
			confseq.MeanBinary(float64(c.Labelled), float64(c.Correct), alpha), true)
		c.classification(f, s)
	}
}

func count(n int64) uint64 { return uint64(max(n, 0)) } //nolint:gosec // not negative

// addMetric adds a metric, without an interval if ok is false.
func addMetric(s *api.LabelStream, name string, rows uint64, value float64, method string, i confseq.Interval, ok bool) {
	m := api.LabelMetric{Name: name, Value: value, Rows: rows}
	if ok {
		m.Low, m.High, m.Method = &i.Low, &i.High, method
	}
	s.Metrics = append(s.Metrics, m)
}

// regression adds the metrics of a regression. The mean of the errors is of prediction minus
// label: a bias above 0 predicts too much.
func (c *cell) regression(s *api.LabelStream) {
	n := float64(c.Labelled - c.Unmeasured)
	if n <= 0 {
		return
	}
	rows := count(c.Labelled - c.Unmeasured)
	i, ok := confseq.MeanUnbounded(n, c.Absolute, c.Squares, alpha)
	i.Low = max(i.Low, 0)
	addMetric(s, api.MetricMAE, rows, c.Absolute/n, api.IntervalAsymptotic, i, ok)
	i, ok = confseq.MeanUnbounded(n, c.Squares, c.Fourth, alpha)
	i = confseq.Interval{Low: math.Sqrt(max(i.Low, 0)), High: math.Sqrt(max(i.High, 0))}
	addMetric(s, api.MetricRMSE, rows, math.Sqrt(max(c.Squares, 0)/n), api.IntervalAsymptotic, i, ok)
	i, ok = confseq.MeanUnbounded(n, c.Errors, c.Squares, alpha)
	addMetric(s, "bias", rows, c.Errors/n, api.IntervalAsymptotic, i, ok)
}

// classification adds the metrics of probabilities.
func (c *cell) classification(f *Form, s *api.LabelStream) {
	n := float64(c.Scored)
	if n <= 0 {
		return
	}
	rows, most := count(c.Scored), 2.0
	if f.classes() == 2 {
		most = 1
	}
	i, ok := confseq.MeanUnbounded(n, c.LogLoss, c.LogLoss2, alpha)
	i.Low = max(i.Low, 0)
	addMetric(s, "log_loss", rows, c.LogLoss/n, api.IntervalAsymptotic, i, ok)
	i = confseq.MeanBounded(n, c.Brier/most, c.Brier2/(most*most), alpha)
	addMetric(s, "brier", rows, c.Brier/n, api.IntervalExact, confseq.Interval{Low: most * i.Low, High: most * i.High}, true)
	if value, i, ok, known := c.auc(f); known {
		addMetric(s, "auc", rows, value, api.IntervalAsymptotic, i, ok)
	}
	ece := 0.0
	s.Calibration = []api.CalibrationBin{}
	for k, b := range c.Bins {
		if b.Rows <= 0 {
			continue
		}
		n, hits := float64(b.Rows), float64(b.Hits)
		i := confseq.MeanBinary(n, hits, alpha)
		s.Calibration = append(s.Calibration, api.CalibrationBin{
			From: float64(k) / calibrationBins, To: float64(k+1) / calibrationBins, Rows: count(b.Rows),
			Mean: b.Scores / n, Rate: hits / n, Low: i.Low, High: i.High,
		})
		ece += math.Abs(b.Scores - hits)
	}
	addMetric(s, "ece", rows, ece/n, "", confseq.Interval{}, false)
}

// auc returns the area under the ROC curve of the positive class of two, or the mean of the areas
// of each class against all others. known is false if a class, or all others, has no rows.
//
// A pair of scores in the same bin counts as a half. The variance is DeLong's. The interval of a
// mean over classes is that of the mean of intervals which are all valid at the same time.
func (c *cell) auc(f *Form) (value float64, i confseq.Interval, ok, known bool) {
	curves := min(f.areas(), len(c.Positives))
	if curves == 0 {
		return 0, i, false, false
	}
	ok = true
	for k := range curves {
		area, deviation, n, some := curve(c.Positives[k], c.Negatives[k])
		if n == 0 {
			return 0, i, false, false
		}
		half := deviation * confseq.Margin(n, alpha/float64(curves))
		value += area / float64(curves)
		i.Low += max(area-half, 0) / float64(curves)
		i.High += min(area+half, 1) / float64(curves)
		ok = ok && some >= confseq.MinAsymptotic/4 && n >= confseq.MinAsymptotic
	}
	return value, i, ok, true
}

// curve returns the area under a curve, and the deviation that a single row of n contributes to
// it. some is the number of rows of the smaller side. n is 0 if one side has no rows.
func curve(positives, negatives []int64) (area, deviation, n, some float64) {
	var p, q float64
	for b := range positives {
		p, q = p+float64(positives[b]), q+float64(negatives[b])
	}
	if p <= 0 || q <= 0 {
		return 0, 0, 0, 0
	}
	var below, sum, squaresP, squaresQ float64 // negatives below the bin
	pBelow := 0.0
	for b := range positives {
		x, y := float64(positives[b]), float64(negatives[b])
		wins := (below + y/2) / q            // of a positive in this bin
		losses := (p - pBelow - x + x/2) / p // of a negative in this bin
		sum += x * wins
		squaresP += x * wins * wins
		squaresQ += y * losses * losses
		below, pBelow = below+y, pBelow+x
	}
	area = sum / p
	variance := max(squaresP/p-area*area, 0)/p + max(squaresQ/q-area*area, 0)/q
	return area, math.Sqrt(variance * (p + q)), p + q, min(p, q)
}
