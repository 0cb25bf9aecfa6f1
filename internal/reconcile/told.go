package reconcile

import (
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/trail"
)

// told is the state of what serves in the journal, and the causes of the last changes.
type told struct {
	state  *trail.State
	causes map[string]trail.Cause // by model
	others trail.Cause            // for the other models
	behind bool                   // what serves is not in the journal yet
}

func newTold() told {
	return told{
		state: trail.NewState(), causes: map[string]trail.Cause{},
		others: trail.Cause{Cause: api.CauseStart, By: byGateway("start")},
	}
}

// because sets the cause of a model's changes from now on.
func (t *told) because(model, cause string, by api.Actor) {
	t.causes[model] = trail.Cause{Cause: cause, By: by}
}

// becauseAll sets the cause of all models' changes from now on.
func (t *told) becauseAll(cause string, by api.Actor) {
	clear(t.causes)
	t.others = trail.Cause{Cause: cause, By: by}
}

func (t *told) cause(model string) trail.Cause {
	if c, ok := t.causes[model]; ok {
		return c
	}
	return t.others
}

// events returns the events of a transition, in order: new versions serve, routes change,
// old versions stop serving.
func (r *Reconciler) events(t *transition, edits []routeEdit, by api.Actor) []api.Event {
	events := r.told.state.Advance(snapshot(t), r.told.cause)
	at := slices.IndexFunc(events, func(e api.Event) bool {
		return e.Type == api.EventDefaultChanged || e.Type == api.EventVersionRetired || e.Type == api.EventVersionUnloaded
	})
	if at < 0 {
		at = len(events)
	}
	for i := range edits {
		edits[i].event.Actor = by
		events = slices.Insert(events, at+i, edits[i].event)
	}
	return events
}

// snapshot returns what serves after a transition.
func snapshot(t *transition) trail.Snapshot {
	s := trail.Snapshot{
		Serving: map[trail.Place]trail.Loaded{}, Default: map[string]int64{}, Failed: map[trail.Place]trail.Failure{}, Loading: map[string]bool{},
	}
	add := func(p *registry.Plan, shadow bool) {
		for v, l := range p.Loaded() {
			s.Serving[trail.Place{Version: v, Shadow: shadow}] = trail.Loaded{Digest: l.Digest, At: l.At, Validation: l.Validation}
		}
		for v, f := range p.Failures() {
			s.Failed[trail.Place{Version: v, Shadow: shadow}] = trail.Failure{Digest: f.Digest, Files: f.Fingerprint, Reason: f.Reason}
		}
	}
	add(t.live, false)
	add(t.shadow, true)
	for _, v := range t.live.Awaits(nil) {
		s.Loading[v.Model] = true
	}
	for p := range s.Serving {
		if !p.Shadow && t.goal.prefers(p.Version, s.Default[p.Model]) {
			s.Default[p.Model] = p.Number
		}
	}
	return s
}

// write appends events to the journal, all or none, and applies the events that the journal
// returns. So the state equals that of a replay.
func (r *Reconciler) write(events []api.Event) error {
	if len(events) == 0 {
		return nil
	}
	events, err := r.journal.AppendAll(journal.Any, events) // no other part writes events of routes and versions
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := r.routes.Apply(e); err != nil {
			panic("BUG: the journal accepted an event that cannot be applied: " + err.Error())
		}
		if err := r.aliases.Apply(e); err != nil {
			panic("BUG: the journal accepted an event that cannot be applied: " + err.Error())
		}
		if err := r.told.state.Apply(e); err != nil {
			panic("BUG: the journal accepted an event that cannot be applied: " + err.Error())
		}
	}
	return nil
}

// catchUp writes the events that could not be written before.
func (r *Reconciler) catchUp() {
	if r.told.behind && r.write(r.events(r.current, nil, api.Actor{})) == nil {
		r.told.behind = false
	}
}

// note records an incident.
func (r *Reconciler) note(i incident) {
	var e api.Event
	var known bool
	switch {
	case i.finding != nil:
		e, known = r.told.state.Batching(i.version, i.finding.Batchable, i.finding.Reason)
	case i.breaker.To == "half-open": // still open for nearly all requests
		r.record.breakerIs(i.version, i.breaker)
		return
	default:
		r.record.breakerIs(i.version, i.breaker)
		e, known = r.told.state.Breaker(i.version, i.breaker.To == "open", i.breaker.Why)
	}
	if !known {
		return
	}
	if err := r.write([]api.Event{e}); err != nil {
		r.log.Error("an event could not be written to the journal", zap.String("type", e.Type), zap.String("model", i.version.Model),
			zap.Int64("version", i.version.Number), zap.Error(err))
	}
}
