package rollout

import (
	"context"
	"encoding/json"
	"errors"
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

	// mu is never held while something is written: whoever builds a table of routes, reads rollouts or aborts one waits for it.
	mu       sync.Mutex
	fold     *Fold
	active   map[string]*runner // by route
	starting map[string]string  // ids of rollouts by route, whose first event is being written; "" if the route is being unfrozen
	fresh    []*runner          // whose goroutine does not run yet
	woken    chan struct{}      // there are fresh ones
	marked   map[string]bool    // ids of aborted rollouts whose event is not in the journal yet
	unsaved  bool               // the file of marks does not have these

	marking sync.Mutex    // held while the file of marks is written; locked before mu
	toSave  chan struct{} // the file of marks should be written
}

// New returns a controller without rollouts.
func New(o Options) *Controller {
	return &Controller{
		opts: o, log: o.Logger.Named("rollouts"), fold: NewFold(), active: map[string]*runner{}, starting: map[string]string{},
		woken: make(chan struct{}, 1), marked: map[string]bool{}, toSave: make(chan struct{}, 1),
	}
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

// add has Run run a rollout. c.mu must be held, unless Run has not begun.
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
	runners.Go(func() { c.keepMarks(ctx) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.woken:
			for _, r := range c.take() {
				runners.Go(func() { r.run(ctx) })
			}
		case <-tick.C:
			c.haltAborted()
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
	return c.starting[route]
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

// byThisClock returns a time of the journal as one by the monotonic clock of this process, so that a state that goes on neither ends early
// nor late if the clock on the wall is set. A time in the future, of a clock that was set back meanwhile, is now.
func byThisClock(at time.Time) time.Time {
	now := time.Now()
	return now.Add(-max(0, now.Sub(at)))
}

// write writes an event and makes the rollout the present one. Only one event about a route may be written at a time: by its runner, or
// by a call that has noted the route in c.starting. c.mu must not be held.
func (c *Controller) write(kind string, r *api.Rollout, by api.Actor) error {
	after, err := json.Marshal(r)
	if err != nil {
		return infer.Errorf(infer.Internal, "%v", err)
	}
	if _, err := c.opts.Journal.Append(api.Event{Type: kind, Subject: subject + r.Spec.Route, Origin: originOf(by), Actor: by, After: after}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set(r)
	if r.Final() {
		delete(c.active, r.Spec.Route)
	}
	return nil
}

// set makes a rollout the present one for readers. c.mu must be held.
func (c *Controller) set(r *api.Rollout) {
	run := c.active[r.Spec.Route]
	if run != nil && run.asked != nil && !r.Final() && r.State != api.RolloutAborting {
		shown := *r
		aborted(&shown, run.asked.why)
		r = &shown
	}
	c.fold.set(r)
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
