package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// subject is what the subjects of a route's events begin with.
const subject = "routes/"

// SetEvent makes the event of a route that becomes after; before is nil where
// there was none. Who did it, and when, is for the caller to add.
func SetEvent(origin string, before *api.RouteState, after api.RouteState) (api.Event, error) {
	return event(api.EventRouteSet, origin, after.Name, before, &after)
}

// DeleteEvent makes the event of a route that ends. A route with revision 0 is one
// that is not there any more: only the file's entry of it ends.
func DeleteEvent(origin string, before api.RouteState) (api.Event, error) {
	if before.Revision == 0 {
		return event(api.EventRouteDeleted, origin, before.Name, nil, nil)
	}
	return event(api.EventRouteDeleted, origin, before.Name, &before, nil)
}

func event(kind, origin, name string, before, after *api.RouteState) (api.Event, error) {
	e := api.Event{Type: kind, Subject: subject + name, Origin: origin}
	var err error
	if e.Before, err = state(before); err == nil {
		e.After, err = state(after)
	}
	if err != nil {
		return api.Event{}, &infer.Error{Code: infer.Internal, Op: "routes", Msg: "writing route '" + name + "' as JSON", Err: err}
	}
	return e, nil
}

func state(s *api.RouteState) (json.RawMessage, error) {
	if s == nil {
		return nil, nil
	}
	return json.Marshal(s)
}

// Apply folds the next event in; those that are not about routes change nothing. On
// an error nothing is changed either: the event does not follow from those before
// it, or what it bears is no route.
func (s *Set) Apply(e api.Event) error {
	var err error
	switch e.Type {
	case api.EventRouteSet:
		err = s.set(e)
	case api.EventRouteDeleted:
		err = s.deleted(e)
	}
	if err != nil {
		return &infer.Error{Code: infer.Internal, Op: "routes", Msg: fmt.Sprintf("event %d of the journal, %s of %.300q", e.Seq, e.Type, e.Subject), Err: err}
	}
	return nil
}

func (s *Set) set(e api.Event) error {
	var after api.RouteState
	if err := json.Unmarshal(e.After, &after); err != nil {
		return fmt.Errorf("after is not a route: %w", err)
	}
	if after.Name == "" || e.Subject != subject+after.Name {
		return fmt.Errorf("after is the route %.300q", after.Name)
	}
	if last := s.Revision(after.Name); after.Revision != last+1 {
		return fmt.Errorf("expected revision %d, got %d", last+1, after.Revision)
	}
	if before, ok := s.Get(after.Name); ok && before.Seed != after.Seed {
		return fmt.Errorf("expected the seed %q, got %.300q", before.Seed, after.Seed)
	}
	after.Complete()
	if err := checkSlots(after); err != nil {
		return err
	}
	h := s.routes[after.Name]
	if h == nil {
		h = &history{}
		s.routes[after.Name] = h
	}
	h.revision, h.now = after.Revision, &after
	if e.Origin == api.OriginFile {
		h.file = &after.Route
	}
	return nil
}

func (s *Set) deleted(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	h := s.routes[name]
	file := e.Origin == api.OriginFile
	// Where the API deleted the route before, the file's entry ends on its own.
	if !ok || h == nil || h.now == nil && (!file || h.file == nil) {
		return errors.New("there is no such route")
	}
	h.now = nil
	if file {
		h.file = nil
	}
	return nil
}

// checkSlots returns what is wrong with a state's slots: each must be held exactly
// once, and each variant must hold as many as its weight says.
func checkSlots(s api.RouteState) error {
	if len(s.Slots) != len(s.Variants) {
		return fmt.Errorf("%d variants, but slots of %d", len(s.Variants), len(s.Slots))
	}
	var all [][2]int
	for i, held := range s.Slots {
		for _, r := range held {
			if r[0] < 0 || r[0] >= r[1] || r[1] > api.TotalWeight {
				return fmt.Errorf("slots[%d]: expected ranges [from, to) within 0 and %d, got [%d, %d)", i, api.TotalWeight, r[0], r[1])
			}
		}
		if n := size(held); n != s.Variants[i].Weight {
			return fmt.Errorf("slots[%d]: %d slots, but a weight of %d", i, n, s.Variants[i].Weight)
		}
		all = append(all, held...)
	}
	slices.SortFunc(all, func(a, b [2]int) int { return a[0] - b[0] })
	next := 0
	for _, r := range all {
		if r[0] < next {
			return fmt.Errorf("slot %d is held twice", r[0])
		}
		if r[0] > next {
			break
		}
		next = r[1]
	}
	if next != api.TotalWeight {
		return fmt.Errorf("slot %d is held by nobody", next)
	}
	return nil
}
