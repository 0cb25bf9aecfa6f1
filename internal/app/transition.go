package app

import (
	"context"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// transition is a change that is loaded and not yet made: commit or discard it.
type transition struct {
	goal         *goal
	live, shadow *registry.Plan
}

// prepare loads what a goal asks for. While it does, names that nothing serves
// yet answer that they are loading.
func (r *reconciler) prepare(ctx context.Context, g *goal, retry func(infer.Version) bool) *transition {
	r.swap(r.actual(r.now()), g.specs)
	return r.plan(ctx, g, retry)
}

// plan is prepare without a word to anyone.
func (r *reconciler) plan(ctx context.Context, g *goal, retry func(infer.Version) bool) *transition {
	t := &transition{goal: g, live: r.registry.Prepare(ctx, g.specs, retry), shadow: r.shadows.Prepare(ctx, g.shadowSpecs, retry)}
	for v, err := range t.live.Failed() {
		r.log.Error("load failed", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
	}
	for v, err := range t.shadow.Failed() {
		r.log.Error("load of a shadow failed", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
	}
	return t
}

// commit writes the edits of routes down, swaps the table, and retires what is no
// longer in it. Where the journal cannot be written nothing changes.
func (r *reconciler) commit(t *transition, edits []routeEdit, by api.Actor) error {
	if err := r.append(edits, by); err != nil {
		r.discard(t)
		return err
	}
	r.cfg, r.found, r.references = t.goal.cfg, t.goal.found, t.goal.profiles
	t.goal.routes = r.routes.All() // what was folded is what serves
	s := actual{goal: t.goal, live: t.live.Instances(), shadows: t.shadow.Instances()}
	r.swap(s, nil)
	t.live.Commit()
	t.shadow.Commit()
	r.record.prune(s)
	r.watch.Forget(func(v infer.Version) bool { return indexOf(foundModel(t.goal.found, v.Model).Versions, v.Number) >= 0 })
	return nil
}

// discard gives back what was loaded and leaves all as it was.
func (r *reconciler) discard(t *transition) {
	t.live.Discard()
	t.shadow.Discard()
	s := r.actual(r.now())
	r.swap(s, nil)
	r.record.prune(s)
}
