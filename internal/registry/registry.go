package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Options configure a Registry.
type Options struct {
	ParallelLoads int           // max number of versions that load at the same time, apart from small ones; at least 1
	LoadTimeout   time.Duration // max time of a load
	UnloadTimeout time.Duration // max time for a retired version to finish its work; 0 gives it none
	// Ended is called after a load has ended, on any goroutine. It must not block. It may
	// be nil.
	Ended func()
	// Closed is called with the error of a version's shutdown. It may be nil.
	Closed func(v infer.Version, err error)
}

// Registry holds the loaded versions. Its methods belong to one goroutine, except List,
// Status, Serving and Leased, which may be called from any.
type Registry struct {
	opts  Options
	loads loads

	living context.Context //nolint:containedctx // the parent of all loads; Shutdown ends it
	stop   context.CancelFunc

	mu       sync.Mutex    // guards the fields below
	begun    map[key]*load // the loads that plans hold
	records  map[infer.Version]*record
	retiring map[*Leased]api.ModelStatus
	closing  sync.WaitGroup // counts the goroutines of retire

	idle bool // set by Shutdown

	// patience ends when a Shutdown cannot wait any longer for work to finish.
	patience context.Context //nolint:containedctx // the registry's own lifetime
	hurry    context.CancelFunc
}

// record is the state of a version. It never changes.
type record struct {
	spec     *Spec
	from     *load // the attempt with this outcome
	state    string
	reason   string
	digest   string // of what serves, otherwise of the files that failed to load
	loadedAt time.Time
	serving  *Leased // nil if the version does not serve
	err      error   // why the spec could not be loaded
}

// New returns an empty registry. It panics if the options are not complete.
func New(opts Options) *Registry {
	switch {
	case opts.ParallelLoads < 1:
		panic(fmt.Sprintf("BUG: registry: ParallelLoads is %d; expected at least 1", opts.ParallelLoads))
	case opts.LoadTimeout <= 0:
		panic(fmt.Sprintf("BUG: registry: LoadTimeout is %v; expected more than 0", opts.LoadTimeout))
	case opts.UnloadTimeout < 0:
		panic(fmt.Sprintf("BUG: registry: UnloadTimeout is %v; expected at least 0", opts.UnloadTimeout))
	}
	if opts.Ended == nil {
		opts.Ended = func() {}
	}
	r := &Registry{opts: opts, begun: map[key]*load{}, records: map[infer.Version]*record{}, retiring: map[*Leased]api.ModelStatus{}}
	r.patience, r.hurry = context.WithCancel(context.Background()) //nolint:forbidigo // Shutdown ends it
	r.living, r.stop = context.WithCancel(r.patience)
	r.loads = loads{
		timeout: opts.LoadTimeout, ended: opts.Ended, late: r.discard,
		all: lane{width: opts.ParallelLoads}, small: lane{width: max(2, opts.ParallelLoads)},
	}
	return r
}

// begin starts a load.
func (r *Registry) begin(spec *Spec) *load {
	x := &load{spec: spec, done: make(chan struct{})}
	x.ctx, x.cancel = context.WithCancel(r.living)
	r.mu.Lock()
	r.begun[spec.key()] = x
	r.mu.Unlock()
	if spec.Err != nil {
		x.end(nil, "", spec.Err)
	} else {
		r.loads.start(x)
	}
	return x
}

// drop cancels a load that no plan holds, and retires its version unless that serves.
func (r *Registry) drop(x *load) {
	leased := r.loads.giveUp(x)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun[x.spec.key()] == x { // otherwise there is a later attempt
		delete(r.begun, x.spec.key())
	}
	if leased == nil {
		return
	}
	if rec := r.records[x.spec.Version]; rec == nil || rec.serving != leased {
		r.retire(x.spec.Version, leased)
	}
}

// discard closes a version that was loaded after the timeout.
func (r *Registry) discard(s Servable) {
	ctx, cancel := context.WithTimeout(r.patience, r.opts.UnloadTimeout)
	defer cancel()
	_ = s.Shutdown(ctx) // the version never served, and its load was reported as failed
}

// Reason returns the part of a load's error that callers may see. An Error's Msg never has
// a path of the host.
func Reason(err error) string {
	if e, ok := errors.AsType[*infer.Error](err); ok {
		return e.Msg
	}
	return "the load failed; the log has the details"
}

// retire closes a version in a goroutine of its own after its last user, or after
// UnloadTimeout. r.mu must be held.
func (r *Registry) retire(v infer.Version, leased *Leased) {
	if !leased.retire() { // both Commit and Release can retire a version
		return
	}
	r.retiring[leased] = api.ModelStatus{Name: v.Model, Version: v.Number, State: api.StateUnloading, Digest: leased.digest}
	r.closing.Go(func() { // Shutdown waits for it
		ctx, cancel := context.WithTimeout(r.patience, r.opts.UnloadTimeout)
		defer cancel()
		select {
		case <-leased.drained:
		case <-ctx.Done():
		}
		err := leased.Shutdown(ctx)
		r.mu.Lock()
		delete(r.retiring, leased)
		r.mu.Unlock()
		if r.opts.Closed != nil {
			r.opts.Closed(v, err)
		}
	})
}

// Loaded is the digest of the files that a version was loaded from, and the time.
type Loaded struct {
	Digest     string
	At         time.Time
	Validation *api.Validation // what the load has shown; may be nil
}

// Loaded returns the versions that would serve after Commit, with digest and time.
func (p *Plan) Loaded() map[infer.Version]Loaded {
	m := make(map[infer.Version]Loaded, len(p.next))
	for v, rec := range p.next {
		if rec.serving != nil {
			l := Loaded{Digest: rec.digest, At: rec.loadedAt}
			if rec.from != nil && rec.from.leased == rec.serving { // not of a version that serves from an earlier load
				l.Validation = rec.from.validation
			}
			m[v] = l
		}
	}
	return m
}

// Failures returns why versions could not be loaded with their last specs, with the digest
// of their files, or the fingerprint if there is no digest.
func (p *Plan) Failures() map[infer.Version]Failure {
	m := map[infer.Version]Failure{}
	for v, rec := range p.next {
		if rec.err != nil {
			m[v] = Failure{Digest: rec.from.digest, Fingerprint: rec.spec.Fingerprint, Reason: Reason(rec.err)}
		}
	}
	return m
}

// Failure is why a version could not be loaded.
type Failure struct {
	Digest      string // empty if the load failed before it was computed
	Fingerprint string
	Reason      string
}

// List returns the state of every version, sorted by name and number, without details.
// A version that is loading or unloading has that state unless it serves.
func (r *Registry) List() []api.ModelStatus {
	list, _ := r.list()
	return list
}

// State returns the state of a version, "" if it is not known.
func (r *Registry) State(v infer.Version) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.records[v]
	if rec != nil && rec.serving != nil {
		return rec.state
	}
	for k, x := range r.begun {
		if k.version == v && !x.ended() {
			return api.StateLoading
		}
	}
	for _, s := range r.retiring {
		if s.Name == v.Model && s.Version == v.Number {
			return s.State
		}
	}
	if rec != nil {
		return rec.state
	}
	return ""
}

// Status is List with details.
func (r *Registry) Status() []api.ModelStatus {
	list, records := r.list()
	for i := range list { // without the lock, since Detail and Memory take time
		s := &list[i]
		if rec := records[infer.Version{Model: s.Name, Number: s.Version}]; rec != nil && rec.serving != nil {
			detail, memory := *rec.serving.Detail(), rec.serving.Memory()
			detail.Ignored = rec.spec.Ignored
			s.Detail, s.Memory = &detail, &memory
		}
	}
	return list
}

// list returns the states and their records.
func (r *Registry) list() ([]api.ModelStatus, map[infer.Version]*record) {
	r.mu.Lock()
	records := r.records // replaced as a whole, never changed
	others := map[infer.Version]api.ModelStatus{}
	for _, s := range r.retiring {
		others[infer.Version{Model: s.Name, Number: s.Version}] = s
	}
	for k, x := range r.begun {
		if !x.ended() {
			others[k.version] = api.ModelStatus{Name: k.version.Model, Version: k.version.Number, State: api.StateLoading}
		}
	}
	r.mu.Unlock()
	list := make([]api.ModelStatus, 0, len(records)+len(others))
	for v, rec := range records {
		if _, other := others[v]; !other || rec.serving != nil {
			delete(others, v)
			list = append(list, rec.status(v))
		}
	}
	for _, s := range others {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b api.ModelStatus) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return list, records
}

func (rec *record) status(v infer.Version) api.ModelStatus {
	s := api.ModelStatus{Name: v.Model, Version: v.Number, State: rec.state, Reason: rec.reason, Digest: rec.digest}
	if rec.serving != nil {
		s.LoadedAt = &rec.loadedAt
	}
	return s
}

// Serving returns the versions that serve now. It may be called from any goroutine. The
// result must not be modified.
func (r *Registry) Serving() map[infer.Version]*Leased {
	r.mu.Lock()
	p := Plan{next: r.records}
	r.mu.Unlock()
	return p.Serving()
}

// Leased returns a version that serves now, or nil if it does not. It may be called from
// any goroutine.
func (r *Registry) Leased(v infer.Version) *Leased {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.records[v]; rec != nil {
		return rec.serving
	}
	return nil
}

// Shutdown cancels loads, retires all versions, and waits until their memory is freed. Work
// may take the time grace, but at most half of the time until ctx ends. After that it is
// terminated. If versions still run when ctx ends, Shutdown returns an error and leaves them
// running. It waits at most a second for a load in a call that nothing can interrupt. This
// is not an error; Idle reports it.
func (r *Registry) Shutdown(ctx context.Context, grace time.Duration) error {
	r.stop()
	for _, x := range slices.Collect(maps.Values(r.begun)) {
		r.drop(x)
	}
	p := &Plan{registry: r, next: map[infer.Version]*record{}}
	p.Commit()
	if end, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(end)/2)
	}
	defer time.AfterFunc(grace, r.hurry).Stop()
	done := make(chan struct{})
	go func() { // ends with the last version, which nothing can interrupt
		r.closing.Wait()
		close(done)
	}()
	defer r.hurry()
	select {
	case <-done:
	case <-ctx.Done():
		return errors.New("versions still run after the time limit of the shutdown")
	}
	const moment = time.Second
	loads, cancel := context.WithTimeout(ctx, moment)
	defer cancel()
	r.idle = r.loads.wait(loads)
	return nil
}

// Idle reports whether nothing uses the runtime any more. It is valid after Shutdown.
func (r *Registry) Idle() bool { return r.idle }
