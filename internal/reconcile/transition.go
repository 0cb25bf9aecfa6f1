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

// transition is a goal with the plans of what is loaded of it. It holds loads until it is
// released.
type transition struct {
	goal         *goal
	live, shadow *registry.Plan
}

// plan starts the loads of a goal, and returns its transition.
func (r *Reconciler) plan(g *goal, retry func(infer.Version) bool) *transition {
	return &transition{goal: g, live: r.registry.Plan(g.specs, retry), shadow: r.shadows.Plan(g.shadowSpecs, retry)}
}

// awaits returns the versions that are loading, without the loads that other waits for too.
// other may be nil.
func (t *transition) awaits(other *transition) []infer.Version {
	if other == nil {
		return append(t.live.Awaits(nil), t.shadow.Awaits(nil)...)
	}
	return append(t.live.Awaits(other.live), t.shadow.Awaits(other.shadow)...)
}

func (t *transition) same() bool { return t.live.Same() && t.shadow.Same() }

// pass commits the loaded part of the goal, and the changes that do not have to wait any
// more.
func (r *Reconciler) pass() {
	if r.stale {
		r.advance()
	}
	for before := int64(-1); before != r.revision.Load(); { // a commit can affect waiting changes
		before = r.revision.Load()
		r.tryChanges()
	}
	r.checkStart()
}

// advance commits the loaded part of the goal.
func (r *Reconciler) advance() {
	t := r.plan(r.goal(r.desired, nil), r.again)
	r.again, r.stale = nil, false
	r.logTried(t)
	wasUnwritten := r.unwritten
	r.unwritten = false
	if wasUnwritten || !t.same() || !maps.Equal(t.goal.borrowed, r.current.goal.borrowed) || !t.goal.references.Same(&r.current.goal.references) ||
		!slices.Equal(t.goal.waiting, r.current.goal.waiting) {
		before := r.registry.Serving()
		if err := r.commit(t, nil, api.Actor{}); err != nil {
			if !wasUnwritten {
				r.log.Error("loaded versions do not serve yet, since the journal cannot be written; retrying every second", zap.Error(err))
			}
			r.unwritten = true
		} else if list := changes(before, t.live.Serving(), nil); len(list) > 0 {
			r.log.Info("versions changed", zap.Strings("changed", list))
		}
	}
	r.hold(t) // if it could not be committed, the next pass tries again
	r.catchUp()
	r.unwritten = r.unwritten || r.told.behind
}

// hold makes a transition the current one: it holds its loads and releases those of the last
// one.
func (r *Reconciler) hold(t *transition) {
	if last := r.current; last != t {
		r.current = t
		r.release(last)
	}
}

// release cancels the loads of a transition unless it is the current one.
func (r *Reconciler) release(t *transition) {
	if t != nil && t != r.current {
		t.live.Release()
		t.shadow.Release()
	}
}

// logTried logs failed loads.
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

// commit writes the events of a transition and of edits, swaps the table, and retires
// versions that are not in it any more. If the journal cannot be written, nothing changes,
// except that versions serve at the start anyway. The goal's desired state becomes the
// current one.
func (r *Reconciler) commit(t *transition, edits []routeEdit, by api.Actor) error {
	if err := r.write(r.events(t, edits, by)); err != nil {
		if r.ready.Load() || len(edits) > 0 {
			return err
		}
		if !r.told.behind {
			r.log.Error("the versions that serve could not be written to the journal; retrying", zap.Error(err))
		}
		r.told.behind = true
	}
	r.desired = t.goal.desired
	t.goal.routes = r.routes.All() // the routes with the edits applied
	s := actual{goal: t.goal, live: t.live.Serving(), shadows: t.shadow.Serving(), loading: t.live.Loading, failed: t.live.Failed()}
	r.swap(s)
	t.live.Commit()
	t.shadow.Commit()
	r.record.prune(s)
	r.watch.Forget(func(v infer.Version) bool { return indexOf(foundModel(t.goal.found, v.Model).Versions, v.Number) >= 0 })
	r.hold(t)
	return nil
}

// checkStart sets ready when the loads of the start have ended.
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
		r.log.Error("a route has a version that cannot serve", zap.String("route", problem.route), zap.String("problem", problem.String()))
	}
	r.ready.Store(true)
	if r.opts.Ready != nil {
		r.opts.Ready()
	}
}

// start scans the repository for the first time, and collects the loads that readiness waits
// for. A route with a version that cannot serve starts without that version.
func (r *Reconciler) start() error {
	_ = r.told.state.Apply(api.Event{Type: api.EventGatewayStarted}) // even if the event could not be written; it cannot fail
	for _, name := range r.desired.cfg.Repository.Load {
		r.desired.named[name] = true
	}
	edits, err := r.fileEdits(r.desired.cfg)
	if err != nil { // start the others
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
	r.logDeprecated(t.goal.specs)
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
	for _, text := range r.differing() { // the file alone does not show these edits
		r.log.Warn(text + "; gateway routes diff -c FILE shows how")
	}
	return nil
}

func byGateway(reason string) api.Actor {
	return api.Actor{Actor: "gateway", Verified: true, Reason: reason}
}

// logAbsent logs the models that the configuration names and the repository does not have.
func (r *Reconciler) logAbsent(specs []*registry.Spec) {
	cfg := r.desired.cfg
	names := slices.Concat(cfg.Repository.Load, slices.Sorted(maps.Keys(cfg.Models)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "*" && !slices.ContainsFunc(specs, func(s *registry.Spec) bool { return s.Version.Model == name }) {
			r.log.Warn("the configuration names a model that is not in the repository", zap.String("model", name))
		}
	}
}

// logDeprecated logs the models with a setting that another one replaces.
func (r *Reconciler) logDeprecated(specs []*registry.Spec) {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Version.Model
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if d := r.desired.cfg.Model(name).Drift; d.Tolerance > 0 {
			g := d.Limits()
			r.log.Warn("drift.tolerance is deprecated: it is used in place of these drift.gates; set them instead", zap.String("model", name), zap.Float64("tolerance", d.Tolerance),
				zap.Float64("mean", g.Mean), zap.Float64("spread", g.Spread), zap.Float64("share_gain", g.ShareGain), zap.Float64("shape", g.Shape))
		}
	}
}
