package drift

import (
	"slices"

	"sluice.io/sluice/internal/infer"
)

// countedVector counts norm and mean of a vector in the bins of another profile.
type countedVector struct {
	of    *vectorColumns
	parts [2]Feature // norm, mean
}

// countVectors makes the builder count its vectors in the cosines of another profile. It returns the number of their features.
func (b *Builder) countVectors(c *counted, of *Profile) (int, error) {
	if len(of.Vectors) != len(b.vectors) {
		return 0, infer.Errorf(infer.Invalid, "the profile with the bins has %d vectors, the rows have %d", len(of.Vectors), len(b.vectors))
	}
	for _, v := range b.vectors {
		at := slices.IndexFunc(of.Vectors, func(o Vector) bool {
			return o.Kind == v.v.Kind && o.Tensor == v.v.Tensor && o.From == v.v.From && o.Size == v.v.Size && o.Datatype == v.v.Datatype
		})
		if at < 0 {
			return 0, infer.Errorf(infer.Invalid, "the profile with the bins does not have vector '%.60s' of the same size and datatype", v.v.Name)
		}
		v.countIn(&of.Vectors[at])
		n := countedVector{of: v}
		norm, mean := v.features()
		for k, f := range [...]Feature{norm, mean} {
			list, err := f.likeIn(of)
			if err != nil {
				return 0, err
			}
			n.parts[k] = list[0]
		}
		c.vectors = append(c.vectors, n)
	}
	return 2 * len(b.vectors), nil
}

// add counts a row.
func (c *countedVector) add(b *Builder, values []float64, missing []bool) {
	norm, mean := c.of.add(values, missing)
	for k, x := range [...]float64{norm, mean} {
		c.parts[k].countIn(&b.week, b.moments[c.of.parts+k].add(x))
	}
}

// described returns norm and mean.
func (c *countedVector) described(b *Builder) []Feature {
	norm, mean := c.of.features()
	list := []Feature{norm, mean}
	for k := range list {
		f, like := &list[k], &c.parts[k]
		b.moments[c.of.parts+k].describe(f)
		f.Edges, f.Tails, f.Reference = like.Edges, like.Tails, like.Reference.around(like.Mean, f.Mean)
		f.Hours = b.week.around(like, f)
	}
	return list
}
