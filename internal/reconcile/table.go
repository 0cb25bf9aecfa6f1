package reconcile

import (
	"maps"
	"slices"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/driftwatch"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/labels"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
	"sluice.io/sluice/internal/routes"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/shadow"
)

// actual has the inputs of a table.
type actual struct {
	goal    *goal
	live    map[infer.Version]*registry.Leased
	shadows map[infer.Version]*registry.Leased
	loading func(v infer.Version) bool // reports whether a version is loading
	failed  map[infer.Version]error    // versions that could not be loaded
}

// swap builds a table and makes it current. Every model of the goal has an entry, so that
// callers can tell a model without a version from an unknown one. A name without a serving
// version can be marked as loading.
func (r *Reconciler) swap(s actual) {
	b := tableBuilder{
		log: r.log, former: r.targets, record: r.record, watch: r.watch, keep: r.opts.Labels, capture: r.opts.Capture, actual: s, shared: s.goal.streams(),
		targets: map[infer.Version]*router.Target{}, entries: map[string]*router.Entry{}, streams: map[drift.Stream]bool{}, keepers: map[*registry.Leased]*labels.Keeper{},
	}
	b.rolloutDigest = r.opts.RolloutDigest
	b.losses, b.controls, b.parameters = b.lossModels(), map[*serving.Version]bool{}, b.driftParameters()
	for v, leased := range s.live {
		target := b.target(v, leased)
		b.targets[v] = target
		e := b.entry(v.Model)
		e.Targets = append(e.Targets, target)
		over := int64(0)
		if e.Default != nil {
			over = e.Default.Model.Version
		}
		if s.goal.prefers(v, over) {
			e.Default = target
		}
	}
	for _, spec := range s.goal.specs {
		e := b.entry(spec.Version.Model)
		e.Loading = e.Loading || s.loading(spec.Version) && s.live[spec.Version] == nil
		if s.failed[spec.Version] != nil && s.live[spec.Version] == nil {
			e.Failed = append(e.Failed, spec.Version.Number)
		}
	}
	for _, v := range s.goal.waiting {
		b.entry(v.Model).Waits = true
	}
	next := &view{routes: map[string]*routeView{}, references: s.goal.references, waiting: s.goal.waiting, aliases: r.aliases.All(), losses: b.losses}
	for name, e := range b.entries {
		if e.Default != nil {
			version := e.Default.Model.Version
			next.routes[name] = &routeView{
				route: routes.Implied(name, version).Route, kept: int(s.goal.cfg.Model(e.Model).Labels.Sample),
				version: b.record.version(infer.Version{Model: e.Model, Number: version}),
			}
		}
	}
	for i := range s.goal.routes {
		next.routes[s.goal.routes[i].Name] = b.route(&s.goal.routes[i])
	}
	for _, e := range b.entries {
		e.DriftParameter = b.parameters[e.Model]
		if c := s.goal.cfg.Model(e.Model).Labels; c.Sample > 0 {
			e.Segment = c.Segment
		}
		if c := s.goal.cfg.Model(e.Model).Capture; c.Sample > 0 {
			e.KeepParameters = c.Parameters
		}
		if e.Route == nil && e.Default != nil {
			e.Taps = b.taps(infer.Version{Model: e.Model, Number: e.Default.Model.Version}, api.RoleDefault)
		}
	}
	r.targets = targets{s.goal.cfg, s.goal.references, b.targets, b.keepers, b.losses}
	for version := range b.controls {
		version.SetControl(true)
	}
	r.router.Swap(router.NewTable(slices.Collect(maps.Values(b.entries))))
	r.endControls(b.controls, s.live)
	r.view.Store(next)
	r.watch.Keep(b.streams)
	r.opts.Labels.Retain(b.keeps)
	r.opts.Capture.Retain(func(model string, version int64) bool {
		return b.targets[infer.Version{Model: model, Number: version}] != nil
	})
	r.revision.Add(1)
}

// targets are the targets of a table with their inputs.
type targets struct {
	cfg        *config.Config
	references driftwatch.Applied
	of         map[infer.Version]*router.Target
	keepers    map[*registry.Leased]*labels.Keeper // of shadows; nil for one whose predictions are not kept
	losses     map[string]*lossModel
}

type tableBuilder struct {
	actual
	log    *zap.Logger
	former targets
	record *recorder
	watch  *driftwatch.Watcher
	// rolloutDigest is that of Options; it may be nil.
	rolloutDigest func(route string, version int64) string
	keep          *labels.Store
	capture       *capture.Store
	streams       map[drift.Stream]bool // the streams that get rows
	shared        int                   // the number of streams that share the promise about false alarms
	targets       map[infer.Version]*router.Target
	entries       map[string]*router.Entry
	keepers       map[*registry.Leased]*labels.Keeper
	losses        map[string]*lossModel // by the model that they are about
	parameters    map[string]string     // that are segments, by model
	// controls are the versions of control variants.
	controls map[*serving.Version]bool
}

func (b *tableBuilder) entry(name string) *router.Entry {
	if b.entries[name] == nil {
		b.entries[name] = &router.Entry{Name: name, Model: name}
	}
	return b.entries[name]
}

// target returns the target of a loaded version. It reuses the earlier one if nothing
// changed: there can be thousands, and an edit of a route changes none.
func (b *tableBuilder) target(v infer.Version, leased *registry.Leased) *router.Target {
	t := b.former.of[v]
	if t != nil && t.Leased == router.Leased(leased) && b.former.cfg == b.goal.cfg && b.former.references.Of(v) == b.goal.references.Of(v) && b.former.losses[v.Model] == b.losses[v.Model] {
		return t
	}
	m, series := b.goal.cfg.Model(v.Model), b.record.version(v)
	return &router.Target{
		Model: leased.Model(), Columns: b.columns(v, leased.Model()), Leased: leased, Timeout: m.Timeout,
		Breaker: b.record.breaker(v, leased, m.Breaker), Observe: series.ObserveRequest, Replayed: series.Replayed, Keeper: b.keeperOf(v, leased.Model()), Capture: b.capturer(leased),
	}
}

// driftParameters returns the parameters of requests that are the segments of models' rows: of each model that of the newest version with one,
// since requests are decoded before a version is picked.
func (b *tableBuilder) driftParameters() map[string]string {
	names, newest := map[string]string{}, map[string]int64{}
	for v, ref := range b.goal.references.Versions {
		if name := ref.SegmentParameter(); name != "" && v.Number > newest[v.Model] && b.live[v] != nil {
			names[v.Model], newest[v.Model] = name, v.Number
		}
	}
	for model, ref := range b.goal.references.Models {
		names[model] = ref.SegmentParameter()
	}
	return names
}

// taps returns the taps for a version's rows in a role.
func (b *tableBuilder) taps(v infer.Version, role string) (taps router.Taps) {
	s := drift.Stream{Version: v, Role: role}
	b.streams[s] = true
	if tap := b.watch.Tap(s, driftwatch.Watch{
		Leased: b.live[v], Reference: b.goal.references.Of(v), Settings: b.goal.cfg.Model(v.Model).Drift, Streams: b.shared, Parameter: b.parameters[v.Model],
	}); tap != nil {
		taps = append(taps, tap)
	}
	return taps
}

// route adds the entry of a route and returns its view for the control API.
func (b *tableBuilder) route(state *api.RouteState) *routeView {
	e := b.entry(state.Name)
	if state.Name != state.Model {
		model := b.entry(state.Model)
		e.Model, e.Targets, e.Default = state.Model, slices.Clone(model.Targets), model.Default
		e.Loading, e.Failed = model.Loading, model.Failed
	}
	shown := &routeView{route: state.Route, kept: int(b.goal.cfg.Model(state.Model).Labels.Sample)}
	e.Route = &router.Route{
		Revision: state.Revision, Seed: state.Seed, Sticky: state.Sticky, Slots: b.record.slots(state),
		Fallback: b.fallback(&state.Route),
	}
	if f := e.Route.Fallback; f != nil && state.Fallback.Version != 0 {
		shown.fallback = f.Breaker
	}
	for i, v := range state.Variants {
		counts := b.record.variant(state.Name, state.Model, v)
		target := b.fitting(&state.Route, v.Version)
		if target != nil && v.Role == api.RoleControl {
			target = b.control(target, infer.Version{Model: state.Model, Number: v.Version})
		}
		variant := router.Variant{Version: v.Version, Weight: v.Weight, Stable: v.Role == api.RoleStable, Role: v.Role, Target: target, Halted: b.record.halt(state.Name, state.Model, v), Observe: counts.Observe}
		if variant.Halted != nil && b.changed(&state.Route, infer.Version{Model: state.Model, Number: v.Version}) {
			variant.Halted.Store(true) // the stable version answers until the rollout has ended
		}
		if target != nil {
			variant.Taps = b.taps(infer.Version{Model: state.Model, Number: v.Version}, v.Role)
			if a := b.record.answersOf(&state.Route, v, target.Model.Outputs); a != nil {
				variant.Taps = append(variant.Taps, a)
			}
		}
		e.Route.Variants = append(e.Route.Variants, variant)
		shown.variants, shown.halts = append(shown.variants, counts), append(shown.halts, variant.Halted)
		shown.answers = append(shown.answers, b.record.answers[variantKey{state.Name, state.Model, v.Role, v.Version}])
		shown.breakers = append(shown.breakers, nil)
		if target != nil {
			shown.breakers[i] = target.Breaker
		}
	}
	for _, s := range state.Shadows {
		counts := b.record.shadow(state.Name, state.Model, s.Version)
		mirror := b.mirror(&state.Route, s.Version)
		if mirror != nil {
			v := infer.Version{Model: state.Model, Number: s.Version}
			to := counts.of(b.shadows[v], b.goal.cfg.Model(state.Model).Shadow)
			e.Route.Shadows = append(e.Route.Shadows, router.Shadow{Sample: s.Sample, Copy: mirror.Tap(to, b.shadowUse(v))})
		}
		shown.shadows, shown.mirrors = append(shown.shadows, counts), append(shown.mirrors, mirror)
	}
	return shown
}

// fitting returns the target of a version, or nil if it cannot serve the route: it is not
// loaded, not compatible with the stable version, or not the files that a rollout was started and approved for.
func (b *tableBuilder) fitting(route *api.Route, version int64) *router.Target {
	v := infer.Version{Model: route.Model, Number: version}
	t := b.targets[v]
	if t == nil || !b.fits(route, t.Model) {
		return nil
	}
	if b.changed(route, v) {
		b.log.Warn("a version has other files than its rollout began with, and gets no requests", zap.String("route", route.Name), zap.Int64("version", version))
		return nil
	}
	return t
}

// changed reports whether a loaded version has other files than the rollout of a route began with.
func (b *tableBuilder) changed(route *api.Route, v infer.Version) bool {
	leased := b.live[v]
	if b.rolloutDigest == nil || leased == nil {
		return false
	}
	want := b.rolloutDigest(route.Name, v.Number)
	return want != "" && leased.Digest() != want
}

func (b *tableBuilder) fits(route *api.Route, model *infer.Model) bool {
	i, _ := route.Stable()
	stable := b.targets[infer.Version{Model: route.Model, Number: route.Variants[i].Version}]
	return stable == nil || infer.Compatible(stable.Model, model) == nil
}

func (b *tableBuilder) fallback(route *api.Route) *router.Target {
	version := route.Fallback.Version
	if route.Fallback.Stable {
		i, _ := route.Stable()
		version = route.Variants[i].Version
	}
	if version == 0 {
		return nil
	}
	return b.fitting(route, version)
}

func (b *tableBuilder) mirror(route *api.Route, version int64) *shadow.Mirror {
	leased := b.shadows[infer.Version{Model: route.Model, Number: version}]
	if leased == nil || !b.fits(route, leased.Model()) {
		return nil
	}
	return leased.Servable.(*serving.Shadow).Mirror() //nolint:forcetypeassert // LoadShadow makes nothing else
}
