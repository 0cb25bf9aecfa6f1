package reconcile

import (
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/trail"
)

// told is what the journal knows of what serves, and why it changed last.
type told struct {
	state  *trail.State
	causes map[string]trail.Cause // by model
	others trail.Cause            // of the other models
	behind bool                   // the journal lacks what serves
}

func newTold() told {
	return told{
		state: trail.NewState(), causes: map[string]trail.Cause{},
		others: trail.Cause{Cause: api.CauseStart, By: byGateway("start")},
	}
}

// because notes what changes a model from now on.
func (t *told) because(model, cause string, by api.Actor) {
	t.causes[model] = trail.Cause{Cause: cause, By: by}
}

// becauseAll notes what changes all models from now on.
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

// events returns what has to be written of a transition, in its order: what is new
// serves, routes change, and what was there before goes.
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

// snapshot is what serves once a transition is made.
func snapshot(t *transition) trail.Snapshot {
	s := trail.Snapshot{
		Serving: map[trail.Place]trail.Loaded{}, Default: map[string]int64{}, Failed: map[trail.Place]trail.Failure{}, Loading: map[string]bool{},
	}
	add := func(p *registry.Plan, shadow bool) {
		for v, l := range p.Loaded() {
			s.Serving[trail.Place{Version: v, Shadow: shadow}] = trail.Loaded{Digest: l.Digest, At: l.At}
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
		if !p.Shadow && !t.goal.borrowed[p.Version] {
			s.Default[p.Model] = max(s.Default[p.Model], p.Number)
		}
	}
	return s
}

// write appends events to the journal, all or none, and folds them in as the journal
// returns them, read back: what serves is then what a replay comes to.
func (r *Reconciler) write(events []api.Event) error {
	if len(events) == 0 {
		return nil
	}
	events, err := r.journal.AppendAll(journal.Any, events) // nobody else writes events of routes and versions
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := r.routes.Apply(e); err != nil {
			panic("BUG: the journal took what cannot be folded: " + err.Error())
		}
		if err := r.told.state.Apply(e); err != nil {
			panic("BUG: the journal took what cannot be folded: " + err.Error())
		}
	}
	return nil
}

// catchUp writes what the journal lacks since it could not be written.
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
	case i.breaker.To == "half-open": // it is still open to nearly all
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
		r.log.Error("an incident is not in the journal", zap.String("type", e.Type), zap.String("model", i.version.Model),
			zap.Int64("version", i.version.Number), zap.Error(err))
	}
}
