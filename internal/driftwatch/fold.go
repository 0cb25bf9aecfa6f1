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

// Fold is what the journal says of streams: where their detectors stood, and what others
// were told of them. A Watcher goes on from it.
type Fold struct{ streams map[drift.Stream]*folded }

// folded is what the journal says of a stream.
type folded struct {
	state   json.RawMessage // of the detector
	status  string
	verdict api.DriftVerdict
	told
}

// NewFold returns a Fold that has seen no event.
func NewFold() *Fold { return &Fold{streams: map[drift.Stream]*folded{}} }

// Apply takes the next event; those that are not about drift change nothing.
func (f *Fold) Apply(e api.Event) error {
	if e.Type != api.EventDriftState {
		return nil
	}
	var d api.DriftEvidence
	if err := json.Unmarshal(e.After, &d); err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	s := drift.Stream{Version: infer.Version{Model: d.Model, Number: d.Version}, Role: d.Role}
	next := f.streams[s]
	if next == nil || next.digest != d.ProfileDigest {
		next = &folded{told: told{digest: d.ProfileDigest}}
		f.streams[s] = next
	}
	next.state, next.status, next.verdict = d.After, d.State, d.Verdict
	state, _ := detectorState(d.After) // one that cannot be read has detected nothing; Resume says so
	detected := found(state)
	next.recorded = standing(detected)
	next.look(detected)
	return nil
}

// detectorState decodes where a detector stood, and returns the zero Snapshot with an error.
func detectorState(raw json.RawMessage) (drift.Snapshot, error) {
	var state drift.Snapshot
	if err := json.Unmarshal(raw, &state); err != nil {
		return drift.Snapshot{}, fmt.Errorf("the detector's state: %w", err)
	}
	return state, nil
}

// savedStream is what a snapshot says of a stream.
type savedStream struct {
	Model    string                    `json:"model"`
	Version  int64                     `json:"version"`
	Role     string                    `json:"role"`
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
			Model: s.Version.Model, Version: s.Version.Number, Role: s.Role,
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

// presentName returns the name that a finding of a snapshot has now.
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
		streams[drift.Stream{Version: infer.Version{Model: s.Model, Number: s.Version}, Role: s.Role}] = x
	}
	f.streams = streams
	return nil
}
