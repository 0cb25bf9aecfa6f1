package reconcile

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/trail"
)

// transition is a goal and what of it is loaded. It holds loads until it is released.
type transition struct {
	goal         *goal
	live, shadow *registry.Plan
}

// plan starts the loads that a goal needs, and returns what there is of it.
func (r *Reconciler) plan(g *goal, retry func(infer.Version) bool) *transition {
	return &transition{goal: g, live: r.registry.Plan(g.specs, retry), shadow: r.shadows.Plan(g.shadowSpecs, retry)}
}

// awaits returns the versions that still load, but for the loads that other waits for
// too; it may be nil.
func (t *transition) awaits(other *transition) []infer.Version {
	if other == nil {
		return append(t.live.Awaits(nil), t.shadow.Awaits(nil)...)
	}
	return append(t.live.Awaits(other.live), t.shadow.Awaits(other.shadow)...)
}

func (t *transition) same() bool { return t.live.Same() && t.shadow.Same() }

// pass commits the goal as far as it is loaded, and the changes that wait no more.
func (r *Reconciler) pass() {
	if r.stale {
		r.advance()
	}
	for before := int64(-1); before != r.revision.Load(); { // what was committed matters to those that wait
		before = r.revision.Load()
		r.tryChanges()
	}
	r.checkStart()
}

// advance commits what is loaded of the goal.
func (r *Reconciler) advance() {
	t := r.plan(r.goal(r.desired, nil), r.again)
	r.again, r.stale = nil, false
	r.logTried(t)
	wasUnwritten := r.unwritten
	r.unwritten = false
	if wasUnwritten || !t.same() || !maps.Equal(t.goal.borrowed, r.current.goal.borrowed) || !t.goal.references.Same(&r.current.goal.references) {
		before := r.registry.Serving()
		if err := r.commit(t, nil, api.Actor{}); err != nil {
			if !wasUnwritten {
				r.log.Error("what is loaded does not serve yet, since the journal takes no event", zap.Error(err))
			}
			r.unwritten = true
		} else if list := changes(before, t.live.Serving(), nil); len(list) > 0 {
			r.log.Info("versions changed", zap.Strings("changed", list))
		}
	}
	r.hold(t) // if it could not be committed, it is tried again
	r.catchUp()
	r.unwritten = r.unwritten || r.told.behind
}

// hold makes a transition the current one: its loads are kept, instead of those of the
// last.
func (r *Reconciler) hold(t *transition) {
	if last := r.current; last != t {
		r.current = t
		r.release(last)
	}
}

// release gives up the loads of a transition unless it is the current one.
func (r *Reconciler) release(t *transition) {
	if t != nil && t != r.current {
		t.live.Release()
		t.shadow.Release()
	}
}

// logTried logs loads that have failed.
func (r *Reconciler) logTried(t *transition) {
	log := func(p *registry.Plan, msg string) {
		for _, v := range p.Tried() {
			if err := p.Failed()[v]; err != nil {
				r.log.Error(msg, zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
			}
		}
	}
	log(t.live, "load failed")
	log(t.shadow, "load of a shadow failed")
}

// commit writes down what changes, with the edits of routes, swaps the table, and
// retires what is no longer in it. If the journal cannot be written nothing changes; but
// what loads at the start serves nevertheless. The desired state becomes that of the goal.
func (r *Reconciler) commit(t *transition, edits []routeEdit, by api.Actor) error {
	if err := r.write(r.events(t, edits, by)); err != nil {
		if r.ready.Load() || len(edits) > 0 {
			return err
		}
		if !r.told.behind {
			r.log.Error("what serves is not in the journal", zap.Error(err))
		}
		r.told.behind = true
	}
	r.desired = t.goal.desired
	t.goal.routes = r.routes.All() // what was folded is what serves
	s := actual{goal: t.goal, live: t.live.Serving(), shadows: t.shadow.Serving(), loading: t.live.Loading, failed: t.live.Failed()}
	r.swap(s)
	t.live.Commit()
	t.shadow.Commit()
	r.record.prune(s)
	r.watch.Forget(func(v infer.Version) bool { return indexOf(foundModel(t.goal.found, v.Model).Versions, v.Number) >= 0 })
	r.hold(t)
	return nil
}

// checkStart says that the start is over once its loads have ended.
func (r *Reconciler) checkStart() {
	if r.ready.Load() {
		return
	}
	r.starts = slices.DeleteFunc(r.starts, func(p trail.Place) bool {
		if p.Shadow {
			return !r.current.shadow.Loading(p.Version)
		}
		return !r.current.live.Loading(p.Version)
	})
	if len(r.starts) > 0 {
		return
	}
	for _, problem := range r.current.offers().problems(r.current.goal.routes) {
		r.log.Error("a route cannot serve as it should", zap.String("route", problem.route), zap.String("problem", problem.String()))
	}
	r.ready.Store(true)
	if r.opts.Ready != nil {
		r.opts.Ready()
	}
}

// start reads the repository for the first time, and says which loads readiness waits
// for. A route whose version cannot serve is brought up without it.
func (r *Reconciler) start() error {
	_ = r.told.state.Apply(api.Event{Type: api.EventGatewayStarted}) // whether it could be written or not; it cannot fail
	for _, name := range r.desired.cfg.Repository.Load {
		r.desired.named[name] = true
	}
	edits, err := r.fileEdits(r.desired.cfg)
	if err != nil { // what is right is brought up
		r.log.Error("routes of the configuration cannot be applied", zap.Error(err))
	}
	listing, err := r.repo.Scan()
	if err != nil {
		return err
	}
	r.desired.found = listing.Models
	r.warn(listing.Warnings)
	t := r.plan(r.goal(r.desired, edits), nil)
	r.logAbsent(t.goal.specs)
	for _, v := range t.live.Awaits(nil) {
		r.starts = append(r.starts, trail.Place{Version: v})
	}
	for _, v := range t.shadow.Awaits(nil) {
		r.starts = append(r.starts, trail.Place{Version: v, Shadow: true})
	}
	if err := r.commit(t, edits, byGateway("start")); err != nil {
		r.release(t)
		return err
	}
	for _, text := range r.differing() { // nobody who only reads the file knows
		r.log.Warn(text + "; gateway routes diff -c FILE shows how")
	}
	return nil
}

func byGateway(reason string) api.Actor {
	return api.Actor{Actor: "gateway", Verified: true, Reason: reason}
}

// logAbsent reports the models that the configuration names and the repository lacks.
func (r *Reconciler) logAbsent(specs []*registry.Spec) {
	cfg := r.desired.cfg
	names := slices.Concat(cfg.Repository.Load, slices.Sorted(maps.Keys(cfg.Models)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "*" && !slices.ContainsFunc(specs, func(s *registry.Spec) bool { return s.Version.Model == name }) {
			r.log.Warn("the configuration names a model that the repository lacks", zap.String("model", name))
		}
	}
}
