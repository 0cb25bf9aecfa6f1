package labels

import "math"

// A curve is a histogram of scores. There is one of the positive class of two. With more classes
// there is one for each class, and after them one of the largest score of each row, whose hits are
// the rows of which that class is the true one.

// scoreSums has the sums over kept predictions, with and without labels. Performance is estimated
// from them.
type scoreSums struct {
	Rows      [][]int64 // by curve and bin
	Predicted []int64   // by predicted class
	Confusion []int64   // labelled rows: predicted class · classes + true class
}

// keepScores adds the kept rows of a prediction. Rows whose scores are not probabilities count in
// no estimate.
func (c *cell) keepScores(f *Form, p *prediction) {
	for i := range p.rows {
		x, ok := p.at(f, i)
		if !ok {
			return
		}
		scores := f.probabilities(x.scores)
		if !valid(scores) {
			continue
		}
		best := predicted(scores)
		c.Predicted = sized(c.Predicted, len(scores))
		c.Predicted[best]++
		c.Rows = curves(c.Rows, f.curves())
		for k := range c.Rows {
			c.Rows[k][f.bin(k, scores, best)]++
		}
	}
}

// addCurves adds a labelled row to the histograms, or takes it out.
func (c *cell) addCurves(f *Form, p []float64, best, class int, sign int64) {
	c.Confusion = sized(c.Confusion, len(p)*len(p))
	c.Confusion[best*len(p)+class] += sign
	c.Positives, c.Negatives = curves(c.Positives, f.curves()), curves(c.Negatives, f.curves())
	for k := range c.Positives {
		side := c.Negatives[k]
		if f.hit(k, best, class) {
			side = c.Positives[k]
		}
		side[f.bin(k, p, best)] += sign
	}
}

// hit reports whether a row is one of the hits of a curve.
func (f *Form) hit(curve, best, class int) bool {
	switch n := f.classes(); {
	case n == 2:
		return class == f.Positive
	case curve == n:
		return class == best
	default:
		return class == curve
	}
}

// bin returns the bin of a row in a curve. If there are two classes, the scores of the predicted
// one are in the upper half, also after a tie or rounding.
func (f *Form) bin(curve int, p []float64, best int) int {
	switch n := f.classes(); {
	case n == 2 && best == f.Positive:
		return max(scoreBin(p[f.Positive]), scoreBins/2)
	case n == 2:
		return min(scoreBin(p[f.Positive]), scoreBins/2-1)
	case curve == n:
		return scoreBin(p[best])
	default:
		return scoreBin(p[curve])
	}
}

func scoreBin(p float64) int {
	logit := math.Log(p) - math.Log1p(-p)
	i := math.Floor((logit + scoreLogits) * scoreBins / (2 * scoreLogits))
	return int(min(max(i, 0), scoreBins-1))
}

// ScoresOfBins returns the score in the middle of each bin.
func ScoresOfBins() []float64 {
	list := make([]float64, scoreBins)
	for i := range list {
		list[i] = 1 / (1 + math.Exp(scoreLogits-(float64(i)+0.5)*2*scoreLogits/scoreBins))
	}
	return list
}

// curves returns the number of curves.
func (f *Form) curves() int {
	switch n := f.classes(); {
	case n == 2:
		return 1
	case f.Kind == kindScores && n > 2:
		return n + 1
	default:
		return 0
	}
}

// areas returns the number of curves that have an area in the AUC.
func (f *Form) areas() int {
	if f.curves() < 2 {
		return f.curves()
	}
	return f.classes()
}

// curves returns a list of at least n histograms.
func curves(list [][]int64, n int) [][]int64 {
	for len(list) < n {
		list = append(list, make([]int64, scoreBins))
	}
	return list
}

// sized returns counts that have at least n places.
func sized(counts []int64, n int) []int64 {
	if len(counts) < n {
		return append(counts, make([]int64, n-len(counts))...)
	}
	return counts
}

// added adds histograms of the same curves.
func added(list, more [][]int64) [][]int64 {
	list = curves(list, len(more))
	for k := range more {
		addCounts(list[k], more[k])
	}
	return list
}

func addCounts(counts, more []int64) {
	for i, n := range more {
		counts[i] += n
	}
}

func (s *scoreSums) merge(o *scoreSums) {
	s.Rows = added(s.Rows, o.Rows)
	s.Predicted, s.Confusion = sized(s.Predicted, len(o.Predicted)), sized(s.Confusion, len(o.Confusion))
	addCounts(s.Predicted, o.Predicted)
	addCounts(s.Confusion, o.Confusion)
}

// encode appends the sums. Counts by class and pairs of classes are few.
func (s *scoreSums) encode(b []byte) []byte {
	b = append(b, byte(len(s.Rows))) //nolint:gosec // at most maxScores and one
	for _, rows := range s.Rows {
		b = appendSparse(b, rows)
	}
	b = append(b, byte(len(s.Predicted))) //nolint:gosec // at most maxScores
	b = appendSparse(b, s.Predicted)
	classes := 0
	for classes*classes < len(s.Confusion) {
		classes++
	}
	return appendSparse(append(b, byte(classes)), s.Confusion)
}

func (s *scoreSums) decode(r *reader) {
	n := int(r.byte())
	if n > maxScores+1 {
		r.failed, r.b = true, nil
		return
	}
	for range n {
		if r.failed {
			return
		}
		rows := make([]int64, scoreBins)
		r.sparse(rows)
		s.Rows = append(s.Rows, rows)
	}
	s.Predicted = r.counts(func(n int) int { return n })
	s.Confusion = r.counts(func(n int) int { return n * n })
}

// counts reads counts for a number of classes.
func (r *reader) counts(size func(classes int) int) []int64 {
	classes := int(r.byte())
	if classes > maxScores {
		r.failed, r.b = true, nil
	}
	if classes == 0 || r.failed {
		r.sparse(nil)
		return nil
	}
	counts := make([]int64, size(classes))
	r.sparse(counts)
	return counts
}

// Scores are the sums of a stream from which its performance is estimated. It owns nothing: they
// are read only.
type Scores struct {
	Form      *Form
	Rows      [][]int64 // kept predictions, by curve and bin
	Predicted []int64   // by class
	Labelled  [][]int64 // those with a label, by curve and bin
	Hits      [][]int64 // those of them that are hits of the curve
	Confusion [][]int64 // those with a label, by predicted and true class

	expected []Expected
}

// Expected returns what a loss model expects, without rows if that is nothing.
func (s *Scores) Expected(of LossSource) Expected {
	for _, x := range s.expected {
		if x.Source == of {
			return x
		}
	}
	return Expected{Source: of}
}

// scores returns the sums for estimates.
func (c *cell) scores(f *Form) *Scores {
	s := &Scores{Form: f, expected: c.Expected, Rows: c.Rows, Predicted: c.Predicted, Hits: c.Positives, Labelled: added(added(nil, c.Positives), c.Negatives)}
	n := f.classes()
	for i := 0; n > 0 && i+n <= len(c.Confusion); i += n {
		s.Confusion = append(s.Confusion, c.Confusion[i:i+n])
	}
	return s
}

// Reference collects rows whose labels are known, as the store would, for what later predictions
// are compared with.
type Reference struct {
	form Form
	sums cell
}

// NewReference returns one without rows. The form must have scores.
func NewReference(f Form) *Reference { return &Reference{form: f} }

// Add adds a row: the elements of its output, and its label. Errors are Invalid.
func (r *Reference) Add(elements []float64, l Label) error {
	_, class, err := r.form.check(l)
	if err != nil {
		return err
	}
	r.sums.add(&r.form, row{scores: elements}, l, class, 1)
	return nil
}

// Unmeasured returns how many rows had scores that are not probabilities.
func (r *Reference) Unmeasured() int64 { return r.sums.Unmeasured }

// Scores returns the sums over the rows so far. All of them are labelled.
func (r *Reference) Scores() *Scores { return r.sums.scores(&r.form) }
