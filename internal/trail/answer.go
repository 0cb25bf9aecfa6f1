package trail

import (
	"cmp"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// answer returns the state of the fold as a document.
func (f *fold) answer(name string, at time.Time, last int64) api.ServedAt {
	a := api.ServedAt{
		Name: name, Model: f.model, At: at.UTC(), Event: last, Gateway: f.gateway, Change: f.change,
		Variants: []api.VariantAt{}, Shadows: []api.ShadowAt{},
	}
	if f.change == nil {
		if v := f.state.defaults[f.model]; v != 0 {
			a.Variants = append(a.Variants, api.VariantAt{VersionAt: f.version(v, false), Weight: api.TotalWeight, Role: api.RoleStable})
		}
		return a
	}
	a.Revision, a.Sticky = f.split.Revision, f.split.Sticky
	for _, v := range f.split.Variants {
		a.Variants = append(a.Variants, api.VariantAt{VersionAt: f.version(v.Version, false), Weight: v.Weight, Role: v.Role})
	}
	for _, s := range f.split.Shadows {
		a.Shadows = append(a.Shadows, api.ShadowAt{VersionAt: f.version(s.Version, true), Sample: s.Sample})
	}
	if n := f.instead(); n != 0 {
		v := f.version(n, false)
		a.Fallback = &v
	}
	return a
}

// instead returns the version of the fallback, or 0 if there is none.
func (f *fold) instead() int64 {
	if i, _ := f.split.Stable(); f.split.Fallback.Stable && i >= 0 {
		return f.split.Variants[i].Version
	}
	return f.split.Fallback.Version
}

// version returns the state of a version.
func (f *fold) version(number int64, shadow bool) api.VersionAt {
	p := Place{Version: infer.Version{Model: f.model, Number: number}, Shadow: shadow}
	v := api.VersionAt{Version: number, State: api.StateReady}
	loaded, serves := f.state.serving[p]
	switch {
	case serves:
		v.Digest = loaded.Digest
		if !loaded.At.IsZero() {
			v.LoadedAt = &loaded.At
		}
		if !shadow {
			v.Breaker = "closed"
			if f.state.open[p.Version] {
				v.Breaker = "open"
			}
		}
	case f.gateway.State == api.GatewayUnknown:
		v.State, v.Reason = api.StateUnknown, "the journal has no events of versions before that time"
	default:
		v.State, v.Reason = api.StateUnavailable, f.reason(p)
	}
	return v
}

// reason returns why a version did not serve.
func (f *fold) reason(p Place) string {
	if f.gateway.State == api.GatewayDown {
		return "the gateway was stopped"
	}
	why := f.why[p]
	if failure, ok := f.state.failed[p]; ok && why == "" { // it failed in an earlier run of the gateway, and again in this one
		why = "failed to load: " + failure.Reason
	}
	return cmp.Or(why, "not loaded after the gateway's start at "+stamp(*f.gateway.StartedAt))
}
