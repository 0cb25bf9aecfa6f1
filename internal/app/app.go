// Package app connects the parts: it reads the configuration, builds every part, connects them,
// reconciles the served models with the configured ones, and stops in order. It is the only
// package that imports all the others.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/history"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/jwt"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/pipeline"
	"sluice.io/sluice/internal/publish"
	"sluice.io/sluice/internal/reconcile"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/rollout"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/signals"
	"sluice.io/sluice/internal/tracing"
	"sluice.io/sluice/internal/watch"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/httpapi"
)

// Options are the inputs of an App besides its configuration.
type Options struct {
	Config *config.Config
	// Reload reads the configuration again, flags included. If it is nil, a reload is refused.
	Reload func() (*config.Config, error)
	// OpenRuntime opens the runtime; nil means ONNX Runtime.
	OpenRuntime func(cfg *config.Config, log *zap.Logger) (serving.Runtime, error)
	// Listening is called with the addresses when all listeners are open, Ready when the first
	// pass over the repository is over. Both may be nil and must not block.
	Listening func(Addresses)
	Ready     func()
	Logger    *zap.Logger
	LogLevels *LogLevels // of Logger; nil if they cannot change
	Build     Build
}

// Addresses are the addresses of the listeners.
type Addresses struct {
	HTTP, Admin net.Addr
	GRPC        net.Addr // nil if there is no such listener
}

// Build identifies the build.
type Build struct {
	Version  string
	Revision string // of the source code; may be empty
}

// App is the whole gateway.
type App struct {
	opts      Options
	config    atomic.Pointer[config.Config] // as of the last reload
	log       *zap.Logger
	started   time.Time
	runtime   serving.Runtime
	repo      *registry.Repository
	journal   *journal.Log
	before    lastRun // the previous run of the gateway
	outbox    *signals.Outbox
	publisher *publish.Publisher
	webhook   *signals.Webhook // nil if none is configured
	router    *router.Router
	metrics   *metrics.Metrics
	watch     *driftwatch.Watcher
	losses    *driftwatch.Losses
	labels    *labels.Store
	capture   *capture.Store
	reconcile *reconcile.Reconciler
	rollouts  *rollout.Controller
	pipeline  *pipeline.Pipeline
	watchers  *watch.Hub
	history   *history.Recorder
	past      *past // nil if no Prometheus server is configured
	feed      *signals.Feed
	callers   atomic.Pointer[callers.Book] // of all listeners
	counters  *callers.Counters            // nil if requests are not counted by caller
	trainers  *callers.Trainers
	tokens    *jwt.Verifier
	front     *front.Front
	http      *httpapi.Server
	grpc      *grpcapi.Server // nil if there is no such listener
	admin     *admin.Server
	certs     certificates
	tracer    *tracing.Tracer // nil if nothing is traced
	settings  *settings
	stopping  chan struct{} // closed when the stop begins

	collectAsUsual func() // undoes collectOften
}

// New builds an App: it opens the runtime and the repository, and starts nothing. If Run is
// never called, the caller must call Close.
func New(opts Options) (*App, error) {
	a := &App{opts: opts, log: opts.Logger, started: time.Now(), router: router.New(), stopping: make(chan struct{})}
	a.config.Store(opts.Config)
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open() (err error) {
	cfg := a.opts.Config
	if a.repo, err = registry.OpenRepository(cfg.Repository.Path, onnxfile.DataFiles); err != nil {
		return err
	}
	openRuntime := a.opts.OpenRuntime
	if openRuntime == nil {
		openRuntime = serving.OpenORT
	}
	if a.runtime, err = openRuntime(cfg, a.log); err != nil {
		return err
	}
	if a.journal, err = openJournal(cfg.DataDir, a.log); err != nil {
		return err
	}
	if a.tracer, err = newTracer(&cfg.Tracing, a.opts.Build.Version, a.log); err != nil {
		return err
	}
	a.settings = &settings{tracer: a.tracer, levels: cmp.Or(a.opts.LogLevels, new(LogLevels)), journal: a.journal, log: a.log}
	a.settings.follow(cfg.Log.Level)
	promRegistry := prometheus.NewRegistry()
	a.metrics = metrics.New(promRegistry)
	if a.watch, err = newWatch(cfg, a.journal, a.log.Named("drift")); err != nil {
		return err
	}
	if cfg.Metrics.Callers {
		a.counters = callers.NewCounters(cfg.Metrics.MaxCallers)
	}
	a.trainers = callers.NewTrainers(a.counters)
	if a.tokens, err = jwt.New(jwt.Options{Logger: a.log.Named("jwt")}); err != nil {
		return err
	}
	a.losses = driftwatch.NewLosses(a.watch, driftwatch.LossOptions{
		Settings: func(model string) config.Drift { return a.config.Load().Model(model).Drift }, Digest: a.digest, MaxAge: cfg.Labels.MaxAge,
	})
	a.labels = labels.New(labels.Options{
		Dir: cfg.DataDir, MaxBytes: int64(cfg.Labels.MaxSize), MaxAge: cfg.Labels.MaxAge, Logger: a.log.Named("labels"), Losses: a.losses,
	})
	if a.capture, err = newCapture(cfg, a.opts.Build.Version, a.log.Named("capture")); err != nil {
		return err
	}
	a.reconcile = reconcile.New(reconcile.Options{
		Config: cfg, Repository: a.repo, Loader: serving.NewLoader(a.repo, a.runtime, a.log.Named("models")), Router: a.router,
		Journal: a.journal, Watcher: a.watch, Labels: a.labels, Capture: a.capture, Metrics: a.metrics, Logger: a.log, Reload: a.reload(), Applied: a.applied, TraceRun: a.traceRun, Ready: a.loaded,
		Locked: a.locked, RolloutDigest: a.rolloutDigest,
	})
	options := rollout.Options{Traffic: a.reconcile, Journal: eventLog{a.journal}, Policy: a.rolloutPolicy, Logger: a.log}
	if options.Query, err = newQuery(&cfg.Prometheus); err != nil {
		return err
	}
	if options.Marks, err = openMarks(cfg.DataDir); err != nil {
		return err
	}
	a.rollouts = rollout.New(options)
	if err := a.replay(cfg); err != nil {
		return err
	}
	a.watchers = a.newHub()
	a.history = a.newHistory(cfg)
	if a.past, err = newPast(&cfg.Prometheus, a.log); err != nil {
		return err
	}
	if err := a.buildFronts(cfg, promRegistry); err != nil {
		return err
	}
	a.exposeMetrics()
	return nil
}

// buildOutbox makes the outbox, which continues with the journal's signals.
func (a *App) buildOutbox(cfg *config.Config, store *signals.Store) (err error) {
	options := signals.Options{
		Journal: eventLog{a.journal}, Initial: firstBackoff, Max: cfg.Retrain.Webhook.MaxBackoff,
		Timeout: cfg.Retrain.Webhook.Timeout, Parallel: parallelDeliveries, CoolDown: cfg.Retrain.CoolDown, Expire: cfg.Retrain.Expire,
		Block: a.blocks, Observer: a.metrics.Signals(), Logger: a.log.Named("signal"),
	}
	if a.webhook, err = newWebhook(&cfg.Retrain, a.opts.Build.Version, a.webhookToken, a.log); err != nil {
		return err
	}
	if a.webhook != nil { // a nil pointer would be a non-nil Sink
		options.Sink = a.webhook
	}
	if a.outbox, err = signals.New(store, options); err != nil {
		return err
	}
	a.watch.SetOutbox(a.outbox)
	return nil
}

// newFeed returns what posts changes to the receiver of signals.
func (a *App) newFeed(cfg *config.Config, state *signals.FeedState) *signals.Feed {
	w := &cfg.Retrain.Webhook
	options := signals.FeedOptions{
		Journal: feedLog{a.journal}, State: state, Initial: firstBackoff, Max: w.MaxBackoff, Timeout: w.Timeout,
		Observer: a.metrics.Feed(), Logger: a.log,
	}
	if a.webhook != nil { // a nil pointer would be a non-nil EventSink
		options.Sink = a.webhook
	}
	for _, name := range w.Events {
		switch name {
		case config.EventsRollout: // all but the evidence
			options.Types = append(options.Types, api.EventRolloutStarted, api.EventRolloutApproved, api.EventRolloutAdvanced, api.EventRolloutPaused,
				api.EventRolloutResumed, api.EventRolloutAborted, api.EventRolloutRolledBack, api.EventRolloutCompleted, api.EventRolloutUnfrozen)
		case config.EventsRetrain:
			options.Types = append(options.Types, api.EventRetrainAccepted, api.EventRetrainRunning, api.EventRetrainJudged, api.EventRetrainFinished,
				api.EventRetrainFailed, api.EventRetrainExpired, api.EventRetrainRejected, api.EventRetrainSuppressed, api.EventRetrainClosed)
		case config.EventsVersion:
			options.Types = append(options.Types, api.EventVersionRegistered)
		}
	}
	return signals.NewFeed(options)
}

// feedLog is the journal for a feed.
type feedLog struct{ *journal.Log }

// Read implements signals.FeedJournal.
func (l feedLog) Read(after int64, limit int, types []string) ([]api.Event, error) {
	return l.Log.Read(after, limit, journal.Filter{Types: types})
}

// Append implements signals.FeedJournal.
func (l feedLog) Append(e api.Event) (api.Event, error) { return l.Log.Append(journal.Any, e) }

// Settings of the delivery of signals that are not configurable.
const (
	firstBackoff       = time.Second // docs/config.md says so at retrain.webhook.max_backoff
	parallelDeliveries = 4
)

// newWebhook returns the receiver of signals, nil if none is configured.
func newWebhook(c *config.Retrain, version string, token func(s *api.SignalData) (string, error), log *zap.Logger) (*signals.Webhook, error) {
	if c.Webhook.URL == "" {
		return nil, nil //nolint:nilnil // no receiver is not an error
	}
	return signals.NewWebhook(signals.WebhookOptions{
		URL: c.Webhook.URL, Secret: []byte(c.Webhook.Secret.Reveal()), Version: version, Logger: log.Named("signal"),
		Source: cmp.Or(c.Source, config.Default().Retrain.Source), // a CloudEvent must have a source
		Token:  token,
	})
}

// eventLog is the journal for events that depend on no other event.
type eventLog struct{ log *journal.Log }

// Append implements signals.Journal.
func (l eventLog) Append(e api.Event) (api.Event, error) { return l.log.Append(journal.Any, e) }

// openJournal opens the journal in the data directory, or one in memory.
func openJournal(dir string, log *zap.Logger) (*journal.Log, error) {
	if dir == "" {
		log.Warn("the journal is in memory, since there is no data directory (--data-dir): changes of routes and their history are lost when the gateway stops")
		return journal.Memory(), nil
	}
	return journal.Open(dir)
}

// parts are what runs, by name. They begin in any order.
func (a *App) parts() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"tracing":      a.runTracing,
		"admin":        a.admin.Run,
		"http":         a.http.Run,
		"grpc":         a.runGRPC,
		"signals":      a.outbox.Run,
		"drift":        a.watch.Run,
		"reconciler":   a.reconcile.Run,
		"rollouts":     a.rollouts.Run,
		"retraining":   a.pipeline.Run,
		"schedules":    a.runSchedules,
		"watchers":     a.watchers.Run,
		"history":      a.history.Run,
		"feed":         a.feed.Run,
		"memory":       a.runMemory,
		"losses":       a.runLosses,
		"capture":      a.capture.Run,
		"certificates": a.certs.run,
		"labels":       a.labels.Run,
		"issuers":      a.tokens.Run,
		"journal":      a.newCutter(a.opts.Config).Run,
	}
}

// Run serves until ctx ends or a part fails, and then stops everything in order. It returns nil
// for an orderly stop.
func (a *App) Run(ctx context.Context) error {
	if err := a.listen(ctx); err != nil {
		return errors.Join(err, a.Close())
	}
	a.tellAddresses()
	alive := alive{journal: a.journal, before: a.before, build: a.opts.Build, log: a.log.Named("journal")}
	alive.started()
	// Each part has a goroutine of its own, and await waits for all. The first that fails stops
	// the others.
	parts, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	all := a.parts()
	all["heartbeat"] = alive.run
	ended := make(chan error, len(all))
	a.collectAsUsual = collectOften()
	defer a.collectAsUsual()
	for name, run := range all {
		go func() { // await receives the result
			err := run(parts)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				cancel(err)
			}
			ended <- err
		}()
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case <-parts.Done():
		a.log.Error("stopping", zap.Error(context.Cause(parts)))
	}
	whole := a.opts.Config.Server.DrainTimeout
	deadline := time.Now().Add(whole)
	close(a.stopping) // readiness is off
	a.linger(parts)
	rest := min(time.Second, whole/10) // for the parts, which have to end, and the journal
	err := errors.Join(a.stop(deadline.Add(-rest), func() { cancel(nil) }), a.await(deadline, ended))
	alive.stopped()
	return a.ended(errors.Join(err, a.Close()))
}

// ended logs an orderly stop.
func (a *App) ended(err error) error {
	if err == nil {
		a.log.Info("stopped")
	}
	return err
}

// loaded is called when the loads of the start have ended.
func (a *App) loaded() {
	a.collectAsUsual()
	if a.opts.Ready != nil {
		a.opts.Ready()
	}
}

// runMemory sets the soft memory limit.
func (a *App) runMemory(ctx context.Context) error {
	memory := memoryLimit{budget: int64(a.opts.Config.Server.HTTP.MaxBodyMemory), held: a.front.Memory, loaded: a.reconcile.Ready}
	return memory.run(ctx)
}

// runLosses watches the losses of labelled predictions.
func (a *App) runLosses(ctx context.Context) error { return a.losses.Run(ctx, a.labels) }

// runGRPC runs the gRPC listener, if there is one.
func (a *App) runGRPC(ctx context.Context) error {
	if a.grpc == nil {
		return nil
	}
	return a.grpc.Run(ctx)
}

// listen opens all listeners, or none.
func (a *App) listen(ctx context.Context) error {
	if err := a.admin.Listen(); err != nil {
		return err
	}
	if err := a.http.Listen(); err != nil {
		return errors.Join(err, a.admin.Shutdown(ctx))
	}
	if a.grpc == nil {
		return nil
	}
	if err := a.grpc.Listen(); err != nil {
		return errors.Join(err, a.http.Shutdown(ctx), a.admin.Shutdown(ctx))
	}
	return nil
}

// tellAddresses says where the listeners listen.
func (a *App) tellAddresses() {
	at := Addresses{HTTP: a.http.Addr(), Admin: a.admin.Addr()}
	fields := []zap.Field{zap.Stringer("http", at.HTTP), zap.Stringer("admin", at.Admin)}
	if a.grpc != nil {
		at.GRPC = a.grpc.Addr()
		fields = append(fields, zap.Stringer("grpc", at.GRPC))
	}
	if a.opts.Listening != nil {
		a.opts.Listening(at)
	}
	a.log.Info("listening", fields...)
}

// drain closes the listeners of the data plane and finishes what they have accepted.
func (a *App) drain(ctx context.Context) error {
	if a.grpc == nil {
		return a.http.Shutdown(ctx)
	}
	grpc := make(chan error, 1)
	go func() { grpc <- a.grpc.Shutdown(ctx) }() // received below
	err := a.http.Shutdown(ctx)
	return errors.Join(err, <-grpc)
}

// linger continues to serve for the configured time after readiness is off, so that load
// balancers notice. It ends early if a part fails.
func (a *App) linger(parts context.Context) {
	delay := a.opts.Config.Server.ShutdownDelay
	if delay == 0 || parts.Err() != nil {
		return
	}
	a.log.Info("readiness is off; requests are still served", zap.Duration("shutdown_delay_seconds", delay))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-parts.Done():
	}
}

// stop runs the stages in order: listeners, deliveries, batchers and sessions. All of them
// together have until the deadline. Accepted requests have half of that time. At half of the
// remaining time, runs in progress are terminated.
func (a *App) stop(deadline time.Time, cancelParts func()) error {
	var err error
	stage := func(name string, until time.Time, shutdown func(context.Context) error) {
		ctx, cancel := context.WithDeadline(context.Background(), until) //nolint:forbidigo // the stop outlives the context that asked for it
		defer cancel()
		if serr := shutdown(ctx); serr != nil {
			err = errors.Join(err, fmt.Errorf("stop %s: %w", name, serr))
		}
	}
	half := time.Now().Add(time.Until(deadline) / 2)
	stage("data plane", half, a.drain)
	stage("admin", half, a.admin.Shutdown)
	stage("signals", half, a.endDeliveries)
	stage("tracing", half, a.endTracing)
	cancelParts()
	stage("models", deadline, func(ctx context.Context) error { return a.reconcile.Shutdown(ctx, time.Until(deadline)) })
	if !a.reconcile.Idle() {
		a.log.Warn("a load or a run still goes on; the end of the process ends it")
		a.runtime = nil // calls still run in it: the end of the process frees it
	}
	return err
}

// await returns the errors of the parts. A part that does not end in time goes on until the end
// of the process.
func (a *App) await(deadline time.Time, ended <-chan error) (err error) {
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	for range cap(ended) {
		select {
		case e := <-ended:
			err = errors.Join(err, e)
		case <-late.C:
			a.runtime = nil
			return errors.Join(err, errors.New("a part did not end before the deadline of the stop"))
		}
	}
	return err
}

// applied applies a reload to the parts that reconcile does not. Everything was checked when
// the configuration was read.
func (a *App) applied(cfg *config.Config) {
	before := a.config.Swap(cfg)
	err := a.applyCallers(cfg)
	if err != nil {
		a.log.Error("a reload was applied only in part", zap.Error(err))
	}
	a.front.SetAccessLog(front.AccessLog(cfg.Server.AccessLog))
	a.outbox.SetHolding(cfg.Retrain.CoolDown, cfg.Retrain.Expire)
	if cfg.Log.Level != before.Log.Level {
		a.settings.follow(cfg.Log.Level)
	}
	if a.tracer != nil && cfg.Tracing.Sample != before.Tracing.Sample { // else what was set since stays
		a.tracer.SetSample(cfg.Tracing.Sample)
	}
	if a.webhook != nil {
		a.webhook.SetSecret([]byte(cfg.Retrain.Webhook.Secret.Reveal()))
	}
}

// Reload reads the configuration again and applies it, as POST /-/reload does.
func (a *App) Reload(ctx context.Context, by api.Actor) (api.ReloadResult, error) {
	return control{a}.Reload(ctx, by)
}

// endDeliveries waits for the deliveries in progress. A delivery that is aborted is not a
// failure of the stop, since it is repeated after the next start.
func (a *App) endDeliveries(ctx context.Context) error {
	if err := a.outbox.Shutdown(ctx); err != nil {
		a.log.Warn("some signals are delivered only after the next start", zap.Error(err))
	}
	return nil
}

// Close closes what New opened. Run calls it.
func (a *App) Close() error {
	var err error
	if a.runtime != nil {
		err = errors.Join(err, a.runtime.Close())
		a.runtime = nil
	}
	if a.journal != nil { // the field is kept: a late reader may still call it, and gets the error that it is closed
		err = errors.Join(err, a.journal.Close())
	}
	if a.labels != nil {
		err = errors.Join(err, a.labels.Close())
	}
	if a.publisher != nil {
		err = errors.Join(err, a.publisher.Close())
	}
	if a.repo != nil {
		err = errors.Join(err, a.repo.Close())
		a.repo = nil
	}
	return err
}
