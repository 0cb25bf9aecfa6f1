package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Traffic is what a controller moves. Its methods may be called from any goroutine.
type Traffic interface {
	// Route returns a declared or implied route. It fails with NotFound.
	Route(name string) (api.Route, error)
	// Set makes a route. It waits for versions that must be loaded.
	Set(ctx context.Context, route api.Route, by api.Actor) error
	// Halt stops requests to the canary of a version, or allows them again. It takes effect with the next
	// request, and does not block.
	Halt(route string, version int64, halted bool)
	// Counts returns the counts of a route's variants.
	Counts(route string, version int64, objective time.Duration) (Counts, error)
	// Losses returns what the labels of the canary and of the control say. It may read files.
	Losses(route string, version int64) (Losses, error)
	// Digest returns that of a version's files. It fails with NotFound.
	Digest(ctx context.Context, model string, version int64) (string, error)
}

// Journal keeps events.
type Journal interface {
	// Append adds an event, whatever the last one is. When it has returned, the event survives a
	// crash.
	Append(e api.Event) (api.Event, error)
}

// Policy is what the rollouts of a model need.
type Policy struct {
	Approvals int           // how many people must approve
	Groups    []string      // whose members may; none: everyone who may approve
	Expires   time.Duration // of a rollout that waits for approvals
}

// Options configure a Controller. All but Query and Marks are required.
type Options struct {
	// Marks outlive a crash; nil if the journal does not either.
	Marks *Marks
	// Query returns the value of a query of a spec; nil if no server is configured. An error says why there is no value.
	Query   func(ctx context.Context, query string) (float64, error)
	Traffic Traffic
	Journal Journal
	Policy  func(model string) Policy
	Logger  *zap.Logger
}

// Controller runs the rollouts of all routes. Its methods may be called from any goroutine.
type Controller struct {
	opts Options
	log  *zap.Logger

	mu     sync.Mutex
	fold   *Fold
	active map[string]*runner // by route
	fresh  []*runner          // whose goroutine does not run yet
	woken  chan struct{}      // there are fresh ones

	marking sync.Mutex      // guards marked and the file of it
	marked  map[string]bool // ids of aborted rollouts whose event is not in the journal yet
}

// New returns a controller without rollouts.
func New(o Options) *Controller {
	return &Controller{opts: o, log: o.Logger.Named("rollouts"), fold: NewFold(), active: map[string]*runner{}, woken: make(chan struct{}, 1), marked: map[string]bool{}}
}

// Resume continues from the events of the journal. A rollout whose abort is not among them is paused, and its version gets
// no requests. Resume must be called before Run.
func (c *Controller) Resume(f *Fold) {
	c.fold = f
	var marked []string
	if c.opts.Marks != nil {
		var err error
		if marked, err = c.opts.Marks.Get(); err != nil {
			c.log.Error("the file of aborted rollouts cannot be read", zap.Error(err))
		}
	}
	for _, name := range f.names() {
		r := f.last(name)
		if r.Final() {
			continue
		}
		resumed := *r
		resumed.SinceAt = byThisClock(r.SinceAt)
		run := newRunner(c, resumed)
		if slices.Contains(marked, r.ID) && r.State != api.RolloutAborting {
			c.marked[r.ID] = true
			run.distrust()
		}
		c.add(run)
	}
}

// mark notes that a rollout was aborted, or that this is in the journal.
func (c *Controller) mark(id string, aborted bool) {
	if c.opts.Marks == nil {
		return
	}
	c.marking.Lock()
	defer c.marking.Unlock()
	if c.marked[id] == aborted {
		return
	}
	if c.marked[id] = aborted; !aborted {
		delete(c.marked, id)
	}
	if err := c.opts.Marks.Set(slices.Sorted(maps.Keys(c.marked))); err != nil {
		c.log.Error("the file of aborted rollouts cannot be written", zap.String("rollout", id), zap.Error(err))
	}
}

// add has Run run a rollout.
func (c *Controller) add(run *runner) {
	c.active[run.now.Spec.Route] = run
	c.fresh = append(c.fresh, run)
	select {
	case c.woken <- struct{}{}:
	default: // it will look anyway
	}
}

// Run moves the rollouts on until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	var runners sync.WaitGroup
	defer runners.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		select {
		case <-c.woken:
			for _, r := range c.take() {
				runners.Go(func() { r.run(ctx) })
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Controller) take() []*runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.fresh
	c.fresh = nil
	return fresh
}

// Locked returns the id of the rollout that runs on a route, "" if none does. Nobody else may change the
// route then.
func (c *Controller) Locked(route string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.active[route]; r != nil {
		return r.id
	}
	return ""
}

// Digest returns the digest that a version had when the rollout of a route began, "" if no rollout of that version runs.
func (c *Controller) Digest(route string, version int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := c.fold.last(route); last != nil && c.active[route] != nil && last.Spec.Version == version {
		return last.Digest
	}
	return ""
}

// List returns the last rollout of each route, sorted by route.
func (c *Controller) List() []api.Rollout {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := c.fold.names()
	list := make([]api.Rollout, 0, len(names)) // [] instead of null
	for _, name := range names {
		list = append(list, *c.fold.last(name))
	}
	return list
}

// History returns the last rollouts of a route, the newest first. It fails with NotFound.
func (c *Controller) History(route string) ([]api.Rollout, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.fold.routes[route]
	if p == nil {
		return nil, infer.Errorf(infer.NotFound, "route '%s' has had no rollout", route)
	}
	return p.Rollouts, nil
}

// Start starts a rollout of a completed and checked spec. Errors: NotFound for the route or the version, Conflict
// if a rollout runs, the route is frozen, or it is not one that a rollout can change.
func (c *Controller) Start(ctx context.Context, spec api.RolloutSpec, by api.Actor) (api.Rollout, error) {
	if err := c.startable(spec.Route); err != nil {
		return api.Rollout{}, err // before the route is looked at, which a rollout has changed
	}
	r, err := c.prepare(ctx, spec)
	if err != nil {
		return api.Rollout{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.free(spec.Route); err != nil {
		return api.Rollout{}, err
	}
	if last := c.fold.last(spec.Route); last != nil {
		r.Number = last.Number + 1
		if last.State == api.RolloutRolledBack {
			r.Rollbacks = last.Rollbacks
		}
	}
	r.ID = fmt.Sprintf("%s-%d", spec.Route, r.Number)
	r.StartedBy, r.StartedAt = by, time.Now()
	r.SinceAt = r.StartedAt
	if err := c.write(api.EventRolloutStarted, r, by); err != nil {
		return api.Rollout{}, err
	}
	c.add(newRunner(c, *r))
	return *r, nil
}

// byThisClock returns a time of the journal as one by the monotonic clock of this process, so that a state that goes on neither ends early
// nor late if the clock on the wall is set. A time in the future, of a clock that was set back meanwhile, is now.
func byThisClock(at time.Time) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(at)))
}

// startable returns Conflict if no rollout of a route can start now.
func (c *Controller) startable(route string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free(route)
}

// free is startable for a caller that holds c.mu.
func (c *Controller) free(route string) error {
	if running := c.active[route]; running != nil {
		return infer.Errorf(infer.Conflict, "rollout '%s' of route '%s' has not ended", running.id, route)
	}
	if last := c.fold.last(route); last != nil && last.Frozen {
		return infer.Errorf(infer.Conflict, "route '%s' is frozen after %d rollbacks in a row: find out why, then lift it with gateway rollouts unfreeze %s", route, last.Rollbacks, route)
	}
	return nil
}

// prepare returns a new rollout.
func (c *Controller) prepare(ctx context.Context, spec api.RolloutSpec) (*api.Rollout, error) {
	route, err := c.opts.Traffic.Route(spec.Route)
	if err != nil {
		return nil, err
	}
	if len(route.Variants) != 1 {
		return nil, infer.Errorf(infer.Conflict, "route '%s' has %d variants, expected one, the stable version: end the trial with gateway routes set, then start the rollout", spec.Route, len(route.Variants))
	}
	if route.Variants[0].Version == spec.Version {
		return nil, infer.Errorf(infer.Conflict, "version %d is the stable version of route '%s' already", spec.Version, spec.Route)
	}
	if len(spec.Queries) > 0 && c.opts.Query == nil {
		return nil, infer.Errorf(infer.Conflict, "queries: no Prometheus server is configured; set prometheus.url")
	}
	digest, err := c.opts.Traffic.Digest(ctx, route.Model, spec.Version)
	if err != nil {
		return nil, err
	}
	return &api.Rollout{
		Number: 1, Model: route.Model, Spec: spec, Digest: digest, State: api.RolloutValidating, Before: route, Durable: true,
		Approvals: []api.Approval{}, Needed: c.opts.Policy(route.Model).Approvals, Evidence: []api.RolloutEvidence{},
		Why: fmt.Sprintf("version %d is being loaded", spec.Version),
	}, nil
}

// write writes an event and makes the rollout the present one. c.mu must be held.
func (c *Controller) write(kind string, r *api.Rollout, by api.Actor) error {
	after, err := json.Marshal(r)
	if err != nil {
		return infer.Errorf(infer.Internal, "%v", err)
	}
	if _, err := c.opts.Journal.Append(api.Event{Type: kind, Subject: subject + r.Spec.Route, Origin: originOf(by), Actor: by, After: after}); err != nil {
		return err
	}
	c.fold.set(r)
	if r.Final() {
		delete(c.active, r.Spec.Route)
	}
	return nil
}

// query returns the value of a query.
func (c *Controller) query(ctx context.Context, text string) (float64, error) {
	if c.opts.Query == nil { // it was configured when the rollout started
		return 0, errors.New("no server is configured")
	}
	return c.opts.Query(ctx, text)
}

// byGateway is the actor of what a controller does by itself.
func byGateway(reason string) api.Actor {
	return api.Actor{Actor: "gateway", Verified: true, Reason: reason}
}

func originOf(by api.Actor) string {
	if by.Actor == "gateway" {
		return api.OriginGateway
	}
	return api.OriginAPI
}

// Unfreeze lets rollouts of a route start again.
func (c *Controller) Unfreeze(route string, by api.Actor) (api.Rollout, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.fold.last(route)
	if last == nil || !last.Frozen {
		return api.Rollout{}, infer.Errorf(infer.Conflict, "route '%s' is not frozen", route)
	}
	next := *last
	next.Frozen, next.Rollbacks = false, 0
	if err := c.write(api.EventRolloutUnfrozen, &next, by); err != nil {
		return api.Rollout{}, err
	}
	return next, nil
}

// command has a rollout do something in its own goroutine, and returns it after that.
func (c *Controller) command(ctx context.Context, route string, do func(*runner) error) (api.Rollout, error) {
	c.mu.Lock()
	r := c.active[route]
	c.mu.Unlock()
	if r == nil {
		return api.Rollout{}, infer.Errorf(infer.Conflict, "no rollout of route '%s' runs", route)
	}
	return r.do(ctx, do)
}

// Pause stops a rollout at its current step, until Continue, Promote or Abort.
func (c *Controller) Pause(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.command(ctx, route, func(r *runner) error { return r.pause(by) })
}

// Continue lets a paused rollout go on. Its step begins again, its evidence stays.
func (c *Controller) Continue(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.command(ctx, route, func(r *runner) error { return r.resume(by) })
}

// Promote makes the version of a rollout stable, whatever the guardrails say.
func (c *Controller) Promote(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	return c.command(ctx, route, func(r *runner) error { return r.promote(by) })
}

// Approve adds the approval of a person. groups are those that the person is a member of.
func (c *Controller) Approve(ctx context.Context, route string, by api.Actor, groups []string) (api.Rollout, error) {
	return c.command(ctx, route, func(r *runner) error { return r.approve(by, groups) })
}

// Abort stops all traffic to the canary of a rollout at once. The route is restored as soon as the journal can be written.
func (c *Controller) Abort(ctx context.Context, route string, by api.Actor) (api.Rollout, error) {
	c.mu.Lock()
	last := c.fold.last(route)
	running := c.active[route] != nil
	c.mu.Unlock()
	if running {
		c.opts.Traffic.Halt(route, last.Spec.Version, true) // whatever its goroutine waits for
	}
	return c.command(ctx, route, func(r *runner) error { r.abort(by, "aborted: "+orNoReason(by.Reason)); return nil })
}

func orNoReason(reason string) string {
	if reason == "" {
		return "no reason given"
	}
	return reason
}

// may reports whether a person is in one of some groups.
func may(groups, allowed []string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(allowed, g) })
}
