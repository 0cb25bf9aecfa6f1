package offline

import (
	"slices"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// asVectors marks the columns of the tensors in o.Vectors as the elements of a vector. Errors are Invalid: a tensor has no
// columns, fewer than two, or not one for each of its elements.
func asVectors(m *drift.ColumnMap, o *ProfileOptions) error {
	if len(o.Vectors) > drift.MaxVectors {
		return infer.Errorf(infer.Invalid, "%d vectors; expected at most %d", len(o.Vectors), drift.MaxVectors)
	}
	for _, tensor := range o.Vectors {
		var elements []int
		kind := ""
		for i := range m.Columns {
			f := m.Columns[i].Feature
			if f == nil || f.Tensor != tensor || kind != "" && f.Kind != kind {
				continue
			}
			if f.IsText() {
				return infer.Errorf(infer.Invalid, "vector '%.60s': column '%.60s' has texts", tensor, m.Columns[i].Column)
			}
			kind = f.Kind
			elements = append(elements, f.Element)
			f.Measure = drift.MeasureVector
			m.Columns[i].How += ", of a vector"
		}
		slices.Sort(elements)
		if n := len(elements); n < 2 || elements[0] != 0 || elements[n-1] != n-1 {
			return infer.Errorf(infer.Invalid, "vector '%.60s' needs a column for each of its elements, %.60s[0] and so on; %d have one", tensor, tensor, n)
		}
	}
	return nil
}
