package registry

import (
	"context"
	"maps"
	"unique"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Spec describes a version to load. It must not change after it was planned.
type Spec struct {
	Version     infer.Version
	Fingerprint string                // of the files, from the repository's scan
	Settings    unique.Handle[string] // the version is loaded again if the text changes
	Size        int64                 // bytes of the files; the smallest version loads first
	Err         error                 // why it cannot be loaded; then Load is not called
	Idle        string                // why it should not be loaded, such as "unloaded"; then Load is not called
	Ignored     []string              // files that are not used, for the status
	// Load makes the version ready: it verifies, loads and warms it up. If it fails it frees
	// its memory. The digest is of the files, and may be set with an error too. Load is
	// called in a goroutine of its own, and should return soon after ctx has ended.
	Load func(ctx context.Context) (s Servable, digest string, err error)
}

// key identifies an attempt to load a version.
type key struct {
	version     infer.Version
	fingerprint string
	settings    unique.Handle[string]
}

func (s *Spec) key() key { return key{s.Version, s.Fingerprint, s.Settings} }

// Plan is what would serve after Commit: what serves now, with the changes of the specs that
// are loaded. It holds its loads and their versions until Release.
type Plan struct {
	registry *Registry
	next     map[infer.Version]*record
	holds    []*load
	pending  map[infer.Version]*load
	failed   map[infer.Version]error
	tried    []infer.Version
}

// Plan compares specs with the loaded versions, and starts the loads that are missing. It
// does not wait for them. Options.Ended is called after each load, and the next plan of
// equal specs has the outcome.
//
// A version that fails to load is listed with its reason. If it serves from an earlier load,
// it continues to serve. If a version in specs is loading or cannot serve, the versions of
// its model that are not in specs continue to serve. What serves does not change until
// Commit.
//
// retry decides whether to retry a version that failed with the same files and settings. nil
// never retries. Release the plan when a newer one has replaced it.
func (r *Registry) Plan(specs []*Spec, retry func(infer.Version) bool) *Plan {
	p := &Plan{
		registry: r, next: make(map[infer.Version]*record, len(specs)),
		pending: map[infer.Version]*load{}, failed: map[infer.Version]error{},
	}
	for _, spec := range specs {
		p.next[spec.Version] = p.recordOf(spec, r.records[spec.Version], retry)
	}
	for v, old := range r.records {
		if old.serving != nil && p.next[v] == nil && p.lacking(v.Model) {
			p.next[v] = old
		}
	}
	return p
}

// recordOf returns the next record of a version. old is the current one, or nil.
func (p *Plan) recordOf(spec *Spec, old *record, retry func(infer.Version) bool) *record {
	if spec.Idle != "" {
		if old != nil && old.serving == nil && old.spec.same(spec) {
			return old
		}
		return &record{spec: spec, state: api.StateUnavailable, reason: spec.Idle}
	}
	failed := old != nil && old.err != nil
	if old != nil && !failed && old.serving != nil && old.spec.same(spec) {
		return old
	}
	x := p.registry.begun[spec.key()]
	known := x != nil && old != nil && old.from == x
	repeated := failed && old.spec.same(spec)
	if repeated && retry != nil && retry(spec.Version) {
		repeated = false
		if known { // the current plan still holds the failed attempt
			x, known = nil, false
		}
	}
	if known || x == nil && repeated {
		if failed {
			p.failed[spec.Version] = old.err
		}
		return old
	}
	if x == nil {
		x = p.registry.begin(spec)
	}
	x.holders++
	p.holds = append(p.holds, x)
	if !x.ended() {
		p.pending[spec.Version] = x
		return loading(spec, old)
	}
	p.tried = append(p.tried, spec.Version)
	if x.err == nil {
		return &record{spec: spec, from: x, state: api.StateReady, digest: x.digest, loadedAt: x.loadedAt, serving: x.leased}
	}
	p.failed[spec.Version] = x.err
	return unavailable(spec, x, old)
}

// loading returns the record of a version that is loading.
func loading(spec *Spec, old *record) *record {
	if old != nil && (old.serving != nil || old.state == api.StateLoading) {
		return old
	}
	return &record{spec: &Spec{Version: spec.Version}, state: api.StateLoading}
}

// unavailable returns the record of a version that failed to load. If it serves from an
// earlier load, it continues to serve. The record has the new spec, so that only another
// change is tried.
func unavailable(spec *Spec, x *load, old *record) *record {
	rec := &record{spec: spec, from: x, state: api.StateUnavailable, reason: Reason(x.err), err: x.err, digest: x.digest}
	if old != nil && old.serving != nil {
		rec.serving, rec.state, rec.digest, rec.loadedAt = old.serving, old.state, old.digest, old.loadedAt
		rec.reason = "still serving the earlier files and settings; the new ones failed to load: " + rec.reason
	}
	return rec
}

// same reports whether two specs are equivalent.
func (s *Spec) same(o *Spec) bool {
	return s == o || s.key() == o.key() && s.Idle == o.Idle && (s.Err == nil) == (o.Err == nil)
}

// lacking reports whether a version of the model in the specs does not serve.
func (p *Plan) lacking(model string) bool {
	for v, rec := range p.next {
		if v.Model == model && rec.spec.Idle == "" && (rec.serving == nil || p.pending[v] != nil) {
			return true
		}
	}
	return false
}

// Awaits returns the versions that are loading, without those whose loads other waits for
// too. other may be nil.
func (p *Plan) Awaits(other *Plan) []infer.Version {
	list := make([]infer.Version, 0, len(p.pending))
	for v, x := range p.pending {
		if other == nil || other.pending[v] != x {
			list = append(list, v)
		}
	}
	return list
}

// Loading reports whether a version is loading.
func (p *Plan) Loading(v infer.Version) bool { return p.pending[v] != nil }

// Serving returns the versions that would serve after Commit.
func (p *Plan) Serving() map[infer.Version]*Leased {
	m := make(map[infer.Version]*Leased, len(p.next))
	for v, rec := range p.next {
		if rec.serving != nil {
			m[v] = rec.serving
		}
	}
	return m
}

// Failed returns the errors of the versions in the specs that cannot be loaded.
func (p *Plan) Failed() map[infer.Version]error { return p.failed }

// Tried returns the versions with a new outcome in this plan.
func (p *Plan) Tried() []infer.Version { return p.tried }

// Same reports whether a Commit would change nothing.
func (p *Plan) Same() bool { return maps.Equal(p.next, p.registry.records) }

// Commit makes the plan the registry's state and retires every loaded version that is not in
// it. Call it after the swap to a table without these versions. It does not wait until they
// are closed.
func (p *Plan) Commit() {
	r := p.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := make(map[*Leased]bool, len(p.next))
	for _, rec := range p.next {
		keep[rec.serving] = true
	}
	for v, old := range r.records {
		if old.serving != nil && !keep[old.serving] {
			r.retire(v, old.serving)
		}
	}
	r.records = p.next
}

// Release cancels the loads that no other plan waits for, and retires loaded versions that
// do not serve. The plan must not be used after that.
func (p *Plan) Release() {
	for _, x := range p.holds {
		if x.holders--; x.holders == 0 {
			p.registry.drop(x)
		}
	}
	p.holds = nil
}
