package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// A route that names an alias serves its version, and moves with it. The alias outlives a
// restart, and without a route the champion serves.
func TestAliases(t *testing.T) {
	dir, data := withModel(t, "other"), t.TempDir()
	settings := fmt.Sprintf("data_dir: %q", data)
	g := start(t, dir, settings)
	for _, factor := range []float32{2, 3, 4} {
		g.mustControl(t, "POST", "/api/v1/models/scale/versions", "", string(timesFile(factor)))
	}
	const champion = "/api/v1/models/scale/aliases/champion"
	for _, c := range []struct {
		match, body string
		want        int
	}{
		{"", `{"version":1}`, 428},
		{`"3"`, `{"version":1}`, 412},
		{`"0"`, `{"version":9}`, 400},
		{`"0"`, `{"version":1,"weight":3}`, 400},
		{`"0"`, `{"version":1}`, 200},
		{`"0"`, `{"version":2}`, 412},
	} {
		if status, text := g.control(t, "PUT", champion, c.match, c.body); status != c.want {
			t.Errorf("%s %s: %d %s", c.match, c.body, status, text)
		}
	}
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("without a route, the champion: %s", got)
	}
	if status, text := g.control(t, "PUT", "/api/v1/routes/prod", `"0"`, `{"model":"scale","variants":[{"version":"@nobody","weight":10000}]}`); status != 400 {
		t.Errorf("an unknown alias: %d %s", status, text)
	}
	text := g.mustControl(t, "PUT", "/api/v1/routes/prod", `"0"`, `{"model":"scale","variants":[{"version":"@champion","weight":9000},{"version":2,"weight":1000,"role":"canary"}]}`)
	var route api.Route
	if err := json.Unmarshal([]byte(text), &route); err != nil || route.Variants[0] != (api.Variant{Version: 1, Alias: "champion", Weight: 9000, Role: "stable"}) {
		t.Errorf("%s %v", text, err)
	}
	g.mustControl(t, "PUT", "/api/v1/routes/prod", `"1"`, text[:strings.LastIndex(text, `,"slots_moved"`)]+"}") // as it was answered
	moved := g.mustControl(t, "PUT", champion, `"1"`, `{"version":3}`)
	if !strings.Contains(moved, `"routes":["prod"]`) {
		t.Errorf("moved: %s", moved)
	}
	if err := json.Unmarshal([]byte(g.must(t, "GET", g.admin+"/api/v1/routes/prod", "")), &route); err != nil || route.Variants[0].Version != 3 || route.Revision != 3 {
		t.Errorf("%+v %v", route, err)
	}
	for _, path := range []string{"/api/v1/models/scale/versions/3/archive", "/api/v1/models/scale/versions/2/archive"} {
		if status, text := g.control(t, "POST", path, "", ""); status != http.StatusConflict || !strings.Contains(text, "route 'prod'") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := g.control(t, "DELETE", champion, "*", ""); status != http.StatusConflict || !strings.Contains(text, "prod") {
		t.Errorf("an alias that a route names: %d %s", status, text)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, dir, settings)
	if got := again.answers(t, "scale"); got != "[4]" {
		t.Errorf("after a restart: %s", got)
	}
	again.mustControl(t, "DELETE", "/api/v1/routes/prod", "*", "")
	again.mustControl(t, "DELETE", champion, `"2"`, "")
	if got := again.answers(t, "scale"); !strings.Contains(got, "404") {
		t.Errorf("without an alias: %s", got)
	}
	if status, text := again.control(t, "GET", champion, "", ""); status != http.StatusNotFound {
		t.Errorf("a deleted alias: %d %s", status, text)
	}
	archives(t, again)
}

// archives archives, restores and deletes a version that nothing names any more.
func archives(t *testing.T, g *gateway) {
	t.Helper()
	const v3 = "/api/v1/models/scale/versions/3"
	for t.Context().Err() == nil { // it was retired a moment ago
		if status, text := g.control(t, "POST", v3+"/archive", "", ""); status == http.StatusOK {
			break
		} else if !strings.Contains(text, "loaded") {
			t.Fatalf("%d %s", status, text)
		}
	}
	if status, text := g.control(t, "PUT", "/api/v1/routes/scale", `"0"`, `{"variants":[{"version":3,"weight":10000}]}`); status != 400 {
		t.Errorf("a route to an archived version: %d %s", status, text)
	}
	if status, text := g.control(t, "PUT", v3, "", string(timesFile(9))); status != http.StatusConflict {
		t.Errorf("the number of an archived version: %d %s", status, text)
	}
	g.mustControl(t, "POST", v3+"/restore", "", "")
	g.mustControl(t, "PUT", "/api/v1/routes/scale", `"0"`, `{"variants":[{"version":3,"weight":10000}]}`)
	if got := g.answers(t, "scale"); got != "[4]" {
		t.Errorf("restored: %s", got)
	}
	if status, text := g.control(t, "DELETE", v3, "", ""); status != http.StatusConflict || !strings.Contains(text, "route 'scale'") {
		t.Errorf("delete what a route names: %d %s", status, text)
	}
	g.mustControl(t, "DELETE", "/api/v1/models/scale/versions/2", "", "")
	if status, text := g.control(t, "PUT", "/api/v1/models/scale/versions/2", "", string(timesFile(9))); status != http.StatusConflict {
		t.Errorf("the number of a deleted version: %d %s", status, text)
	}
}

// A pushed version whose signature would break clients of the stable one is refused.
func TestPushedSignature(t *testing.T) {
	g := start(t, withModel(t, "scale"))
	other := onnxgen.New("scale")
	other.Output("z", infer.FP32, other.Op("Neg", other.Input("x", infer.FP32, "N", 1)), "N", 1)
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/2", "", string(other.Bytes()))
	for _, body := range []string{
		`{"variants":[{"version":2,"weight":10000}]}`,
		`{"variants":[{"version":1,"weight":10000},{"version":2,"weight":0,"role":"canary"}]}`,
	} {
		if status, text := g.control(t, "PUT", "/api/v1/routes/scale", `"0"`, body); status != 400 || !strings.Contains(text, "no output 'y'") {
			t.Errorf("%d %s", status, text)
		}
	}
	if status, text := g.control(t, "PUT", "/api/v1/models/scale/aliases/champion", `"0"`, `{"version":2}`); status != 400 || !strings.Contains(text, "no output 'y'") {
		t.Errorf("%d %s", status, text)
	}
	if got := g.answers(t, "scale"); got != "[2]" {
		t.Errorf("got %s", got)
	}
}

// A route of the file can name an alias, and does not differ from it when that moves.
func TestAliasInFile(t *testing.T) {
	dir, data := withModel(t, "scale"), fmt.Sprintf("data_dir: %q", t.TempDir())
	g := start(t, dir, data)
	g.mustControl(t, "POST", "/api/v1/models/scale/versions", "", string(timesFile(3)))
	g.mustControl(t, "PUT", "/api/v1/models/scale/aliases/prod", `"0"`, `{"version":1}`)
	g.configure(t, dir, data, `routes: {live: {model: scale, variants: [{version: "@prod", weight: 100%}]}}`)
	g.must(t, "POST", g.admin+"/-/reload", "")
	if got := g.answers(t, "live"); got != "[2]" {
		t.Errorf("got %s", got)
	}
	g.mustControl(t, "PUT", "/api/v1/models/scale/aliases/prod", `"1"`, `{"version":2}`)
	if got := g.answers(t, "live"); got != "[3]" {
		t.Errorf("after the alias moved: %s", got)
	}
	if text := g.must(t, "POST", g.admin+"/-/reload", ""); strings.Contains(text, "differing") || strings.Contains(text, "route live") {
		t.Errorf("a reload says %s", text)
	}
	if got := g.answers(t, "live"); got != "[3]" {
		t.Errorf("after a reload: %s", got)
	}
}
