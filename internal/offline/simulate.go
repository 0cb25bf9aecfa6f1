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

// SimulationOptions say how a table is judged.
type SimulationOptions struct {
	TableOptions
	// Drift has the settings of a model. With Rows above 0 it has windows of rows; else the
	// rows need times.
	Drift   config.Drift
	Streams int // that share the promise about false alarms, at least 1
	// Time is the column that says when a row came; "": a row came each second from 1970 on.
	Time string
}

// Simulated is what is said of some rows of a table, which are counted from 1.
type Simulated struct {
	From  uint64 `json:"from_row"`
	To    uint64 `json:"to_row"`
	Since uint64 `json:"began_row,omitempty"` // the first row of the window in which the present trouble began
	api.DriftVerdict
}

// SimulateProfile judges the rows of a CSV file as a gateway would to which they came one
// after the other, tells of each window that ends, and returns how many rows there were. Those
// of the last window, if it has not ended, are told of nowhere.
func SimulateProfile(ctx context.Context, p *Profile, in io.Reader, o SimulationOptions, tell func(Simulated) error) (rows uint64, err error) {
	if o.Streams < 1 {
		return 0, infer.Errorf(infer.Invalid, "%d streams; expected at least 1", o.Streams)
	}
	if o.Drift.Rows < 1 && o.Time == "" {
		return 0, infer.Errorf(infer.Invalid, "windows of %d rows; expected at least 1, or a column of times", o.Drift.Rows)
	}
	table, at, err := tableOf(p, in, &o)
	if err != nil {
		return 0, err
	}
	detector, err := drift.NewDetector(p, driftwatch.DetectorOptions(&o.Drift, o.Streams))
	if err != nil {
		return 0, err
	}
	source := newTimedRows(table, p, at, &o)
	windows := drift.SimulateOptions{Windows: driftwatch.Windowing(&o.Drift), Unknown: source.unknown()}
	if o.Time == "" {
		windows.Start = time.Unix(0, 0).UTC()
	}
	first := map[time.Time]uint64{} // rows by the beginning of their window
	from := uint64(0)
	for v := range drift.Simulate(p, detector, source.all(ctx), windows) {
		if source.failed != nil { // its last window is no window
			break
		}
		s := Simulated{From: from + 1, To: from + v.Rows, DriftVerdict: v}
		first[v.Window.Start] = s.From
		if v.Began != nil {
			s.Since = first[*v.Began]
		}
		if err := tell(s); err != nil {
			return source.rows, err
		}
		from = s.To
	}
	if source.failed == nil && source.rows == 0 {
		return 0, errNoRows()
	}
	return source.rows, source.failed
}

// tableOf opens a table for the features of a profile, and says which feature each value of a
// row is. If the file has no outputs, these are the inputs alone.
func tableOf(p *Profile, in io.Reader, o *SimulationOptions) (*tabular.Reader, []int, error) {
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	numbers, err := table.Numbers(func(name string) bool {
		return name == o.Time || textual(table, name) && !p.Names(name)
	})
	if err != nil {
		return nil, nil, err
	}
	columns, at, err := columnsFor(p, numbers, o)
	if err != nil {
		return nil, nil, err
	}
	if !p.Names(columns[0]) {
		o.note("the columns are taken in the order of the profile's features, since none is named like one")
	}
	if left := slices.DeleteFunc(slices.Clone(numbers), func(name string) bool { return slices.Contains(columns, name) }); len(left) > 0 {
		o.note("columns that are left out, since they are no features of the profile: " + shortList(left))
	}
	if err := table.Use(columns); err != nil || o.Time == "" {
		return table, at, err
	}
	return table, at, table.Keep(o.Time)
}

// columnsFor finds the columns of a profile's features, or of its inputs alone, and which
// feature each of them is.
func columnsFor(p *Profile, numbers []string, o *SimulationOptions) (columns []string, at []int, err error) {
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
	if columns, err = p.ColumnsOf(numbers); err == nil {
		return columns, all, nil
	}
	if len(ins) == 0 || len(ins) == len(all) {
		return nil, nil, err
	}
	columns, errInputs := inputs.ColumnsOf(numbers)
	if errInputs != nil {
		return nil, nil, err
	}
	o.note("the file does not have all outputs of the profile; inputs alone are judged")
	return columns, ins, nil
}

// shortList joins names as far as a message has room.
func shortList(names []string) string {
	const most = 20
	text := strings.Join(names[:min(most, len(names))], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func errNoRows() error {
	return infer.Errorf(infer.Invalid, "the file has no rows; expected some below the names of the columns")
}

// Replayed is what a stored window says when it is judged again.
type Replayed struct {
	Verdict api.DriftVerdict `json:"verdict"`
	// Same says that the verdict is the stored one, to the last bit, and so is the
	// detector's state after it.
	Same bool `json:"same"`
}

// ReplayDrift judges the window of a change of a drift state again, from the state
// in which the detector was then. The profile must be the one that it was judged by.
func ReplayDrift(p *Profile, e *api.DriftEvidence) (*Replayed, error) {
	digest, err := p.Digest()
	switch {
	case err != nil:
		return nil, err
	case digest != e.ProfileDigest:
		return nil, infer.Errorf(infer.Invalid, "the window was compared with profile %.80s, and this one is %s", e.ProfileDigest, digest)
	case empty(e.Window):
		return nil, infer.Errorf(infer.Invalid, "the event does not hold its window, which was too large for the journal")
	case empty(e.Before):
		return nil, infer.Errorf(infer.Invalid, "the event does not hold the state in which the detector was")
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

// equal compares what is kept of two documents. JSON keeps every bit of a number.
func equal(a, b any) (bool, error) {
	textA, errA := json.Marshal(a)
	textB, errB := json.Marshal(b)
	return bytes.Equal(textA, textB), errors.Join(errA, errB)
}
