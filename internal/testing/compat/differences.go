package compat

// httpDifferences returns the table for HTTP, one part a file.
func httpDifferences() []Difference {
	var all []Difference
	for _, part := range [][]Difference{malformed(), values(), answers(), paths(), framing(), texts(), repository(), configs(), settingsOverHTTP(), later()} {
		all = append(all, part...)
	}
	return all
}
