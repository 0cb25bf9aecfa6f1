package compat

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Kind says why a difference exists.
type Kind string

// The kinds.
const (
	Deliberate Kind = "deliberate"
	Later      Kind = "later" // an extension that is not implemented yet
)

// Difference is a case in which Sluice's answer differs from Triton's.
type Difference struct {
	Rows    string   // names of rows, or patterns of path.Match, separated by blanks
	Aspects []Aspect // the status if empty
	Kind    Kind
	Option  bool // with compat: triton only the text may differ
	// The text of the documentation, in Markdown.
	Case, Triton, Sluice, Why string
}

// Check compares the results with the record and the table of differences. It returns the
// problems, one a line: a difference that is not in the table, and an entry of the table that
// no longer differs. triton says that the server ran with compat: triton.
func Check(results []Result, triton bool) []string {
	var wrong []string
	found := map[string]Result{} // by row and aspect
	used := make([]bool, len(everywhere()))
	for _, r := range results {
		want := expected(r.Row, used)
		for _, aspect := range compare(r.Row, want, r.Got) {
			found[key(r.Name, aspect)] = r
		}
	}
	listed := map[string]bool{}
	for _, d := range differences() {
		for _, k := range d.keys(results, triton) {
			if listed[k] {
				wrong = append(wrong, k+": it is a duplicate in the table")
			}
			listed[k] = true
			if _, ok := found[k]; !ok && (!triton || !d.Option) {
				wrong = append(wrong, k+": it is in the table ("+d.Case+"), but does not differ")
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(found)) {
		if r := found[k]; !listed[k] {
			wrong = append(wrong, fmt.Sprintf("%s: want %d %.300q, got %d %.300q", k, r.Answer.Status, r.Answer.Body, r.Got.Status, r.Got.Body))
		}
	}
	for i, rule := range everywhere() {
		if !used[i] {
			wrong = append(wrong, rule.Case+": it is in the table, but no answer has it")
		}
	}
	return wrong
}

// expected is Triton's answer in Sluice's format.
func expected(row Row, used []bool) Answer {
	want := row.Answer
	want.Header = maps.Clone(want.Header)
	for i, rule := range everywhere() {
		if rule.turn(row, &want) {
			used[i] = true
		}
	}
	return want
}

func key(row string, a Aspect) string { return row + " (" + string(a) + ")" }

// keys returns the rows of d, each with the aspects that may differ. A pattern that matches no
// row is returned itself, so that Check reports it.
func (d Difference) keys(results []Result, triton bool) []string {
	aspects := d.Aspects
	switch {
	case triton && d.Option:
		aspects = []Aspect{Text}
	case aspects == nil:
		aspects = []Aspect{Status}
	}
	var keys []string
	add := func(row string) {
		for _, a := range aspects {
			keys = append(keys, key(row, a))
		}
	}
	for pattern := range strings.FieldsSeq(d.Rows) {
		idle := true
		for _, r := range results {
			if ok, err := path.Match(pattern, r.Name); ok && err == nil {
				add(r.Name)
				idle = false
			}
		}
		if idle {
			add(pattern)
		}
	}
	return keys
}
