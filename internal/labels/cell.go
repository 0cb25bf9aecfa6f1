package labels

import (
	"math"
	"time"

	"sluice.io/sluice/api"
)

const (
	calibrationBins = 10
	// scoreBins are the bins of a score's logit, from -scoreLogits to scoreLogits: scores near 0
	// and 1, as of rare events, have bins as narrow as others.
	scoreBins   = 1024
	scoreLogits = 16
	// A delay bin is a half longer than the one before; the first ends after a second.
	delayBins  = 48
	delayRatio = 1.5
	// leastProbability is the smallest one in the log loss, as in scikit-learn for float32.
	leastProbability = 1.1920929e-07
	// largestError is the max size of an error in the metrics of a regression. The fourth power
	// of a larger one may overflow, and would hide all others.
	largestError = 1e60
)

// cell has the sums over a part of the labelled predictions of a stream. All metrics are made of
// sums. So cells can be added, and a row can be taken out again.
type cell struct {
	Kept, Labelled, Unmeasured int64
	First, Last                int64 // times of labelled predictions in nanoseconds; 0: none
	Delays                     [delayBins]int64
	MaxDelay                   int64

	Correct, Scored      int64 // right classes, of all labelled rows; rows with probabilities
	Brier, Brier2        float64
	LogLoss, LogLoss2    float64
	Bins                 [calibrationBins]bin
	Positives, Negatives [][]int64 // labelled rows by curve and bin of its score, hits and others
	scoreSums                      // of all kept predictions, see cell_scores.go

	Errors, Squares, Absolute, Fourth float64 // sums of powers of the errors

	Expected []Expected // by loss model, the newest last
}

type bin struct {
	Rows, Hits int64
	Scores     float64
}

// keep counts kept predictions.
func (c *cell) keep(rows int) { c.Kept += int64(rows) }

// add adds a labelled row, or takes it out if sign is -1. class is the index of the label's class,
// if the form has scores.
func (c *cell) add(f *Form, x row, l Label, class int, sign int64) {
	c.Labelled += sign
	switch f.Kind {
	case kindValue:
		c.addError(x.value-l.Number, sign)
	case kindClass:
		if x.class == l.Text {
			c.Correct += sign
		}
	default:
		c.addScores(f, x.scores, class, sign)
	}
}

// seen notes the time of a prediction that has got its first label, and the delay of that.
func (c *cell) seen(at time.Time, delay time.Duration) {
	if t := at.UnixNano(); c.First == 0 || t < c.First {
		c.First = t
	}
	c.Last = max(c.Last, at.UnixNano())
	c.Delays[delayBin(delay)]++
	c.MaxDelay = max(c.MaxDelay, int64(delay))
}

func delayBin(d time.Duration) int {
	if d <= time.Second {
		return 0
	}
	return min(int(math.Ceil(math.Log(d.Seconds())/math.Log(delayRatio))), delayBins-1)
}

func delayEnd(i int) time.Duration {
	return time.Duration(math.Pow(delayRatio, float64(i)) * float64(time.Second))
}

func (c *cell) addError(e float64, sign int64) {
	if math.IsNaN(e) || math.Abs(e) > largestError {
		c.Unmeasured += sign
		return
	}
	s := float64(sign)
	c.Errors += s * e
	c.Absolute += s * math.Abs(e)
	c.Squares += s * e * e
	c.Fourth += s * e * e * e * e
}

// addScores adds a row of a classification with scores.
func (c *cell) addScores(f *Form, scores []float64, class int, sign int64) {
	p := f.probabilities(scores)
	best := predicted(p)
	if best == class {
		c.Correct += sign
	}
	if !valid(p) {
		c.Unmeasured += sign
		return
	}
	c.Scored += sign
	brier := f.brier(p, class)
	loss := -math.Log(max(p[class], leastProbability))
	s := float64(sign)
	c.Brier, c.Brier2 = c.Brier+s*brier, c.Brier2+s*brier*brier
	c.LogLoss, c.LogLoss2 = c.LogLoss+s*loss, c.LogLoss2+s*loss*loss
	// Calibration is of the positive class of two, else of the predicted class.
	of := best
	if len(p) == 2 {
		of = f.Positive
	}
	b := &c.Bins[min(max(int(p[of]*calibrationBins), 0), calibrationBins-1)]
	b.Rows, b.Scores = b.Rows+sign, b.Scores+s*p[of]
	if of == class {
		b.Hits += sign
	}
	c.addCurves(f, p, best, class, sign)
}

// probabilities returns the probability of each class of scores, as far as they have some.
func (f *Form) probabilities(scores []float64) []float64 {
	if f.Kind == kindScore {
		p := scores[0]
		if f.Logits {
			p = 1 / (1 + math.Exp(-p))
		}
		both := []float64{1 - p, 1 - p}
		both[f.Positive] = p
		return both
	}
	if !f.Logits {
		return scores
	}
	largest, sum := math.Inf(-1), 0.0
	for _, s := range scores {
		largest = max(largest, s)
	}
	p := make([]float64, len(scores))
	for i, s := range scores {
		p[i] = math.Exp(s - largest)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// predicted returns the class with the largest score, the first of several, or -1 if a score is
// not a number.
func predicted(p []float64) int {
	best := 0
	for i, x := range p {
		if math.IsNaN(x) {
			return -1
		}
		if x > p[best] {
			best = i
		}
	}
	return best
}

// valid reports whether scores are probabilities, up to the precision of a float.
func valid(p []float64) bool {
	const tolerance = 1e-2
	sum := 0.0
	for i, x := range p {
		if !(x >= -1e-6 && x <= 1+1e-6) {
			return false
		}
		p[i] = min(max(x, 0), 1)
		sum += x
	}
	return math.Abs(sum-1) <= tolerance
}

// brier returns the Brier score of a row: (p - y)² of the positive class of two, from 0 to 1, else
// the sum over all classes, from 0 to 2, as in scikit-learn.
func (f *Form) brier(p []float64, class int) float64 {
	if len(p) == 2 {
		d := 1 - p[class]
		return d * d
	}
	sum := 0.0
	for i, x := range p {
		if i == class {
			x--
		}
		sum += x * x
	}
	return sum
}

// merge adds the sums of another cell of the same form.
func (c *cell) merge(o *cell) {
	c.Kept, c.Labelled, c.Unmeasured = c.Kept+o.Kept, c.Labelled+o.Labelled, c.Unmeasured+o.Unmeasured
	if c.First == 0 || o.First != 0 && o.First < c.First {
		c.First = o.First
	}
	c.Last, c.MaxDelay = max(c.Last, o.Last), max(c.MaxDelay, o.MaxDelay)
	for i, n := range o.Delays {
		c.Delays[i] += n
	}
	c.Correct, c.Scored = c.Correct+o.Correct, c.Scored+o.Scored
	c.Brier, c.Brier2, c.LogLoss, c.LogLoss2 = c.Brier+o.Brier, c.Brier2+o.Brier2, c.LogLoss+o.LogLoss, c.LogLoss2+o.LogLoss2
	for i, b := range o.Bins {
		c.Bins[i] = bin{c.Bins[i].Rows + b.Rows, c.Bins[i].Hits + b.Hits, c.Bins[i].Scores + b.Scores}
	}
	c.Positives, c.Negatives = added(c.Positives, o.Positives), added(c.Negatives, o.Negatives)
	c.scoreSums.merge(&o.scoreSums)
	for i := range o.Expected {
		c.expected(o.Expected[i].Source).merge(&o.Expected[i])
	}
	c.Errors, c.Squares, c.Absolute, c.Fourth = c.Errors+o.Errors, c.Squares+o.Squares, c.Absolute+o.Absolute, c.Fourth+o.Fourth
}

// delay returns the quantiles of the delays.
func (c *cell) delay() *api.LabelDelay {
	total := int64(0)
	for _, n := range c.Delays {
		total += n
	}
	if total == 0 {
		return nil
	}
	quantile := func(q float64) api.Duration {
		seen := int64(0)
		for i, n := range c.Delays {
			if seen += n; float64(seen) >= q*float64(total) {
				return api.Duration(min(delayEnd(i), max(time.Duration(c.MaxDelay), 0)))
			}
		}
		return api.Duration(c.MaxDelay)
	}
	return &api.LabelDelay{Median: quantile(0.5), P90: quantile(0.9), Max: api.Duration(c.MaxDelay)}
}
