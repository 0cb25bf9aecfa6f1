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
	Models  string   // names of models, separated by blanks: all answers of theirs may differ, and some must
	Aspects []Aspect // the status if empty
	Kind    Kind
	Option  bool // with compat: triton only the text may differ
	// The text of the documentation, in Markdown.
	Case, Triton, Sluice, Why string
}

// outcome is a row that was sent, the model that it calls, and how its answer differs.
type outcome struct {
	name, model string
	differ      map[Aspect]string // what was recorded and what was answered
}

// check compares outcomes with the table of differences. It returns the problems, one a line: a
// difference that is not in the table, and an entry of the table that no longer differs. triton says
// that the server ran with compat: triton.
func check(outcomes []outcome, table []Difference, triton bool) (wrong []string) {
	found := map[string]string{} // by row and aspect
	for _, o := range outcomes {
		for aspect, differ := range o.differ {
			found[key(o.name, aspect)] = differ
		}
	}
	listed := map[string]bool{}
	for _, d := range table {
		for _, k := range d.keys(outcomes, triton) {
			if listed[k] {
				wrong = append(wrong, k+": it is a duplicate in the table")
			}
			listed[k] = true
			if _, ok := found[k]; !ok && (!triton || !d.Option) {
				wrong = append(wrong, k+": it is in the table ("+d.Case+"), but does not differ")
			}
		}
		for model := range strings.FieldsSeq(d.Models) {
			keys := differences(outcomes, model)
			if len(keys) == 0 {
				wrong = append(wrong, "model "+model+": it is in the table ("+d.Case+"), but no answer differs")
			}
			for _, k := range keys {
				listed[k] = true
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(found)) {
		if !listed[k] {
			wrong = append(wrong, k+": "+found[k])
		}
	}
	return wrong
}

// differences returns the keys of all that differs in the answers of a model.
func differences(outcomes []outcome, model string) (keys []string) {
	for _, o := range outcomes {
		if o.model != model {
			continue
		}
		for aspect := range o.differ {
			keys = append(keys, key(o.name, aspect))
		}
	}
	return keys
}

// Check compares the answers over HTTP with the record and the table of differences, and returns
// the problems.
func Check(results []Result, triton bool) []string {
	used := make([]bool, len(everywhere()))
	outcomes := make([]outcome, len(results))
	for i, r := range results {
		want := expected(r.Row, used)
		o := outcome{name: r.Name, model: r.model(), differ: map[Aspect]string{}}
		for _, aspect := range compare(r.Row, want, r.Got) {
			o.differ[aspect] = fmt.Sprintf("want %d %.300q, got %d %.300q", r.Answer.Status, r.Answer.Body, r.Got.Status, r.Got.Body)
		}
		outcomes[i] = o
	}
	wrong := check(outcomes, httpDifferences(), triton)
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
func (d Difference) keys(outcomes []outcome, triton bool) []string {
	var keys []string
	add := func(row string, differ map[Aspect]string) {
		aspects := d.Aspects
		switch {
		case triton && d.Option:
			aspects = []Aspect{Text}
		case aspects == nil:
			aspects = []Aspect{Status}
		case slices.Contains(aspects, Any) && len(differ) > 0:
			aspects = slices.Collect(maps.Keys(differ))
		}
		for _, a := range aspects {
			keys = append(keys, key(row, a))
		}
	}
	for pattern := range strings.FieldsSeq(d.Rows) {
		idle := true
		for _, o := range outcomes {
			if ok, err := path.Match(pattern, o.name); ok && err == nil {
				add(o.name, o.differ)
				idle = false
			}
		}
		if idle {
			add(pattern, nil)
		}
	}
	return keys
}
