package driftwatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// Fold is the state of streams in the journal: the states of their detectors, and the signals sent
// about them. A Watcher continues from it.
type Fold struct{ streams map[drift.Stream]*folded }

// folded is the state of one stream.
type folded struct {
	state   json.RawMessage // of the detector
	status  string
	verdict api.DriftVerdict
	told
}

// NewFold returns a Fold without events.
func NewFold() *Fold { return &Fold{streams: map[drift.Stream]*folded{}} }

// Apply applies the next event. It ignores events that are not about drift.
func (f *Fold) Apply(e api.Event) error {
	if e.Type != api.EventDriftState {
		return nil
	}
	var d api.DriftEvidence
	if err := json.Unmarshal(e.After, &d); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	s := drift.Stream{Version: infer.Version{Model: d.Model, Number: d.Version}, Role: d.Role, Segment: d.Segment}
	next := f.streams[s]
	if next == nil || next.digest != d.ProfileDigest {
		next = &folded{told: told{digest: d.ProfileDigest}}
		f.streams[s] = next
	}
	next.state, next.status, next.verdict = d.After, d.State, d.Verdict
	state, _ := detectorState(d.After) // an unreadable state has detected nothing; Resume logs it
	detected := found(state)
	next.recorded = standing(detected)
	next.look(detected)
	return nil
}

// detectorState decodes the state of a detector. With an error it returns the zero Snapshot.
func detectorState(raw json.RawMessage) (drift.Snapshot, error) {
	var state drift.Snapshot
	if err := json.Unmarshal(raw, &state); err != nil {
		return drift.Snapshot{}, fmt.Errorf("the detector's state: %w", err)
	}
	return state, nil
}

// savedStream is a stream in a snapshot.
type savedStream struct {
	Model    string                    `json:"model"`
	Version  int64                     `json:"version"`
	Role     string                    `json:"role"`
	Segment  string                    `json:"segment,omitempty"`
	Digest   string                    `json:"digest"`
	State    json.RawMessage           `json:"state"`
	Status   string                    `json:"status"`
	Verdict  api.DriftVerdict          `json:"verdict"`
	Recorded string                    `json:"recorded,omitempty"`
	Drifting time.Time                 `json:"drifting,omitzero"`
	Violated map[string]savedViolation `json:"violated,omitempty"`
}

type savedViolation struct {
	Cause string    `json:"cause"`
	Began time.Time `json:"began"`
}

// Snapshot implements journal.Fold.
func (f *Fold) Snapshot() ([]byte, error) {
	saved := make([]savedStream, 0, len(f.streams))
	for s, x := range f.streams {
		next := savedStream{
			Model: s.Version.Model, Version: s.Version.Number, Role: s.Role, Segment: s.Segment,
			Digest: x.digest, State: x.state, Status: x.status, Verdict: x.verdict, Recorded: x.recorded, Drifting: x.drifting,
			Violated: make(map[string]savedViolation, len(x.violated)),
		}
		for name, v := range x.violated {
			next.Violated[name] = savedViolation{v.cause, v.began}
		}
		saved = append(saved, next)
	}
	return json.Marshal(saved)
}

// presentName returns the current name of a finding in a snapshot.
func presentName(name string) string {
	at := strings.LastIndexByte(name, ' ') + 1
	return name[:at] + drift.Statistic(name[at:])
}

// Restore implements journal.Fold.
func (f *Fold) Restore(state []byte) error {
	var saved []savedStream
	if err := json.Unmarshal(state, &saved); err != nil {
		return err
	}
	streams := make(map[drift.Stream]*folded, len(saved))
	for _, s := range saved {
		x := &folded{
			state: s.State, status: s.Status, verdict: s.Verdict,
			told: told{digest: s.Digest, recorded: s.Recorded, drifting: s.Drifting, violated: map[string]violation{}},
		}
		for name, v := range s.Violated {
			x.violated[presentName(name)] = violation{v.Cause, v.Began}
		}
		streams[drift.Stream{Version: infer.Version{Model: s.Model, Number: s.Version}, Role: s.Role, Segment: s.Segment}] = x
	}
	f.streams = streams
	return nil
}
