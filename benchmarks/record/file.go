package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"strconv"
)

// Record is one line: what was done, with which parameters, on which machine, and the
// figures that came of it. A figure's name ends in its unit, unless it is a number or a
// share.
type Record struct {
	Scenario string             `json:"scenario"`
	Params   map[string]string  `json:"params,omitempty"`
	Figures  map[string]float64 `json:"figures,omitempty"`
	Tables   []Table            `json:"tables,omitempty"` // figures with their names, as the page shows them
	Checks   []Check            `json:"checks,omitempty"`
	Notes    []string           `json:"notes,omitempty"`
	Host     *Host              `json:"host,omitempty"` // in a file that of the line before, if it is missing
}

// New returns one with parameters; pairs are names and values in turn. Empty ones are
// left out.
func New(scenario string, pairs ...any) Record {
	r := Record{Scenario: scenario, Params: map[string]string{}, Figures: map[string]float64{}}
	for i := 0; i < len(pairs); i += 2 {
		if text := Param(pairs[i+1]); text != "" {
			r.Params[pairs[i].(string)] = text //nolint:forcetypeassert // a name
		}
	}
	return r
}

// Param is a value as a parameter has it.
func Param(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// Num returns a parameter that is a number; 0 if it is not.
func (r *Record) Num(param string) float64 {
	v, _ := strconv.ParseFloat(r.Params[param], 64)
	return v
}

// Table holds figures with their names; a cell is a number or a text.
type Table struct {
	Title   string   `json:"title,omitempty"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// Add adds a row.
func (t *Table) Add(cells ...any) { t.Rows = append(t.Rows, cells) }

// What a check may come to.
const (
	Met      = "met"
	Missed   = "missed"
	Recorded = "recorded" // nothing was promised
)

// Check is a claim, the figure that it asks for and the one that was measured.
type Check struct {
	Claim   string  `json:"claim"`
	Got     float64 `json:"got"`
	Want    string  `json:"want,omitempty"`
	Unit    string  `json:"unit,omitempty"`
	Verdict string  `json:"verdict"`
}

// AtMost records the claim that got is at most limit.
func (r *Record) AtMost(claim string, got, limit float64, unit string) {
	r.Holds(claim, got, "≤ "+Number(limit), unit, got <= limit)
}

// AtLeast records the claim that got is at least limit.
func (r *Record) AtLeast(claim string, got, limit float64, unit string) {
	r.Holds(claim, got, "≥ "+Number(limit), unit, got >= limit)
}

// Holds enters a claim; a figure that is not a number holds no promise.
func (r *Record) Holds(claim string, got float64, want, unit string, holds bool) {
	verdict := Missed
	if holds {
		verdict = Met
	}
	r.Checks = append(r.Checks, Check{claim, finite(got), want, unit, verdict})
}

// Tell enters a figure for which nothing was promised.
func (r *Record) Tell(claim string, got float64, unit string) {
	r.Checks = append(r.Checks, Check{claim, finite(got), "", unit, Recorded})
}

// finite replaces what JSON has no number for by -1, which no figure is.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return -1
	}
	return v
}

// Number writes three significant digits, and all of a larger one before the point.
func Number(v float64) string {
	switch {
	case v == math.Trunc(v) || math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// Note adds a sentence.
func (r *Record) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// File is written line by line, so that a run that is broken off has left what it measured.
type File struct {
	*os.File
	host Host
}

// Create makes a file; one of that name is overwritten.
func Create(path string) (*File, error) {
	out, err := os.Create(path) //nolint:gosec // the operator's own file
	return &File{File: out}, err
}

// Add writes a line. Figures that are not numbers are left out.
func (f *File) Add(r Record) error {
	switch {
	case r.Host == nil:
	case *r.Host == f.host:
		r.Host = nil
	default:
		f.host = *r.Host
	}
	r.Figures = maps.Clone(r.Figures)
	maps.DeleteFunc(r.Figures, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return json.NewEncoder(f).Encode(r)
}

// Save writes a whole file.
func Save(path string, rows Rows) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	for i := range rows {
		err = errors.Join(err, f.Add(rows[i]))
	}
	return errors.Join(err, f.Close())
}

// Load reads a file, whose first line names its host; none if there is no such file.
func Load(path string) (rows Rows, err error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for line := range bytes.Lines(text) {
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(rows)+1, err)
		}
		if r.Host == nil && len(rows) > 0 {
			r.Host = rows[len(rows)-1].Host
		}
		if r.Host == nil || r.Scenario == "" {
			return nil, fmt.Errorf("%s: line %d has no scenario or no host", path, len(rows)+1)
		}
		rows = append(rows, r)
	}
	return rows, err
}
