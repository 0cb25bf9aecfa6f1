package signals

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"sluice.io/sluice/api"
)

// savedStore is a snapshot of a Store, as JSON.
type savedStore struct {
	Signals []*api.Signal         `json:"signals"` // the oldest first
	Used    []string              `json:"used"`
	Models  map[string]savedModel `json:"models"`
	Blocked map[string]string     `json:"blocked,omitempty"` // the reason by id
	Blocks  map[string]string     `json:"blocks,omitempty"`  // the id by model
}

type savedModel struct {
	Last       *api.Signal       `json:"last"`
	Suppressed []savedSuppressed `json:"suppressed,omitempty"`
}

type savedSuppressed struct {
	Version int64  `json:"version"`
	Cause   string `json:"cause"`
	Role    string `json:"role,omitempty"`
	Segment string `json:"segment,omitempty"`
}

// Snapshot implements journal.Fold.
func (s *Store) Snapshot() ([]byte, error) {
	saved := savedStore{Signals: s.signals, Used: slices.Sorted(maps.Keys(s.used)), Models: map[string]savedModel{}, Blocked: s.blocked, Blocks: s.blocks}
	for name, m := range s.models {
		was := savedModel{Last: m.last}
		for key := range m.suppressed {
			was.Suppressed = append(was.Suppressed, savedSuppressed{key.version, key.cause, key.role, key.segment})
		}
		saved.Models[name] = was
	}
	return json.Marshal(saved)
}

// Restore implements journal.Fold.
func (s *Store) Restore(state []byte) error {
	var saved savedStore
	if err := json.Unmarshal(state, &saved); err != nil {
		return err
	}
	next := NewStore()
	for _, id := range saved.Used {
		next.used[id] = struct{}{}
	}
	for _, r := range saved.Signals {
		if r == nil || !next.Known(r.ID) {
			return errors.New("a signal has an id that is not in the list of used ids")
		}
		next.signals, next.byID[r.ID] = append(next.signals, r), r
		if r.State != api.SignalOpen {
			next.settled++
		}
	}
	for name, was := range saved.Models {
		if was.Last == nil {
			return errors.New("a model has no last request")
		}
		m := &model{last: was.Last, suppressed: map[suppressed]struct{}{}}
		if r := next.byID[was.Last.ID]; r != nil { // share the signal, unless it was removed
			m.last = r
		}
		for _, key := range was.Suppressed {
			m.suppressed[suppressed{key.Version, key.Cause, key.Role, key.Segment}] = struct{}{}
		}
		next.models[name] = m
	}
	maps.Copy(next.blocked, saved.Blocked)
	maps.Copy(next.blocks, saved.Blocks)
	*s = *next
	return nil
}
