package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/tabular"
)

// SimulationOptions configure how a table is judged.
type SimulationOptions struct {
	TableOptions
	// Drift has the settings of a model. With Rows above 0 windows are of rows; otherwise the rows
	// need times.
	Drift   config.Drift
	Streams int // that share the limit on false alarms, at least 1
	// Time is the column with the time of each row; "": rows have times one second apart, from 1970
	// on.
	Time string
}

// Simulated is the verdict on a range of rows of a table, counted from 1, or on the rows of a segment in that range.
type Simulated struct {
	Segment string `json:"segment,omitempty"` // of the rows; empty for all rows
	From    uint64 `json:"from_row"`
	To      uint64 `json:"to_row"`
	Since   uint64 `json:"began_row,omitempty"` // the first row of the window in which the current drift began
	api.DriftVerdict
}

// SimulateProfile judges the rows of a CSV file like a gateway that gets them one after the other, and those of each segment of the profile.
// It calls tell with each window that ends, and returns the number of rows. A last window that has
// not ended is not reported.
func SimulateProfile(ctx context.Context, p *Profile, in io.Reader, o SimulationOptions, tell func(Simulated) error) (rows uint64, err error) {
	if o.Streams < 1 {
		return 0, infer.Errorf(infer.Invalid, "%d streams; expected at least 1", o.Streams)
	}
	if o.Drift.Rows < 1 && o.Time == "" {
		return 0, infer.Errorf(infer.Invalid, "windows of %d rows; expected at least 1, or a column of times", o.Drift.Rows)
	}
	whole := withElements(p)
	table, at, err := tableOf(whole, in, &o)
	if err != nil {
		return 0, err
	}
	source, err := newTimedRows(table, whole, at, &o)
	if err != nil {
		return 0, err
	}
	windows := drift.SimulateOptions{Windows: driftwatch.Windowing(&o.Drift), Unknown: source.unknown(), Pairs: o.Drift.Gates.Correlation > 0}
	if o.Time == "" {
		windows.Start = time.Unix(0, 0).UTC()
	}
	run, err := newSimulation(p, source, &o, windows, tell)
	if err != nil {
		return 0, err
	}
	for row := range source.all(ctx) {
		if !run.add(&row) {
			return source.rows, run.failed
		}
	}
	switch {
	case source.failed != nil: // the last windows are not valid
		return source.rows, source.failed
	case source.rows == 0:
		return 0, errNoRows()
	}
	return source.rows, run.end()
}

// tableOf opens a table for the features of a profile, and returns the features of each value in a
// row: one, or those of a text. If the file does not have all outputs, only inputs are used.
func tableOf(p *Profile, in io.Reader, o *SimulationOptions) (*tabular.Reader, [][]int, error) {
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	numbers, err := table.Numbers(func(name string) bool {
		return name == o.Time || p.Segment != nil && name == p.Segment.Parameter || textual(table, name) && !p.Names(name)
	})
	if err != nil {
		return nil, nil, err
	}
	columns, texts := numbers, map[string]bool{}
	for _, c := range table.Columns() {
		if c.Text && c.Name != o.Time {
			columns, texts[c.Name] = append(columns, c.Name), true
		}
	}
	used, features, err := columnsFor(p, columns, texts, o)
	if err != nil {
		return nil, nil, err
	}
	if !p.Names(used[0]) {
		o.note("the columns are matched in the order of the profile's features, since no name is that of a feature")
	}
	if left := slices.DeleteFunc(slices.Clone(numbers), func(name string) bool { return slices.Contains(used, name) }); len(left) > 0 {
		o.note("columns left out, since they are not features of the profile: " + shortList(left))
	}
	names, asText, at := joinColumns(p, used, features)
	return table, at, table.UseAs(names, asText)
}

// joinColumns returns each column once, whether it has texts, and its features.
func joinColumns(p *Profile, columns []string, features []int) (names []string, asText []bool, at [][]int) {
	place := map[string]int{}
	for i, name := range columns {
		k, ok := place[name]
		if !ok {
			k = len(names)
			place[name] = k
			names, asText, at = append(names, name), append(asText, p.Features[features[i]].OfText()), append(at, nil)
		}
		at[k] = append(at[k], features[i])
	}
	return names, asText, at
}

// columnsFor finds the columns of a profile's features, or only of its inputs, and the index of
// each feature.
func columnsFor(p *Profile, names []string, texts map[string]bool, o *SimulationOptions) (columns []string, at []int, err error) {
	inputs := *p
	inputs.Features = nil
	all, ins := make([]int, 0, len(p.Features)), make([]int, 0, len(p.Features))
	for i := range p.Features {
		all = append(all, i)
		if p.Features[i].Kind == drift.KindInput {
			ins = append(ins, i)
			inputs.Features = append(inputs.Features, p.Features[i])
		}
	}
	if columns, err = p.ColumnsOf(names, texts); err == nil {
		return columns, all, nil
	}
	if len(ins) == 0 || len(ins) == len(all) {
		return nil, nil, err
	}
	columns, errInputs := inputs.ColumnsOf(names, texts)
	if errInputs != nil {
		return nil, nil, err
	}
	o.note("the file does not have all outputs of the profile; only the inputs are judged")
	return columns, ins, nil
}

// shortList joins names, up to the max number in a message.
func shortList(names []string) string {
	const most = 20
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func errNoRows() error {
	return infer.Errorf(infer.Invalid, "the file has no rows; expected rows below the names of the columns")
}

// Replayed is the result of judging a stored window again.
type Replayed struct {
	Verdict api.DriftVerdict `json:"verdict"`
	// Same reports whether the verdict, and the detector's state after it, are bit for bit the
	// stored ones.
	Same bool `json:"same"`
}

// ReplayDrift judges the window of a drift event again, from the detector's state before it. The
// profile must be the one that the window was compared with.
func ReplayDrift(p *Profile, e *api.DriftEvidence) (*Replayed, error) {
	digest, err := p.Digest()
	switch {
	case err != nil:
		return nil, err
	case digest != e.ProfileDigest:
		return nil, infer.Errorf(infer.Invalid, "the window was compared with profile %.80s, but this one is %s", e.ProfileDigest, digest)
	case empty(e.Window):
		return nil, infer.Errorf(infer.Invalid, "the event does not have its window, which was too large for the journal")
	case empty(e.Before):
		return nil, infer.Errorf(infer.Invalid, "the event does not have the state of the detector before the window")
	}
	var (
		window        drift.Window
		before, after drift.Snapshot
	)
	for _, part := range []struct {
		name string
		text json.RawMessage
		into any
	}{{"window", e.Window, &window}, {"state before", e.Before, &before}, {"state after", e.After, &after}} {
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return nil, &infer.Error{Code: infer.Invalid, Msg: "the event's " + part.name + " cannot be read", Err: err}
		}
	}
	if e.Segment != "" {
		if p = p.Of(e.Segment); p == nil {
			return nil, infer.Errorf(infer.Invalid, "the profile has no segment '%.60s'", e.Segment)
		}
	}
	p = p.For(e.Version)
	if err := drift.CheckWindow(p, &window); err != nil {
		return nil, err
	}
	detector, err := drift.Restore(p, before.Options, before)
	if err != nil {
		return nil, err
	}
	r := &Replayed{Verdict: detector.Judge(window)}
	verdict, err := equal(r.Verdict, e.Verdict)
	if err != nil {
		return nil, err
	}
	state, err := equal(detector.Snapshot(), after)
	r.Same = verdict && state
	return r, err
}

func empty(text json.RawMessage) bool { return len(text) == 0 || string(text) == "null" }

// equal compares the JSON of two documents. JSON keeps every bit of a number.
func equal(a, b any) (bool, error) {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return bytes.Equal(textA, textB), errors.Join(errA, errB)
}
