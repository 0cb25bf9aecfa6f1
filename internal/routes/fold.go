package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice.io/sluice/api"
)

// Fold makes a Set from many events, for a start with a long journal. It gives the same Set
// as Set.Apply, but reads only the last state of each route. It counts the revisions, and
// the last state must have the count as its revision. So it does not detect an earlier
// state that cannot be read, which nothing needs.
type Fold struct {
	set  *Set
	last map[string]*latest // not yet read into set
}

// latest are the events with a route's last state and last entry of the file.
type latest struct{ now, file api.Event }

// NewFold returns a Fold without events.
func NewFold() *Fold { return &Fold{set: NewSet(), last: map[string]*latest{}} }

// Apply applies the next event. It ignores events that are not about routes.
func (f *Fold) Apply(e api.Event) error {
	switch e.Type {
	case api.EventRouteSet:
		return malformed(e, f.count(e))
	case api.EventRouteDeleted:
		return malformed(e, f.set.deleted(e))
	default:
		return nil
	}
}

// count counts a state without reading it.
func (f *Fold) count(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	if !ok {
		return errors.New("the subject is not a route")
	}
	l := f.last[name]
	if l == nil {
		l = &latest{}
		f.last[name] = l
	}
	h := f.set.history(name)
	h.revision++
	h.now, l.now = &api.RouteState{}, e
	if e.Origin == api.OriginFile {
		h.file, l.file = &api.Route{}, e
	}
	return nil
}

// Set returns the declared routes after the events so far. The next Apply of the Fold
// changes the same Set.
func (f *Fold) Set() (*Set, error) {
	for name, l := range f.last {
		h := f.set.routes[name]
		now, err := decode(l.now, h.revision)
		if err != nil {
			return nil, malformed(l.now, err)
		}
		if h.now != nil {
			h.now = now
		}
		if h.file == nil || l.file.Type == "" {
			continue // deleted since, or already read
		}
		said, err := decode(l.file, 0)
		if err != nil {
			return nil, malformed(l.file, err)
		}
		h.file = &said.Route
	}
	clear(f.last)
	return f.set, nil
}

// savedRoute is a route in a snapshot.
type savedRoute struct {
	Revision int64           `json:"revision"`
	Now      *api.RouteState `json:"now,omitempty"`
	File     *api.Route      `json:"file,omitempty"`
}

// Snapshot implements journal.Fold.
func (f *Fold) Snapshot() ([]byte, error) {
	set, err := f.Set()
	if err != nil {
		return nil, err
	}
	saved := make(map[string]savedRoute, len(set.routes))
	for name, h := range set.routes {
		saved[name] = savedRoute{h.revision, h.now, h.file}
	}
	return json.Marshal(saved)
}

// Restore implements journal.Fold.
func (f *Fold) Restore(state []byte) error {
	var saved map[string]savedRoute
	if err := json.Unmarshal(state, &saved); err != nil {
		return err
	}
	set := NewSet()
	for name, r := range saved {
		h := &history{revision: r.Revision, now: r.Now, file: r.File}
		if h.now != nil {
			h.now.Complete()
			if h.now.Name != name || h.now.Revision != h.revision {
				return fmt.Errorf("route %.300q has the state of %.300q, revision %d", name, h.now.Name, h.now.Revision)
			}
			if err := checkSlots(*h.now); err != nil {
				return fmt.Errorf("route %.300q: %w", name, err)
			}
		}
		if h.file != nil {
			h.file.Complete()
		}
		set.routes[name] = h
	}
	f.set, f.last = set, map[string]*latest{}
	return nil
}
