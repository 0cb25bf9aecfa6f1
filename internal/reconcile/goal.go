package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unique"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/serving"
)

// desired is what the goal is made from, apart from the routes. It never changes.
type desired struct {
	cfg      *config.Config
	found    []registry.Found      // the last scan of the repository
	named    map[string]bool       // models to load under explicit control; "*" is all
	profiles driftwatch.References // the references of models
}

// with returns d with a new scan of one model.
func (d desired) with(f registry.Found) desired {
	i, exists := placeOf(d.found, f.Name)
	d.found = slices.Clone(d.found)
	switch {
	case exists && len(f.Versions) == 0:
		d.found = slices.Delete(d.found, i, i+1)
	case exists:
		d.found[i] = f
	case len(f.Versions) > 0:
		d.found = slices.Insert(d.found, i, f)
	}
	return d
}

// loads reports whether to load a model that no route names.
func (d desired) loads(model string) bool {
	return d.cfg.Repository.Control != config.ControlExplicit || d.named[model] || d.named["*"]
}

// goal is what should serve.
type goal struct {
	desired

	routes []api.RouteState // sorted by name

	named        map[string][]int64     // by model, the versions that answer callers of routes; ascending
	live, shadow map[infer.Version]bool // the versions that routes name
	// borrowed are the versions that serve only because a route names them. A caller of the
	// model by its own name gets them only by number.
	borrowed           map[infer.Version]bool
	references         driftwatch.Applied
	specs, shadowSpecs []*registry.Spec // what should be loaded
	champions          map[string]int64 // by model, the version with the alias champion
	waiting            []infer.Version  // versions that were pushed, and that nothing names; sorted
	losses             map[string]lossGoal
}

// goal returns what should serve, given d and after edits.
func (r *Reconciler) goal(d desired, edits []routeEdit) *goal {
	g := &goal{
		desired: d, named: map[string][]int64{}, champions: map[string]int64{},
		live: map[infer.Version]bool{}, shadow: map[infer.Version]bool{}, borrowed: map[infer.Version]bool{}, losses: map[string]lossGoal{},
	}
	g.routes = append(r.untouched(edits), states(edits)...)
	slices.SortFunc(g.routes, func(a, b api.RouteState) int { return cmp.Compare(a.Name, b.Name) })
	for i := range g.routes {
		for _, n := range named(&g.routes[i].Route) {
			model := g.routes[i].Model
			g.live[infer.Version{Model: model, Number: n}] = true
			if at, known := slices.BinarySearch(g.named[model], n); !known {
				g.named[model] = slices.Insert(g.named[model], at, n)
			}
		}
		for _, s := range g.routes[i].Shadows {
			g.shadow[infer.Version{Model: g.routes[i].Model, Number: s.Version}] = true
		}
	}
	for _, a := range r.aliased(edits) {
		g.live[infer.Version{Model: a.Model, Number: a.Version}] = true
		if at, known := slices.BinarySearch(g.named[a.Model], a.Version); !known {
			g.named[a.Model] = slices.Insert(g.named[a.Model], at, a.Version)
		}
		if a.Name == api.AliasChampion {
			g.champions[a.Model] = a.Version
		}
	}
	models := g.withGone()
	g.specs = make([]*registry.Spec, 0, len(models))
	for i := range models {
		planned := r.planned(g, &models[i])
		g.specs = append(g.specs, planned.specs...)
		for v := range planned.borrowed {
			g.borrowed[v] = true
		}
		if planned.loss.Model != "" {
			g.addLoss(models[i].Name, planned.loss)
		}
	}
	r.forget(len(models), g)
	wanted := make(map[infer.Version]bool, len(g.specs))
	for _, s := range g.specs {
		wanted[s.Version] = s.Idle == ""
	}
	for i := range g.found {
		for _, fv := range g.found[i].Versions {
			v := infer.Version{Model: g.found[i].Name, Number: fv.Number}
			if _, planned := wanted[v]; fv.Registered && !planned && !g.shadow[v] {
				g.waiting = append(g.waiting, v)
			}
		}
	}
	g.references = g.profiles.Of(d.cfg, models, wanted, r.beside)
	g.shadowSpecs = r.shadowsOf(g)
	return g
}

// untouched returns the declared routes without edits.
func (r *Reconciler) untouched(edits []routeEdit) []api.RouteState {
	return slices.DeleteFunc(r.routes.All(), func(s api.RouteState) bool {
		return slices.ContainsFunc(edits, func(e routeEdit) bool { return e.name == s.Name })
	})
}

// named returns the versions that answer a route's callers.
func named(route *api.Route) []int64 {
	list := make([]int64, 0, len(route.Variants)+1)
	for _, v := range route.Variants {
		list = append(list, v.Version)
	}
	if route.Fallback.Version != 0 {
		list = append(list, route.Fallback.Version)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// planned is what should be loaded of a model to answer callers, and the inputs of that. It is
// reused by the next goal, since most models do not change.
type planned struct {
	cfg   *config.Config
	found *registry.Found
	idle  bool
	named []int64 // versions that routes name

	specs    []*registry.Spec
	borrowed map[infer.Version]bool
	loss     config.Loss // without a model if it has none, or if no predictions are kept
}

// planned returns what should be loaded of a model to answer callers.
func (r *Reconciler) planned(g *goal, f *registry.Found) *planned {
	idle, named := !g.loads(f.Name), g.named[f.Name]
	p := r.plans[f.Name]
	if p == nil || p.cfg != g.cfg || p.idle != idle || !slices.Equal(p.named, named) || !sameFound(p.found, f) {
		p = &planned{cfg: g.cfg, found: f, idle: idle, named: named, borrowed: map[infer.Version]bool{}}
		r.specify(p)
		r.plans[f.Name] = p
	}
	return p
}

// forget removes the plans of models that are gone, if there are many.
func (r *Reconciler) forget(models int, g *goal) {
	if len(r.plans) <= 2*models {
		return
	}
	for name := range r.plans {
		if _, found := placeOf(g.found, name); !found && len(g.named[name]) == 0 {
			delete(r.plans, name)
		}
	}
}

// sameFound reports whether two scans of a model are equal. A scan is replaced and not
// modified, so usually the pointers are equal.
func sameFound(a, b *registry.Found) bool {
	if len(a.Versions) != len(b.Versions) || !slices.Equal(a.Ignored, b.Ignored) {
		return false
	}
	return len(a.Versions) == 0 || &a.Versions[0] == &b.Versions[0] || slices.EqualFunc(a.Versions, b.Versions, func(x, y registry.FoundVersion) bool {
		return x.Number == y.Number && x.Fingerprint == y.Fingerprint && x.Size == y.Size && x.Registered == y.Registered && (x.Err == nil) == (y.Err == nil)
	})
}

// specify fills in the specs of a model.
func (r *Reconciler) specify(p *planned) {
	m := p.cfg.Model(p.found.Name)
	if m.Labels.Sample > 0 {
		p.loss = m.Labels.Loss
	}
	settings := unique.Make(settingsText(p.cfg, m)) // most models have the same settings
	own := chosen(p.found, m, p.cfg.Registry.FirstVersion == config.FirstServes)
	for _, fv := range withNamed(p.found, own, p.named) {
		v := infer.Version{Model: p.found.Name, Number: fv.Number}
		if p.idle || indexOf(own, v.Number) < 0 {
			p.borrowed[v] = true
		}
		s := &registry.Spec{Version: v, Fingerprint: fv.Fingerprint, Settings: settings, Size: fv.Size, Err: fv.Err, Ignored: p.found.Ignored}
		if p.idle && !slices.Contains(p.named, v.Number) {
			s.Idle = "unloaded"
		}
		s.Load = func(ctx context.Context) (registry.Servable, string, error) {
			series := sync.OnceValue(func() *metrics.Version { return r.record.version(v) }) // once it serves
			return asServable(r.loader.Load(ctx, v, m, serving.Observer{
				Run: func(run batch.Run) {
					if run.Members > run.Replays {
						series().ObserveRun(run.Rows-run.ReplayRows, run.Members-run.Replays, run.Input, run.Compute, run.Output, run.Err)
					}
					if run.Trace != nil && r.opts.TraceRun != nil {
						r.opts.TraceRun(v, run)
					}
				},
				Settled: func(f batch.Finding) { r.record.hand(incident{version: v, finding: &f}) },
			}))
		}
		p.specs = append(p.specs, s)
	}
}

// shadowsOf returns the specs of the shadows.
func (r *Reconciler) shadowsOf(g *goal) []*registry.Spec {
	specs := make([]*registry.Spec, 0, len(g.shadow))
	for v := range g.shadow {
		m := g.cfg.Model(v.Model)
		fv := find(foundModel(g.found, v.Model), v.Number)
		specs = append(specs, &registry.Spec{
			Version: v, Fingerprint: fv.Fingerprint, Size: fv.Size, Settings: unique.Make(settingsText(g.cfg, serving.ShadowSettings(m)) + text(m.Shadow)), Err: fv.Err,
			Load: func(ctx context.Context) (registry.Servable, string, error) {
				return asServable(r.loader.LoadShadow(ctx, v, m))
			},
		})
	}
	return specs
}

// asServable prevents that a nil pointer becomes a Servable that is not nil.
func asServable[S registry.Servable](s S, digest string, err error) (registry.Servable, string, error) {
	if err != nil {
		return nil, digest, err
	}
	return s, digest, nil
}

// chosen applies a model's version policy. If the repository does not have a version that
// the policy names, the version is in the list with an error. A version that was pushed is not
// chosen unless the policy names it: only routes and aliases make it serve. If all were pushed
// and first is set, the first one is chosen.
func chosen(f *registry.Found, m config.Model, first bool) []registry.FoundVersion {
	if len(m.Versions.Numbers) > 0 {
		list := make([]registry.FoundVersion, len(m.Versions.Numbers))
		for i, n := range m.Versions.Numbers {
			list[i] = find(*f, n)
		}
		return list
	}
	own := f.Versions
	if slices.ContainsFunc(own, registered) {
		own = slices.DeleteFunc(slices.Clone(own), registered)
	}
	switch {
	case len(own) == 0 && first:
		return f.Versions[:min(1, len(f.Versions))]
	case m.Versions.All:
		return own
	default:
		return own[max(0, len(own)-m.Versions.Latest):]
	}
}

func registered(v registry.FoundVersion) bool { return v.Registered }

// withGone returns the scan with the models that routes name and the repository does not
// have. They have no versions. Their loaded versions continue to serve, as they do if only
// the folder of a version is gone.
func (g *goal) withGone() []registry.Found {
	known := make(map[string]bool, len(g.found))
	for _, f := range g.found {
		known[f.Name] = true
	}
	list := slices.Clone(g.found)
	for v := range g.live {
		if !known[v.Model] {
			known[v.Model] = true
			list = append(list, registry.Found{Name: v.Model})
		}
	}
	return list
}

// withNamed returns a model's own versions and those that routes name.
func withNamed(f *registry.Found, own []registry.FoundVersion, named []int64) []registry.FoundVersion {
	list := slices.Clone(own)
	for _, n := range named {
		if indexOf(list, n) < 0 {
			list = append(list, find(*f, n))
		}
	}
	return list
}

// find returns a version of a scan, or one with an error if there is none.
func find(f registry.Found, number int64) registry.FoundVersion {
	if i := indexOf(f.Versions, number); i >= 0 {
		return f.Versions[i]
	}
	return registry.FoundVersion{Number: number, Err: infer.Errorf(infer.NotFound, "the repository has no version %d", number)}
}

// foundModel returns the scan of a model, without versions if there is none.
func foundModel(found []registry.Found, name string) registry.Found {
	if i, ok := placeOf(found, name); ok {
		return found[i]
	}
	return registry.Found{Name: name}
}

// placeOf returns the index of a model in a sorted scan, or the index to insert it.
func placeOf(found []registry.Found, name string) (i int, ok bool) {
	return slices.BinarySearchFunc(found, name, func(f registry.Found, name string) int { return cmp.Compare(f.Name, name) })
}

func indexOf(list []registry.FoundVersion, number int64) int {
	return slices.IndexFunc(list, func(v registry.FoundVersion) bool { return v.Number == number })
}

// settingsText returns a text that changes if and only if a loaded version must be loaded
// again. The version policy, the breaker, the limits of shadows, the reference, the names of
// columns, what is kept of requests, rollouts and retraining do not need that.
func settingsText(cfg *config.Config, m config.Model) string {
	m.Versions, m.Breaker, m.Shadow, m.Drift, m.Columns = config.Versions{}, config.Breaker{}, config.Shadow{}, config.Drift{}, nil
	m.Labels, m.Capture, m.Retrain, m.Rollouts = config.Labels{}, config.Capture{}, config.Retraining{}, config.Rollouts{}
	return text(m) + text(cfg.Runtime.CustomOps)
}

func text(settings any) string {
	b, err := json.Marshal(settings)
	if err != nil {
		panic(fmt.Sprintf("BUG: cannot marshal settings: %v", err))
	}
	return string(b)
}

// referenceProblems returns the problems of the profiles in the configuration with the
// versions that answer callers. There is no problem if a profile fits any version of the
// model.
func (g *goal) referenceProblems(live map[infer.Version]*registry.Leased) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(g.references.Models)) {
		ref := g.references.Models[name]
		err := ref.Err()
		if err == nil {
			err = ref.FitsAny(name, live)
		}
		if err != nil {
			list = append(list, fmt.Sprintf("models.%s.drift.profile: %s", name, infer.Message(err)))
		}
	}
	return list
}

// streams returns the number of streams with a reference, rounded up to a power of two.
// They share the promise about false alarms. A new number changes the thresholds of all, and
// rounding makes that rare.
func (g *goal) streams() int {
	seen, n := map[drift.Stream]bool{}, 0
	own := map[string]bool{} // models with a route of their name
	for i := range g.routes {
		route := &g.routes[i]
		own[route.Name] = true
		for _, v := range route.Variants {
			version := infer.Version{Model: route.Model, Number: v.Version}
			if s := (drift.Stream{Version: version, Role: v.Role}); !seen[s] {
				seen[s] = true
				n += g.streamsOf(g.references.Of(version), route.Model)
			}
		}
	}
	compared := map[string]int{} // the streams of a model's default version
	for model, ref := range g.references.Models {
		if !own[model] {
			compared[model] = g.streamsOf(ref, model)
		}
	}
	for v, ref := range g.references.Versions {
		if !own[v.Model] {
			compared[v.Model] = max(compared[v.Model], g.streamsOf(ref, v.Model))
		}
	}
	for _, streams := range compared {
		n += streams
	}
	share := 1
	for share < n {
		share *= 2
	}
	return share
}

// streamsOf returns the number of streams of a version in a role with a reference: all rows, and each segment.
func (g *goal) streamsOf(ref *driftwatch.Reference, model string) int {
	if ref == nil || ref.Err() != nil {
		return 0
	}
	return 1 + len(ref.Segments(g.cfg.Model(model).Drift.MaxSegments))
}
