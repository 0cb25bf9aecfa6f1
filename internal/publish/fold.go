package publish

import (
	"cmp"
	"encoding/json"
	"fmt"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Fold is what the journal knows of registered versions.
type Fold struct{ known map[infer.Version]known }

// known is the last state of a version.
type known struct {
	Digest   string `json:"digest"`
	Revision int64  `json:"revision,omitempty"` // of card and tags
	Archived bool   `json:"archived,omitempty"`
	Deleted  bool   `json:"deleted,omitempty"`
}

// NewFold returns a Fold without events.
func NewFold() *Fold { return &Fold{known: map[infer.Version]known{}} }

// Apply applies the next event. It ignores events that are not about registered versions.
func (f *Fold) Apply(e api.Event) error {
	switch e.Type {
	case api.EventVersionRegistered, api.EventVersionDescribed, api.EventVersionArchived, api.EventVersionRestored, api.EventVersionDeleted:
		var m struct {
			api.VersionMove // of a record too

			Revision int64 `json:"revision"` // only of a record
		}
		if err := json.Unmarshal(e.After, &m); err != nil || m.Model == "" || m.Version < 1 {
			return &infer.Error{Code: infer.Internal, Op: "publish", Msg: fmt.Sprintf("event %d (%s) is malformed", e.Seq, e.Type), Err: err}
		}
		v := infer.Version{Model: m.Model, Number: m.Version}
		k := f.known[v]
		k.Digest, k.Revision, k.Deleted = m.Digest, cmp.Or(m.Revision, k.Revision), e.Type == api.EventVersionDeleted
		switch e.Type {
		case api.EventVersionArchived:
			k.Archived = true
		case api.EventVersionRegistered, api.EventVersionRestored:
			k.Archived = false
		}
		f.known[v] = k
	}
	return nil
}

// saved is a version in a snapshot.
type saved struct {
	Model   string `json:"model"`
	Version int64  `json:"version"`
	known
}

// Snapshot implements journal.Fold.
func (f *Fold) Snapshot() ([]byte, error) {
	list := make([]saved, 0, len(f.known))
	for v, k := range f.known {
		list = append(list, saved{v.Model, v.Number, k})
	}
	return json.Marshal(list)
}

// Restore implements journal.Fold.
func (f *Fold) Restore(state []byte) error {
	var list []saved
	if err := json.Unmarshal(state, &list); err != nil {
		return err
	}
	next := make(map[infer.Version]known, len(list))
	for _, s := range list {
		if s.Model == "" || s.Version < 1 {
			return fmt.Errorf("version %d of %.300q is not valid", s.Version, s.Model)
		}
		next[infer.Version{Model: s.Model, Number: s.Version}] = s.known
	}
	f.known = next
	return nil
}
