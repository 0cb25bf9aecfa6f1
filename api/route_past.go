package api

import (
	"encoding/json"
	"errors"
	"fmt"
)

// LastChange is the revision that stands for the state of a route before its last event.
const LastChange = -1

// Routes returns the route before and after an event route.set or route.deleted. nil means
// that the route was not declared.
func (e *Event) Routes() (before, after *Route, err error) {
	if before, err = routeIn(e.Before); err != nil {
		return nil, nil, err
	}
	after, err = routeIn(e.After)
	return before, after, err
}

// routeIn reads the state of a route; an implied one is not declared.
func routeIn(text json.RawMessage) (*Route, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil //nolint:nilnil // not declared
	}
	var state RouteState
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, err
	}
	if state.Revision == 0 {
		return nil, nil //nolint:nilnil // not declared
	}
	return &state.Route, nil
}

// PastRoute returns the route at a revision, or, with LastChange, before its last event.
// events are all events of the route, the oldest first. A nil route was not declared. It
// is an error if the events do not have the revision.
func PastRoute(events []Event, revision int64) (*Route, error) {
	if len(events) == 0 {
		return nil, errors.New("the journal has no change of the route")
	}
	if revision == LastChange {
		before, _, err := events[len(events)-1].Routes()
		return before, err
	}
	for i := len(events) - 1; i >= 0; i-- {
		_, after, err := events[i].Routes()
		if err != nil {
			return nil, err
		}
		if after != nil && after.Revision == revision {
			return after, nil
		}
	}
	return nil, fmt.Errorf("the journal has no revision %d of the route", revision)
}

// RestoreTo returns the route as it was in the past. The seed of a route that exists stays,
// so that callers keep their slots.
func (r *Route) RestoreTo(past Route) Route {
	past.Name, past.Revision = r.Name, r.Revision
	if r.Revision > 0 {
		past.Seed = r.Seed
	}
	past.Complete()
	return past
}

// MovesMuch reports whether a change moves more than half of the traffic to other
// versions.
func (r *RouteResult) MovesMuch() bool { return 2*r.SlotsMoved > TotalWeight }
