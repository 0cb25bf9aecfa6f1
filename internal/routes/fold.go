package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice.io/sluice/api"
)

// Fold makes a Set of many events, for a start with a long journal. It comes to the same
// as Apply but reads only the states that nothing replaced; the revisions of the others
// are counted, and the last must be the number of them. So it does not see if one of the
// others cannot be read, on which nothing depends.
type Fold struct {
	set  *Set
	last map[string]*latest // not yet read into set
}

// latest are the events that a route's state is to be read from.
type latest struct{ now, file api.Event }

// NewFold returns a Fold that has seen no event.
func NewFold() *Fold { return &Fold{set: NewSet(), last: map[string]*latest{}} }

// Apply takes the next event; those that are not about routes change nothing.
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

// count notes that there is one more state, without reading it.
func (f *Fold) count(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	if !ok {
		return errors.New("the subject is no route")
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

// Set returns the declared routes after the events so far. It is the Fold's own until no
// more events are applied to that.
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
			continue // deleted since, or known from before
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

// savedRoute is what a snapshot says of a route.
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
