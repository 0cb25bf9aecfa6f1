package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

// split returns a completed route without problems. Tests break it.
func split() api.Route {
	r := api.Route{
		Name:     "iris",
		Variants: []api.Variant{{Version: 1, Weight: 9_500}, {Version: 2, Weight: 500, Role: api.RoleCanary}},
		Shadows:  []api.Shadow{{Version: 3, Sample: 1_000}},
		Sticky:   api.Sticky{Header: "X-User-Id"},
		Fallback: api.Fallback{Stable: true},
	}
	r.Complete()
	return r
}

func TestComplete(t *testing.T) {
	f := func(given, want api.Route) {
		t.Helper()
		given.Complete()
		if diff := cmp.Diff(want, given); diff != "" {
			t.Error(diff)
		}
		given.Complete()
		if diff := cmp.Diff(want, given); diff != "" {
			t.Errorf("the second time: %s", diff)
		}
	}
	f(api.Route{Name: "a"}, api.Route{Name: "a", Model: "a", Seed: "a", Variants: []api.Variant{}, Shadows: []api.Shadow{}})
	f(
		api.Route{Name: "a", Model: "m", Seed: "s", Revision: 7, Variants: []api.Variant{{Version: 1}, {Version: 2, Role: api.RoleControl}}},
		api.Route{
			Name: "a", Model: "m", Seed: "s", Revision: 7, Shadows: []api.Shadow{},
			Variants: []api.Variant{{Version: 1, Role: api.RoleStable}, {Version: 2, Role: api.RoleControl}},
		},
	)
}

func TestStable(t *testing.T) {
	f := func(first, n int, roles ...string) {
		t.Helper()
		var r api.Route
		for _, role := range roles {
			r.Variants = append(r.Variants, api.Variant{Role: role})
		}
		if gotFirst, gotN := r.Stable(); gotFirst != first || gotN != n {
			t.Errorf("%v: got %d of %d, want %d of %d", roles, gotFirst, gotN, first, n)
		}
	}
	f(-1, 0)
	f(-1, 0, api.RoleCanary, api.RoleControl)
	f(0, 1, api.RoleStable)
	f(1, 2, api.RoleCanary, api.RoleStable, api.RoleControl, api.RoleStable)
}

func TestCheckAccepts(t *testing.T) {
	f := func(change func(*api.Route)) {
		t.Helper()
		r := split()
		change(&r)
		if problems := r.Check(); problems != nil {
			t.Errorf("%+v: %v", r, problems)
		}
	}
	f(func(*api.Route) {})
	f(func(r *api.Route) { r.Variants[0].Weight, r.Variants[1].Weight = api.TotalWeight, 0 })
	f(func(r *api.Route) { r.Variants[0].Weight, r.Variants[1].Weight = 0, api.TotalWeight })
	f(func(r *api.Route) { r.Variants[1] = api.Variant{Version: 1, Weight: 500, Role: api.RoleControl} })
	f(func(r *api.Route) { r.Variants[1].Role, r.Fallback = api.RoleStable, api.Fallback{Version: 9} })
	f(func(r *api.Route) { r.Shadows[0].Sample = 0 })
	f(func(r *api.Route) { r.Shadows[0].Sample = api.TotalWeight })
	f(func(r *api.Route) { r.Sticky = api.Sticky{} })
	f(func(r *api.Route) { r.Sticky = api.Sticky{Parameter: "the user's id, é"} })
	f(func(r *api.Route) { r.Sticky.Header = strings.Repeat("h", 128) })
	f(func(r *api.Route) { r.Seed = strings.Repeat("s", api.MaxSeedBytes) })
	f(func(r *api.Route) {
		r.Variants = nil
		for i := range int64(api.MaxVariants) {
			r.Variants = append(r.Variants, api.Variant{Version: i + 10, Weight: api.TotalWeight / api.MaxVariants, Role: api.RoleCanary})
		}
		r.Variants[7].Role = api.RoleStable
		r.Shadows = []api.Shadow{{Version: 1}, {Version: 2}, {Version: 3}, {Version: 4}}
	})
}

func TestCheckRefuses(t *testing.T) {
	f := func(change func(*api.Route), want ...string) {
		t.Helper()
		r := split()
		change(&r)
		var got []string
		for _, p := range r.Check() {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", r, diff)
		}
	}
	f(func(r *api.Route) { r.Variants = nil }, "variants: expected 1 to 16 variants, got 0")
	f(func(r *api.Route) { r.Variants = make([]api.Variant, 17); r.Fallback = api.Fallback{} }, "variants: expected 1 to 16 variants, got 17")
	f(func(r *api.Route) { r.Variants[1].Version = 0 }, "variants[1].version: expected a version of 1 or more, got 0")
	f(func(r *api.Route) { r.Variants[1].Weight = 400 }, "variants: the weights add up to 9900 basis points, expected 10000 (100%)")
	f(func(r *api.Route) { r.Variants[1].Weight = 501 }, "variants: the weights add up to 10001 basis points, expected 10000 (100%)")
	f( // a correct sum does not hide a bad weight
		func(r *api.Route) { r.Variants[0].Weight, r.Variants[1].Weight = 10_001, -1 },
		"variants[0].weight: expected 0 to 10000 basis points, got 10001",
		"variants[1].weight: expected 0 to 10000 basis points, got -1",
	)
	f(func(r *api.Route) { r.Variants[1].Role = "Canary" }, `variants[1].role: expected stable, canary or control, got "Canary"`)
	f(func(r *api.Route) { r.Variants[0].Role = api.RoleCanary }, "variants: no variant has the role stable")
	f(
		func(r *api.Route) { r.Variants[1] = api.Variant{Version: 1, Weight: 500, Role: api.RoleStable} },
		"variants[1].version: version 1 with the role stable is already variants[0]",
		"fallback: 'stable' is ambiguous: 2 variants have that role; use the number of a version",
	)
	f(
		func(r *api.Route) { r.Shadows[0].Version = 2 },
		"shadows[0].version: version 2 is variants[1]; a variant of a route cannot be its shadow",
	)
	f(
		func(r *api.Route) { r.Shadows = append(r.Shadows, api.Shadow{Version: 3, Sample: -1}) },
		"shadows[1].sample: expected 0 to 10000 basis points, got -1",
		"shadows[1].version: version 3 is already shadows[0]",
	)
	f(func(r *api.Route) { r.Shadows[0] = api.Shadow{Version: -3} }, "shadows[0].version: expected a version of 1 or more, got -3")
	f(func(r *api.Route) { r.Shadows[0].Sample = 10_001 }, "shadows[0].sample: expected 0 to 10000 basis points, got 10001")
	f(func(r *api.Route) { r.Shadows = make([]api.Shadow, 5) }, "shadows: expected at most 4 shadows, got 5")
	f(func(r *api.Route) { r.Sticky.Parameter = "user" }, "sticky: expected a header or a parameter, got both")
	const header = "sticky.header: expected the name of a header, at most 128 letters, digits and any of !#$%&'*+-.^_`|~"
	f(func(r *api.Route) { r.Sticky.Header = "X User" }, header)
	f(func(r *api.Route) { r.Sticky.Header = "X-User:" }, header)
	f(func(r *api.Route) { r.Sticky.Header = "Größe" }, header)
	f(func(r *api.Route) { r.Sticky.Header = "X\r\nY" }, header)
	f(func(r *api.Route) { r.Sticky.Header = strings.Repeat("h", 129) }, header)
	const parameter = "sticky.parameter: expected UTF-8 of at most 128 bytes"
	f(func(r *api.Route) { r.Sticky = api.Sticky{Parameter: "\xff"} }, parameter)
	f(func(r *api.Route) { r.Sticky = api.Sticky{Parameter: strings.Repeat("é", 65)} }, parameter)
	f(func(r *api.Route) { r.Fallback = api.Fallback{Version: -1} }, `fallback: expected "stable" or a version of 1 or more, got -1`)
	f(func(r *api.Route) { r.Seed = strings.Repeat("s", 256) }, "seed: expected UTF-8 of at most 255 bytes")
	f(func(r *api.Route) { r.Seed = "\xff" }, "seed: expected UTF-8 of at most 255 bytes")
}

// TestCheckIsBrief checks that a large document does not make a long message.
func TestCheckIsBrief(t *testing.T) {
	r := split()
	long := strings.Repeat("x", 1<<20)
	r.Variants[0].Role, r.Sticky, r.Seed = long, api.Sticky{Header: long, Parameter: long}, long
	for range 10_000 {
		r.Shadows = append(r.Shadows, api.Shadow{})
	}
	if shown := fmt.Sprint(r.Check()); len(shown) > 1_000 {
		t.Errorf("%d bytes: %.200s", len(shown), shown)
	}
}

func TestRouteJSON(t *testing.T) {
	text, err := json.Marshal(api.RouteResult{Route: split(), SlotsMoved: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"iris","model":"iris","revision":0,` +
		`"variants":[{"version":1,"weight":9500,"role":"stable"},{"version":2,"weight":500,"role":"canary"}],` +
		`"shadows":[{"version":3,"sample":1000}],"sticky":{"header":"X-User-Id"},"fallback":"stable","seed":"iris","slots_moved":3}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	state := api.RouteState{Route: split(), Slots: api.Slots{{{0, 9_500}}, {{9_500, 10_000}}}}
	text, err = json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var back api.RouteState
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, back); diff != "" {
		t.Errorf("%s\n%s", text, diff)
	}
	bare := api.Route{Name: "a"}
	bare.Complete()
	text, err = json.Marshal(bare)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"name":"a","model":"a","revision":0,"variants":[],"shadows":[],"seed":"a"}`, string(text)); diff != "" {
		t.Error(diff)
	}
}

func TestFallbackJSON(t *testing.T) {
	f := func(text string, want api.Fallback, shown string) {
		t.Helper()
		got := api.Fallback{Stable: true, Version: 99} // must be overwritten
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %+v %v, want %+v", text, got, err, want)
		}
		if back, err := json.Marshal(got); err != nil || string(back) != shown {
			t.Errorf("%s: written as %s %v, want %s", text, back, err, shown)
		}
	}
	f(`"stable"`, api.Fallback{Stable: true}, `"stable"`)
	f(` "\u0073table" `, api.Fallback{Stable: true}, `"stable"`)
	f("1", api.Fallback{Version: 1}, "1")
	f("9223372036854775807", api.Fallback{Version: 1<<63 - 1}, "9223372036854775807")
	f("null", api.Fallback{}, "null")
}

func TestFallbackJSONRefuses(t *testing.T) {
	f := func(text string) {
		t.Helper()
		got := api.Fallback{Version: 99}
		err := json.Unmarshal([]byte(text), &got)
		want := fmt.Sprintf(`fallback: expected "stable" or a version's number, got %.40s`, text)
		if err == nil || err.Error() != want || !got.IsZero() {
			t.Errorf("%.60s: got %+v %v, want %s", text, got, err, want)
		}
	}
	f("0")
	f("-1")
	f("1.5")
	f("1e2")
	f("9223372036854775808")
	f(`""`)
	f(`"2"`)
	f(`"canary"`)
	f(`"Stable"`)
	f("true")
	f("{}")
	f(`{"version":1}`)
	f("[1]")
	f(`"` + strings.Repeat("s", 1000) + `"`)
}
