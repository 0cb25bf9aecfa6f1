package drift

import (
	"math"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// VectorCounts are the sums of the cosines of a vector over some rows: 2.6 kB. The sum of two is that of all their rows, and
// exact.
type VectorCounts struct {
	Rows uint64  `json:"rows"`
	Sums []int64 `json:"sums"`
	// Halves are the rows that are in the first half, by split.
	Halves [numSplits]VectorHalf `json:"halves"`
}

// VectorHalf are the sums of a half of the rows.
type VectorHalf struct {
	Rows uint64  `json:"rows"`
	Sums []int64 `json:"sums"`
}

func newVectorCounts() *VectorCounts {
	all := make([]int64, (1+numSplits)*numCosines)
	c := &VectorCounts{Sums: all[:numCosines:numCosines]}
	for i := range c.Halves {
		at := (1 + i) * numCosines
		c.Halves[i].Sums = all[at : at+numCosines : at+numCosines]
	}
	return c
}

// newVectors returns the counts of no rows, by vector; nil if there are no vectors.
func (p *Profile) newVectors() []*VectorCounts {
	if len(p.Vectors) == 0 {
		return nil
	}
	list := make([]*VectorCounts, len(p.Vectors))
	for i := range list {
		list[i] = newVectorCounts()
	}
	return list
}

// add adds the cosines of a row in these halves.
func (c *VectorCounts) add(of *[numCosines]int32, halves Halves) {
	c.Rows++
	for i, x := range of {
		c.Sums[i] += int64(x)
	}
	for s, in := range halves {
		if in == 0 {
			continue
		}
		h := &c.Halves[s]
		h.Rows++
		for i, x := range of {
			h.Sums[i] += int64(x)
		}
	}
}

// Merge adds the sums of other rows of the same vector.
func (c *VectorCounts) Merge(o *VectorCounts) {
	c.Rows += o.Rows
	addSums(c.Sums, o.Sums)
	for s := range c.Halves {
		c.Halves[s].Rows += o.Halves[s].Rows
		addSums(c.Halves[s].Sums, o.Halves[s].Sums)
	}
}

func addSums(to, of []int64) {
	for i, x := range of {
		to[i] += x
	}
}

// clone returns a copy; nil stays nil.
func (c *VectorCounts) clone() *VectorCounts {
	if c == nil {
		return nil
	}
	sum := newVectorCounts()
	sum.Merge(c)
	return sum
}

// check returns an error if sums of at most this many rows are not valid.
func (c *VectorCounts) check(rows uint64) error {
	bad := func() error { return infer.Errorf(infer.Invalid, "the sums of %d rows are not valid", rows) }
	if c == nil || c.Rows > min(rows, maxVector) || !validSums(c.Sums, c.Rows) {
		return bad()
	}
	for i := range c.Halves {
		if h := &c.Halves[i]; h.Rows > c.Rows || !validSums(h.Sums, h.Rows) {
			return bad()
		}
	}
	return nil
}

func validSums(sums []int64, rows uint64) bool {
	most := int64(rows) * cosineUnit //nolint:gosec // at most maxVector
	return len(sums) == numCosines && slices.Max(sums) <= most && slices.Min(sums) >= -most
}

// vectorCut is the vector of a tensor in a tap.
type vectorCut struct {
	vector, norm, mean int // indices in the profile; norm and mean are -1 without a feature
	from, size         int
	of                 *projector
	cosines            [numCosines]int32
}

// vectorCuts returns the vectors of a tensor; there is at most one.
func (p *Profile) vectorCut(kind, tensor string) *vectorCut {
	for i := range p.Vectors {
		v := &p.Vectors[i]
		if v.Kind != kind || v.Tensor != tensor {
			continue
		}
		c := &vectorCut{vector: i, norm: -1, mean: -1, from: v.From, size: v.Size, of: v.projector()}
		for k := range p.Features {
			if f := &p.Features[k]; f.Kind == kind && f.Tensor == tensor {
				switch f.Measure {
				case MeasureNorm:
					c.norm = k
				case MeasureMean:
					c.mean = k
				}
			}
		}
		return c
	}
	return nil
}

// count counts a row. at returns an element of the vector. A row that is not finite is counted as missing or infinite by its
// norm and mean only.
func (c *vectorCut) count(p *Profile, w *Window, halves Halves, at func(i int) float64) {
	row := sketchIn(c.of.sketch, c.size, c.of.seed, at)
	norm, mean := row.measures(c.size)
	c.measured(p, w, halves, norm, mean)
	if norm-norm == 0 && c.of.cosines(c.of.sketch, &c.cosines) {
		w.Vectors[c.vector].add(&c.cosines, halves)
	}
}

// measured counts norm and mean.
func (c *vectorCut) measured(p *Profile, w *Window, halves Halves, norm, mean float64) {
	if c.norm >= 0 {
		w.Counts[c.norm].AddIn(&p.Features[c.norm], norm, halves)
	}
	if c.mean >= 0 {
		w.Counts[c.mean].AddIn(&p.Features[c.mean], mean, halves)
	}
}

// missing counts a row without the vector.
func (c *vectorCut) missing(p *Profile, w *Window) {
	c.measured(p, w, Halves{}, math.NaN(), math.NaN())
}
