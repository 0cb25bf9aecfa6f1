package trail

import (
	"encoding/json"
	"maps"
	"time"

	"sluice.io/sluice/internal/infer"
)

// savedState is a snapshot of a State, as JSON.
type savedState struct {
	Serving  []savedLoaded    `json:"serving"`
	Defaults map[string]int64 `json:"defaults"`
	Open     []savedPlace     `json:"open"`
	Failed   []savedFailure   `json:"failed"`
	Failures int64            `json:"failures"`
}

type savedPlace struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	Shadow  bool   `json:"shadow,omitempty"`
}

type savedLoaded struct {
	savedPlace

	Digest string    `json:"digest"`
	Loaded time.Time `json:"loaded,omitzero"`
}

type savedFailure struct {
	savedPlace

	Digest string `json:"digest,omitempty"`
	Files  string `json:"files,omitempty"`
	Reason string `json:"reason,omitempty"`
	Number int64  `json:"number"`
}

func savedOf(p Place) savedPlace { return savedPlace{p.Model, p.Number, p.Shadow} }

func (s savedPlace) place() Place {
	return Place{Version: infer.Version{Model: s.Model, Number: s.Version}, Shadow: s.Shadow}
}

// Snapshot implements journal.Fold.
func (s *State) Snapshot() ([]byte, error) {
	saved := savedState{Defaults: s.defaults, Failures: s.failures}
	for p, i := range s.serving {
		saved.Serving = append(saved.Serving, savedLoaded{savedOf(p), i.Digest, i.At})
	}
	for v := range s.open {
		saved.Open = append(saved.Open, savedOf(Place{Version: v}))
	}
	for p, f := range s.failed {
		saved.Failed = append(saved.Failed, savedFailure{savedOf(p), f.Digest, f.Files, f.Reason, f.number})
	}
	return json.Marshal(saved)
}

// Restore implements journal.Fold.
func (s *State) Restore(state []byte) error {
	var saved savedState
	if err := json.Unmarshal(state, &saved); err != nil {
		return err
	}
	next := NewState()
	next.failures = saved.Failures
	maps.Copy(next.defaults, saved.Defaults)
	for _, i := range saved.Serving {
		next.serving[i.place()] = Loaded{Digest: i.Digest, At: i.Loaded}
	}
	for _, p := range saved.Open {
		next.open[p.place().Version] = true
	}
	for _, f := range saved.Failed {
		next.failed[f.place()] = failed{Failure{Digest: f.Digest, Files: f.Files, Reason: f.Reason}, f.Number}
	}
	*s = *next
	return nil
}
