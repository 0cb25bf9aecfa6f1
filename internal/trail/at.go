package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Journal reads the events.
type Journal interface {
	// LastAt returns the number of the last event whose time is not after t, 0 if there
	// is none.
	LastAt(t time.Time) (int64, error)
	// Each calls visit with the events that a query selects, the oldest first. If visit
	// fails, Each stops and returns the error.
	Each(q Query, visit func(api.Event) error) error
}

// Query selects events. A Journal may return other events too.
type Query struct {
	After, Last int64    // events with larger numbers than After, up to Last; a Last of 0 is not a bound
	Types       []string // any of these; an empty list selects all; one that ends in "." is a prefix
	Subjects    []string // any of these; an empty list selects all; one that ends in "/" is a prefix
}

// errEnough stops Each.
var errEnough = errors.New("enough")

// At returns what served a route, or a model by its own name, at a time. It applies the
// events up to the last one that is not after at. Errors: Invalid if at is after now,
// NotFound if the journal begins later or the name was not known then.
func At(j Journal, name string, at, now time.Time) (api.ServedAt, error) {
	if at.After(now) {
		return api.ServedAt{}, infer.Errorf(infer.Invalid, "the time %s is in the future: it is %s now", stamp(at), stamp(now))
	}
	last, err := j.LastAt(at)
	if err != nil {
		return api.ServedAt{}, err
	}
	if last == 0 {
		return api.ServedAt{}, before(j, at)
	}
	f := fold{state: NewState(), why: map[Place]string{}}
	if err := f.route(j, name, last); err != nil {
		return api.ServedAt{}, err
	}
	if err := f.versions(j, last); err != nil {
		return api.ServedAt{}, err
	}
	if err := f.end(j, last, at); err != nil {
		return api.ServedAt{}, err
	}
	if f.change == nil && !f.known {
		return api.ServedAt{}, infer.Errorf(infer.NotFound, "at %s there was no route '%s', and the journal does not know a model of that name", stamp(at), name)
	}
	return f.answer(name, at, last), nil
}

// before returns the error for a time before the first event.
func before(j Journal, at time.Time) error {
	err := infer.Errorf(infer.NotFound, "the journal has no events, so it does not know what served at %s", stamp(at))
	readErr := j.Each(Query{}, func(e api.Event) error {
		err = infer.Errorf(infer.NotFound, "the journal begins at %s, so it does not know what served at %s", stamp(e.Time), stamp(at))
		return errEnough
	})
	if readErr != nil && !errors.Is(readErr, errEnough) {
		return readErr
	}
	return err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// fold is the state of one route and its model after the events up to a time.
type fold struct {
	split   api.Route  // as declared; empty if it is implied
	change  *api.Event // the event that declared it; nil if it is implied
	model   string
	state   *State
	known   bool             // the journal has events of the model
	why     map[Place]string // why nothing serves in a place any more
	gateway api.GatewayAt
}

// route finds the route as it was after event last.
func (f *fold) route(j Journal, name string, last int64) error {
	f.model = name
	subject := "routes/" + name
	var set api.Event
	err := j.Each(Query{Last: last, Types: []string{"route."}, Subjects: []string{subject}}, func(e api.Event) error {
		if e.Subject == subject && (e.Type == api.EventRouteSet || e.Type == api.EventRouteDeleted) {
			set = e
		}
		return nil
	})
	if err != nil || set.Type != api.EventRouteSet {
		return err
	}
	if err := read(set, &f.split); err != nil {
		return err
	}
	if f.split.Name != name {
		return malformed(set, nil)
	}
	f.split.Complete()
	f.model, set.Before, set.After = f.split.Model, nil, nil
	f.change = &set
	return nil
}

// versions applies the events of the model and of the gateway.
func (f *fold) versions(j Journal, last int64) error {
	q := Query{
		Last:     last,
		Types:    []string{"version.", "breaker.", "gateway.", api.EventDefaultChanged},
		Subjects: []string{api.SubjectGateway, modelSubject(f.model), modelSubject(f.model) + "/"},
	}
	return j.Each(q, func(e api.Event) error {
		switch e.Type {
		case api.EventGatewayStarted, api.EventGatewayStopped:
			return f.turn(e)
		case api.EventDefaultChanged:
			f.known = f.known || e.Subject == modelSubject(f.model)
			return f.state.Apply(e)
		case api.EventVersionLoaded, api.EventVersionReplaced, api.EventVersionRetired, api.EventVersionUnloaded, api.EventVersionFailed:
			c, p, err := versionOf(e)
			if err != nil || p.Model != f.model {
				return err
			}
			f.known = true
			f.note(e, c, p)
			return f.state.Apply(e)
		default:
			return f.state.Apply(e)
		}
	})
}

// note records why nothing serves in a place.
func (f *fold) note(e api.Event, c api.VersionChange, p Place) {
	switch e.Type {
	case api.EventVersionFailed:
		f.why[p] = "failed to load: " + c.Reason
	case api.EventVersionRetired:
		f.why[p] = fmt.Sprintf("retired at %s (%s)", stamp(e.Time), c.Cause)
	case api.EventVersionUnloaded:
		f.why[p] = fmt.Sprintf("unloaded at %s by a call", stamp(e.Time))
	default:
		delete(f.why, p)
	}
}

// turn applies a start or a stop of the gateway.
func (f *fold) turn(e api.Event) error {
	at := e.Time
	if e.Type == api.EventGatewayStopped {
		f.gateway = api.GatewayAt{State: api.GatewayDown, Version: f.gateway.Version, StartedAt: f.gateway.StartedAt, StoppedAt: &at}
	} else {
		var start api.GatewayStart
		if err := read(e, &start); err != nil {
			return err
		}
		f.gateway = api.GatewayAt{State: api.GatewayUp, Version: start.Version, StartedAt: &at}
	}
	clear(f.why)
	return f.state.Apply(e)
}

// end finds out how the gateway's run at that time ended.
func (f *fold) end(j Journal, last int64, at time.Time) error {
	if f.gateway.State == "" {
		f.gateway.State = api.GatewayUnknown
		return nil
	}
	var next api.Event
	err := j.Each(Query{After: last, Types: []string{"gateway."}, Subjects: []string{api.SubjectGateway}}, func(e api.Event) error {
		if e.Seq <= last || e.Type != api.EventGatewayStarted && e.Type != api.EventGatewayStopped {
			return nil
		}
		next = e
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if next.Type != api.EventGatewayStarted { // it stopped regularly, or is still running
		return nil
	}
	var start api.GatewayStart
	if err := json.Unmarshal(next.After, &start); err != nil {
		return malformed(next, err)
	}
	if f.gateway.State == api.GatewayDown {
		f.gateway.NextStart = &next.Time
	} else if start.Before != nil && at.After(start.Before.LastAlive) {
		f.gateway.State, f.gateway.LastAlive, f.gateway.NextStart = api.GatewayKilled, &start.Before.LastAlive, &next.Time
	}
	return nil
}
