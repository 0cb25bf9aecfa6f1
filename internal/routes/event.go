package routes

import (
	"encoding/json"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// subject is the prefix of the subjects of events about routes.
const subject = "routes/"

// SetEvent makes the event of a route that becomes after. before is nil if the route did
// not exist. The caller adds the actor and the time.
func SetEvent(origin string, before *api.RouteState, after api.RouteState) (api.Event, error) {
	return event(api.EventRouteSet, origin, after.Name, before, &after)
}

// DeleteEvent makes the event of a deleted route. If the revision is 0, the route does not
// exist any more, and the event only removes the file's entry of it.
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
		return api.Event{}, &infer.Error{Code: infer.Internal, Op: "routes", Msg: "cannot write route '" + name + "' as JSON", Err: err}
	}
	return e, nil
}

func state(s *api.RouteState) (json.RawMessage, error) {
	if s == nil {
		return nil, nil
	}
	return json.Marshal(s)
}
