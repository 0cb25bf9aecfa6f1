package app

import (
	"cmp"
	"context"
	"runtime"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
)

// control gives the fronts access to the models. It implements admin.Control, and catalog makes
// it a front.Catalog.
type control struct{ app *App }

// catalog is control with readiness as a bool, for the data plane.
type catalog struct{ control }

// Ready implements front.Catalog.
func (c catalog) Ready() bool { return c.control.Ready() == nil }

// The reasons why the gateway is not ready.
var (
	errStarting = infer.Errorf(infer.Unavailable, "models are still loading")
	errStopping = infer.Errorf(infer.Unavailable, "the server is stopping")
)

// Ready implements admin.Control: nil after the first pass over the repository and until the
// stop begins. A repository without models that is read only once is the wrong folder, and not
// ready. Under strict readiness every version must be ready too.
func (c control) Ready() error {
	a := c.app
	select {
	case <-a.stopping:
		return errStopping
	default:
	}
	if !a.reconcile.Ready() {
		return errStarting
	}
	if warnings := a.reconcile.Warnings(); len(warnings) > 0 && a.opts.Config.Repository.Control == config.ControlNone && len(a.reconcile.Models()) == 0 {
		return infer.Errorf(infer.Unavailable, "there are 0 models to serve: %s", warnings[0]) // only an operator can change that
	}
	if a.opts.Config.Server.StrictReadiness {
		return missing(a.reconcile.Models())
	}
	return nil
}

// missing returns an error about the first version that should serve and does not. A version
// that was replaced by another is ignored.
func missing(list []api.ModelStatus) error {
	serving := make(map[string]bool)
	for _, m := range list {
		serving[m.Name] = serving[m.Name] || m.State == api.StateReady
	}
	for _, m := range list {
		if m.State == api.StateUnavailable || m.State == api.StateUnloading && !serving[m.Name] {
			return infer.Errorf(infer.Unavailable, "model '%s' version %d is not ready: %s", m.Name, m.Version, cmp.Or(m.Reason, "unloading"))
		}
	}
	return nil
}

// Status implements admin.Control.
func (c control) Status() api.ServerStatus {
	a := c.app
	return api.ServerStatus{
		Version: a.opts.Build.Version, Revision: a.opts.Build.Revision, GoVersion: runtime.Version(),
		Runtime: a.runtime.Describe(), StartedAt: a.started, Ready: c.Ready() == nil,
		ModelControl: a.opts.Config.Repository.Control, TableRevision: a.reconcile.Revision(),
		RepositoryWarnings: a.reconcile.Warnings(),
	}
}

// Config implements admin.Control.
func (c control) Config() map[string]any { return c.app.config.Load().Document() }

// Models implements admin.Control.
func (c control) Models() []api.ModelStatus { return c.app.reconcile.Details() }

// Index implements front.Catalog.
func (c control) Index(readyOnly bool) []api.ModelStatus {
	list := []api.ModelStatus{}
	for _, m := range c.app.reconcile.Models() {
		if !readyOnly || m.State == api.StateReady {
			list = append(list, m)
		}
	}
	return list
}

// Model implements front.Catalog.
func (c control) Model(name string, version int64) (*infer.Model, error) {
	return c.app.router.Model(name, version)
}

// Called implements front.Catalog.
func (c control) Called(name string, version int64) (infer.Called, error) {
	return c.app.router.Called(name, version)
}

// Labelled implements front.Catalog.
func (c control) Labelled(name, label string) (int64, error) {
	return c.app.reconcile.Labelled(name, label)
}

// ModelReady implements front.Catalog.
func (c control) ModelReady(name string, version int64) error {
	return c.app.router.Ready(name, version)
}

// Versions implements front.Catalog.
func (c control) Versions(name string) []int64 { return c.app.router.Versions(name) }

// DefaultModel implements front.Catalog: the configured model, or the only one.
func (c control) DefaultModel() (string, error) {
	if name := cmp.Or(c.app.opts.Config.Server.DefaultModel, c.app.router.Only()); name != "" {
		return name, nil
	}
	return "", infer.Errorf(infer.NotFound, "there is no default model: no model is served, or several are and server.default_model is not set")
}

// Load implements front.Catalog and admin.Control.
func (c control) Load(ctx context.Context, name string, by api.Actor) error {
	return c.within(ctx, func(ctx context.Context) error { return c.app.reconcile.Load(ctx, name, by) })
}

// Unload implements front.Catalog and admin.Control.
func (c control) Unload(ctx context.Context, name string, by api.Actor) error {
	return c.within(ctx, func(ctx context.Context) error { return c.app.reconcile.Unload(ctx, name, by) })
}

// Reload implements admin.Control. It also reads the TLS files, whatever becomes of the rest:
// they are not part of the configuration.
func (c control) Reload(ctx context.Context, by api.Actor) (result api.ReloadResult, err error) {
	c.app.certs.reload()
	err = c.within(ctx, func(ctx context.Context) error {
		result, err = c.app.reconcile.Reload(ctx, by)
		return err
	})
	return result, err
}

// within waits for a change, at most for control.timeout. A change that takes longer goes on
// without its caller.
func (c control) within(ctx context.Context, do func(context.Context) error) error {
	limit := c.app.opts.Config.Control.Timeout
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return infer.Errorf(infer.Unavailable, "the change did not end within control.timeout (%v); if it has begun it goes on, and the list of models shows its progress", limit)
	}
	return err
}
