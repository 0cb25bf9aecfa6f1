package app_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/client"
)

// A request over the admin port goes the way of one on the data plane: the same route and version for a key, and the
// same captured traffic, labels and counts.
func TestInferOverAdminIsInferOnTheDataPlane(t *testing.T) {
	data := t.TempDir()
	const routes = "\nroutes: {shop: {model: double, sticky: {header: X-User}, variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}]}}"
	g := startOn(t, &fakes{}, doubles(t, 2), strings.Replace(capturing(data), "capture: {sample: 100%}", "labels: {sample: 100%, task: classification, scores: logits}, capture: {sample: 100%}", 1)+routes)
	versions := map[string]bool{}
	for i := range 20 {
		user, id := fmt.Sprintf("user-%d", i), fmt.Sprintf("id-%d", i)
		own, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/shop/infer", oneRow, "X-User", user)
		if err != nil {
			t.Fatal(err)
		}
		a, err := g.send(t.Context(), http.MethodPost, g.admin+"/api/v1/models/shop/infer", oneRow, "X-User", user, "X-Request-Id", id)
		if err != nil || a.status != http.StatusOK || !strings.Contains(a.body, `"data":[2,4,6]`) {
			t.Fatalf("%+v %v", a, err)
		}
		for _, name := range []string{"Sluice-Version", "Sluice-Route", "Sluice-Reason"} {
			if got, want := a.header.Get(name), own.header.Get(name); got != want || got == "" {
				t.Errorf("%s of %s: %q, on the data plane %q", name, user, got, want)
			}
		}
		if a.header.Get("X-Request-Id") != id || own.body != a.body {
			t.Errorf("%v %s, on the data plane %s", a.header, a.body, own.body)
		}
		versions[a.header.Get("Sluice-Version")] = true
	}
	if len(versions) != 2 {
		t.Errorf("all answers are from the versions %v, want both", versions)
	}
	awaitCaptured(t, g, 40)
	if stats := g.must(t, http.MethodGet, g.admin+"/api/v1/routes/shop/stats", ""); strings.Count(stats, `"requests":0`) != 0 {
		t.Error(stats)
	}
	eventually(t, func() bool { // predictions are written behind
		r := g.must(t, http.MethodPost, g.url+"/v2/models/double/labels", `{"labels":[{"request_id":"id-7","label":2}]}`)
		return strings.Contains(r, `"joined":1`)
	})
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if got := captured(t, filepath.Join(data, "capture")); got["id-3"] == nil {
		t.Errorf("%d requests are captured, without that of the admin port", len(got))
	}
}

func TestInferOverAdminKeepsLimitsAndRights(t *testing.T) {
	const keys = `
callers:
  slow: {keys: ["${SLUICE_TEST_SLOW}"], allow: [{models: [double], actions: [infer]}], limits: [{models: ["*"], requests_per_second: 0.001, burst: 1}]}
  chooser: {keys: ["${SLUICE_TEST_CHOOSER}"], allow: [{models: [double], actions: [infer, override]}]}
`
	t.Setenv("SLUICE_TEST_SLOW", "slow-slow-slow-slow")
	t.Setenv("SLUICE_TEST_CHOOSER", "chooser-chooser-chooser")
	g := startOn(t, &fakes{}, doubles(t, 2), keys, twoDoubles, "http.max_body: 64KiB")
	f := func(key, model, body string, want int, header ...string) reply {
		t.Helper()
		r, err := g.send(t.Context(), http.MethodPost, g.admin+"/api/v1/models/"+model+"/infer", body, append(header, "Authorization", "Bearer "+key)...)
		if err != nil || r.status != want {
			t.Errorf("%s on %s: %+v %v, want %d", key, model, r, err, want)
		}
		return r
	}
	const slow, chooser = "slow-slow-slow-slow", "chooser-chooser-chooser"
	f(slow, "double", oneRow, http.StatusOK)
	f(slow, "double", oneRow, http.StatusTooManyRequests)
	f(slow, "other", oneRow, http.StatusForbidden)
	f(slow, "double", oneRow, http.StatusForbidden, "Sluice-Override", "2")
	if r := f(chooser, "double", oneRow, http.StatusOK, "Sluice-Override", "2"); r.header.Get("Sluice-Version") != "2" || r.header.Get("Sluice-Reason") != "override" {
		t.Errorf("%v", r.header)
	}
	if r := f(chooser, "double", strings.Replace(oneRow, "[1,3]", "[1,4]", 1), http.StatusBadRequest); r.header.Get("Sluice-Version") != "" {
		t.Errorf("%v", r.header)
	}
	if r := f(chooser, "double", strings.Replace(oneRow, `"x"`, `"z"`, 1), http.StatusBadRequest); r.header.Get("Sluice-Version") != "1" { // after a version was picked
		t.Errorf("%v %s", r.header, r.body)
	}
	f(chooser, "double", strings.Repeat(" ", 64<<10)+oneRow, http.StatusRequestEntityTooLarge)
	f(chooser, "double", "{", http.StatusBadRequest)

	c, err := client.New(client.Options{Admin: g.admin, Data: g.url, Token: chooser})
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.InferOverAdmin(t.Context(), "double", client.InferRequest{Inputs: []client.Tensor{client.NewTensor("x", []int64{1, 3}, []float32{1, 2, 3})}})
	if err != nil || result.Version != 1 || len(result.Outputs) != 1 || result.RequestID == "" {
		t.Errorf("%+v %v", result, err)
	}
}
