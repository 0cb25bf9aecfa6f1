package reconcile

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/registry"
)

// Load loads a model by name under explicit control and waits until it is loaded. It loads
// it again if its files have changed or it failed before. It does not change other models.
// The load continues if ctx ends. Errors: NotFound if there is no such model, Invalid if it
// cannot be loaded, Conflict if it is unloaded in the meantime, Unavailable under other
// control.
func (r *Reconciler) Load(ctx context.Context, name string, by api.Actor) error {
	if err := r.explicit(); err != nil {
		return err
	}
	for _, v := range r.view.Load().routes {
		if v.route.Model != name {
			continue
		}
		if err := r.locked(v.route.Name); err != nil {
			return err
		}
	}
	found, ok := r.repo.ScanModel(name)
	if !ok {
		return infer.Errorf(infer.NotFound, "failed to load '%s': the repository has no such model", name)
	}
	r.beside.Read([]registry.Found{found})
	of := func(v infer.Version) bool { return v.Model == name }
	return r.do(ctx, &change{
		outlives: true, awaits: of,
		begin: func() { // the model should be loaded even if this load fails
			r.desired = r.desired.with(found)
			r.desired.named = maps.Clone(r.desired.named)
			r.desired.named[name] = true
			r.again = of
			r.told.because(name, api.CauseCall, by)
			r.warn(slices.DeleteFunc(slices.Clone(r.Warnings()), func(w api.RepositoryWarning) bool {
				return strings.HasPrefix(w.Path, name+"/") // the model has a version now
			}))
		},
		goal: func() (*goal, error) {
			if !r.desired.loads(name) {
				return nil, infer.Errorf(infer.Conflict, "failed to load '%s': another call unloaded it", name)
			}
			return r.goal(r.desired, nil), nil
		},
		finish: func(t *transition) error {
			if err := r.commit(t, nil, by); err != nil {
				return err
			}
			for v, err := range t.live.Failed() {
				if v.Model == name {
					return infer.Errorf(infer.Invalid, "failed to load '%s': version %d: %s", name, v.Number, registry.Reason(err))
				}
			}
			r.log.Info("model loaded by request", zap.String("model", name))
			r.audit(api.EventModelLoaded, "models/"+name, by, nil)
			return nil
		},
	})
}

// Unload unloads a model. Requests that it has accepted are finished. It does not change
// other models. Errors: NotFound if there is no such model, Conflict if a route names it,
// Unavailable under other control.
func (r *Reconciler) Unload(ctx context.Context, name string, by api.Actor) error {
	if err := r.explicit(); err != nil {
		return err
	}
	found, ok := r.repo.ScanModel(name)
	return r.do(ctx, &change{
		awaits: func(infer.Version) bool { return false },
		goal: func() (*goal, error) {
			if !ok && !r.desired.named[name] {
				return nil, infer.Errorf(infer.NotFound, "failed to unload '%s': the repository has no such model", name)
			}
			for _, route := range r.routes.All() {
				if route.Model == name {
					return nil, infer.Errorf(infer.Conflict, "failed to unload '%s': route '%s' uses it; delete the route first", name, route.Name)
				}
			}
			d := r.desired.with(found)
			d.named = r.namedBut(name)
			return r.goal(d, nil), nil
		},
		finish: func(t *transition) error {
			r.told.because(name, api.CauseCall, by)
			if err := r.commit(t, nil, by); err != nil {
				return err
			}
			r.log.Info("model unloaded by request", zap.String("model", name))
			r.audit(api.EventModelUnloaded, "models/"+name, by, nil)
			return nil
		},
	})
}

// namedBut returns the models to load without one of them. It replaces the wildcard with the
// names of all models.
func (r *Reconciler) namedBut(name string) map[string]bool {
	named := maps.Clone(r.desired.named)
	if named["*"] {
		delete(named, "*")
		for _, f := range r.desired.found {
			named[f.Name] = true
		}
	}
	delete(named, name)
	return named
}

func (r *Reconciler) explicit() error {
	if r.opts.Config.Repository.Control != config.ControlExplicit {
		return infer.Errorf(infer.Unavailable, "models can be loaded and unloaded by request only with --model-control explicit")
	}
	return nil
}

// audit appends an event that only records a change. If it cannot be written, the change
// stays.
func (r *Reconciler) audit(kind, subject string, by api.Actor, after any) {
	e := api.Event{Type: kind, Subject: subject, Origin: api.OriginAPI, Actor: by}
	var err error
	if after != nil {
		e.After, err = json.Marshal(after)
	}
	if err == nil {
		_, err = r.journal.Append(journal.Any, e)
	}
	if err != nil {
		r.log.Error("a change could not be written to the journal", zap.String("type", kind), zap.String("subject", subject), zap.Error(err))
	}
}

// poll scans the repository at intervals until ctx ends. A scan on a slow disk blocks nothing
// else.
func (r *Reconciler) poll(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	type look struct {
		found registry.Listing
		err   error
	}
	looks := make(chan look, 1)
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		go func() { // not awaited if ctx ends, since a read from a disk cannot be interrupted
			found, err := r.repo.Scan()
			r.beside.Read(found.Models)
			looks <- look{found, err}
		}()
		select {
		case l := <-looks:
			if l.err != nil {
				r.log.Error("the repository cannot be read; the next poll retries", zap.Error(l.err))
				continue
			}
			select {
			case r.scanned <- l.found:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// take makes the scan of a poll the desired repository. A version is changed only after two
// polls saw the same files in it. Until then its earlier state stays, so that a copy in
// progress is not loaded.
func (r *Reconciler) take(listing registry.Listing) {
	found, seen := listing.Models, map[infer.Version]string{}
	r.warn(slices.DeleteFunc(slices.Clone(listing.Warnings), func(w api.RepositoryWarning) bool { return !slices.Contains(r.warned, w) }))
	r.warned = listing.Warnings
	for i := range found {
		f, last := &found[i], foundModel(r.desired.found, found[i].Name)
		f.Versions = slices.DeleteFunc(f.Versions, func(fv registry.FoundVersion) bool {
			v := infer.Version{Model: f.Name, Number: fv.Number}
			seen[v] = filesOf(&fv)
			return seen[v] != r.seen[v] && indexOf(last.Versions, fv.Number) < 0
		})
		for j := range f.Versions {
			fv := &f.Versions[j]
			if filesOf(fv) != r.seen[infer.Version{Model: f.Name, Number: fv.Number}] {
				*fv = find(last, fv.Number)
			}
		}
	}
	r.seen = seen
	for _, f := range found {
		if !reflect.DeepEqual(f.Versions, foundModel(r.desired.found, f.Name).Versions) {
			r.told.because(f.Name, api.CausePoll, api.Actor{})
		}
	}
	for _, f := range r.desired.found {
		if len(foundModel(found, f.Name).Versions) == 0 {
			r.told.because(f.Name, api.CausePoll, api.Actor{})
		}
	}
	r.desired.found = found
}

// warn replaces the warnings about the repository, and logs those that are new.
func (r *Reconciler) warn(list []api.RepositoryWarning) {
	known := r.Warnings()
	for _, w := range list {
		if !slices.Contains(known, w) {
			r.log.Warn("an entry of the model repository is not served", zap.String("path", w.Path), zap.String("problem", w.Problem), zap.String("advice", w.Advice))
		}
	}
	r.warnings.Store(&list)
}

// filesOf returns a text that changes with the files of a version and with its profile.
func filesOf(v *registry.FoundVersion) string { return v.Fingerprint + v.Profile }
