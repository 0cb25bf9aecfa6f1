package registry

import (
	"context"
	"maps"
	"unique"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Spec asks for one version to be loaded. It must not be changed once it was planned.
type Spec struct {
	Version     infer.Version
	Fingerprint string                // of the files, as the repository saw them
	Settings    unique.Handle[string] // the version is loaded anew if the text changes
	Size        int64                 // bytes of the files; the smallest version loads first
	Err         error                 // why it cannot be loaded; Load is then not called
	Idle        string                // why it is not to be loaded, "unloaded"; Load is then not called
	Ignored     []string              // told in the status
	// Load makes the version ready: verified, loaded, warm. It gives back its
	// memory if it fails. The digest is of the files; it may be known with an error too.
	// It is called in a goroutine of its own, and should return soon after ctx has ended.
	Load func(ctx context.Context) (s Servable, digest string, err error)
}

// key tells attempts to load a version apart.
type key struct {
	version     infer.Version
	fingerprint string
	settings    unique.Handle[string]
}

func (s *Spec) key() key { return key{s.Version, s.Fingerprint, s.Settings} }

// Plan is what would serve: what serves now, changed as specs ask as far as it is
// loaded. It holds the loads that it waits for, and what they made, until it is
// released.
type Plan struct {
	registry *Registry
	next     map[infer.Version]*record
	holds    []*load
	pending  map[infer.Version]*load
	failed   map[infer.Version]error
	tried    []infer.Version
}

// Plan compares what specs ask for with what there is, and starts the loads that are
// missing. It does not wait for them: Options.Ended is told of each that has ended,
// and the next plan of equal specs has its outcome. A version that fails to load is
// listed with its reason; if it was loaded before and serves, that goes on. While a
// wanted version of a model loads, or if it cannot serve, the model's versions that are
// no longer asked for go on too. Nothing that serves changes until Commit. retry says
// whether a version that failed before is tried again with the same files and settings;
// nil is never. Release the plan when a newer one has taken its place.
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

// recordOf returns what would be known of a version. old is what is known now, or nil.
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
		if known { // the plan that serves now still holds the attempt that failed
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

// loading is what is known of a version while it loads.
func loading(spec *Spec, old *record) *record {
	if old != nil && (old.serving != nil || old.state == api.StateLoading) {
		return old
	}
	return &record{spec: &Spec{Version: spec.Version}, state: api.StateLoading}
}

// unavailable is what is known of a version that failed to load. If it was loaded before and
// serves, that goes on; the new spec is remembered, so that only a further change
// is tried again.
func unavailable(spec *Spec, x *load, old *record) *record {
	rec := &record{spec: spec, from: x, state: api.StateUnavailable, reason: Reason(x.err), err: x.err, digest: x.digest}
	if old != nil && old.serving != nil {
		rec.serving, rec.state, rec.digest, rec.loadedAt = old.serving, old.state, old.digest, old.loadedAt
		rec.reason = "still serving the former files and settings; the newer ones failed to load: " + rec.reason
	}
	return rec
}

// same reports whether two specs ask for the same.
func (s *Spec) same(o *Spec) bool {
	return s == o || s.key() == o.key() && s.Idle == o.Idle && (s.Err == nil) == (o.Err == nil)
}

// lacking reports whether a version of the model was asked for and does not serve.
func (p *Plan) lacking(model string) bool {
	for v, rec := range p.next {
		if v.Model == model && rec.spec.Idle == "" && (rec.serving == nil || p.pending[v] != nil) {
			return true
		}
	}
	return false
}

// Awaits returns the versions that still load, but for the loads that other waits
// for too. other may be nil.
func (p *Plan) Awaits(other *Plan) []infer.Version {
	list := make([]infer.Version, 0, len(p.pending))
	for v, x := range p.pending {
		if other == nil || other.pending[v] != x {
			list = append(list, v)
		}
	}
	return list
}

// Loading reports whether a version still loads.
func (p *Plan) Loading(v infer.Version) bool { return p.pending[v] != nil }

// Serving returns what would serve after Commit.
func (p *Plan) Serving() map[infer.Version]*Leased {
	m := make(map[infer.Version]*Leased, len(p.next))
	for v, rec := range p.next {
		if rec.serving != nil {
			m[v] = rec.serving
		}
	}
	return m
}

// Failed returns why versions cannot be loaded as specs ask for.
func (p *Plan) Failed() map[infer.Version]error { return p.failed }

// Tried returns the versions whose outcome is new in this plan.
func (p *Plan) Tried() []infer.Version { return p.tried }

// Same reports whether a Commit would change nothing.
func (p *Plan) Same() bool { return maps.Equal(p.next, p.registry.records) }

// Commit makes the plan the registry's state and retires every loaded version that is
// no longer part of it. Call it after the table that no longer names them was
// swapped in. It does not wait for those that retire.
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

// Release gives up the loads that no other plan waits for, and retires what was
// loaded and serves nowhere. The plan must not be used afterwards.
func (p *Plan) Release() {
	for _, x := range p.holds {
		if x.holders--; x.holders == 0 {
			p.registry.drop(x)
		}
	}
	p.holds = nil
}
