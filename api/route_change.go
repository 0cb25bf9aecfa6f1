package api

import (
	"fmt"
	"slices"
	"strconv"
)

// Rest is the weight of a stable variant of a RouteChange that gets the weight that the
// others leave.
const Rest = -1

// RouteChange is a change that does not depend on the current route: to try a canary, to
// raise its weight, to promote it. A nil part stays as it is. An empty list removes all
// variants of its role. The stable version gets the weight that the other roles leave. If a
// canary becomes stable, it is promoted: it gets all of the weight, and the canaries and
// controls are removed unless the change names them. A version that becomes a variant is
// removed from the shadows. A variant or shadow with an alias needs no version.
type RouteChange struct {
	Model                   string // empty: unchanged
	Stable, Canary, Control []Variant
	Shadows                 []Shadow
	Sticky                  *Sticky
	Fallback                *Fallback
}

// Apply returns the changed route. It does not modify the slices of the given route. It is
// an error if the change contradicts itself or the route.
func (c *RouteChange) Apply(route Route) (Route, error) {
	route.Variants = slices.Clone(route.Variants)
	if c.Model != "" {
		route.Model = c.Model
	}
	canary, control := c.Canary, c.Control
	if c.promotes(route) { // the trial is over, so its canaries and controls go
		canary, control = orNone(canary), orNone(control)
	}
	route.Variants = replaceRole(route.Variants, RoleStable, c.Stable)
	route.Variants = replaceRole(route.Variants, RoleCanary, canary)
	route.Variants = replaceRole(route.Variants, RoleControl, control)
	if err := c.balance(&route); err != nil {
		return Route{}, err
	}
	if c.Shadows != nil {
		route.Shadows = c.Shadows
	} else { // a version with traffic of its own cannot be a shadow
		route.Shadows = slices.DeleteFunc(slices.Clone(route.Shadows), func(s Shadow) bool {
			return slices.ContainsFunc(route.Variants, func(v Variant) bool { return same(v, Variant{Version: s.Version, Alias: s.Alias}) })
		})
	}
	if c.Sticky != nil {
		route.Sticky = *c.Sticky
	}
	if c.Fallback != nil {
		route.Fallback = *c.Fallback
	}
	route.Complete()
	return route, nil
}

// promotes reports whether a canary becomes stable.
func (c *RouteChange) promotes(route Route) bool {
	return slices.ContainsFunc(route.Variants, func(v Variant) bool {
		return v.Role == RoleCanary && slices.ContainsFunc(c.Stable, func(s Variant) bool { return same(s, v) })
	})
}

// same reports whether two variants have the same version, as far as it is known: one that only
// has an alias gets its version from the gateway.
func same(a, b Variant) bool {
	if a.Version == 0 || b.Version == 0 {
		return a.Alias != "" && a.Alias == b.Alias
	}
	return a.Version == b.Version
}

func orNone(list []Variant) []Variant {
	if list == nil {
		return []Variant{}
	}
	return list
}

// replaceRole makes list the variants of a role, unless it is nil. Variants that stay keep
// their place. The first new one takes the place of the first that is removed.
func replaceRole(variants []Variant, role string, list []Variant) []Variant {
	if list == nil {
		return variants
	}
	place := -1
	var kept []Variant
	for _, v := range variants {
		if v.Role == role {
			i := slices.IndexFunc(list, func(given Variant) bool { return same(given, v) })
			if i < 0 {
				if place < 0 {
					place = len(kept)
				}
				continue
			}
			known := v.Version
			if v = list[i]; v.Version == 0 {
				v.Version = known
			}
		}
		kept = append(kept, v)
	}
	if place < 0 {
		place = len(kept)
	}
	for _, given := range list {
		if !slices.ContainsFunc(kept, func(v Variant) bool { return v.Role == role && same(v, given) }) {
			kept = slices.Insert(kept, place, given)
			place++
		}
	}
	return kept
}

// balance gives the stable variant the weight that the others leave.
func (c *RouteChange) balance(route *Route) error {
	if c.Stable == nil && c.Canary == nil && c.Control == nil {
		return nil
	}
	open := slices.IndexFunc(route.Variants, func(v Variant) bool { return v.Weight == Rest })
	first, stable := route.Stable()
	if c.Stable == nil && stable == 1 {
		open = first
	}
	left := TotalWeight
	for i, v := range route.Variants {
		if i != open {
			left -= v.Weight
		}
		if v.Role == RoleCanary && slices.ContainsFunc(route.Variants, func(s Variant) bool {
			return s.Role == RoleStable && same(s, v)
		}) {
			return fmt.Errorf("version %s is stable and cannot be a canary too; use the role control to compare with it", VersionName(v.Version, v.Alias))
		}
	}
	switch {
	case left < 0:
		return fmt.Errorf("the shares add up to %s more than 100%%", Percent(-left))
	case open >= 0:
		route.Variants[open].Weight = left
	case stable == 0: // Route.Check reports it
	case left > 0 && c.Stable == nil:
		return fmt.Errorf("%s of the traffic is left for several stable versions; give the share of each", Percent(left))
	case left > 0:
		return fmt.Errorf("the shares add up to %s, expected 100%%", Percent(TotalWeight-left))
	}
	return nil
}

// Percent returns basis points as "20%" or "2.5%".
func Percent(points int) string {
	return strconv.FormatFloat(float64(points)/100, 'f', -1, 64) + "%"
}

// VersionName names the version of a part of a route: "3", or "@champion" for an alias whose
// version is not known.
func VersionName(version int64, alias string) string {
	if version == 0 && alias != "" {
		return "@" + alias
	}
	return strconv.FormatInt(version, 10)
}
