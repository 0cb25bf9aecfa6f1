package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Record is what one scenario saw: a line of the results.
type Record struct {
	Scenario string    `json:"scenario"`
	What     string    `json:"what"` // what was done, for who reads the tables
	At       time.Time `json:"at"`
	Seconds  float64   `json:"seconds"`
	Machine  string    `json:"machine"`
	Commit   string    `json:"commit"`
	Quick    bool      `json:"quick,omitempty"`
	Tables   []Table   `json:"tables,omitempty"`
	Checks   []Check   `json:"checks"`
	Notes    []string  `json:"notes,omitempty"`
}

// Table holds figures with their names; a cell is a number or a text.
type Table struct {
	Title   string   `json:"title,omitempty"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

func (t *Table) add(cells ...any) { t.Rows = append(t.Rows, cells) }

// What a check may come to.
const (
	met      = "met"
	missed   = "missed"
	recorded = "recorded" // nothing was promised
)

// Check is a claim, the figure that it asks for and the one that was measured.
type Check struct {
	Claim   string  `json:"claim"`
	Got     float64 `json:"got"`
	Want    string  `json:"want,omitempty"`
	Unit    string  `json:"unit,omitempty"`
	Verdict string  `json:"verdict"`
}

func (r *Record) atMost(claim string, got, limit float64, unit string) {
	r.check(claim, got, "≤ "+number(limit), unit, got <= limit)
}

func (r *Record) atLeast(claim string, got, limit float64, unit string) {
	r.check(claim, got, "≥ "+number(limit), unit, got >= limit)
}

// check enters a claim; a figure that is not a number holds no promise.
func (r *Record) check(claim string, got float64, want, unit string, holds bool) {
	verdict := missed
	if holds {
		verdict = met
	}
	r.Checks = append(r.Checks, Check{claim, finite(got), want, unit, verdict})
}

func (r *Record) record(claim string, got float64, unit string) {
	r.Checks = append(r.Checks, Check{Claim: claim, Got: finite(got), Unit: unit, Verdict: recorded})
}

func (r *Record) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// readRecords returns the lines of a file of results; none if there is no file.
func readRecords(file string) (list []Record, err error) {
	f, err := os.Open(file) //nolint:gosec // the operator's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = append(list, r)
	}
	return list, lines.Err()
}

// writeRecords writes one line for each.
func writeRecords(file string, list []Record) error {
	var text []byte
	for _, r := range list {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Scenario, err)
		}
		text = append(append(text, line...), '\n')
	}
	return os.WriteFile(file, text, 0o644) //nolint:gosec // results are for all to read
}

// merge puts new records in the place of those of the same scenario, the rest
// after them, in the order of the scenarios' names given.
func merge(old, fresh []Record, order []string) (list []Record) {
	for _, name := range order {
		for _, from := range [][]Record{fresh, old} {
			if i := indexOf(from, name); i >= 0 {
				list = append(list, from[i])
				break
			}
		}
	}
	return list
}

func indexOf(list []Record, scenario string) int {
	for i := range list {
		if list[i].Scenario == scenario {
			return i
		}
	}
	return -1
}
