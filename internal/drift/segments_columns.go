package drift

import "sluice.io/sluice/internal/infer"

// IsInput reports whether a column is an element of an input by its name, or by the place that places has for it. Without a model every
// column is.
func IsInput(m *infer.Model, column string, places map[string]string) bool {
	if m == nil {
		return true
	}
	if _, ok := places[column]; ok {
		return true
	}
	only := infer.Model{Inputs: m.Inputs}
	for _, name := range [...]string{column, infer.ExportedName(column)} {
		if _, _, err := featureAt(&only, name); err == nil {
			return true
		}
	}
	f, _, ok := capturedAt(m, column)
	return ok && f.Kind == KindInput
}
