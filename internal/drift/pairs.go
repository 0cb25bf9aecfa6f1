package drift

import (
	"fmt"
	"math"
	"slices"
)

// MaxPaired is the max number of features whose dependence on each other is in a profile: 64
// features are 2,016 pairs.
const MaxPaired = 64

// Pairs say how the features of a reference depend on each other, by pairs of features. The pairs
// are in the order (0, 1), (0, 2), (1, 2), (0, 3) and so on, of indexes in Features. The sums are over
// the rows of the reference's sample that have both values, with the scores of their bins (see
// scores.go). The sums of two samples with the same bins can be added.
type Pairs struct {
	Features []int     `json:"features"` // indexes of features of the profile, ascending, at least 2
	Rows     []uint64  `json:"rows"`
	Products []float64 `json:"products"` // of the two scores
	Squares  []float64 `json:"squares"`  // of the squares of the two scores
}

// PairCounts are the sums for the pairs of a profile over the rows of a window.
type PairCounts struct {
	Rows     []uint64  `json:"rows"`
	Products []float64 `json:"products"`
}

// pairOf returns the index of the pair of two indexes, i < j.
func pairOf(i, j int) int { return j*(j-1)/2 + i }

// numPairs returns the number of pairs of n features.
func numPairs(n int) int { return n * (n - 1) / 2 }

// pairable reports whether a feature is a number, not one of a text, and the law of their scores is close
// enough to a normal one for means and products to be tested: there are two bins or more, and none of
// them is rare.
func (f *Feature) pairable(s *scores) bool {
	return f.Measure == "" && s.of != nil && s.kurtosis <= maxKurtosis
}

// pairsOf sums over the rows of a sample. row returns a row, and parts has the index in it for each
// feature that is not of a text. It returns nil if fewer than two features can be paired.
func pairsOf(features []Feature, parts []int, rows uint64, row func(uint64) []float64) *Pairs {
	p := &Pairs{}
	var all []scores
	var at []int // in a row, by paired feature
	for i := range features {
		if features[i].Measure != "" {
			continue
		}
		part := parts[0]
		parts = parts[1:]
		if s := scoresOf(features[i].Reference.Bins); features[i].pairable(&s) && len(all) < MaxPaired {
			p.Features, all, at = append(p.Features, i), append(all, s), append(at, part)
		}
	}
	if len(all) < 2 {
		return nil
	}
	n := numPairs(len(all))
	p.Rows, p.Products, p.Squares = make([]uint64, n), make([]float64, n), make([]float64, n)
	var x pairRow
	for number := range rows {
		values := row(number)
		x.reset()
		for k, i := range p.Features {
			if v := values[at[k]]; v-v == 0 {
				x.add(k, all[k].of[features[i].bin(v)])
			}
		}
		for b := range x.at {
			for a := range b {
				pair, product := pairOf(x.at[a], x.at[b]), x.scores[a]*x.scores[b]
				p.Rows[pair]++
				p.Products[pair] += product
				p.Squares[pair] += product * product
			}
		}
	}
	return p
}

// bin returns the bin of a finite value.
func (f *Feature) bin(x float64) int {
	i, _ := slices.BinarySearch(f.Edges, x)
	return i
}

// pairRow has the scores of one row: those of its finite values, and their indexes in Pairs.Features.
type pairRow struct {
	at     []int
	scores []float64
}

func (r *pairRow) reset() { r.at, r.scores = r.at[:0], r.scores[:0] }

// add adds a score. Indexes must ascend.
func (r *pairRow) add(at int, score float64) {
	r.at, r.scores = append(r.at, at), append(r.scores, score)
}

// newPairCounts returns the sums over zero rows for so many pairs.
func newPairCounts(pairs int) *PairCounts {
	return &PairCounts{Rows: make([]uint64, pairs), Products: make([]float64, pairs)}
}

// clone returns a copy.
func (c *PairCounts) clone() *PairCounts {
	return &PairCounts{Rows: slices.Clone(c.Rows), Products: slices.Clone(c.Products)}
}

// add adds a row.
func (c *PairCounts) add(r *pairRow) {
	for b, j := range r.at {
		rows, products := c.Rows[pairOf(0, j):], c.Products[pairOf(0, j):]
		for a, i := range r.at[:b] {
			rows[i]++
			products[i] += r.scores[a] * r.scores[b]
		}
	}
}

// Merge adds the sums over other rows.
func (c *PairCounts) Merge(o *PairCounts) {
	for i := range o.Rows {
		c.Rows[i] += o.Rows[i]
		c.Products[i] += o.Products[i]
	}
}

// dependence is what is known of a pair in the reference.
type dependence struct {
	correlation float64
	rows        float64
	// noise is the variance of Fisher's z of the correlation, times the rows: 1 for normal values.
	noise float64
}

// maxCorrelation bounds correlations, so that Fisher's z is finite.
const maxCorrelation = 0.999

func clampCorrelation(r float64) float64 { return max(-maxCorrelation, min(r, maxCorrelation)) }

// correlation returns the one of a pair, 0 if no row has both values. Over the reference the scores of each feature
// have mean 0 and variance 1.
func (p *Pairs) correlation(pair int) float64 {
	if p.Rows[pair] == 0 {
		return 0
	}
	return clampCorrelation(p.Products[pair] / float64(p.Rows[pair]))
}

// dependences returns the correlations of the reference, and their noise.
//
// The noise is the delta method's for a correlation (Kendall and Stuart, The Advanced Theory of
// Statistics 1, 1977, chapter 10), if the mean of one score is linear in the other; it is never assumed
// to be less than that of normal values.
func (p *Pairs) dependences(all []scores) []dependence {
	list := make([]dependence, len(p.Rows))
	for j := range p.Features {
		for i := range j {
			at := pairOf(i, j)
			rows := float64(p.Rows[at])
			if rows == 0 {
				continue
			}
			r := p.correlation(at)
			both := p.Squares[at] / rows
			square := 1 - r*r
			variance := both*(1+r*r/2) - 0.75*r*r*(all[i].kurtosis+all[j].kurtosis)
			list[at] = dependence{correlation: r, rows: rows, noise: max(1, variance/(square*square))}
		}
	}
	return list
}

// correlation is the one of a pair in some rows, from the moments of both features in these rows.
func correlation(product float64, a, b *meanScore) float64 {
	if a.variance <= 0 || b.variance <= 0 {
		return 0
	}
	return clampCorrelation((product - a.mean*b.mean) / math.Sqrt(a.variance*b.variance))
}

// only returns the pairs of the features for which place returns their new index, nil if fewer than
// two are left. Indexes must keep their order; -1 removes a feature.
func (p *Pairs) only(place func(feature int) int) *Pairs {
	if p == nil {
		return nil
	}
	kept, left := []int(nil), &Pairs{}
	for k, feature := range p.Features {
		if at := place(feature); at >= 0 {
			kept, left.Features = append(kept, k), append(left.Features, at)
		}
	}
	if len(kept) < 2 {
		return nil
	}
	for b, j := range kept {
		for _, i := range kept[:b] {
			at := pairOf(i, j)
			left.Rows = append(left.Rows, p.Rows[at])
			left.Products = append(left.Products, p.Products[at])
			left.Squares = append(left.Squares, p.Squares[at])
		}
	}
	return left
}

// check checks the pairs of a profile with so many features and sampled rows.
func (p *Pairs) check(features int, sampled uint64) error {
	n := len(p.Features)
	if n < 2 || n > MaxPaired {
		return fmt.Errorf("pairs of %d features; expected 2 to %d", n, MaxPaired)
	}
	for k, i := range p.Features {
		if i < 0 || i >= features || k > 0 && i <= p.Features[k-1] {
			return fmt.Errorf("pairs of feature %d; expected indexes below %d that ascend", i, features)
		}
	}
	if want := numPairs(n); len(p.Rows) != want || len(p.Products) != want || len(p.Squares) != want {
		return fmt.Errorf("%d, %d and %d sums for pairs of %d features; expected %d", len(p.Rows), len(p.Products), len(p.Squares), n, want)
	}
	for i, rows := range p.Rows {
		if err := checkSums(rows, sampled, p.Products[i]); err != nil {
			return err
		}
		if s := p.Squares[i]; !(s >= 0 && s <= math.MaxFloat64) {
			return fmt.Errorf("the sum of squares of a pair is %v", s)
		}
	}
	return nil
}

// check checks the sums over at most so many rows for pairs of a profile.
func (c *PairCounts) check(p *Pairs, rows uint64) error {
	if p == nil || len(c.Rows) != len(p.Rows) || len(c.Products) != len(p.Rows) {
		return fmt.Errorf("%d and %d sums for pairs, which are not those of the profile", len(c.Rows), len(c.Products))
	}
	for i, n := range c.Rows {
		if err := checkSums(n, rows, c.Products[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkSums(rows, most uint64, product float64) error {
	if rows > most {
		return fmt.Errorf("a pair counts %d rows of %d", rows, most)
	}
	if product-product != 0 {
		return fmt.Errorf("the sum of products of a pair is %v; expected a finite number", product)
	}
	return nil
}

// Correlation is the correlation of two features in the reference, by the order of their values.
type Correlation struct {
	A, B  int // indexes of features of the profile, A before B
	Value float64
	Rows  uint64 // that have both values
}

// Correlations returns the correlations of the paired features, in the order of Pairs; nil if they are
// not known.
func (p *Profile) Correlations() []Correlation {
	if p.Pairs == nil {
		return nil
	}
	list := make([]Correlation, 0, len(p.Pairs.Rows))
	for b, j := range p.Pairs.Features {
		for a, i := range p.Pairs.Features[:b] {
			at := pairOf(a, b)
			list = append(list, Correlation{A: i, B: j, Value: p.Pairs.correlation(at), Rows: p.Pairs.Rows[at]})
		}
	}
	return list
}
