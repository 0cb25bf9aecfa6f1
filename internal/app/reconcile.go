package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/routes"
	"sluice.io/sluice/internal/serving"
)

// reconciler takes every cause of change in turn: it loads what should serve and
// does not, writes the change to the journal, swaps the table, and retires the
// rest. All its fields but the channels and the atomics belong to the goroutine
// of run.
type reconciler struct {
	repo     *registry.Repository
	loader   *serving.Loader
	registry *registry.Registry // versions that answer callers
	shadows  *registry.Registry // versions that run as shadows
	router   *router.Router
	record   *recorder
	watch    *driftwatch.Watcher
	journal  *journal.Log
	log      *zap.Logger
	load     func() (*config.Config, error) // reads the configuration again; may be nil
	onReady  func()                         // may be nil

	commands chan command
	stopped  chan struct{} // closed when run has ended
	ready    atomic.Bool   // the first pass is over
	revision atomic.Int64  // of the table
	view     atomic.Pointer[view]

	cfg    *config.Config
	found  []registry.Found // the repository as it was last read
	routes *routes.Set

	references driftwatch.References    // the profiles in force
	named      map[string]bool          // models to load under explicit control
	seen       map[infer.Version]string // fingerprints at the last poll
}

// command is a change asked for from outside. done gets its one answer.
type command struct {
	do   func(ctx context.Context) error
	done chan error
}

// run makes the first pass and then serves commands and polls until ctx ends.
func (r *reconciler) run(ctx context.Context) error {
	defer close(r.stopped)
	if err := r.start(ctx); err != nil {
		return err
	}
	r.ready.Store(true)
	if r.onReady != nil {
		r.onReady()
	}
	var poll <-chan time.Time
	if r.cfg.Repository.Control == config.ControlPoll {
		ticker := time.NewTicker(r.cfg.Repository.PollInterval)
		defer ticker.Stop()
		poll = ticker.C
	}
	for {
		select {
		case c := <-r.commands:
			c.done <- c.do(ctx)
		case <-poll:
			if err := r.poll(ctx); err != nil {
				r.log.Error("poll", zap.Error(err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// send hands a command to run and waits for its answer. A caller that leaves
// does not stop a change that has begun.
func (r *reconciler) send(ctx context.Context, do func(ctx context.Context) error) error {
	c := command{do: do, done: make(chan error, 1)}
	select {
	case r.commands <- c:
	case <-r.stopped:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	select { // what run has taken it answers, also where it then ends
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendOrNothing is send for a change that is either answered or not made: do
// calls commit before it changes anything, and must not where that is false. A
// caller that leaves after that waits for the little that is left.
func (r *reconciler) sendOrNothing(ctx context.Context, do func(ctx context.Context, commit func() bool) error) error {
	const (
		pending int32 = iota
		committing
		abandoned
	)
	var state atomic.Int32
	done := make(chan error, 1)
	err := r.send(ctx, func(run context.Context) error {
		run, cancel := context.WithCancel(run)
		defer cancel()
		defer context.AfterFunc(ctx, cancel)()
		err := do(run, func() bool { return state.CompareAndSwap(pending, committing) })
		done <- err
		return err
	})
	if ctx.Err() == nil || state.CompareAndSwap(pending, abandoned) {
		return err
	}
	return <-done
}

// start brings up what the journal and the configuration say. A route whose version
// cannot serve is brought up without it.
func (r *reconciler) start(ctx context.Context) error {
	for _, name := range r.cfg.Repository.Load {
		r.named[name] = true
	}
	edits, err := r.fileEdits(r.cfg)
	if err != nil { // what is right is brought up all the same
		r.log.Error("routes of the configuration cannot be applied", zap.Error(err))
	}
	found, err := r.repo.Scan()
	if err != nil {
		return err
	}
	t := r.prepare(ctx, r.goal(r.cfg, found, edits), nil)
	r.logAbsent(t.goal.specs)
	for _, problem := range t.offers().problems(t.goal.routes) {
		r.log.Error("a route cannot serve as it should", zap.String("route", problem.route), zap.String("problem", problem.String()))
	}
	return r.commit(t, edits, api.Actor{Actor: "gateway", Verified: true, Reason: "start"})
}

// logAbsent reports the models that the configuration names and the repository lacks.
func (r *reconciler) logAbsent(specs []registry.Spec) {
	names := slices.Concat(r.cfg.Repository.Load, slices.Sorted(maps.Keys(r.cfg.Models)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name != "*" && !slices.ContainsFunc(specs, func(s registry.Spec) bool { return s.Version.Model == name }) {
			r.log.Warn("the configuration names a model that the repository lacks", zap.String("model", name))
		}
	}
}

// poll looks for changed folders.
func (r *reconciler) poll(ctx context.Context) error {
	found, err := r.repo.Scan()
	if err != nil {
		return err
	}
	r.settle(found)
	before := r.registry.Instances()
	t := r.plan(ctx, r.goal(r.cfg, found, nil), nil)
	if t.live.Same() && t.shadow.Same() {
		r.found = found
		return nil
	}
	r.log.Info("repository changed", zap.Strings("changed", changes(before, t.live)))
	return r.commit(t, nil, api.Actor{})
}

// settle puts in place of what this poll sees for the first time what was there
// before: a folder counts as changed once two polls saw the same files in it, so
// that one that is still being copied is left alone.
func (r *reconciler) settle(found []registry.Found) {
	seen := map[infer.Version]string{}
	for i := range found {
		f, last := &found[i], foundModel(r.found, found[i].Name)
		f.Versions = slices.DeleteFunc(f.Versions, func(fv registry.FoundVersion) bool {
			v := infer.Version{Model: f.Name, Number: fv.Number}
			seen[v] = fv.Fingerprint
			return fv.Fingerprint != r.seen[v] && indexOf(last.Versions, fv.Number) < 0
		})
		for j := range f.Versions {
			fv := &f.Versions[j]
			if fv.Fingerprint != r.seen[infer.Version{Model: f.Name, Number: fv.Number}] {
				*fv = find(last, fv.Number)
			}
		}
	}
	r.seen = seen
}

// loadModel loads a model by name under explicit control, again where its files
// have changed or it failed before.
func (r *reconciler) loadModel(ctx context.Context, name string, by api.Actor) error {
	if err := r.explicit(); err != nil {
		return err
	}
	if _, ok := r.repo.ScanModel(name); !ok {
		return infer.Errorf(infer.NotFound, "failed to load '%s': the repository has no such model", name)
	}
	found, err := r.repo.Scan()
	if err != nil {
		return err
	}
	r.named[name] = true
	t := r.prepare(ctx, r.goal(r.cfg, found, nil), func(v infer.Version) bool { return v.Model == name })
	if err := r.commit(t, nil, by); err != nil {
		return err
	}
	for v, err := range t.live.Failed() {
		if v.Model == name {
			return infer.Errorf(infer.Invalid, "failed to load '%s': version %d: %s", name, v.Number, registry.Reason(err))
		}
	}
	r.log.Info("model loaded by request", zap.String("model", name))
	r.audit(api.EventModelLoaded, "models/"+name, by, nil)
	return nil
}

// unloadModel takes a model out of service; what it has accepted is finished.
func (r *reconciler) unloadModel(ctx context.Context, name string, by api.Actor) error {
	if err := r.explicit(); err != nil {
		return err
	}
	if _, ok := r.repo.ScanModel(name); !ok && !r.named[name] {
		return infer.Errorf(infer.NotFound, "failed to unload '%s': the repository has no such model", name)
	}
	for _, route := range r.routes.All() {
		if route.Model == name {
			return infer.Errorf(infer.Conflict, "failed to unload '%s': route '%s' names it; delete the route first", name, route.Name)
		}
	}
	found, err := r.repo.Scan()
	if err != nil {
		return err
	}
	r.unnameAll()
	delete(r.named, name)
	t := r.prepare(ctx, r.goal(r.cfg, found, nil), nil)
	if err := r.commit(t, nil, by); err != nil {
		return err
	}
	r.log.Info("model unloaded by request", zap.String("model", name))
	r.audit(api.EventModelUnloaded, "models/"+name, by, nil)
	return nil
}

// unnameAll replaces the wildcard by the names it stands for, so that one of
// them can be taken out.
func (r *reconciler) unnameAll() {
	if !r.named["*"] {
		return
	}
	delete(r.named, "*")
	for v := range r.registry.Instances() {
		r.named[v.Model] = true
	}
}

func (r *reconciler) explicit() error {
	if r.cfg.Repository.Control != config.ControlExplicit {
		return infer.Errorf(infer.Unavailable, "models are loaded and unloaded by request only under --model-control explicit")
	}
	return nil
}

// audit records a change that has happened and that nothing is folded from: one
// that cannot be written down is not undone for that.
func (r *reconciler) audit(kind, subject string, by api.Actor, after any) {
	e := api.Event{Type: kind, Subject: subject, Origin: api.OriginAPI, Actor: by}
	var err error
	if after != nil {
		e.After, err = json.Marshal(after)
	}
	if err == nil {
		_, err = r.journal.Append(journal.Any, e)
	}
	if err != nil {
		r.log.Error("a change is not in the journal", zap.String("type", kind), zap.String("subject", subject), zap.Error(err))
	}
}
