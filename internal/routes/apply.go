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

// Apply applies the next event. It ignores events that are not about routes. It fails with
// Internal, and changes nothing, if the event does not follow the ones before it or does
// not have a valid route.
func (s *Set) Apply(e api.Event) error {
	switch e.Type {
	case api.EventRouteSet:
		return malformed(e, s.set(e))
	case api.EventRouteDeleted:
		return malformed(e, s.deleted(e))
	default:
		return nil
	}
}

// set makes the event's state the state of its route.
func (s *Set) set(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	if !ok {
		return errors.New("the subject is not a route")
	}
	after, err := decode(e, s.Revision(name)+1)
	if err != nil {
		return err
	}
	if now, ok := s.Get(name); ok && now.Seed != after.Seed {
		return fmt.Errorf("expected the seed %q, got %.300q", now.Seed, after.Seed)
	}
	h := s.history(name)
	h.revision, h.now = after.Revision, after
	if e.Origin == api.OriginFile {
		h.file = &after.Route
	}
	return nil
}

// deleted deletes a route, or the file's entry of a route that the API deleted before.
func (s *Set) deleted(e api.Event) error {
	name, ok := strings.CutPrefix(e.Subject, subject)
	h := s.routes[name]
	file := e.Origin == api.OriginFile
	if !ok || h == nil || h.now == nil && (!file || h.file == nil) {
		return errors.New("the route does not exist")
	}
	h.now = nil
	if file {
		h.file = nil
	}
	return nil
}

// history returns the history of a route. It adds an empty one if there is none.
func (s *Set) history(name string) *history {
	h := s.routes[name]
	if h == nil {
		h = &history{}
		s.routes[name] = h
	}
	return h
}

// decode reads and checks the state of an event. It must have the given revision unless
// that is 0.
func decode(e api.Event, revision int64) (*api.RouteState, error) {
	after := &api.RouteState{}
	if err := json.Unmarshal(e.After, after); err != nil {
		return nil, fmt.Errorf("after is not a route: %w", err)
	}
	if after.Name == "" || e.Subject != subject+after.Name {
		return nil, fmt.Errorf("after is another route: %.300q", after.Name)
	}
	if revision != 0 && after.Revision != revision {
		return nil, fmt.Errorf("expected revision %d, got %d", revision, after.Revision)
	}
	after.Complete()
	return after, checkSlots(*after)
}

func malformed(e api.Event, err error) error {
	if err == nil {
		return nil
	}
	return &infer.Error{Code: infer.Internal, Op: "routes", Msg: fmt.Sprintf("event %d of the journal, %s of %.300q", e.Seq, e.Type, e.Subject), Err: err}
}

// checkSlots checks the slots of a state. Exactly one variant must hold each slot, and each
// variant must hold as many slots as its weight.
func checkSlots(s api.RouteState) error {
	if len(s.Slots) != len(s.Variants) {
		return fmt.Errorf("there are %d variants, but slots of %d", len(s.Variants), len(s.Slots))
	}
	var all [][2]int
	for i, held := range s.Slots {
		for _, r := range held {
			if r[0] < 0 || r[0] >= r[1] || r[1] > api.TotalWeight {
				return fmt.Errorf("slots[%d]: expected ranges [from, to) within 0 and %d, got [%d, %d)", i, api.TotalWeight, r[0], r[1])
			}
		}
		if n := size(held); n != s.Variants[i].Weight {
			return fmt.Errorf("slots[%d]: got %d slots, expected %d, the weight", i, n, s.Variants[i].Weight)
		}
		all = append(all, held...)
	}
	slices.SortFunc(all, func(a, b [2]int) int { return a[0] - b[0] })
	next := 0
	for _, r := range all {
		if r[0] < next {
			return fmt.Errorf("two ranges have slot %d", r[0])
		}
		if r[0] > next {
			break
		}
		next = r[1]
	}
	if next != api.TotalWeight {
		return fmt.Errorf("no variant has slot %d", next)
	}
	return nil
}
