package reconcile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/aliases"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/routes"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/trail"
)

// Options configure a Reconciler. All except Reload, Applied, TraceRun and Ready are
// required.
type Options struct {
	Config     *config.Config
	Repository *registry.Repository
	Loader     *serving.Loader
	Router     *router.Router
	Journal    *journal.Log
	Watcher    *driftwatch.Watcher
	Labels     *labels.Store
	Capture    *capture.Store
	Metrics    *metrics.Metrics
	Logger     *zap.Logger
	// Reload reads the configuration again. If it is nil, a reload fails.
	Reload func() (*config.Config, error)
	// Applied is called with the configuration of each applied reload. It may be nil, and
	// must not block.
	Applied func(cfg *config.Config)
	// TraceRun is called for each run that joined requests of which some are traced. It may be nil,
	// and must not block.
	TraceRun func(infer.Version, batch.Run)
	// Locked returns the rollout that alone may change a route, "" if anybody may. It may be nil, and
	// must not block.
	Locked func(route string) string
	// RolloutDigest returns the digest that a version has for the rollout that runs on a route, "" if no rollout of it does. A version with
	// another digest gets no requests of the route. It may be nil, and must not block.
	RolloutDigest func(route string, version int64) string
	// Ready is called when the loads of the start have ended. It may be nil, and must not
	// block.
	Ready func()
}

// Reconciler loads and routes what should serve. Its exported methods may be called from any
// goroutine. Only the goroutine of Run uses the fields, except the atomic ones.
type Reconciler struct {
	opts     Options
	repo     *registry.Repository
	loader   *serving.Loader
	registry *registry.Registry // versions that answer callers
	shadows  *registry.Registry // versions that run as shadows
	router   *router.Router
	record   *recorder
	watch    *driftwatch.Watcher
	journal  *journal.Log
	log      *zap.Logger

	commands chan func()           // the goroutine of Run calls each
	scanned  chan registry.Listing // scans of polls
	woken    chan struct{}         // a load has ended, or the ctx of a change
	stopped  chan struct{}         // closed when Run has ended
	ready    atomic.Bool           // the loads of the start have ended
	revision atomic.Int64          // of the table
	view     atomic.Pointer[view]
	warnings atomic.Pointer[[]api.RepositoryWarning]

	desired desired
	beside  *driftwatch.Beside
	routes  *routes.Set
	aliases *aliases.Set
	plans   map[string]*planned // by model
	targets targets             // of the table
	// controls are the versions of the table's control variants.
	controls map[*serving.Version]bool
	again    func(infer.Version) bool // versions to retry at the next pass; may be nil
	stale    bool                     // the next pass must plan again
	current  *transition              // to the goal, as far as it is loaded
	changes  []*change                // waiting changes, the oldest first
	starts   []trail.Place            // the loads that readiness waits for
	reloads  int                      // the number of reloads so far
	leaving  map[infer.Version]bool   // versions that are being archived or deleted

	told told

	seen      map[infer.Version]string // fingerprints at the last poll
	warned    []api.RepositoryWarning  // at the last poll
	unwritten bool                     // the last pass could not be written to the journal
}

// New returns a reconciler. Resume must be called before Run.
func New(opts Options) *Reconciler {
	r := &Reconciler{
		opts: opts, repo: opts.Repository, loader: opts.Loader, router: opts.Router, watch: opts.Watcher, journal: opts.Journal,
		record: newRecorder(opts.Metrics, opts.Logger.Named("routes")), log: opts.Logger.Named("reconcile"),
		commands: make(chan func()), scanned: make(chan registry.Listing), woken: make(chan struct{}, 1), stopped: make(chan struct{}),
		desired: desired{cfg: opts.Config, named: map[string]bool{}, profiles: driftwatch.References{}}, routes: routes.NewSet(), aliases: aliases.NewSet(), plans: map[string]*planned{}, told: newTold(), leaving: map[infer.Version]bool{},
	}
	r.beside = driftwatch.NewBeside(opts.Repository)
	loads := registry.Options{
		ParallelLoads: opts.Config.Repository.ParallelLoads, LoadTimeout: opts.Config.Repository.LoadTimeout,
		UnloadTimeout: opts.Config.UnloadTimeout, Ended: r.wake, Closed: r.closed,
	}
	r.registry, r.shadows = registry.New(loads), registry.New(loads)
	r.view.Store(&view{})
	r.warnings.Store(&[]api.RepositoryWarning{})
	return r
}

// Resume sets the state after the events of the journal: the declared routes, the aliases, and
// the trail of what served.
func (r *Reconciler) Resume(declared *routes.Set, named *aliases.Set, served *trail.State) {
	r.routes, r.aliases, r.told.state = declared, named, served
}

// Run starts what the journal and the configuration say, and handles changes until ctx ends.
// Then it refuses waiting changes. It fails if the repository cannot be read or the start
// cannot be written.
func (r *Reconciler) Run(ctx context.Context) error {
	defer close(r.stopped)
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.start(); err != nil {
		return err
	}
	if every := r.desired.cfg.Repository.PollInterval; r.desired.cfg.Repository.Control == config.ControlPoll {
		beside.Go(func() { r.poll(ctx, every) })
	}
	r.stale = true
	r.pass()
	r.loop(ctx)
	for _, c := range r.changes {
		r.end(c, errStopping)
	}
	return nil
}

// errStopping refuses changes after the end of Run.
var errStopping = infer.Errorf(infer.Unavailable, "the server is stopping")

// loop handles commands, incidents, polls and loads. The time of a pass is proportional to
// the number of models. So there is a pause between passes for loads, and most of the loop's
// time is for callers.
func (r *Reconciler) loop(ctx context.Context) {
	const share = 4 // the pause after a pass, as a multiple of the pass's time
	later := time.NewTimer(0)
	<-later.C
	defer later.Stop()
	waiting, notBefore := false, time.Time{}
	for {
		select {
		case do := <-r.commands:
			do()
			continue // a command makes its own pass
		case i := <-r.record.incidents:
			r.note(i)
			continue
		case found := <-r.scanned:
			r.take(found)
		case <-r.woken:
			if wait := time.Until(notBefore); wait > 0 {
				if !waiting {
					later.Reset(wait)
				}
				waiting = true
				continue
			}
		case <-later.C:
			waiting = false
		case <-ctx.Done():
			return
		}
		began := time.Now()
		r.stale = true
		r.pass()
		notBefore = time.Now().Add(share * time.Since(began))
		if r.unwritten && !waiting { // the journal could not be written: retry
			waiting = true
			later.Reset(retryUnwritten)
		}
	}
}

// retryUnwritten is the time until the retry if the journal could not be written.
const retryUnwritten = time.Second

// wake makes the loop run a pass soon.
func (r *Reconciler) wake() {
	select {
	case r.woken <- struct{}{}:
	default: // a pass is due already
	}
}

// command makes the goroutine of Run call do, and returns after that. If ctx or Run ends
// first, it fails and do is not called.
func (r *Reconciler) command(ctx context.Context, do func()) error {
	done := make(chan struct{})
	select {
	case r.commands <- func() { defer close(done); do() }:
		<-done // the loop completes a command that it has received
		return nil
	case <-r.stopped:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready reports whether the loads of the start have ended.
func (r *Reconciler) Ready() bool { return r.ready.Load() }

// Revision returns the number of the current table. Each change makes a new one.
func (r *Reconciler) Revision() int64 { return r.revision.Load() }

// shadowGrace is the max time for runs of shadows after the gateway stops. No caller waits for
// them.
const shadowGrace = time.Second

// Shutdown retires all versions after the end of Run, shadows first. Accepted requests may
// take the time grace to finish, but at most half of the time until ctx ends.
func (r *Reconciler) Shutdown(ctx context.Context, grace time.Duration) error {
	select {
	case <-r.stopped:
	case <-ctx.Done():
		return errors.New("the reconciler still runs after the time limit of the shutdown")
	}
	shadows, cancel := ctx, context.CancelFunc(func() {})
	if end, ok := ctx.Deadline(); ok {
		shadows, cancel = context.WithTimeout(ctx, time.Until(end)/2)
	}
	err := r.shadows.Shutdown(shadows, shadowGrace)
	cancel()
	return errors.Join(err, r.registry.Shutdown(ctx, grace))
}

// Idle reports whether nothing uses the runtime any more. It is valid after Shutdown.
func (r *Reconciler) Idle() bool { return r.shadows.Idle() && r.registry.Idle() }

func (r *Reconciler) closed(v infer.Version, err error) {
	if err != nil {
		r.log.Error("unload failed", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
		return
	}
	r.log.Info("unloaded", zap.String("model", v.Model), zap.Int64("version", v.Number))
}
