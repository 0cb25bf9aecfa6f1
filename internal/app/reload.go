package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Reload reads the configuration again and applies it, as POST /-/reload does.
func (a *App) Reload(ctx context.Context) (api.ReloadResult, error) { return control{a}.Reload(ctx) }

// reload reads the configuration again and applies it, or changes nothing: where
// the file has mistakes, asks for what needs a restart, or breaks a version that
// serves. A version that is new and fails to load is listed with its reason.
func (r *reconciler) reload(ctx context.Context) (result api.ReloadResult, err error) {
	defer func() { r.metrics.Reloaded(err == nil, time.Now()) }()
	if r.load == nil {
		return result, infer.Errorf(infer.Precondition, "there is no configuration to read again")
	}
	next, err := r.load()
	if err != nil {
		return result, infer.Errorf(infer.Invalid, "%v", err)
	}
	if names := config.RestartOnly(r.cfg, next); len(names) > 0 {
		return result, infer.Errorf(infer.Invalid, "settings that need a restart have changed: %v; nothing was applied", names)
	}
	specs, err := r.specs(next)
	if err != nil {
		return result, err
	}
	before := r.registry.Instances()
	plan := r.prepare(ctx, specs, func(infer.Version) bool { return true })
	for v, ferr := range plan.Failed() {
		if before[v] != nil {
			plan.Discard()
			r.swap(before, specs, false)
			return result, infer.Errorf(infer.Invalid, "model '%s' version %d failed to load: %s; nothing was applied", v.Model, v.Number, registry.Reason(ferr))
		}
	}
	r.cfg = next
	r.commit(plan, specs)
	result.Changed = changes(before, plan)
	r.log.Info("reloaded", zap.Strings("changed", result.Changed))
	return result, nil
}

// changes lists, sorted, what a plan did.
func changes(before map[infer.Version]*registry.Instance, plan *registry.Plan) []string {
	list := []string{} // an empty list, not null, in JSON
	after, failed := plan.Instances(), plan.Failed()
	for _, v := range plan.Changed() {
		verb := "loaded"
		switch {
		case failed[v] != nil:
			verb = "failed to load: " + registry.Reason(failed[v])
		case before[v] != nil:
			verb = "replaced"
		}
		list = append(list, fmt.Sprintf("%s version %d %s", v.Model, v.Number, verb))
	}
	for v := range before {
		if after[v] == nil {
			list = append(list, fmt.Sprintf("%s version %d unloaded", v.Model, v.Number))
		}
	}
	slices.Sort(list)
	return list
}
