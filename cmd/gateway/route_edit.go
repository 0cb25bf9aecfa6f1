package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// routeFlags are the flags of routes set for the changes.
type routeFlags struct {
	model, sticky, fallback          string
	stable, canary, control, shadows []string
	noShadows                        bool
}

func (f *routeFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.model, "model", "", "the model whose versions serve (default: the route's name)")
	flags.StringArrayVar(&f.stable, "stable", nil, "VERSION[=SHARE]: the trusted version, a number or an alias such as @champion; without a share it gets the rest (repeatable)")
	flags.StringArrayVar(&f.canary, "canary", nil, "VERSION=SHARE: the version on trial, or none (repeatable)")
	flags.StringArrayVar(&f.control, "control", nil, "VERSION=SHARE: a slice for comparison with the canary, or none (repeatable)")
	flags.StringArrayVar(&f.shadows, "shadow", nil, "VERSION=SAMPLE: a version that gets copies of that share of the requests (repeatable)")
	flags.BoolVar(&f.noShadows, "no-shadows", false, "remove all shadows")
	flags.StringVar(&f.sticky, "sticky", "", "header:NAME, parameter:NAME or none: the place of the key in requests that keeps a caller on one version")
	flags.StringVar(&f.fallback, "fallback", "", "stable, a VERSION or none: the version that answers if the chosen one cannot")
}

// names returns the names of the flags that add adds.
func (f *routeFlags) names() []string {
	return []string{"model", "stable", "canary", "control", "shadow", "no-shadows", "sticky", "fallback"}
}

func (f *routeFlags) parse() (*api.RouteChange, error) {
	e := &api.RouteChange{Model: f.model}
	var err error
	if e.Stable, err = parseVariants("--stable", api.RoleStable, f.stable); err != nil {
		return nil, err
	}
	if e.Canary, err = parseVariants("--canary", api.RoleCanary, f.canary); err != nil {
		return nil, err
	}
	if e.Control, err = parseVariants("--control", api.RoleControl, f.control); err != nil {
		return nil, err
	}
	if e.Shadows, err = f.parseShadows(); err != nil {
		return nil, err
	}
	if e.Sticky, err = parseSticky(f.sticky); err != nil {
		return nil, err
	}
	e.Fallback, err = parseFallback(f.fallback)
	return e, err
}

// parseVariants returns nil if no flag is given, and an empty list for "none".
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
		part, err := parseVersionShare(text)
		switch {
		case err != nil:
			return nil, usageError{flag + ": " + err.Error()}
		case !part.given && role != api.RoleStable:
			return nil, usageError{fmt.Sprintf("%s %s: the share is missing: expected, for example, %s %s=20%%", flag, text, flag, text)}
		case !part.given:
			part.share = api.Rest
			open++
		}
		if slices.ContainsFunc(list, func(v api.Variant) bool { return v.Version == part.version && v.Alias == part.alias }) {
			return nil, usageError{fmt.Sprintf("%s: version %s is a duplicate", flag, api.VersionName(part.version, part.alias))}
		}
		list = append(list, api.Variant{Version: part.version, Alias: part.alias, Weight: part.share, Role: role})
	}
	if open > 1 {
		return nil, usageError{flag + ": only one version can get the rest; give a share for the others"}
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
		part, err := parseVersionShare(text)
		if err == nil && !part.given {
			err = fmt.Errorf("the share of the requests is missing: expected, for example, %s=10%%", text)
		}
		if err != nil {
			return nil, usageError{"--shadow: " + err.Error()}
		}
		list = append(list, api.Shadow{Version: part.version, Alias: part.alias, Sample: part.share})
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
