package registry

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Spec asks for one version to be loaded.
type Spec struct {
	Version     infer.Version
	Fingerprint string   // of the files, as the repository saw them
	Settings    string   // a changed text means a new instance
	Err         error    // why it cannot be loaded; Load is then not called
	Idle        string   // why it is not to be loaded, "unloaded"; Load is then not called
	Ignored     []string // told in the status
	// Load makes the version ready: verified, loaded, warm. It gives back its
	// memory where it fails.
	Load func(ctx context.Context) (s Servable, digest string, err error)
}

// Options configure a Registry.
type Options struct {
	ParallelLoads int           // how many versions load at the same time; at least 1
	UnloadTimeout time.Duration // how long a retired version may finish its work
	// Closed is told how the shutdown of a version ended; it may be nil.
	Closed func(v infer.Version, err error)
}

// Registry holds the loaded versions. Its methods belong to one goroutine, but
// for Status and Queued, which may be called from any.
type Registry struct {
	opts Options

	mu       sync.Mutex // guards records and retiring
	records  map[infer.Version]*record
	retiring map[*Instance]api.ModelStatus
	closing  sync.WaitGroup // one for each goroutine of retire

	// patience ends when a Shutdown can wait no longer for work to finish.
	patience context.Context //nolint:containedctx // the registry's own lifetime
	hurry    context.CancelFunc
}

// record is what is known of a version. The instance is nil where none serves.
type record struct {
	spec     Spec
	state    string
	reason   string
	digest   string
	loadedAt time.Time
	instance *Instance
}

// New returns an empty registry.
func New(opts Options) *Registry {
	opts.ParallelLoads = max(1, opts.ParallelLoads)
	r := &Registry{opts: opts, records: map[infer.Version]*record{}, retiring: map[*Instance]api.ModelStatus{}}
	r.patience, r.hurry = context.WithCancel(context.Background()) //nolint:forbidigo // Shutdown ends it
	return r
}

// Plan is the outcome of Prepare: what would serve. Commit or Discard it.
type Plan struct {
	registry *Registry
	next     map[infer.Version]*record
	fresh    []*Instance               // loaded for this plan
	former   map[infer.Version]*record // what announce put LOADING in place of; nil where there was nothing
	failed   map[infer.Version]error
	changed  []infer.Version
}

// Prepare loads what specs ask for and is not there yet, several at a time, and
// keeps what already serves unchanged. A version that fails to load is listed
// with its reason; where an older instance of it serves, that one goes on, and so
// do the model's versions that are no longer asked for.
// Nothing that serves changes until Commit. retry says whether a version that
// failed before is tried again with the same files and settings; nil is never.
func (r *Registry) Prepare(ctx context.Context, specs []Spec, retry func(infer.Version) bool) *Plan {
	p := &Plan{
		registry: r, next: make(map[infer.Version]*record, len(specs)),
		former: map[infer.Version]*record{}, failed: map[infer.Version]error{},
	}
	var loads []*record
	for _, spec := range specs {
		old := r.records[spec.Version]
		if old != nil && old.keeps(spec, retry) {
			p.next[spec.Version] = old
			continue
		}
		rec := &record{spec: spec, state: api.StateLoading}
		p.next[spec.Version] = rec
		if spec.Idle != "" {
			rec.state, rec.reason = api.StateUnavailable, spec.Idle
			continue
		}
		p.changed = append(p.changed, spec.Version)
		loads = append(loads, rec)
	}
	p.announce(loads)
	p.load(ctx, loads)
	for v, old := range r.records {
		if old.instance != nil && p.next[v] == nil && p.lacking(v.Model) {
			p.next[v] = old
		}
	}
	return p
}

// lacking reports whether a version of the model was asked for and cannot serve.
func (p *Plan) lacking(model string) bool {
	for v, rec := range p.next {
		if v.Model == model && rec.instance == nil && rec.spec.Idle == "" {
			return true
		}
	}
	return false
}

// keeps reports whether the record already is what spec asks for.
func (rec *record) keeps(spec Spec, retry func(infer.Version) bool) bool {
	old := rec.spec
	same := old.Fingerprint == spec.Fingerprint && old.Settings == spec.Settings && old.Idle == spec.Idle &&
		(old.Err == nil) == (spec.Err == nil)
	failed := rec.reason != "" && spec.Idle == ""
	retried := failed && retry != nil && retry(spec.Version)
	return same && !retried
}

// announce lists versions that begin to load and have nothing serving.
func (p *Plan) announce(loads []*record) {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range loads {
		v := rec.spec.Version
		if old := r.records[v]; old == nil || old.instance == nil {
			p.former[v] = old
			r.records[v] = &record{spec: Spec{Version: v}, state: api.StateLoading}
		}
	}
}

func (p *Plan) load(ctx context.Context, loads []*record) {
	tokens := make(chan struct{}, p.registry.opts.ParallelLoads)
	var wg sync.WaitGroup
	errs := make([]error, len(loads))
	for i, rec := range loads {
		tokens <- struct{}{}
		wg.Go(func() {
			defer func() { <-tokens }()
			errs[i] = rec.load(ctx)
		})
	}
	wg.Wait()
	for i, rec := range loads {
		v := rec.spec.Version
		if errs[i] == nil {
			p.fresh = append(p.fresh, rec.instance)
			continue
		}
		p.failed[v] = errs[i]
		if old := p.registry.records[v]; old != nil && old.instance != nil {
			// The old one serves on; the reason shows, and the new spec is
			// remembered so that only a further change is tried again.
			rec.instance, rec.state, rec.digest, rec.loadedAt = old.instance, old.state, old.digest, old.loadedAt
			rec.reason = "still serving the former files and settings; the newer ones failed to load: " + rec.reason
		}
	}
}

func (rec *record) load(ctx context.Context) error {
	err := rec.spec.Err
	if err == nil && ctx.Err() != nil {
		err = infer.Errorf(infer.Unavailable, "the load was given up")
	}
	var s Servable
	if err == nil {
		s, rec.digest, err = rec.spec.Load(ctx)
	}
	if err != nil {
		rec.state, rec.reason = api.StateUnavailable, Reason(err)
		return err
	}
	rec.instance, rec.state, rec.loadedAt = newInstance(s, rec.digest), api.StateReady, time.Now()
	return nil
}

// Reason is what of a load's error may be shown: an Error's Msg never holds a
// path of the host.
func Reason(err error) string {
	if e, ok := errors.AsType[*infer.Error](err); ok {
		return e.Msg
	}
	return "the load failed; the log has the details"
}

// Instances returns what would serve after Commit.
func (p *Plan) Instances() map[infer.Version]*Instance {
	m := make(map[infer.Version]*Instance, len(p.next))
	for v, rec := range p.next {
		if rec.instance != nil {
			m[v] = rec.instance
		}
	}
	return m
}

// Failed returns why versions could not be loaded in this plan.
func (p *Plan) Failed() map[infer.Version]error { return p.failed }

// Changed returns the versions that were loaded or tried in this plan.
func (p *Plan) Changed() []infer.Version { return p.changed }

// Same reports whether a Commit would change nothing.
func (p *Plan) Same() bool { return maps.Equal(p.next, p.registry.records) }

// Commit makes the plan the registry's state and retires every instance that is
// no longer part of it. Call it after the table that names the instances was
// swapped. It does not wait for retired instances.
func (p *Plan) Commit() {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := make(map[*Instance]bool, len(p.next))
	for _, rec := range p.next {
		keep[rec.instance] = true
	}
	for v, old := range r.records {
		if old.instance != nil && !keep[old.instance] {
			r.retire(v, old)
		}
	}
	r.records = p.next
}

// Discard closes what the plan had loaded and leaves the registry as it was.
func (p *Plan) Discard() {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, old := range p.former {
		if old == nil {
			delete(r.records, v)
		} else {
			r.records[v] = old
		}
	}
	for _, rec := range p.next {
		if slices.Contains(p.fresh, rec.instance) {
			r.retire(rec.spec.Version, rec)
		}
	}
}

// retire closes an instance in a goroutine of its own once its users have gone,
// or the unload limit has passed. r.mu is held.
func (r *Registry) retire(v infer.Version, rec *record) {
	inst := rec.instance
	r.retiring[inst] = api.ModelStatus{Name: v.Model, Version: v.Number, State: api.StateUnloading, Digest: rec.digest}
	inst.retire()
	r.closing.Go(func() { // Shutdown waits for it
		ctx, cancel := context.WithTimeout(r.patience, r.opts.UnloadTimeout)
		defer cancel()
		select {
		case <-inst.drained:
		case <-ctx.Done():
		}
		err := inst.Shutdown(ctx)
		r.mu.Lock()
		delete(r.retiring, inst)
		r.mu.Unlock()
		if r.opts.Closed != nil {
			r.opts.Closed(v, err)
		}
	})
}

// Instances returns what serves now.
func (r *Registry) Instances() map[infer.Version]*Instance {
	p := Plan{next: r.records}
	return p.Instances()
}

// Spec returns what a version was last asked to be.
func (r *Registry) Spec(v infer.Version) (Spec, bool) {
	rec := r.records[v]
	if rec == nil {
		return Spec{}, false
	}
	return rec.spec, true
}

// Status lists every version, sorted by name and number. A version that is being
// unloaded stands beside a newer instance of itself.
func (r *Registry) Status() []api.ModelStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]api.ModelStatus, 0, len(r.records)+len(r.retiring))
	for v, rec := range r.records {
		list = append(list, rec.status(v))
	}
	for _, s := range r.retiring {
		if rec := r.records[infer.Version{Model: s.Name, Number: s.Version}]; rec == nil || rec.instance == nil {
			list = slices.DeleteFunc(list, func(l api.ModelStatus) bool { return l.Name == s.Name && l.Version == s.Version })
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b api.ModelStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return list
}

// Queued returns, of each version that serves, how many requests wait for a run.
func (r *Registry) Queued() map[infer.Version]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	queued := map[infer.Version]int64{}
	for v, rec := range r.records {
		if rec.instance != nil {
			queued[v] = int64(rec.instance.Queued())
		}
	}
	return queued
}

func (rec *record) status(v infer.Version) api.ModelStatus {
	s := api.ModelStatus{Name: v.Model, Version: v.Number, State: rec.state, Reason: rec.reason, Digest: rec.digest}
	if rec.instance == nil {
		return s
	}
	detail := *rec.instance.Detail()
	detail.Ignored = rec.spec.Ignored
	memory := rec.instance.Memory()
	s.Detail, s.Memory, s.LoadedAt = &detail, &memory, &rec.loadedAt
	return s
}

// Shutdown retires everything and waits until all memory is given back. Work has
// grace to finish, and no more than half of the time until ctx ends; what still runs
// then is terminated. Instances that outlive ctx all the same are left behind, and an
// error says so.
func (r *Registry) Shutdown(ctx context.Context, grace time.Duration) error {
	p := &Plan{registry: r, next: map[infer.Version]*record{}}
	p.Commit()
	if end, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(end)/2)
	}
	defer time.AfterFunc(grace, r.hurry).Stop()
	done := make(chan struct{})
	go func() { // ends with the last instance; nothing can end it sooner
		r.closing.Wait()
		close(done)
	}()
	select {
	case <-done:
		r.hurry()
		return nil
	case <-ctx.Done():
		r.hurry()
		return errors.New("versions still run past the time to stop")
	}
}
