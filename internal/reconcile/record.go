package reconcile

import (
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/batch"
	"sluice.io/sluice/internal/compare"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
	"sluice.io/sluice/internal/registry"
	"sluice.io/sluice/internal/router"
)

// recorder keeps the metrics and breakers of versions, routes and shadows from one table to
// the next. Other goroutines than the reconciler's may only call version, versionFor and
// hand.
type recorder struct {
	metrics   *metrics.Metrics
	log       *zap.Logger
	incidents chan incident

	mu       sync.Mutex // guards versions
	versions map[infer.Version]*metrics.Version

	variants map[variantKey]*metrics.Variant
	halts    map[variantKey]*atomic.Bool  // of canaries
	answers  map[variantKey]*compare.Sums // of canaries and controls
	shadows  map[shadowKey]*comparedShadow
	breakers map[infer.Version]watched
	compiled map[string]compiledSlots // by route
}

type variantKey struct {
	route, model, role string
	version            int64
}

type shadowKey struct {
	route, model string
	version      int64
}

// watched is a breaker with the version and the settings that it was made for.
type watched struct {
	leased   *registry.Leased
	settings config.Breaker
	breaker  *router.Breaker
}

type compiledSlots struct {
	revision int64
	slots    *router.Slots
}

func newRecorder(m *metrics.Metrics, log *zap.Logger) *recorder {
	return &recorder{
		metrics: m, log: log, incidents: make(chan incident, maxIncidents), versions: map[infer.Version]*metrics.Version{}, variants: map[variantKey]*metrics.Variant{}, halts: map[variantKey]*atomic.Bool{}, answers: map[variantKey]*compare.Sums{},
		shadows: map[shadowKey]*comparedShadow{}, breakers: map[infer.Version]watched{}, compiled: map[string]compiledSlots{},
	}
}

// versionFor returns the metrics of a version in the table, or nil for any other.
func (r *recorder) versionFor(v infer.Version) *metrics.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.versions[v]
}

// version returns the metrics of a version, and makes them if they do not exist.
func (r *recorder) version(v infer.Version) *metrics.Version {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.versions[v] == nil {
		r.versions[v] = r.metrics.Version(v.Model, v.Number)
	}
	return r.versions[v]
}

func (r *recorder) variant(route, model string, v api.Variant) *metrics.Variant {
	key := variantKey{route, model, v.Role, v.Version}
	if r.variants[key] == nil {
		r.variants[key] = r.metrics.Variant(route, model, v.Version, v.Role)
	}
	return r.variants[key]
}

// halt returns the flag that stops requests to a canary, nil for a variant of another role.
func (r *recorder) halt(route, model string, v api.Variant) *atomic.Bool {
	if v.Role != api.RoleCanary {
		return nil
	}
	key := variantKey{route, model, v.Role, v.Version}
	if r.halts[key] == nil {
		r.halts[key] = new(atomic.Bool)
	}
	return r.halts[key]
}

// answersOf returns the sums of a variant's answers, nil for a variant that is not compared: only a canary and its control are.
func (r *recorder) answersOf(route *api.Route, v api.Variant, outputs []infer.TensorSpec) *compare.Sums {
	compared := slices.ContainsFunc(route.Variants, func(v api.Variant) bool { return v.Role == api.RoleControl })
	if !compared || v.Role == api.RoleStable {
		return nil
	}
	key := variantKey{route.Name, route.Model, v.Role, v.Version}
	if r.answers[key] == nil {
		r.answers[key] = compare.NewSums(outputs)
	}
	return r.answers[key]
}

func (r *recorder) shadow(route, model string, version int64) *comparedShadow {
	key := shadowKey{route, model, version}
	if r.shadows[key] == nil {
		r.shadows[key] = &comparedShadow{Shadow: r.metrics.Shadow(route, model, version)}
	}
	return r.shadows[key]
}

// breaker returns the breaker of a loaded version, or nil if it is disabled. A version that
// was loaded again, or has other settings, gets a new one.
func (r *recorder) breaker(v infer.Version, leased *registry.Leased, s config.Breaker) *router.Breaker {
	if !s.Enabled {
		delete(r.breakers, v)
		return nil
	}
	if w, ok := r.breakers[v]; ok && w.leased == leased && w.settings == s {
		return w.breaker
	}
	b := router.NewBreaker(router.BreakerOptions{
		Window: s.Window, MinRequests: s.MinRequests, FailureRatio: s.FailureRatio, Consecutive: s.Consecutive,
		Open: s.Open, Probes: s.Probes,
		Changed: r.breakerChanged(v),
	})
	r.breakers[v] = watched{leased, s, b}
	return b
}

// incident is an outcome of requests to a version.
type incident struct {
	version infer.Version
	breaker router.BreakerChange // a change of its breaker, if finding is nil
	finding *batch.Finding       // whether its requests can be joined
}

// maxIncidents is the max number of incidents that wait for the loop. More are dropped. There
// are few, even if many requests fail.
const maxIncidents = 1024

// hand passes an incident to the loop without blocking.
func (r *recorder) hand(i incident) {
	select {
	case r.incidents <- i:
	default:
	}
}

// breakerChanged returns the callback for a breaker's changes. It runs during a request, so
// it only passes them on.
func (r *recorder) breakerChanged(v infer.Version) func(router.BreakerChange) {
	return func(c router.BreakerChange) { r.hand(incident{version: v, breaker: c}) }
}

// breakerIs counts and logs a change of a breaker.
func (r *recorder) breakerIs(v infer.Version, c router.BreakerChange) {
	if series := r.versionFor(v); series != nil {
		series.BreakerChanged(c.To)
	}
	level := zap.InfoLevel
	if c.To == "open" {
		level = zap.WarnLevel
	}
	r.log.Log(level, "breaker changed", zap.String("state", c.To), zap.String("model", v.Model), zap.Int64("version", v.Number),
		zap.String("cause", c.Why), zap.Error(c.Err))
}

// slots returns the slots of a route's revision in the form of the router.
func (r *recorder) slots(state *api.RouteState) *router.Slots {
	if c, ok := r.compiled[state.Name]; ok && c.revision == state.Revision {
		return c.slots
	}
	c := compiledSlots{state.Revision, router.NewSlots(state.Slots)}
	r.compiled[state.Name] = c
	return c.slots
}

// prune removes the metrics and breakers that are not in the table any more.
func (r *recorder) prune(s actual) {
	variants, shadows, routes := map[variantKey]bool{}, map[shadowKey]bool{}, map[string]bool{}
	for i := range s.goal.routes {
		route := &s.goal.routes[i]
		routes[route.Name] = true
		for _, v := range route.Variants {
			variants[variantKey{route.Name, route.Model, v.Role, v.Version}] = true
		}
		for _, sh := range route.Shadows {
			shadows[shadowKey{route.Name, route.Model, sh.Version}] = true
		}
	}
	for model, loss := range s.goal.losses {
		shadows[lossKey(model, loss.version)] = true
	}
	for key, variant := range r.variants {
		if !variants[key] {
			variant.Delete()
			delete(r.variants, key)
			delete(r.halts, key)
			delete(r.answers, key)
		}
	}
	for key, sh := range r.shadows {
		if !shadows[key] {
			sh.Delete()
			delete(r.shadows, key)
		}
	}
	for name := range r.compiled {
		if !routes[name] {
			delete(r.compiled, name)
		}
	}
	r.pruneVersions(s)
}

func (r *recorder) pruneVersions(s actual) {
	for v := range r.breakers {
		if s.live[v] == nil {
			delete(r.breakers, v)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, series := range r.versions {
		if s.live[v] == nil {
			series.Delete()
			delete(r.versions, v)
		}
	}
}
