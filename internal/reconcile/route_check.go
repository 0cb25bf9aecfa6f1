package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/registry"
)

// routeProblem is a reason why a route cannot serve.
type routeProblem struct {
	route string
	api.Problem
	code infer.Code // Unavailable if a retry may help, otherwise Invalid
}

// refusal makes one error from problems, or nil if there are none.
func refusal(problems []routeProblem, prefix bool) error {
	if len(problems) == 0 {
		return nil
	}
	code, list := infer.Unavailable, make([]string, len(problems))
	for i, p := range problems {
		if list[i] = p.String(); prefix {
			list[i] = fmt.Sprintf("routes.%s.%s", p.route, p)
		}
		if p.code == infer.Invalid {
			code = infer.Invalid
		}
	}
	return infer.Errorf(code, "%s; nothing was changed", strings.Join(list, "; "))
}

// offer is what routes can use: the repository, the loaded versions, and the errors of those
// that are not loaded.
type offer struct {
	found        []registry.Found
	live, shadow map[infer.Version]*registry.Leased

	failed, failedShadow map[infer.Version]error
}

// offers returns the offer after the transition.
func (t *transition) offers() offer {
	return offer{
		found: t.goal.found, live: t.live.Serving(), shadow: t.shadow.Serving(),
		failed: t.live.Failed(), failedShadow: t.shadow.Failed(),
	}
}

// problems returns the problems of routes with an offer.
func (o offer) problems(routes []api.RouteState) []routeProblem {
	var list []routeProblem
	for i := range routes {
		c := routeChecker{offer: o, route: &routes[i].Route}
		c.check()
		list = append(list, c.problems...)
	}
	return list
}

type routeChecker struct {
	offer
	route    *api.Route
	model    *infer.Model // of the stable version, or the first loaded one; the others must be compatible with it
	problems []routeProblem
}

func (c *routeChecker) add(code infer.Code, field, format string, args ...any) {
	c.problems = append(c.problems, routeProblem{c.route.Name, api.Problem{Field: field, Message: fmt.Sprintf(format, args...)}, code})
}

func (c *routeChecker) check() {
	if c.route.Name != c.route.Model && c.has(c.route.Name) {
		c.add(infer.Invalid, "model", "'%s' is the name of another model, which callers could not reach any more; use another name for the route", c.route.Name)
	}
	if !c.has(c.route.Model) && !c.serves(c.route.Model) {
		c.add(infer.Invalid, "model", "the repository has no model '%s'", c.route.Model)
		return
	}
	// Compatibility is not transitive, so all versions must be compatible with the stable one,
	// as in the table.
	stable, _ := c.route.Stable()
	if i := c.live[infer.Version{Model: c.route.Model, Number: c.route.Variants[stable].Version}]; i != nil {
		c.model = i.Model()
	}
	for i, v := range c.route.Variants {
		c.version(fmt.Sprintf("variants[%d].version", i), v.Version, c.live, c.failed)
	}
	if v := c.route.Fallback.Version; v != 0 {
		c.version("fallback", v, c.live, c.failed)
	}
	for i, s := range c.route.Shadows {
		c.version(fmt.Sprintf("shadows[%d].version", i), s.Version, c.shadow, c.failedShadow)
	}
}

func (c *routeChecker) has(model string) bool {
	return slices.ContainsFunc(c.found, func(f registry.Found) bool { return f.Name == model })
}

// serves reports whether a version of a model is loaded. Its folder may be gone: the route's
// weights can still be changed.
func (c *routeChecker) serves(model string) bool {
	for v := range c.live {
		if v.Model == model {
			return true
		}
	}
	return false
}

func (c *routeChecker) version(field string, number int64, loaded map[infer.Version]*registry.Leased, failed map[infer.Version]error) {
	v := infer.Version{Model: c.route.Model, Number: number}
	leased := loaded[v]
	if leased == nil && indexOf(foundModel(c.found, v.Model).Versions, number) < 0 {
		c.add(infer.Invalid, field, "the repository has no version %d of model '%s'", number, v.Model)
		return
	}
	if leased == nil {
		reason := "it is not loaded"
		if err := failed[v]; err != nil {
			reason = registry.Reason(err)
		}
		c.add(infer.Unavailable, field, "version %d of model '%s' failed to load: %s", number, v.Model, reason)
		return
	}
	if c.model == nil {
		c.model = leased.Model()
		return
	}
	if err := infer.Compatible(c.model, leased.Model()); err != nil {
		c.add(infer.Invalid, field, "version %d cannot take the requests of version %d: %s", number, c.model.Version, infer.Message(err))
	}
}
