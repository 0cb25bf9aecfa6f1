package main

import (
	"fmt"
	"strconv"
	"strings"
)

// count writes a number with commas between thousands and three digits that
// matter where it is small.
func count(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// ratioText writes two digits that matter.
func ratioText(v float64) string {
	switch {
	case v < 0.1:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case v >= 100:
		return count(v)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// orDash is for what is not known.
func orDash(v float64, format func(float64) string) string {
	if v == 0 {
		return "-"
	}
	return format(v)
}

// micros writes a time that is given in microseconds.
func micros(v float64) string {
	switch {
	case v < 1e3:
		return strconv.FormatFloat(v, 'g', 3, 64) + " µs"
	case v < 1e5:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(v/1e3, 'f', 0, 64) + " ms"
}

// table writes a table of Markdown.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	t := &table{}
	t.row(columns...)
	t.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	return t
}

func (t *table) row(cells ...string) {
	fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | "))
}
