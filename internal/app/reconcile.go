package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
)

// reconciler takes every cause of change in turn: it reads the repository, loads
// what should serve and does not, swaps the table, and retires the rest. All its
// fields but the channels and the atomics belong to the goroutine of run.
type reconciler struct {
	compose  *composer
	registry *registry.Registry
	router   *router.Router
	metrics  *metrics.Metrics
	log      *zap.Logger
	load     func() (*config.Config, error) // reads the configuration again; may be nil
	onReady  func()                         // may be nil

	commands chan command
	stopped  chan struct{} // closed when run has ended
	ready    atomic.Bool   // the first pass is over
	revision atomic.Int64  // of the table

	cfg   *config.Config
	named map[string]bool          // models to load under explicit control
	seen  map[infer.Version]string // fingerprints at the last poll

	mu     sync.Mutex                         // guards series, which statistics read
	series map[infer.Version]*metrics.Version // of the versions in the table
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
		return infer.Errorf(infer.Unavailable, "the server is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-r.stopped:
		return infer.Errorf(infer.Unavailable, "the server is stopping")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *reconciler) start(ctx context.Context) error {
	for _, name := range r.cfg.Repository.Load {
		r.named[name] = true
	}
	specs, err := r.specs(r.cfg)
	if err != nil {
		return err
	}
	r.logAbsent(specs)
	plan := r.prepare(ctx, specs, nil)
	r.commit(plan, specs)
	return nil
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

// prepare loads what specs ask for. While it does, names that nothing serves
// yet answer that they are loading.
func (r *reconciler) prepare(ctx context.Context, specs []registry.Spec, retry func(infer.Version) bool) *registry.Plan {
	r.swap(r.registry.Instances(), specs, true)
	plan := r.registry.Prepare(ctx, specs, retry)
	r.logFailed(plan)
	return plan
}

func (r *reconciler) logFailed(plan *registry.Plan) {
	for v, err := range plan.Failed() {
		r.log.Error("load failed", zap.String("model", v.Model), zap.Int64("version", v.Number), zap.Error(err))
	}
}

// commit swaps the table and retires what is no longer in it.
func (r *reconciler) commit(plan *registry.Plan, specs []registry.Spec) {
	instances := plan.Instances()
	r.swap(instances, specs, false)
	plan.Commit()
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, s := range r.series {
		if instances[v] == nil {
			s.Delete()
			delete(r.series, v)
		}
	}
}

// swap builds a table of the instances and makes it current. Every model of
// specs has an entry, so that one without a version is told from an unknown one.
func (r *reconciler) swap(instances map[infer.Version]*registry.Instance, specs []registry.Spec, loading bool) {
	entries := map[string]*router.Entry{}
	entry := func(name string) *router.Entry {
		if entries[name] == nil {
			entries[name] = &router.Entry{Name: name}
		}
		return entries[name]
	}
	for _, s := range specs {
		e := entry(s.Version.Model)
		e.Loading = e.Loading || loading && s.Idle == "" && s.Err == nil && instances[s.Version] == nil
	}
	for v, inst := range instances {
		e := entry(v.Model)
		e.Targets = append(e.Targets, &router.Target{Model: inst.Model(), Instance: inst, Observe: r.seriesOf(v).ObserveRequest})
	}
	r.router.Swap(router.NewTable(slices.Collect(maps.Values(entries))))
	r.revision.Add(1)
}

// seriesFor returns what records for a version in the table, nil for any other.
func (r *reconciler) seriesFor(v infer.Version) *metrics.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.series[v]
}

// seriesOf is seriesFor that makes what is missing.
func (r *reconciler) seriesOf(v infer.Version) *metrics.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.series[v] == nil {
		r.series[v] = r.metrics.Version(v.Model, v.Number)
	}
	return r.series[v]
}

// specs reads the repository and says what should be loaded under cfg.
func (r *reconciler) specs(cfg *config.Config) ([]registry.Spec, error) {
	found, err := r.compose.repo.Scan()
	if err != nil {
		return nil, err
	}
	return r.specsOf(cfg, found), nil
}

func (r *reconciler) specsOf(cfg *config.Config, found []registry.Found) []registry.Spec {
	specs := make([]registry.Spec, 0, len(found))
	for _, f := range found {
		specs = append(specs, r.modelSpecs(cfg, f)...)
	}
	return specs
}

func (r *reconciler) modelSpecs(cfg *config.Config, f registry.Found) []registry.Spec {
	m := cfg.Model(f.Name)
	settings := settingsText(cfg, m)
	versions := chosen(f, m)
	specs := make([]registry.Spec, 0, len(versions))
	for _, fv := range versions {
		v := infer.Version{Model: f.Name, Number: fv.Number}
		s := registry.Spec{Version: v, Fingerprint: fv.Fingerprint, Settings: settings, Err: fv.Err, Ignored: f.Ignored}
		if cfg.Repository.Control == config.ControlExplicit && !r.named[f.Name] && !r.named["*"] {
			s.Idle = "unloaded"
		}
		series := r.seriesOf(v)
		s.Load = func(ctx context.Context) (registry.Servable, string, error) {
			return r.compose.load(ctx, v, m, series)
		}
		specs = append(specs, s)
	}
	return specs
}

// chosen applies a model's version policy. A version that the policy names and
// the repository lacks is listed with that as its reason.
func chosen(f registry.Found, m config.Model) []registry.FoundVersion {
	switch {
	case m.Versions.All:
		return f.Versions
	case len(m.Versions.Numbers) > 0:
		var list []registry.FoundVersion
		for _, n := range m.Versions.Numbers {
			i := slices.IndexFunc(f.Versions, func(v registry.FoundVersion) bool { return v.Number == n })
			if i < 0 {
				list = append(list, registry.FoundVersion{Number: n, Err: infer.Errorf(infer.NotFound, "the repository has no version %d", n)})
				continue
			}
			list = append(list, f.Versions[i])
		}
		return list
	default:
		return f.Versions[max(0, len(f.Versions)-m.Versions.Latest):]
	}
}

// settingsText is equal exactly where an instance need not be built anew. Which
// versions to load is no setting of an instance.
func settingsText(cfg *config.Config, m config.Model) string {
	m.Versions = config.Versions{}
	text, err := json.Marshal(struct {
		Model     config.Model
		CustomOps []string
	}{m, cfg.Runtime.CustomOps})
	if err != nil {
		panic("BUG: a model's settings do not marshal: " + err.Error())
	}
	return string(text)
}

// poll looks for changed folders.
func (r *reconciler) poll(ctx context.Context) error {
	found, err := r.compose.repo.Scan()
	if err != nil {
		return err
	}
	r.settle(found)
	specs := r.specsOf(r.cfg, found)
	before := r.registry.Instances()
	plan := r.registry.Prepare(ctx, specs, nil)
	if plan.Same() {
		return nil
	}
	r.log.Info("repository changed", zap.Strings("changed", changes(before, plan)))
	r.logFailed(plan)
	r.commit(plan, specs)
	return nil
}

// settle takes out of found what this poll sees for the first time: a folder
// counts as changed once two polls saw the same files in it, so that one that is
// still being copied is left alone.
func (r *reconciler) settle(found []registry.Found) {
	seen := map[infer.Version]string{}
	for i := range found {
		f := &found[i]
		f.Versions = slices.DeleteFunc(f.Versions, func(fv registry.FoundVersion) bool {
			v := infer.Version{Model: f.Name, Number: fv.Number}
			seen[v] = fv.Fingerprint
			_, known := r.registry.Spec(v)
			return !known && fv.Fingerprint != r.seen[v]
		})
		for j := range f.Versions {
			fv := &f.Versions[j]
			v := infer.Version{Model: f.Name, Number: fv.Number}
			if last, known := r.registry.Spec(v); known && fv.Fingerprint != r.seen[v] {
				fv.Fingerprint, fv.Err = last.Fingerprint, last.Err
			}
		}
	}
	r.seen = seen
}

// loadModel loads a model by name under explicit control, again where its files
// have changed or it failed before.
func (r *reconciler) loadModel(ctx context.Context, name string) error {
	if err := r.explicit(); err != nil {
		return err
	}
	if _, ok := r.compose.repo.ScanModel(name); !ok {
		return infer.Errorf(infer.NotFound, "failed to load '%s': the repository has no such model", name)
	}
	r.named[name] = true
	specs, err := r.specs(r.cfg)
	if err != nil {
		return err
	}
	plan := r.prepare(ctx, specs, func(v infer.Version) bool { return v.Model == name })
	r.commit(plan, specs)
	for v, err := range plan.Failed() {
		if v.Model == name {
			return infer.Errorf(infer.Invalid, "failed to load '%s': version %d: %s", name, v.Number, registry.Reason(err))
		}
	}
	r.log.Info("model loaded by request", zap.String("model", name))
	return nil
}

// unloadModel takes a model out of service; what it has accepted is finished.
func (r *reconciler) unloadModel(ctx context.Context, name string) error {
	if err := r.explicit(); err != nil {
		return err
	}
	if _, ok := r.compose.repo.ScanModel(name); !ok && !r.named[name] {
		return infer.Errorf(infer.NotFound, "failed to unload '%s': the repository has no such model", name)
	}
	r.unnameAll()
	delete(r.named, name)
	specs, err := r.specs(r.cfg)
	if err != nil {
		return err
	}
	r.commit(r.registry.Prepare(ctx, specs, nil), specs)
	r.log.Info("model unloaded by request", zap.String("model", name))
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
