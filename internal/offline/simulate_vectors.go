package offline

import (
	"fmt"
	"slices"

	"sluice.io/sluice/internal/drift"
)

// withElements returns a profile with the elements of its vectors as features, in the place of what is measured of them: these are what a
// table has columns for. The elements of a vector are next to each other.
func withElements(p *Profile) *Profile {
	if len(p.Vectors) == 0 {
		return p
	}
	q := *p
	q.Features = slices.DeleteFunc(slices.Clone(p.Features), func(f drift.Feature) bool { return f.OfVector() })
	for i := range p.Vectors {
		v := &p.Vectors[i]
		for element := v.From; element < v.From+v.Size; element++ {
			q.Features = append(q.Features, drift.Feature{
				Name: fmt.Sprintf("%s[%d]", v.Tensor, element), Kind: v.Kind, Tensor: v.Tensor, Element: element, Datatype: v.Datatype,
			})
		}
	}
	return &q
}

// elements are the features of a vector's elements: size of them, from one on.
type elements struct{ from, size int }

// elementsOf finds the vectors of a profile among the features of withElements.
func elementsOf(p, whole *Profile) []elements {
	list := make([]elements, len(p.Vectors))
	for i := range p.Vectors {
		v := &p.Vectors[i]
		list[i] = elements{size: v.Size, from: slices.IndexFunc(whole.Features, func(f drift.Feature) bool {
			return f.Measure == "" && f.Kind == v.Kind && f.Tensor == v.Tensor && f.Element == v.From
		})}
	}
	return list
}

// of returns the elements in a row, nil if one is missing.
func (e elements) of(row *drift.Row) []float64 {
	if slices.Contains(row.Missing[e.from:e.from+e.size], true) {
		return nil
	}
	return row.Values[e.from : e.from+e.size]
}
