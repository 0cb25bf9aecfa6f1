package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestReloadThatBreaksARoute: the current content of the repository must not take the versions
// from a route that was not changed.
func TestReloadThatBreaksARoute(t *testing.T) {
	dir := triple(t)
	g := start(t, dir)
	g.set(t, "double", split(1, 2, 5000, `,"shadows":[{"version":3,"sample":10000}]`))
	routes := g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")
	f := func(want int, part string) {
		t.Helper()
		status, text := g.call(t, http.MethodPost, g.admin+"/-/reload", "")
		if status != want || !strings.Contains(text, part) {
			t.Errorf("reload: %d %s, want %d %q", status, text, want, part)
		}
		if diff := cmp.Diff(routes, g.must(t, http.MethodGet, g.admin+"/api/v1/routes", "")); diff != "" {
			t.Error(diff)
		}
		for range 20 {
			g.predict(t, "double")
		}
	}
	other := onnxgen.New("other")
	other.Output("y", infer.FP32, other.Op("Identity", other.Input("z", infer.FP32, "N", 3)), "N", 3)
	put(t, dir, "double", 2, other.Bytes())
	f(http.StatusBadRequest, "routes.double.variants[1].version: version 2 cannot take the requests of version 1")
	put(t, dir, "double", 2, scale(t, 20))
	put(t, dir, "double", 3, other.Bytes())
	f(http.StatusBadRequest, "routes.double.shadows[0].version: version 3 cannot take the requests of version 1")
	put(t, dir, "double", 3, scale(t, 30))
	if err := os.RemoveAll(filepath.Join(dir, "double", "2")); err != nil {
		t.Fatal(err)
	}
	// A folder that is gone does not block a reload: its version goes on serving.
	f(http.StatusOK, "the repository has no version 2")
	if m := g.models(t)["double/2"]; m.State != api.StateReady {
		t.Errorf("%+v", m)
	}
	// A route that is already broken blocks nothing.
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	file := "routes:\n" + fileRoute("double", 50)
	g = start(t, dir, file)
	put(t, dir, "third", 1, scale(t, 5))
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	if a := g.predict(t, "third"); a.data != "[5 10 15]" {
		t.Errorf("%+v", a)
	}
}

// TestAllVariantsFitTheStableOne: a version that takes any width is compatible with two that
// are not compatible with each other.
func TestAllVariantsFitTheStableOne(t *testing.T) {
	dir := t.TempDir()
	for i, width := range []any{"M", 3, 4} {
		put(t, dir, "wide", int64(i+1), onnxgen.Identity(infer.FP32, "N", width).Bytes())
	}
	g := start(t, dir)
	r := g.change(t, http.MethodPut, "wide", "*", `{"variants":[{"version":1,"weight":1000,"role":"canary"},{"version":2,"weight":8000},{"version":3,"weight":1000,"role":"control"}]}`)
	if r.status != http.StatusBadRequest || !strings.Contains(r.body, "variants[2].version: version 3 cannot take the requests of version 2") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// The token is not part of a route's document, but a reload reports that it has changed.
func TestReloadTellsOfAnotherToken(t *testing.T) {
	dir := demo(t)
	route := func(token string) string {
		return `routes: {double: {variants: [{version: 1, weight: 100%}], override: {token: ` + token + `}}}`
	}
	g := start(t, dir, route("0123456789abcdef"))
	g.configure(t, dir, route("fedcba9876543210"))
	body := g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	if want := `"changed":["route double has a new override token"]`; !strings.Contains(body, want) {
		t.Errorf("%s, want %s", body, want)
	}
	if a := g.predict(t, "double", "Sluice-Override", "1", "Authorization", "Bearer fedcba9876543210"); a.reason != "override" {
		t.Errorf("the new token: %+v", a)
	}
}
