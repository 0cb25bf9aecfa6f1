package compat

// differences returns the table, one part a file.
func differences() []Difference {
	var all []Difference
	for _, part := range [][]Difference{malformed(), values(), answers(), paths(), framing(), texts(), later()} {
		all = append(all, part...)
	}
	return all
}
