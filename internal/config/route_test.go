package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
)

func TestDocument(t *testing.T) {
	f := func(text string, want api.Route) {
		t.Helper()
		cfg := mustParse(t, "repository: {path: m}\nroutes:\n  "+text)
		if diff := cmp.Diff(want, cfg.Routes[want.Name].Document(want.Name)); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
	f("iris: {variants: [{version: 1, weight: 100%}]}", api.Route{
		Name: "iris", Model: "iris",
		Variants: []api.Variant{{Version: 1, Weight: 10_000, Role: api.RoleStable}},
		Shadows:  []api.Shadow{},
	})
	f(`iris:
    model: flowers
    variants: [{version: 1, weight: 90%}, {version: 2, weight: 500, role: canary}, {version: 1, weight: 5%, role: control}, {version: 4, weight: 0, role: canary}]
    shadows: [{version: 3, sample: 2.5%}]
    sticky: {parameter: user_id}
    fallback: stable
    seed: spring
`, api.Route{
		Name: "iris", Model: "flowers", Seed: "spring",
		Variants: []api.Variant{
			{Version: 1, Weight: 9_000, Role: api.RoleStable},
			{Version: 2, Weight: 500, Role: api.RoleCanary},
			{Version: 1, Weight: 500, Role: api.RoleControl},
			{Version: 4, Weight: 0, Role: api.RoleCanary},
		},
		Shadows:  []api.Shadow{{Version: 3, Sample: 250}},
		Sticky:   api.Sticky{Parameter: "user_id"},
		Fallback: api.Fallback{Stable: true},
	})
	f(`"v1.2": {variants: [{version: 7, weight: 100%}], sticky: {header: X-User-Id}, fallback: 6, override: }`, api.Route{
		Name: "v1.2", Model: "v1.2",
		Variants: []api.Variant{{Version: 7, Weight: 10_000, Role: api.RoleStable}},
		Shadows:  []api.Shadow{},
		Sticky:   api.Sticky{Header: "X-User-Id"},
		Fallback: api.Fallback{Version: 6},
	})
}

func TestOverrideToken(t *testing.T) {
	text := "repository: {path: m}\nroutes: {a: {variants: [{version: 1, weight: 100%}], override: {token: 'x-${T}'}}}"
	cfg, err := config.Parse("test.yaml", []byte(text), env("T", "0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Routes["a"].Override.Token.Reveal(); got != "x-0123456789abcdef" {
		t.Errorf("got %q", got)
	}
	_, err = config.Parse("test.yaml", []byte(text), env("T", ""))
	if want := "test.yaml:2: routes.a.override.token: a token is 16 or more visible ASCII characters"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWeight(t *testing.T) {
	f := func(text string, want config.Weight, shown string) {
		t.Helper()
		cfg := mustParse(t, "repository: {path: m}\nroutes: {a: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: "+text+"}]}}")
		if got := cfg.Routes["a"].Shadows[0].Sample; got != want || got.String() != shown {
			t.Errorf("%s: got %d %v, want %d %s", text, got, got, want, shown)
		}
	}
	f("0", 0, "0%")
	f("0%", 0, "0%")
	f("0.01%", 1, "0.01%")
	f("0.07%", 7, "0.07%")
	f("0.5%", 50, "0.5%")
	f("2.50%", 250, "2.5%")
	f("2.500%", 250, "2.5%")
	f("250", 250, "2.5%")
	f("'5%'", 500, "5%")
	f("29.99%", 2999, "29.99%")
	f("99.99%", 9999, "99.99%")
	f("100.0 %", 10_000, "100%")
	f("10000", 10_000, "100%")
}

func TestGuardsStartFromDefaults(t *testing.T) {
	cfg := mustParse(t, `
repository: {path: m}
defaults: {breaker: {open: 7s}, shadow: {payloads: true}}
models: {iris: {breaker: {enabled: false}, shadow: {max_age: 1s}}}
`)
	breaker := config.Breaker{
		Enabled: true, Window: 10 * time.Second, MinRequests: 20, FailureRatio: 0.5, Consecutive: 5, Open: 7 * time.Second, Probes: 5,
	}
	shadow := config.Shadow{
		MaxRequests: 100, MaxBytes: 64 << 20, MaxAge: 5 * time.Second, Timeout: 5 * time.Second, PauseAbove: 100 * time.Millisecond,
		Concurrency: 8, Tolerance: 1e-3, Payloads: true,
	}
	if diff := cmp.Diff(breaker, cfg.Defaults.Breaker) + cmp.Diff(shadow, cfg.Defaults.Shadow); diff != "" {
		t.Error(diff)
	}
	breaker.Enabled, shadow.MaxAge = false, time.Second
	if diff := cmp.Diff(breaker, cfg.Model("iris").Breaker) + cmp.Diff(shadow, cfg.Model("iris").Shadow); diff != "" {
		t.Error(diff)
	}
}

// TestRouteOverrides: a flag's value overrides a route of the file, and a problem of the
// combination is reported at its place.
func TestRouteOverrides(t *testing.T) {
	file := "repository: {path: m}\nroutes:\n  a:\n    variants: [{version: 1, weight: 100%}]\n"
	cfg := mustParse(t, file, config.Set("--data-dir", "data_dir", "/d"), config.Set("--x", "routes.a.model", "iris"))
	if doc := cfg.Routes["a"].Document("a"); cfg.DataDir != "/d" || doc.Model != "iris" || len(doc.Variants) != 1 {
		t.Errorf("got %q and %+v", cfg.DataDir, doc)
	}
	_, err := config.Parse("test.yaml", []byte(file+"    sticky: {header: A}\n"), noEnv, config.Set("--x", "routes.a.sticky.parameter", "b"))
	if want := "test.yaml:5: routes.a.sticky: expected a header or a parameter, got both"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
