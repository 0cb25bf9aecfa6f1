package compat

import "strings"

// Markdown returns the differences of HTTP of one kind as a table.
func Markdown(kind Kind) string {
	all := make([]Difference, 0, len(everywhere())+len(httpDifferences()))
	for _, rule := range everywhere() {
		all = append(all, rule.Difference)
	}
	return table(kind, append(all, httpDifferences()...))
}

// GRPCMarkdown returns those of gRPC.
func GRPCMarkdown(kind Kind) string { return table(kind, grpcDifferences()) }

func table(kind Kind, all []Difference) string {
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
	for _, d := range all {
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
