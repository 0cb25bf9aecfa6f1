package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// Tags and card change by a merge patch, at a revision, and the journal has the change.
func TestPatchVersion(t *testing.T) {
	g := start(t, withModel(t, "other"))
	g.mustControl(t, "POST", "/api/v1/models/scale/versions?tag=a=1&tag=b=2&card=owner=me", "", string(timesFile(2)))
	const path = "/api/v1/models/scale/versions/1"
	for _, c := range []struct {
		match, body string
		want        int
	}{
		{"", `{"tags":{"a":"3"}}`, 428},
		{`"2"`, `{"tags":{"a":"3"}}`, 412},
		{`"1"`, `{}`, 400},
		{`"1"`, `{"tags":{"a":3}}`, 400},
		{`"1"`, `{"lineage":{"run":"r"}}`, 400},
		{`"1"`, `{"tags":{"a":"x\n"}}`, 400},
		{`"1"`, `{"tags":{"a":null,"c":"3"},"card":{"purpose":"test"}}`, 200},
		{`"1"`, `{"tags":{"d":"4"}}`, 412},
	} {
		if status, text := g.control(t, "PATCH", path, c.match, c.body); status != c.want {
			t.Errorf("%s %s: %d %s", c.match, c.body, status, text)
		}
	}
	if status, text := g.control(t, "PATCH", "/api/v1/models/other/versions/1", "*", `{"tags":{"a":"3"}}`); status != http.StatusConflict || !strings.Contains(text, "was not pushed") {
		t.Errorf("files that were copied: %d %s", status, text)
	}
	for _, text := range []string{g.must(t, "GET", g.admin+path, ""), g.must(t, "GET", g.admin+"/api/v1/journal?type=version.described", "")} {
		if !strings.Contains(text, `"tags":{"b":"2","c":"3"}`) || !strings.Contains(text, `"card":{"owner":"me","purpose":"test"}`) || !strings.Contains(text, `"revision":2`) {
			t.Error(text)
		}
	}
}

// A label of V1 is an alias of the model, or of the model of a route.
func TestV1Labels(t *testing.T) {
	g := start(t, withModel(t, "scale"))
	g.mustControl(t, "PUT", "/api/v1/models/scale/versions/2", "", string(timesFile(3)))
	g.mustControl(t, "PUT", "/api/v1/models/scale/aliases/next", `"0"`, `{"version":2}`)
	g.mustControl(t, "PUT", "/api/v1/routes/live", `"0"`, `{"model":"scale","variants":[{"version":1,"weight":10000}]}`)
	predict := func(name, want string) {
		t.Helper()
		if got := g.must(t, "POST", g.url+"/v1/models/"+name+":predict", `{"instances":[[1]]}`); got != `{"predictions":[`+want+`]}` {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	predict("scale", "[2]")
	predict("scale/labels/next", "[3]")
	predict("live", "[2]")
	predict("live/labels/next", "[3]")
	if text := g.must(t, "GET", g.url+"/v1/models/scale/labels/next", ""); !strings.Contains(text, `"version":"2","state":"AVAILABLE"`) || strings.Contains(text, `"version":"1"`) {
		t.Error(text)
	}
	g.mustControl(t, "PUT", "/api/v1/models/scale/aliases/next", `"1"`, `{"version":1}`)
	predict("scale/labels/next", "[2]")
	if status, text := g.call(t, "POST", g.url+"/v1/models/scale/labels/champion:predict", `{"instances":[[1]]}`); status != http.StatusNotFound || !strings.Contains(text, "no alias 'champion'") {
		t.Errorf("%d %s", status, text)
	}
}

// MaxOpset is what ONNX Runtime takes: a model of that opset serves, and it refuses the next one.
func TestMaxOpset(t *testing.T) {
	negate := func(opset int64) []byte {
		m := onnxgen.New("negate")
		m.Opset("", opset)
		m.Output("y", infer.FP32, m.Op("Neg", m.Input("x", infer.FP32, "N", 1)), "N", 1)
		return m.Bytes()
	}
	dir := withModel(t, "other")
	g := start(t, dir)
	g.mustControl(t, "PUT", "/api/v1/models/newest/versions/1", "", string(negate(onnxfile.MaxOpset)))
	g.mustControl(t, "PUT", "/api/v1/models/newest/aliases/champion", `"0"`, `{"version":1}`)
	if got := g.answers(t, "newest"); got != "[-1]" {
		t.Errorf("the newest opset answers %s", got)
	}
	if status, text := g.control(t, "PUT", "/api/v1/models/newest/versions/2", "", string(negate(onnxfile.MaxOpset+1))); status != http.StatusBadRequest || !strings.Contains(text, "older opset") {
		t.Errorf("a newer opset: %d %s", status, text)
	}
	if err := os.MkdirAll(filepath.Join(dir, "newer", "1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "newer", "1", "model.onnx"), negate(onnxfile.MaxOpset+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil {
		g.call(t, "POST", g.admin+"/-/reload", "") // it says that a version failed
		_, text := g.call(t, "GET", g.admin+"/api/v1/models/newer", "")
		if strings.Contains(text, `"READY"`) {
			t.Fatal("ONNX Runtime loads a newer opset: MaxOpset is too low")
		}
		if strings.Contains(text, `"UNAVAILABLE"`) && strings.Contains(text, "opset") {
			break
		}
	}
}
