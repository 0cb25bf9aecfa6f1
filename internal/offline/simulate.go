package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"slices"
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
	// Drift has the settings of a model, of which Rows is how long a window is, at least 1.
	Drift   config.Drift
	Streams int // that share the promise about false alarms, at least 1
}

// Simulated is what is said of some rows of a table, which are counted from 1.
type Simulated struct {
	From  uint64 `json:"from_row"`
	To    uint64 `json:"to_row"`
	Since uint64 `json:"began_row,omitempty"` // the first row of the window in which the present trouble began
	api.DriftVerdict
}

// SimulateProfile judges the rows of a CSV file as a gateway would that saw one of
// them a second, the first at the beginning of 1970, and tells of each window.
func SimulateProfile(ctx context.Context, p *Profile, in io.Reader, o SimulationOptions, tell func(Simulated) error) error {
	if o.Drift.Rows < 1 || o.Streams < 1 {
		return infer.Errorf(infer.Invalid, "windows of %d rows of %d streams; expected at least 1 of each", o.Drift.Rows, o.Streams)
	}
	table, p, err := tableOf(p, in, &o.TableOptions)
	if err != nil {
		return err
	}
	integers := integerColumnsOf(p.Features)
	detector, err := drift.NewDetector(p, driftwatch.DetectorOptions(&o.Drift, o.Streams))
	if err != nil {
		return err
	}
	var failed error
	from, start := uint64(0), time.Unix(0, 0).UTC()
	windows := drift.SimulateOptions{RowsPerWindow: uint64(o.Drift.Rows), Start: start, Step: time.Second} //nolint:gosec // positive
	for v := range drift.Simulate(p, detector, tableRows(ctx, table, integers, &o.TableOptions, &failed), windows) {
		if failed != nil { // its last window is no window
			break
		}
		s := Simulated{From: from + 1, To: from + v.Rows, DriftVerdict: v}
		if v.Began != nil {
			s.Since = uint64(v.Began.Sub(start)/time.Second) + 1 //nolint:gosec // not before the start
		}
		if err := tell(s); err != nil {
			return err
		}
		from = s.To
	}
	if failed == nil && from == 0 {
		return errNoRows()
	}
	return failed
}

// tableOf opens a table for the features of a profile. Where it has no outputs, it
// returns the profile without them.
func tableOf(p *Profile, in io.Reader, o *TableOptions) (*tabular.Reader, *Profile, error) {
	table, err := tabular.New(in, o.tabular())
	if err != nil {
		return nil, nil, err
	}
	numbers := numbersIn(table, nil)
	columns, err := p.ColumnsOf(numbers)
	if err != nil {
		inputs := *p
		inputs.Features = slices.DeleteFunc(slices.Clone(p.Features), func(f drift.Feature) bool { return f.Kind == drift.KindOutput })
		if len(inputs.Features) == 0 || len(inputs.Features) == len(p.Features) {
			return nil, nil, err
		}
		var errInputs error
		if columns, errInputs = inputs.ColumnsOf(numbers); errInputs != nil {
			return nil, nil, err
		}
		o.note("the file does not have all outputs of the profile; inputs alone are judged")
		p = &inputs
	}
	return table, p, table.Use(columns)
}

// tableRows yields the rows of a table until it ends; failed is why it did so too
// early.
func tableRows(ctx context.Context, table *tabular.Reader, integers integerColumns, o *TableOptions, failed *error) iter.Seq2[[]float64, []bool] {
	return func(yield func([]float64, []bool) bool) {
		for n := int64(0); ; n++ {
			if *failed = o.tell(ctx, table, n); *failed != nil {
				return
			}
			values, missing, err := table.Next()
			if err == nil {
				err = integers.check(values, missing, table.Line())
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					*failed = err
				}
				return
			}
			if !yield(values, missing) {
				return
			}
		}
	}
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
