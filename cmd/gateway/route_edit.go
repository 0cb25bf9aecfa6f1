package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// routeFlags are the flags of routes set that say what to change.
type routeFlags struct {
	model, sticky, fallback          string
	stable, canary, control, shadows []string
	noShadows                        bool
}

func (f *routeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.model, "model", "", "the model whose versions serve (default: the route's name)")
	flags.StringArrayVar(&f.stable, "stable", nil, "VERSION[=SHARE]: the trusted version; without a share it gets what the others leave (repeatable)")
	flags.StringArrayVar(&f.canary, "canary", nil, "VERSION=SHARE: the version that is tried out, or none (repeatable)")
	flags.StringArrayVar(&f.control, "control", nil, "VERSION=SHARE: a slice to compare the canary with, or none (repeatable)")
	flags.StringArrayVar(&f.shadows, "shadow", nil, "VERSION=SAMPLE: a version that gets copies of that share of the requests (repeatable)")
	flags.BoolVar(&f.noShadows, "no-shadows", false, "copy to nobody")
	flags.StringVar(&f.sticky, "sticky", "", "header:NAME, parameter:NAME or none: where requests bear the key that keeps their caller on a version")
	flags.StringVar(&f.fallback, "fallback", "", "stable, a VERSION or none: who serves instead of a version that cannot")
}

// names of the flags that add adds.
func (f *routeFlags) names() []string {
	return []string{"model", "stable", "canary", "control", "shadow", "no-shadows", "sticky", "fallback"}
}

// rest is the weight of a stable variant that gets what the others leave.
const rest = -1

// routeEdit is what the flags say, checked as far as they alone tell. nil parts
// stay as they are.
type routeEdit struct {
	model                   string
	stable, canary, control []api.Variant
	shadows                 []api.Shadow
	sticky                  *api.Sticky
	fallback                *api.Fallback
}

func (f *routeFlags) parse() (*routeEdit, error) {
	e := &routeEdit{model: f.model}
	var err error
	if e.stable, err = parseVariants("--stable", api.RoleStable, f.stable); err != nil {
		return nil, err
	}
	if e.canary, err = parseVariants("--canary", api.RoleCanary, f.canary); err != nil {
		return nil, err
	}
	if e.control, err = parseVariants("--control", api.RoleControl, f.control); err != nil {
		return nil, err
	}
	if e.shadows, err = f.parseShadows(); err != nil {
		return nil, err
	}
	if e.sticky, err = parseSticky(f.sticky); err != nil {
		return nil, err
	}
	e.fallback, err = parseFallback(f.fallback)
	return e, err
}

// parseVariants returns nil where nothing is given, and an empty list for none.
func parseVariants(flag, role string, texts []string) ([]api.Variant, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	if role != api.RoleStable && len(texts) == 1 && texts[0] == "none" {
		return []api.Variant{}, nil
	}
	var list []api.Variant
	open := 0
	for _, text := range texts {
		version, weight, given, err := parseVersionShare(text)
		switch {
		case err != nil:
			return nil, usageError{flag + ": " + err.Error()}
		case !given && role != api.RoleStable:
			return nil, usageError{fmt.Sprintf("%s %s: say its share too, %s %s=20%%", flag, text, flag, text)}
		case !given:
			weight = rest
			open++
		}
		if slices.ContainsFunc(list, func(v api.Variant) bool { return v.Version == version }) {
			return nil, usageError{fmt.Sprintf("%s: version %d is given twice", flag, version)}
		}
		list = append(list, api.Variant{Version: version, Weight: weight, Role: role})
	}
	if open > 1 {
		return nil, usageError{flag + ": only one version can get what the others leave; say the share of the others"}
	}
	return list, nil
}

func (f *routeFlags) parseShadows() ([]api.Shadow, error) {
	switch {
	case f.noShadows && len(f.shadows) > 0:
		return nil, usageError{"give --shadow or --no-shadows, not both"}
	case f.noShadows:
		return []api.Shadow{}, nil
	}
	var list []api.Shadow
	for _, text := range f.shadows {
		version, sample, given, err := parseVersionShare(text)
		if err == nil && !given {
			err = fmt.Errorf("say the share of the requests too: %s=10%%", text)
		}
		if err != nil {
			return nil, usageError{"--shadow: " + err.Error()}
		}
		list = append(list, api.Shadow{Version: version, Sample: sample})
	}
	return list, nil
}

func parseSticky(text string) (*api.Sticky, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return nil, nil
	case text == "none":
		return &api.Sticky{}, nil
	case kind == "header" && name != "":
		return &api.Sticky{Header: name}, nil
	case kind == "parameter" && name != "":
		return &api.Sticky{Parameter: name}, nil
	}
	return nil, usageError{fmt.Sprintf("--sticky: expected header:NAME, parameter:NAME or none, got '%s'", text)}
}

func parseFallback(text string) (*api.Fallback, error) {
	version, ok := infer.ParseVersion(text)
	switch {
	case text == "":
		return nil, nil
	case text == "none":
		return &api.Fallback{}, nil
	case text == api.RoleStable:
		return &api.Fallback{Stable: true}, nil
	case ok:
		return &api.Fallback{Version: version}, nil
	}
	return nil, usageError{fmt.Sprintf("--fallback: expected stable, a version's number or none, got '%s'", text)}
}

// apply returns the route with the changes. It changes nothing that route holds.
func (e *routeEdit) apply(route api.Route) (api.Route, error) {
	route.Variants = slices.Clone(route.Variants)
	if e.model != "" {
		route.Model = e.model
	}
	canary, control := e.canary, e.control
	if e.promotes(route) { // the trial is over, and what was there for it goes
		canary, control = orNone(canary), orNone(control)
	}
	route.Variants = replaceRole(route.Variants, api.RoleStable, e.stable)
	route.Variants = replaceRole(route.Variants, api.RoleCanary, canary)
	route.Variants = replaceRole(route.Variants, api.RoleControl, control)
	if err := e.balance(&route); err != nil {
		return api.Route{}, err
	}
	if e.shadows != nil {
		route.Shadows = e.shadows
	} else { // one that gets traffic of its own now is no shadow any more
		route.Shadows = slices.DeleteFunc(slices.Clone(route.Shadows), func(s api.Shadow) bool {
			return slices.ContainsFunc(route.Variants, func(v api.Variant) bool { return v.Version == s.Version })
		})
	}
	if e.sticky != nil {
		route.Sticky = *e.sticky
	}
	if e.fallback != nil {
		route.Fallback = *e.fallback
	}
	route.Complete()
	return route, nil
}

// promotes reports whether a canary becomes stable.
func (e *routeEdit) promotes(route api.Route) bool {
	return slices.ContainsFunc(route.Variants, func(v api.Variant) bool {
		return v.Role == api.RoleCanary && slices.ContainsFunc(e.stable, func(s api.Variant) bool { return s.Version == v.Version })
	})
}

func orNone(list []api.Variant) []api.Variant {
	if list == nil {
		return []api.Variant{}
	}
	return list
}

// replaceRole makes list the variants of a role, where it is not nil. Those that
// stay keep their place, and the first new one takes that of the first that goes.
func replaceRole(variants []api.Variant, role string, list []api.Variant) []api.Variant {
	if list == nil {
		return variants
	}
	place := -1
	var kept []api.Variant
	for _, v := range variants {
		if v.Role == role {
			i := slices.IndexFunc(list, func(given api.Variant) bool { return given.Version == v.Version })
			if i < 0 {
				if place < 0 {
					place = len(kept)
				}
				continue
			}
			v = list[i]
		}
		kept = append(kept, v)
	}
	if place < 0 {
		place = len(kept)
	}
	for _, given := range list {
		if !slices.ContainsFunc(kept, func(v api.Variant) bool { return v.Role == role && v.Version == given.Version }) {
			kept = slices.Insert(kept, place, given)
			place++
		}
	}
	return kept
}

// balance gives the stable variant what the others leave.
func (e *routeEdit) balance(route *api.Route) error {
	if e.stable == nil && e.canary == nil && e.control == nil {
		return nil
	}
	open := slices.IndexFunc(route.Variants, func(v api.Variant) bool { return v.Weight == rest })
	first, stable := route.Stable()
	if e.stable == nil && stable == 1 {
		open = first
	}
	left := api.TotalWeight
	for i, v := range route.Variants {
		if i != open {
			left -= v.Weight
		}
		if v.Role == api.RoleCanary && slices.ContainsFunc(route.Variants, func(s api.Variant) bool {
			return s.Role == api.RoleStable && s.Version == v.Version
		}) {
			return fmt.Errorf("version %d is stable; a slice of it to compare with is a control: --control %d=%s", v.Version, v.Version, shareText(v.Weight))
		}
	}
	switch {
	case left < 0:
		return fmt.Errorf("the shares add up to %s more than 100%%", shareText(-left))
	case open >= 0:
		route.Variants[open].Weight = left
	case stable == 0: // the route's own check says so
	case left > 0 && e.stable == nil:
		return fmt.Errorf("%s is left to several stable versions; say who gets it with --stable VERSION=SHARE for each", shareText(left))
	case left > 0:
		return fmt.Errorf("the shares add up to %s, expected 100%%", shareText(api.TotalWeight-left))
	}
	return nil
}
