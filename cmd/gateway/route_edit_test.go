package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"sluice.io/sluice/api"
)

// routeText is a route on one line. A shadow of version 9 is left out, since all routes begin with
// one; its removal is shown.
func routeText(r *api.Route) string {
	parts := []string{splitText(r.Variants)}
	nine := false
	for _, s := range r.Shadows {
		if nine = nine || s.Version == 9; s.Version != 9 {
			parts = append(parts, "shadow "+partName(s.Version, s.Alias)+" "+api.Percent(s.Sample))
		}
	}
	if !nine {
		parts = append(parts, "no shadow v9")
	}
	parts = append(parts, settingChanges(&api.Route{Model: "m"}, &api.Route{Model: r.Model, Sticky: r.Sticky, Fallback: r.Fallback})...)
	return strings.Join(parts, " | ")
}

func variant(version int64, percent int, role string) api.Variant {
	return api.Variant{Version: version, Weight: percent * 100, Role: role}
}

func TestRouteEdit(t *testing.T) {
	f := func(base []api.Variant, args, want string) {
		t.Helper()
		var flags routeFlags
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.add(set)
		route := api.Route{Name: "iris", Model: "m", Seed: "iris", Variants: base, Shadows: []api.Shadow{{Version: 9, Sample: 1000}}}
		kept := route
		kept.Variants = slices.Clone(base)
		kept.Shadows = slices.Clone(route.Shadows)
		var got string
		if err := set.Parse(strings.Fields(args)); err != nil {
			t.Fatal(err)
		}
		edit, err := flags.parse()
		if err == nil {
			var next api.Route
			if next, err = edit.Apply(route); err == nil {
				err = problems(&next, false)
			}
			got = routeText(&next)
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		part, refused := strings.CutPrefix(want, "error: ")
		if got != want && (!refused || err == nil || !strings.Contains(got, part)) {
			t.Errorf("%s %s = %s, want %s", splitText(base), args, got, want)
		}
		if !reflect.DeepEqual(route, kept) {
			t.Errorf("%s changed the route that it was made from: %+v", args, route)
		}
	}
	one := []api.Variant{variant(1, 100, "stable")}
	trial := []api.Variant{variant(1, 95, "stable"), variant(2, 5, "canary")}
	compared := []api.Variant{variant(1, 90, "stable"), variant(2, 5, "canary"), variant(1, 5, "control")}
	shared := []api.Variant{variant(1, 50, "stable"), variant(2, 50, "stable")}

	// The stable version gives and gets back.
	f(one, "--canary 2=5%", "v1 95%, v2 canary 5%")
	f(trial, "--canary 2=20%", "v1 80%, v2 canary 20%")
	f(trial, "--canary 2=250bp", "v1 97.5%, v2 canary 2.5%")
	f(trial, "--canary 2=0%", "v1 100%, v2 canary 0%")
	f(trial, "--canary 2=100%", "v1 0%, v2 canary 100%")
	f(trial, "--canary none", "v1 100%")
	f(one, "--canary none", "v1 100%")
	f(trial, "--canary 3=10%", "v1 90%, v3 canary 10%")
	f(trial, "--canary 3=10% --canary 2=1%", "v1 89%, v2 canary 1%, v3 canary 10%")
	f(trial, "--control 1=5%", "v1 90%, v2 canary 5%, v1 control 5%")
	f(compared, "--canary 2=10% --control 1=10%", "v1 80%, v2 canary 10%, v1 control 10%")
	f(compared, "--canary 2=10%", "v1 85%, v2 canary 10%, v1 control 5%")
	f(compared, "--canary none --control none", "v1 100%")

	// Promotion, and other changes of the stable version.
	f(trial, "--stable 2", "v2 100%")
	f(compared, "--stable 2", "v2 100%")
	f(compared, "--stable 2 --canary 3=1%", "v2 99%, v3 canary 1%")
	f(trial, "--stable 2=60% --stable 1=40%", "v1 40%, v2 60%")
	f(trial, "--stable 2=60% --stable 1", "v1 40%, v2 60%")
	f(trial, "--stable 2=60%", "error: the shares add up to 60%, expected 100%")
	f(trial, "--stable 3", "v3 95%, v2 canary 5%")
	f(compared, "--stable 3", "v3 90%, v2 canary 5%, v1 control 5%")
	f(trial, "--stable 1=95%", "v1 95%, v2 canary 5%")
	f(one, "--stable 1=50% --stable 2=50%", "v1 50%, v2 50%")
	f(nil, "--stable 1", "v1 100%")
	f(nil, "--stable 1 --canary 2=1% --model other", "v1 99%, v2 canary 1% | model m → other")

	// Shares that do not add up.
	f(shared, "--canary 3=5%", "error: the shares add up to 5% more than 100%")
	f(shared, "--canary 3=5% --stable 1=50% --stable 2", "v1 50%, v2 45%, v3 canary 5%")
	f([]api.Variant{variant(1, 40, "stable"), variant(2, 40, "stable"), variant(3, 20, "canary")}, "--canary none", "error: 20% of the traffic is left for several stable versions")
	f(trial, "--canary 2=60% --control 1=50%", "error: add up to 10% more than 100%")
	f(trial, "--canary 1=5%", "error: use the role control")
	f(trial, "--canary 2", "error: --canary 2: the share is missing")
	f(trial, "--canary 2=20", "error: write 20% or 2000bp")
	f(trial, "--canary 2=-1%", "error: '-1%' is not a valid share")
	f(trial, "--canary 2=NaN%", "error: 'NaN%' is not a valid share")
	f(trial, "--canary 2=101%", "error: --canary: '101%' is too large: expected at most 100%")
	f(trial, "--canary x=5%", "error: version 'x' is not a valid number")
	f(trial, "--canary 0=5%", "error: version '0' is not a valid number")
	f(trial, "--canary 2=5% --canary 2=6%", "error: version 2 is a duplicate")
	f(trial, "--canary none --canary 2=5%", "error: version 'none' is not a valid number")
	f(trial, "--stable none", "error: version 'none' is not a valid number")
	f(trial, "--stable 1 --stable 3", "error: only one version can get the rest")

	// Aliases. The gateway gives those that are new their versions.
	aliased := []api.Variant{{Version: 3, Alias: "champion", Weight: 9500, Role: "stable"}, {Version: 4, Alias: "challenger", Weight: 500, Role: "canary"}}
	f(nil, "--stable @champion --canary @challenger=5%", "@champion 95%, @challenger canary 5%")
	f(one, "--stable @champion", "@champion 100%")
	f(aliased, "--canary @challenger=20%", "@champion (v3) 80%, @challenger (v4) canary 20%")
	f(aliased, "--stable @champion=95%", "@champion (v3) 95%, @challenger (v4) canary 5%")
	f(aliased, "--stable @challenger", "@challenger 100%") // promoted
	f(aliased, "--stable 4", "v4 100%")
	f(aliased, "--stable 3", "v3 95%, @challenger (v4) canary 5%") // does not move any more
	f(aliased, "--canary @champion=5%", "error: version @champion is stable and cannot be a canary too")
	f(aliased, "--shadow @next=10%", "@champion (v3) 95%, @challenger (v4) canary 5% | shadow @next 10% | no shadow v9")
	f(one, "--canary @Champion=5%", "error: '@Champion' is not a valid alias")
	f(one, "--canary @a=5% --canary @a=6%", "error: version @a is a duplicate")

	// Shadows.
	f(trial, "--shadow 3=25%", "v1 95%, v2 canary 5% | shadow v3 25% | no shadow v9")
	f(trial, "--no-shadows", "v1 95%, v2 canary 5% | no shadow v9")
	f(one, "--canary 9=5%", "v1 95%, v9 canary 5% | no shadow v9")
	f(trial, "--shadow 2=10%", "error: shadows[0].version: version 2 is variants[1]")
	f(trial, "--shadow 3", "error: --shadow: the share of the requests is missing: expected, for example, 3=10%")
	f(trial, "--shadow 3=5", "error: write 5% or 500bp")
	f(trial, "--shadow 3=1% --shadow 3=2%", "error: version 3 is already shadows[0]")
	f(trial, "--shadow 3=1% --no-shadows", "error: not both")

	// The other settings.
	f(one, "--sticky header:X-User-Id --fallback stable", "v1 100% | sticky none → header:X-User-Id | fallback none → stable")
	f(one, "--sticky parameter:user:id --fallback 3", "v1 100% | sticky none → parameter:user:id | fallback none → v3")
	f(one, "--sticky none --fallback none", "v1 100%")
	f(one, "--sticky X-User-Id", "error: header:NAME")
	f(one, "--sticky header:", "error: header:NAME")
	f(one, "--sticky header:a:b", "error: sticky.header")
	f(one, "--fallback canary", "error: stable, a version's number or none")
	f(shared, "--fallback stable", "error: ambiguous")
}

func TestChanges(t *testing.T) {
	route := func(variants ...api.Variant) *api.Route {
		return &api.Route{Name: "iris", Model: "iris", Seed: "iris", Variants: variants}
	}
	f := func(before, after *api.Route, want string) {
		t.Helper()
		if got := strings.Join(changes(before, after), ", "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	trial := route(variant(1, 95, "stable"), variant(2, 5, "canary"))
	f(nil, trial, "declared: v1 95%, v2 canary 5%")
	f(trial, nil, "deleted")
	f(nil, nil, "")
	f(trial, trial, "")
	f(trial, route(variant(1, 80, "stable"), variant(2, 20, "canary")), "v2 canary 5% → 20%")
	f(trial, route(variant(2, 100, "stable")), "v2 canary 5% → stable 100%, v1 removed (had 95%)")
	f(trial, route(variant(1, 100, "stable")), "v2 canary removed (had 5%)")
	f(trial, route(variant(1, 90, "stable"), variant(2, 5, "canary"), variant(1, 5, "control")), "v1 control added with 5%")
	f(route(variant(1, 50, "stable"), variant(2, 50, "stable")), route(variant(1, 60, "stable"), variant(2, 40, "stable")), "v1 50% → 60%, v2 50% → 40%")

	more := *trial
	more.Model, more.Seed, more.Sticky, more.Fallback = "other", "s\n", api.Sticky{Parameter: "user"}, api.Fallback{Version: 1}
	more.Shadows = []api.Shadow{{Version: 3, Sample: 1000}}
	f(trial, &more, "model iris → other, shadow v3 - → 10%, sticky none → parameter:user, fallback none → v1, seed iris → s ")
	f(&more, trial, "model other → iris, shadow v3 10% → -, sticky parameter:user → none, fallback v1 → none, seed s  → iris")
}
