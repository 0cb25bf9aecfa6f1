package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// render writes the records as Markdown: first all verdicts, then each scenario
// with its tables.
func render(out io.Writer, title string, list []Record) {
	fmt.Fprintf(out, "# %s\n\n", title)
	machines := map[string]bool{}
	for _, r := range list {
		machine := fmt.Sprintf("%s, %s, commit %s", r.At.Format("2006-01-02"), r.Machine, r.Commit)
		if r.Quick {
			machine += ", a quick run: shorter and smaller than what the tables are meant for"
		}
		if !machines[machine] {
			machines[machine] = true
			fmt.Fprintf(out, "%s.\n", machine)
		}
	}
	fmt.Fprint(out, "\n| scenario | claim | wanted | measured | verdict |\n|---|---|---|---|---|\n")
	for _, r := range list {
		for _, c := range r.Checks {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", r.Scenario, c.Claim, withUnit(c.Want, c.Unit), withUnit(number(c.Got), c.Unit), emphasis(c.Verdict))
		}
	}
	for _, r := range list {
		fmt.Fprintf(out, "\n## %s\n\n%s\n", r.Scenario, r.What)
		for _, t := range r.Tables {
			renderTable(out, t)
		}
		for _, n := range r.Notes {
			fmt.Fprintf(out, "\n- %s\n", n)
		}
	}
}

func renderTable(out io.Writer, t Table) {
	fmt.Fprintln(out)
	if t.Title != "" {
		fmt.Fprintf(out, "%s:\n\n", t.Title)
	}
	fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = text(cell)
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
}

// text writes a cell, also one that was read back from JSON.
func text(cell any) string {
	switch v := cell.(type) {
	case string:
		return strings.ReplaceAll(v, "|", `\|`)
	case int:
		return number(float64(v))
	case int64:
		return number(float64(v))
	case float64:
		return number(v)
	default:
		return fmt.Sprint(v)
	}
}

// number writes three significant digits, and all of a larger one before the point.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) || math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

func withUnit(figure, unit string) string {
	if figure == "" || unit == "" {
		return figure
	}
	return figure + " " + unit
}

func emphasis(verdict string) string {
	if verdict == missed {
		return "**missed**"
	}
	return verdict
}

// finite replaces what JSON has no number for by -1, which no figure is.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return -1
	}
	return v
}
