package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// Look looks at the files of one version again. Other files of the model stay as they were
// last seen.
func (r *Reconciler) Look(ctx context.Context, v infer.Version) error {
	found, _ := r.repo.ScanModel(v.Model)
	return r.command(ctx, func() { r.see(v, found) })
}

// see makes a scan's version the desired one, or removes it if the scan has none.
func (r *Reconciler) see(v infer.Version, now registry.Found) {
	f := foundModel(r.desired.found, v.Model)
	f.Versions = slices.DeleteFunc(slices.Clone(f.Versions), func(fv registry.FoundVersion) bool { return fv.Number == v.Number })
	if at := indexOf(now.Versions, v.Number); at >= 0 {
		f.Versions = append(f.Versions, now.Versions[at])
		slices.SortFunc(f.Versions, byNumber)
	}
	r.desired = r.desired.with(f)
	r.told.because(v.Model, api.CausePush, api.Actor{})
	r.stale = true
	r.pass()
}

// Leave calls move, which takes a version out of the repository. It fails with Conflict if
// something names the version, or if it is loaded. Meanwhile no edit can name it.
func (r *Reconciler) Leave(ctx context.Context, v infer.Version, move func() error) error {
	var err error
	if cerr := r.command(ctx, func() {
		if err = r.used(v); err == nil {
			r.leaving[v] = true
			r.see(v, registry.Found{})
		}
	}); cerr != nil || err != nil {
		return first(cerr, err)
	}
	err = move()
	found, _ := r.repo.ScanModel(v.Model)
	if cerr := r.command(context.WithoutCancel(ctx), func() {
		delete(r.leaving, v)
		r.see(v, found)
	}); err == nil {
		err = cerr
	}
	return err
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// used returns a Conflict error if something names or uses a version.
func (r *Reconciler) used(v infer.Version) error {
	users := r.namesOf(v)
	if r.leaving[v] {
		users = append(users, "another change of its files")
	}
	if len(users) == 0 {
		for _, reg := range []*registry.Registry{r.registry, r.shadows} {
			if i := slices.IndexFunc(reg.List(), func(s api.ModelStatus) bool {
				return s.Name == v.Model && s.Version == v.Number && s.State != api.StateUnavailable
			}); i >= 0 {
				return infer.Errorf(infer.Conflict, "version %d of model '%s' is loaded; unload it first", v.Number, v.Model)
			}
		}
		return nil
	}
	return infer.Errorf(infer.Conflict, "version %d of model '%s' is named by %s; remove it there first", v.Number, v.Model, strings.Join(users, ", "))
}

// namesOf returns what names a version.
func (r *Reconciler) namesOf(v infer.Version) (list []string) {
	for _, route := range r.routes.All() {
		if route.Model == v.Model && (slices.Contains(named(&route.Route), v.Number) || isShadow(&route.Route, v.Number)) {
			list = append(list, fmt.Sprintf("route '%s'", route.Name))
		}
	}
	for model, loss := range r.view.Load().losses {
		if loss.version == v {
			list = append(list, fmt.Sprintf("labels.loss of model '%s'", model))
		}
	}
	for _, a := range r.aliases.All() {
		if a.Model == v.Model && a.Version == v.Number {
			list = append(list, fmt.Sprintf("alias '%s'", a.Name))
		}
	}
	return list
}

// Names returns what names the versions of a model: routes and aliases.
func (r *Reconciler) Names(model string) map[int64][]string {
	names := map[int64][]string{}
	for _, route := range r.Declared() {
		if route.Model != model {
			continue
		}
		versions := named(&route)
		for _, s := range route.Shadows {
			versions = append(versions, s.Version)
		}
		for _, n := range versions {
			names[n] = append(names[n], "route "+route.Name)
		}
	}
	for _, a := range r.Aliases(model) {
		names[a.Version] = append(names[a.Version], "alias "+a.Name)
	}
	for _, list := range names {
		slices.Sort(list)
	}
	return names
}

// States returns the states of the versions of a model that are loaded or should be.
func (r *Reconciler) States(model string) map[int64]api.ModelStatus {
	states := map[int64]api.ModelStatus{}
	for _, reg := range []*registry.Registry{r.shadows, r.registry} { // what answers callers counts more
		for _, s := range reg.List() {
			if s.Name != model {
				continue
			}
			if l := reg.Leased(infer.Version{Model: model, Number: s.Version}); l != nil {
				s.Detail = l.Detail()
			}
			states[s.Version] = s
		}
	}
	return states
}
