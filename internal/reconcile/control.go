package reconcile

import (
	"context"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/serving"
)

// controlLeased is a loaded version as a control variant uses it: with a queue and instances of its own.
type controlLeased struct {
	*registry.Leased

	version *serving.Version
}

// Predict implements router.Leased.
func (c controlLeased) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	return c.version.PredictControl(ctx, req)
}

// control returns the target of a control variant: that of its version with a queue and instances of its own. What is known of
// the version, such as its breaker, they share.
func (b *tableBuilder) control(of *router.Target, v infer.Version) *router.Target {
	version, ok := b.live[v].Servable.(*serving.Version)
	if !ok {
		return of
	}
	b.controls[version] = true
	t := *of
	t.Leased = controlLeased{b.live[v], version}
	return &t
}

// endControls frees what the control variants of the last table needed. A version that is not live any more frees it itself.
func (r *Reconciler) endControls(next map[*serving.Version]bool, live map[infer.Version]*registry.Leased) {
	for _, leased := range live {
		if version, ok := leased.Servable.(*serving.Version); ok && r.controls[version] && !next[version] {
			version.SetControl(false)
		}
	}
	r.controls = next
}
