package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// AtMost enters a claim that a figure is no higher than a limit.
func (r *Record) AtMost(claim string, got, limit float64, unit string) {
	r.Holds(claim, got, "≤ "+Number(limit), unit, got <= limit)
}

// AtLeast enters a claim that a figure is no lower than a limit.
func (r *Record) AtLeast(claim string, got, limit float64, unit string) {
	r.Holds(claim, got, "≥ "+Number(limit), unit, got >= limit)
}

// Holds enters a claim; a figure that is not a number holds no promise.
func (r *Record) Holds(claim string, got float64, want, unit string, holds bool) {
	verdict := Missed
	if holds {
		verdict = Met
	}
	r.check(Check{claim, got, want, unit, verdict})
}

// Tell enters a figure for which nothing was promised.
func (r *Record) Tell(claim string, got float64, unit string) {
	r.check(Check{Claim: claim, Got: got, Unit: unit, Verdict: Recorded})
}

// check replaces what JSON has no number for by -1, which no figure is.
func (r *Record) check(c Check) {
	if math.IsNaN(c.Got) || math.IsInf(c.Got, 0) {
		c.Got = -1
	}
	r.Checks = append(r.Checks, c)
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

// File is written line by line, so that a run that is broken off has left what it
// measured.
type File struct {
	out  io.WriteCloser
	host Host
}

// Create makes a file; one of that name is overwritten.
func Create(path string) (*File, error) {
	out, err := os.Create(path) //nolint:gosec // the operator's own file
	return &File{out: out}, err
}

// NewFile writes to out.
func NewFile(out io.WriteCloser) *File { return &File{out: out} }

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
	return json.NewEncoder(f.out).Encode(r)
}

// Close closes it.
func (f *File) Close() error { return f.out.Close() }

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

// Load reads a file; none if there is no such file.
func Load(path string) (Rows, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	rows, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

// Read reads lines. The first has to name its host.
func Read(in io.Reader) (rows Rows, err error) {
	const longest = 1 << 24
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longest)
	for n := 1; lines.Scan(); n++ {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if r.Host == nil && n > 1 {
			r.Host = rows[n-2].Host
		}
		if r.Host == nil || r.Scenario == "" {
			return nil, fmt.Errorf("line %d has no scenario or no host", n)
		}
		rows = append(rows, r)
	}
	return rows, lines.Err()
}
