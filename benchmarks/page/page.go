// Package page writes results: tables of Markdown, pictures, and numbers as both show
// them.
package page

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// Table is a table of Markdown.
type Table struct{ strings.Builder }

// NewTable begins one.
func NewTable(columns ...string) *Table {
	t := &Table{}
	t.Row(columns...)
	t.WriteString("|" + strings.Repeat("---|", len(columns)) + "\n")
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) {
	fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | "))
}

// Rendered is a table of a record.
func Rendered(r *record.Table) string {
	t := NewTable(r.Columns...)
	for _, row := range r.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Cell(cell)
		}
		t.Row(cells...)
	}
	if r.Title != "" {
		return r.Title + ":\n\n" + t.String()
	}
	return t.String()
}

// Scenarios writes records with claims: first all verdicts, then each scenario with its
// tables.
func Scenarios(title string, rows record.Rows) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n\n", title)
	seen, claims := map[string]bool{}, 0
	verdicts := NewTable("scenario", "claim", "wanted", "measured", "verdict")
	for i := range rows {
		r := &rows[i]
		h := r.Host
		machine := fmt.Sprintf("%s, %d cores of %s, shared by gateway and clients, linux, %s, commit %s", h.Date, h.Cores, h.CPU, h.Go, h.Revision)
		if r.Params["quick"] != "" {
			machine += ", a quick run: shorter and smaller than what the tables are meant for"
		}
		if !seen[machine] {
			seen[machine] = true
			fmt.Fprintf(&out, "%s.\n", machine)
		}
		claims += len(r.Checks)
		for _, c := range r.Checks {
			verdict := c.Verdict
			if verdict == record.Missed {
				verdict = "**missed**"
			}
			verdicts.Row(r.Scenario, c.Claim, WithUnit(c.Want, c.Unit), WithUnit(record.Number(c.Got), c.Unit), verdict)
		}
	}
	if claims > 0 {
		fmt.Fprintf(&out, "\n%s", verdicts)
	}
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&out, "\n## %s\n", r.Scenario)
		if what := r.Params["what"]; what != "" {
			fmt.Fprintf(&out, "\n%s\n", what)
		}
		for k := range r.Tables {
			fmt.Fprintf(&out, "\n%s", Rendered(&r.Tables[k]))
		}
		for _, n := range r.Notes {
			fmt.Fprintf(&out, "\n- %s\n", n)
		}
	}
	return out.String()
}

// WithUnit adds a unit to a figure, if there are both.
func WithUnit(figure, unit string) string {
	if figure == "" || unit == "" {
		return figure
	}
	return figure + " " + unit
}

// Cell writes a cell, also one that was read back from JSON.
func Cell(cell any) string {
	switch v := cell.(type) {
	case string:
		return strings.ReplaceAll(v, "|", `\|`)
	case int:
		return record.Number(float64(v))
	case int64:
		return record.Number(float64(v))
	case float64:
		return record.Number(v)
	default:
		return fmt.Sprint(v)
	}
}

// Count writes a number with commas between thousands and three digits that matter
// if it is small.
func Count(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return Thousands(v)
}

// Thousands writes a whole number with commas between thousands.
func Thousands(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Bytes writes a number in Ki and Mi if it is a multiple of them.
func Bytes(x float64) string {
	switch {
	case x >= 1<<20 && math.Mod(x, 1<<20) == 0:
		return fmt.Sprintf("%.0f Mi", x/(1<<20))
	case x >= 1<<10 && math.Mod(x, 1<<10) == 0:
		return fmt.Sprintf("%.0f Ki", x/(1<<10))
	default:
		return fmt.Sprintf("%.0f", x)
	}
}

// Ratio writes two digits that matter.
func Ratio(v float64) string {
	switch {
	case v < 0.1:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case v >= 100:
		return Count(v)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Decimal writes one digit after the point.
func Decimal(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// Micros writes a time that is given in microseconds.
func Micros(v float64) string {
	switch {
	case v < 1e3:
		return strconv.FormatFloat(v, 'g', 3, 64) + " µs"
	case v < 1e5:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(v/1e3, 'f', 0, 64) + " ms"
}

// OrDash is for what is not known: 0, or not a number.
func OrDash(v float64, format func(float64) string) string {
	if v == 0 || math.IsNaN(v) {
		return "-"
	}
	return format(v)
}

// Median writes the median of a spread; "-" without one.
func Median(s record.Spread, format func(float64) string) string {
	if !s.OK() {
		return "-"
	}
	return format(s.Median)
}

// Range writes the median and, if there was more than one value, the range.
func Range(s record.Spread, format func(float64) string) string {
	if !s.OK() || s.Low == s.High {
		return Median(s, format)
	}
	return fmt.Sprintf("%s (%s–%s)", format(s.Median), format(s.Low), format(s.High))
}

// Write writes a page that all may read.
func Write(file, text string) error {
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // results are for all to read
}
