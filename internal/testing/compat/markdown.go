package compat

import "strings"

// Markdown returns the differences of one kind as a table.
func Markdown(kind Kind) string {
	var b strings.Builder
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	switch kind {
	case Deliberate:
		row("case", "Triton 2.51", "Sluice", "why")
		row("---", "---", "---", "---")
	case Later:
		row("case", "Triton 2.51", "Sluice")
		row("---", "---", "---")
	}
	all := make([]Difference, 0, len(everywhere())+len(differences()))
	for _, rule := range everywhere() {
		all = append(all, rule.Difference)
	}
	for _, d := range append(all, differences()...) {
		if d.Kind != kind {
			continue
		}
		if d.Option {
			d.Sluice += "; Triton's status under `compat: triton`"
		}
		cells := []string{d.Case, d.Triton, d.Sluice}
		if kind == Deliberate {
			cells = append(cells, d.Why)
		}
		row(cells...)
	}
	return b.String()
}
