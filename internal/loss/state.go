package loss

import (
	"encoding/json"
	"math"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// The states of a loss, and of a stream.
const (
	Learning   = api.LossLearning // of a stream: the reference is not complete
	OK         = "OK"
	Suspected  = "SUSPECTED"
	Detected   = "DETECTED"
	Recovering = "RECOVERING"
)

// The names of losses.
const (
	Error         = "error"          // 1 for a wrong class, else 0
	Brier         = "brier"          // of probabilities, from 0 to 1
	AbsoluteError = "absolute_error" // of a value; divided by a scale, and at most 1
)

// State is the state of a Detector.
type State struct {
	Rows    uint64    `json:"rows"`              // labelled rows in all
	Windows uint64    `json:"windows"`           // judged windows
	Last    time.Time `json:"last,omitzero"`     // when the last row came
	Start   time.Time `json:"start,omitzero"`    // of the window before the next one ends
	Request string    `json:"request,omitempty"` // of the last row
	From    string    `json:"from,omitempty"`    // where the reference is from; empty while it is learned
	Losses  []Loss    `json:"losses"`
	Since   time.Time `json:"since,omitzero"`    // when the first of the losses in alarm began to be too large, unchanged while any is
	Changes []Change  `json:"changes,omitempty"` // of the state, the last ones
	Judged  time.Time `json:"judged,omitzero"`   // the end of the last judged window
	Options Options   `json:"options"`           // of the last judgement
}

// Loss is the state of one loss.
type Loss struct {
	Name      string                      `json:"name"`
	Scale     float64                     `json:"scale"`            // by which values are divided; 0: not known yet
	Values    []float64                   `json:"values,omitempty"` // while the scale is not known
	Runs      []int                       `json:"runs,omitempty"`   // of these values, the numbers that are of one request
	Reference Sums                        `json:"reference"`
	Window    Sums                        `json:"window"`             // the current one
	Before    Moments                     `json:"before"`             // of the window before
	By        [len(blockRows) + 1]History `json:"by"`                 // design effects: of blocks, and from window to window
	Evidence  []float64                   `json:"evidence,omitempty"` // the logarithm for each bet; empty: all are 0

	State  string    `json:"state"`
	Began  time.Time `json:"began,omitzero"`
	Since  Moments   `json:"since"`           // of the windows since then
	Calm   int       `json:"calm,omitempty"`  // windows in a row without a problem since it was detected
	Well   Moments   `json:"well"`            // of these
	Former time.Time `json:"former,omitzero"` // when the last detection began, until relapseRows rows without another one
	Quiet  uint64    `json:"quiet,omitempty"` // the number of these so far

	Finding Finding `json:"finding"` // of the last window
}

// Finding is the result for one loss.
type Finding = api.LossFinding

// Change is a change of the losses that are in alarm.
type Change struct {
	Window   uint64    `json:"window"` // the number of the judged window
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	From     string    `json:"from"`
	State    string    `json:"state"`
	Findings []Finding `json:"findings"`
	// Before is the state before the judgement, with the window: it gives the same findings again.
	Before *State `json:"before,omitempty"`
}

// maxChanges is the max number of changes that wait until they are recorded.
const maxChanges = 8

// relapseRows is the number of rows after a recovery in which a detection is the earlier one again.
const relapseRows = 5000

// Encode returns the state as it is stored.
func (s *State) Encode() []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: the state of a loss does not marshal: " + err.Error())
	}
	return b
}

// Decode reads a stored state.
func Decode(b []byte) (*State, error) {
	s := &State{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, infer.Errorf(infer.Invalid, "the state of a loss cannot be read: %v", err)
	}
	if why := s.check(); why != "" {
		return nil, infer.Errorf(infer.Invalid, "the state of a loss is not valid: %s", why)
	}
	return s, nil
}

// check returns what is wrong with a state, "" if nothing is.
func (s *State) check() string {
	if len(s.Losses) == 0 || len(s.Losses) > maxLosses || len(s.Changes) > maxChanges {
		return "it has too many parts, or none"
	}
	for i := range s.Losses {
		if why := s.Losses[i].check(); why != "" {
			return why
		}
	}
	return ""
}

// maxLosses is the max number of losses of a stream.
const maxLosses = 4

func (l *Loss) check() string {
	number := func(list ...float64) bool {
		for _, x := range list {
			if !(x >= 0 && x <= math.MaxFloat64) {
				return false
			}
		}
		return true
	}
	sums := []*Moments{&l.Reference.Moments, &l.Window.Moments, &l.Before, &l.Since, &l.Well}
	for _, m := range sums {
		if !number(m.Sum, m.Squares) || m.Sum > float64(m.Rows)*1.0001 {
			return "a sum is not that of losses"
		}
	}
	for _, s := range []*Sums{&l.Reference, &l.Window} {
		for _, b := range s.Blocks {
			if b.Closed < 0 || !number(b.Rows, b.Product, b.Sum, b.Open.Rows, b.Open.Sum) {
				return "a sum of blocks is negative"
			}
		}
	}
	for _, h := range l.By {
		if !number(h.Sum, h.Freedom) {
			return "a design effect is not a number"
		}
	}
	switch l.State {
	case OK, Suspected, Detected, Recovering:
	default:
		return "unknown state " + l.State
	}
	switch {
	case !number(l.Scale):
		return "its scale is not a number"
	case len(l.Values) > MaxReference || !number(l.Values...) || !l.runsFit():
		return "its values are not valid"
	case len(l.Evidence) != 0 && len(l.Evidence) != bets:
		return "its evidence is of another detector"
	case l.Calm < 0 || l.Quiet > relapseRows:
		return "its numbers of windows or rows are not valid"
	case l.alarmed() && l.Began.IsZero():
		return "the time when it began is missing"
	}
	return ""
}

// runsFit reports whether the runs divide the values.
func (l *Loss) runsFit() bool {
	rows := 0
	for _, n := range l.Runs {
		if n < 1 || n > MaxReference {
			return false
		}
		rows += n
	}
	return rows == len(l.Values)
}

func (l *Loss) alarmed() bool { return l.State == Detected || l.State == Recovering }
