package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// goal is what should serve.
type goal struct {
	cfg    *config.Config
	routes []api.RouteState // sorted by name

	live, shadow map[infer.Version]bool // the versions that routes name
}

// goal returns what should serve under cfg once edits are made.
func (r *reconciler) goal(cfg *config.Config, edits []routeEdit) *goal {
	g := &goal{cfg: cfg, live: map[infer.Version]bool{}, shadow: map[infer.Version]bool{}}
	for _, route := range r.routes.All() {
		if !slices.ContainsFunc(edits, func(e routeEdit) bool { return e.name == route.Name }) {
			g.routes = append(g.routes, route)
		}
	}
	for _, e := range edits {
		if e.after != nil {
			g.routes = append(g.routes, *e.after)
		}
	}
	slices.SortFunc(g.routes, func(a, b api.RouteState) int { return cmp.Compare(a.Name, b.Name) })
	for i := range g.routes {
		for _, n := range named(&g.routes[i].Route) {
			g.live[infer.Version{Model: g.routes[i].Model, Number: n}] = true
		}
		for _, s := range g.routes[i].Shadows {
			g.shadow[infer.Version{Model: g.routes[i].Model, Number: s.Version}] = true
		}
	}
	return g
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

// specs says what should be loaded to answer callers.
func (r *reconciler) specs(g *goal, found []registry.Found) []registry.Spec {
	specs := make([]registry.Spec, 0, len(found))
	for _, f := range found {
		m := g.cfg.Model(f.Name)
		settings := settingsText(g.cfg, m)
		idle := g.cfg.Repository.Control == config.ControlExplicit && !r.named[f.Name] && !r.named["*"]
		for _, fv := range chosen(f, m, g) {
			v := infer.Version{Model: f.Name, Number: fv.Number}
			s := registry.Spec{Version: v, Fingerprint: fv.Fingerprint, Settings: settings, Err: fv.Err, Ignored: f.Ignored}
			if idle && !g.live[v] {
				s.Idle = "unloaded"
			}
			series := r.record.version(v)
			s.Load = func(ctx context.Context) (registry.Servable, string, error) {
				return r.compose.load(ctx, v, m, series)
			}
			specs = append(specs, s)
		}
	}
	return specs
}

// shadowSpecs says what should be loaded to run as shadows.
func (r *reconciler) shadowSpecs(g *goal, found []registry.Found) []registry.Spec {
	var specs []registry.Spec
	for v := range g.shadow {
		m := g.cfg.Model(v.Model)
		fv := registry.FoundVersion{Number: v.Number, Err: absent(v.Number)}
		for _, f := range found {
			if i := indexOf(f.Versions, v.Number); f.Name == v.Model && i >= 0 {
				fv = f.Versions[i]
			}
		}
		specs = append(specs, registry.Spec{
			Version: v, Fingerprint: fv.Fingerprint, Settings: settingsText(g.cfg, shadowSettings(m)) + text(m.Shadow), Err: fv.Err,
			Load: func(ctx context.Context) (registry.Servable, string, error) { return r.compose.loadShadow(ctx, v, m) },
		})
	}
	return specs
}

// chosen returns the versions that a model's policy says and those that routes
// name. One that the repository lacks is listed with that as its reason.
func chosen(f registry.Found, m config.Model, g *goal) []registry.FoundVersion {
	numbers := m.Versions.Numbers
	var list []registry.FoundVersion
	switch {
	case m.Versions.All:
		list = slices.Clone(f.Versions)
	case len(numbers) == 0:
		list = slices.Clone(f.Versions[max(0, len(f.Versions)-m.Versions.Latest):])
	}
	for v := range g.live {
		if v.Model == f.Name {
			numbers = append(slices.Clip(numbers), v.Number)
		}
	}
	for _, n := range numbers {
		if indexOf(list, n) >= 0 {
			continue
		}
		if i := indexOf(f.Versions, n); i >= 0 {
			list = append(list, f.Versions[i])
		} else {
			list = append(list, registry.FoundVersion{Number: n, Err: absent(n)})
		}
	}
	slices.SortFunc(list, func(a, b registry.FoundVersion) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

func indexOf(list []registry.FoundVersion, number int64) int {
	return slices.IndexFunc(list, func(v registry.FoundVersion) bool { return v.Number == number })
}

func absent(number int64) error {
	return infer.Errorf(infer.NotFound, "the repository has no version %d", number)
}

// settingsText is equal exactly where an instance need not be built anew. Which
// versions to load, the breaker and the limits of shadows are no settings of one.
func settingsText(cfg *config.Config, m config.Model) string {
	m.Versions, m.Breaker, m.Shadow = config.Versions{}, config.Breaker{}, config.Shadow{}
	return text(m) + text(cfg.Runtime.CustomOps)
}

func text(settings any) string {
	b, err := json.Marshal(settings)
	if err != nil {
		panic(fmt.Sprintf("BUG: settings do not marshal: %v", err))
	}
	return string(b)
}
