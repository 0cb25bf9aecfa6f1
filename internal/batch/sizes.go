package batch

import (
	"iter"

	"sluice.io/sluice/internal/infer"
)

// usualSizes are tried for the free dimensions beside the rows: small ones first, since they
// cost least and suit most models, then those of pictures, spectra and sequences.
func usualSizes() []int64 { return []int64{1, 2, 3, 16, 32, 48, 64, 128, 224, 256, 320, 512, 640} }

// otherSizes are tried for the dimensions that do not vary in a pattern, mostly channels.
func otherSizes() []int64 { return []int64{3, 1} }

// dimension is a place in the shapes of a model's inputs.
type dimension struct{ input, axis int }

// free is one free dimension beside the rows, or several that have the same name and so the
// same size.
type free []dimension

// freeDimensions returns the free dimensions of a model, in the order of the inputs.
func freeDimensions(m *infer.Model) []free {
	var all []free
	known := map[string]int{} // by name, the place in all
	for i := range m.Inputs {
		s := &m.Inputs[i]
		if s.Optional {
			continue
		}
		for axis := 1; axis < len(s.Shape); axis++ {
			if s.Shape[axis] >= 0 {
				continue
			}
			d, n := dimension{i, axis}, name(s, axis)
			if at, ok := known[n]; ok && n != "" {
				all[at] = append(all[at], d)
				continue
			}
			known[n] = len(all)
			all = append(all, free{d})
		}
	}
	return all
}

// sizes yields sizes for n free dimensions, the likely ones first: all equal, then two
// neighbours equal (the height and width of a picture) and the rest small, then one large and
// the rest small. pattern numbers those three ways and their positions.
func sizes(n int) iter.Seq2[int, []int64] {
	return func(yield func(pattern int, sizes []int64) bool) {
		if n == 0 {
			yield(0, nil)
			return
		}
		pattern := 0
		try := func(large func(i int) bool, others []int64) bool {
			for _, other := range others {
				for _, size := range usualSizes() {
					s := make([]int64, n)
					for i := range s {
						if s[i] = other; large(i) {
							s[i] = size
						}
					}
					if !yield(pattern, s) {
						return false
					}
				}
				pattern++
			}
			return true
		}
		if !try(func(int) bool { return true }, []int64{0}) {
			return
		}
		for width := 2; width > 0; width-- {
			for first := 0; n > width && first+width <= n; first++ {
				if !try(func(i int) bool { return i >= first && i < first+width }, otherSizes()) {
					return
				}
			}
		}
	}
}

// withSizes returns the signature with all free dimensions fixed except for the rows.
func withSizes(m *infer.Model, dims []free, sizes []int64) *infer.Model {
	inputs := append([]infer.TensorSpec(nil), m.Inputs...)
	for i := range inputs {
		inputs[i].Shape = append(infer.Shape(nil), inputs[i].Shape...)
	}
	for i, places := range dims {
		for _, d := range places {
			inputs[d.input].Shape[d.axis] = sizes[i]
		}
	}
	return infer.NewModel(m.Name, m.Version, inputs, m.Outputs)
}
