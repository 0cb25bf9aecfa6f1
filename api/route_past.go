package api

import (
	"encoding/json"
	"errors"
	"fmt"
)

// LastChange stands for the state of a route before the last of its events.
const LastChange = -1

// Routes returns the states of a route before and after an event of it, route.set or
// route.deleted; nil is a route that was not declared.
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

// PastRoute returns what a route was at a revision, or with LastChange before its last
// event. events are all of the route's, the oldest first. A nil route was not declared.
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

// RestoreTo returns the route as it was in the past. Its callers are dealt as they are
// now: the seed of a route that exists stays.
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
