package estimate

import "math"

// Losses has sums over rows for which a loss model expects a loss, and over those of them whose
// losses are known since labels have come.
type Losses struct {
	Squared bool // the losses are squared errors, whose root is estimated; else absolute errors

	Rows         float64
	Sum, Squares float64 // of the expected losses

	Labelled                     float64
	LabelledSum, LabelledSquares float64 // of the expected losses
	Truth                        float64 // sum of the losses
	Residuals                    float64 // sum of the squares of loss minus expected loss
}

// LossOptions are those of estimates by loss models.
type LossOptions struct {
	Alpha  float64 // the probability that an interval ever misses
	Margin Margin
	// Tolerance is the relative error of an estimate that a loss model may have and is still right.
	// A loss model was trained on finitely many rows, so with enough labels each one is found to be a
	// little wrong.
	Tolerance float64
}

// The variance of a loss relative to the square of its mean, for errors with a Laplace
// distribution. It is lower for normal errors: 0.57 and 2.
const (
	varianceOfAbsolute = 1
	varianceOfSquared  = 5
)

// variance returns the variance of the loss of a row relative to the square of its expected loss.
// Labels show it; before they come it is that of errors with longer tails than the normal
// distribution has.
func (l *Losses) variance() float64 {
	if l.Labelled >= minIntervalRows && l.LabelledSquares > 0 {
		return l.Residuals / l.LabelledSquares
	}
	if l.Squared {
		return varianceOfSquared
	}
	return varianceOfAbsolute
}

// name returns the metric.
func (l *Losses) name() string {
	if l.Squared {
		return "rmse"
	}
	return "mae"
}

// metric returns the metric of a mean loss.
func (l *Losses) metric(mean float64) float64 {
	if l.Squared {
		return math.Sqrt(max(mean, 0))
	}
	return mean
}

// Estimate estimates the metric of all rows. ok is false if there are none.
func (l *Losses) Estimate(o LossOptions) (e Estimate, ok bool) {
	if l.Rows <= 0 {
		return e, false
	}
	mean, square := l.Sum/l.Rows, l.Squares/l.Rows
	e = Estimate{Name: l.name(), Rows: l.Rows, Value: l.metric(mean)}
	// The chance of the losses, given what is expected, and that of other rows.
	deviation := math.Sqrt(l.variance()*square + max(square-mean*mean, 0))
	e.Sampling = l.scaled(mean, deviation/math.Sqrt(l.Rows))
	if l.Rows >= minIntervalRows {
		// These rows are as they are, so that only the losses are left to chance.
		half := o.Margin(l.Rows, o.Alpha) * math.Sqrt(l.variance()*square)
		slack := o.Tolerance * e.Value
		e.Low, e.High, e.HasInterval = max(l.metric(mean-half)-slack, 0), l.metric(mean+half)+slack, true
	}
	return e, true
}

// scaled returns the standard deviation of the metric for that of a mean loss.
func (l *Losses) scaled(mean, deviation float64) float64 {
	if !l.Squared {
		return deviation
	}
	if mean <= 0 {
		return math.Sqrt(deviation)
	}
	return deviation / (2 * math.Sqrt(mean))
}

// Compare compares what is expected of the labelled rows with their losses. ok is false if there
// are none.
func (l *Losses) Compare(o LossOptions) (c Comparison, ok bool) {
	if l.Labelled <= 0 {
		return c, false
	}
	expected, truth := max(l.LabelledSum/l.Labelled, 0), max(l.Truth/l.Labelled, 0)
	c = Comparison{Name: l.name(), Rows: l.Labelled, Value: l.metric(expected), Truth: l.metric(truth)}
	difference := truth - expected
	deviation := math.Sqrt(max(l.Residuals/l.Labelled-difference*difference, 0))
	half := o.Margin(l.Labelled, o.Alpha) * deviation
	if l.Squared && c.Value+c.Truth > 0 {
		half /= c.Value + c.Truth // |a - b| = |a² - b²| / (a + b)
	}
	c.Bound, c.Sure = half+o.Tolerance*c.Value, l.Labelled >= minIntervalRows
	c.Holds = math.Abs(c.Truth-c.Value) <= c.Bound
	return c, true
}
