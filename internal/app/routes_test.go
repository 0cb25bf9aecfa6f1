package app_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// ready lists the versions that are loaded, "double/3".
func (g *gateway) ready(t *testing.T) []string {
	t.Helper()
	var list []string
	for name, m := range g.models(t) {
		if m.State == api.StateReady {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// TestRouteLifecycle: one route is implied, tried with a dry run, declared, changed, deleted
// and declared again.
func TestRouteLifecycle(t *testing.T) {
	g := start(t, triple(t))
	refused := func(method, match, body string, want int) {
		t.Helper()
		before := g.journal(t, 0)
		if r := g.change(t, method, "double", match, body); r.status != want {
			t.Errorf("%s If-Match %q: %d %s, want %d", method, match, r.status, r.body, want)
		}
		if diff := cmp.Diff(before, g.journal(t, 0)); diff != "" {
			t.Errorf("a refused change is in the journal: %s", diff)
		}
	}
	loaded := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(append(want, "strings/1"), g.ready(t)); diff != "" {
			t.Errorf("loaded versions: %s", diff)
		}
	}
	implied := api.Route{Name: "double", Model: "double", Seed: "double", Variants: []api.Variant{{Version: 3, Weight: 10000, Role: "stable"}}, Shadows: []api.Shadow{}}
	if diff := cmp.Diff(implied, g.route(t, "double")); diff != "" {
		t.Error(diff)
	}
	if a := g.predict(t, "double"); a != (answered{"3", "double@0", "default", "[30 60 90]"}) {
		t.Errorf("%+v", a)
	}

	refused(http.MethodPut, "", split(1, 2, 500), http.StatusPreconditionRequired)
	refused(http.MethodPut, `"1"`, split(1, 2, 500), http.StatusPreconditionFailed)
	refused(http.MethodDelete, `"0"`, "", http.StatusNotFound)
	status := g.must(t, http.MethodGet, g.admin+"/metrics", "")
	dry := g.change(t, http.MethodPut, "double?dry_run=true", `"0"`, split(1, 2, 500)).result(t)
	if dry.Revision != 1 || dry.SlotsMoved != 10000 || !dry.DryRun || len(dry.Variants) != 2 {
		t.Errorf("dry run: %+v", dry)
	}
	if diff := cmp.Diff(implied, g.route(t, "double")); diff != "" {
		t.Errorf("a dry run changed the route: %s", diff)
	}
	if events := g.journal(t, 0); len(events) != 0 {
		t.Errorf("a dry run is in the journal: %v", events)
	}
	eventually(t, func() bool { return len(g.models(t)) == 2 })
	loaded("double/3")
	for _, series := range []string{`version="1"`, `version="2"`, `route="double"`} {
		had := strings.Contains(strings.ReplaceAll(status, `model="strings",version="1"`, ""), series)
		has := strings.Contains(strings.ReplaceAll(g.must(t, http.MethodGet, g.admin+"/metrics", ""), `model="strings",version="1"`, ""), series)
		if has != had {
			t.Errorf("a dry run left the series %s", series)
		}
	}

	first := g.change(t, http.MethodPut, "double", `"0"`, split(1, 2, 500))
	if result := first.result(t); result.Revision != 1 || result.SlotsMoved != 10000 || result.DryRun || first.header.Get("ETag") != `"1"` {
		t.Errorf("first PUT: %s %+v", first.header, result)
	}
	loaded("double/1", "double/2", "double/3")
	refused(http.MethodPut, `"0"`, split(1, 2, 2000), http.StatusPreconditionFailed)
	if result := g.change(t, http.MethodPut, "double", `"1"`, split(1, 2, 2000)).result(t); result.Revision != 2 || result.SlotsMoved != 1500 {
		t.Errorf("second PUT: %+v", result)
	}
	if got := g.route(t, "double"); got.Revision != 2 || got.Variants[1] != (api.Variant{Version: 2, Weight: 2000, Role: "canary"}) {
		t.Errorf("%+v", got)
	}

	if dry := g.change(t, http.MethodDelete, "double?dry_run=true", `"2"`, "").result(t); !dry.DryRun || dry.SlotsMoved != 10000 || g.route(t, "double").Revision != 2 {
		t.Errorf("dry DELETE: %+v", dry)
	}
	refused(http.MethodDelete, "", "", http.StatusPreconditionRequired)
	refused(http.MethodDelete, `"1"`, "", http.StatusPreconditionFailed)
	if result := g.change(t, http.MethodDelete, "double", `"2"`, "").result(t); result.Revision != 0 || result.SlotsMoved != 10000 {
		t.Errorf("DELETE: %+v", result)
	}
	if diff := cmp.Diff(implied, g.route(t, "double")); diff != "" {
		t.Error(diff)
	}
	eventually(t, func() bool { return len(g.models(t)) == 2 })
	loaded("double/3")
	if result := g.change(t, http.MethodPut, "double", `"0"`, split(2, 3, 500)).result(t); result.Revision != 3 {
		t.Errorf("PUT after DELETE: %+v", result)
	}
	if result := g.set(t, "double", split(2, 3, 600)); result.Revision != 4 || result.SlotsMoved != 100 {
		t.Errorf("PUT *: %+v", result)
	}
	g.fold(t)
}

// TestRouteRefusals sends documents that are not valid routes. Each error names the field, and
// nothing changes.
func TestRouteRefusals(t *testing.T) {
	dir := triple(t)
	put(t, dir, "double", 4, []byte("this is not ONNX"))
	other := onnxgen.New("other")
	other.Output("y", infer.FP32, other.Op("Identity", other.Input("z", infer.FP32, "N", 3)), "N", 3)
	put(t, dir, "double", 5, other.Bytes())
	g := start(t, dir, "models: {double: {versions: [3]}}")
	g.set(t, "double", split(1, 2, 500))
	before, events := g.route(t, "double"), g.journal(t, 0)
	f := func(status int, part, name, body string) {
		t.Helper()
		for _, query := range []string{"", "?dry_run=true"} {
			r := g.change(t, http.MethodPut, name+query, "*", body)
			var e api.Error
			if r.status != status || json.Unmarshal([]byte(r.body), &e) != nil || !strings.Contains(e.Error, part) || strings.Contains(r.body, dir) {
				t.Errorf("%s%s: %d %s\nwant %d %s", body, query, r.status, r.body, status, part)
			}
		}
		if diff := cmp.Diff(before, g.route(t, "double")); diff != "" {
			t.Errorf("%s changed the route: %s", body, diff)
		}
		if diff := cmp.Diff(events, g.journal(t, 0)); diff != "" {
			t.Errorf("%s is in the journal: %s", body, diff)
		}
		eventually(t, func() bool {
			return slices.Equal(g.ready(t), []string{"double/1", "double/2", "double/3", "strings/1"})
		})
	}
	bad := func(part, body string) { t.Helper(); f(http.StatusBadRequest, part, "double", body) }
	bad("variants[1].version: the repository has no version 9", split(1, 9, 500))
	bad("variants[1].version: version 5 cannot take the requests of version 1", split(1, 5, 500))
	bad("shadows[0].version: version 5 cannot take the requests of version 1", split(1, 2, 500, `,"shadows":[{"version":5,"sample":100}]`))
	bad("shadows[0].version: version 2 is variants[1]", split(1, 2, 500, `,"shadows":[{"version":2,"sample":100}]`))
	bad("shadows[0].version: the repository has no version 9", split(1, 2, 500, `,"shadows":[{"version":9,"sample":100}]`))
	bad("fallback: the repository has no version 9", split(1, 2, 500, `,"fallback":9`))
	bad("model: the repository has no model 'nope'", split(1, 2, 500, `,"model":"nope"`))
	bad("add up to 9500", `{"variants":[{"version":1,"weight":9500}]}`)
	bad("add up to 20000", `{"variants":[{"version":1,"weight":10000},{"version":2,"weight":10000}]}`)
	bad("variants[1].weight", `{"variants":[{"version":1,"weight":10001},{"version":2,"weight":-1}]}`)
	bad("variants[0].weight", `{"variants":[{"version":1,"weight":10001}]}`)
	bad("variants[0].weight", `{"variants":[{"version":1,"weight":"95%"}]}`)
	bad("variants[0].weight", `{"variants":[{"version":1,"weight":1e4.5}]}`)
	bad("", `{"variants":[{"version":1,"weight":NaN}]}`)
	bad("variants[0].wieght", `{"variants":[{"version":1,"wieght":10000}]}`)
	bad("variants", `{}`)
	bad("seed", split(1, 2, 500, `,"seed":"another"`))
	bad("name", split(1, 2, 500, `,"name":"strings"`))
	bad("", `{"variants":[{"version":1,"weight":10000}]} {}`)
	bad("", "")
	f(http.StatusBadRequest, "'strings' is the name of another model", "strings", split(1, 2, 500, `,"model":"double"`))
	f(http.StatusServiceUnavailable, "variants[1].version: version 4 of model 'double' failed to load", "double", split(1, 4, 500))
	f(http.StatusServiceUnavailable, "shadows[0].version: version 4 of model 'double' failed to load", "double", split(1, 2, 500, `,"shadows":[{"version":4,"sample":100}]`))
	if a := g.predict(t, "double", "User", "a"); a.route != "double@1" || a.reason != "sticky" {
		t.Errorf("%+v", a)
	}
}

// TestStickyKeysStay increases and decreases a canary's weight: the keys in it at 5 % stay at
// 20 %, and the 5 % afterwards are the same as before.
func TestStickyKeysStay(t *testing.T) {
	g := start(t, triple(t))
	const keys = 600
	at := func(weight int) []string {
		t.Helper()
		g.set(t, "double", split(1, 2, weight))
		return keysOf(g.assigned(t, "double", keys), "2")
	}
	five, twenty := at(500), at(2000)
	if len(five) < 5 || len(five) > 70 || len(twenty) < 70 || len(twenty) > 180 {
		t.Errorf("%d of %d keys at 5%%, %d at 20%%", len(five), keys, len(twenty))
	}
	for _, key := range five {
		if !slices.Contains(twenty, key) {
			t.Errorf("%s left the canary when it grew", key)
		}
	}
	if diff := cmp.Diff(five, at(500)); diff != "" {
		t.Errorf("at 5%% again: %s", diff)
	}
}

// TestAnswersSayWhoServed compares every answer of a routed name with its headers.
func TestAnswersSayWhoServed(t *testing.T) {
	g := start(t, triple(t), "routes: {double: {variants: [{version: 1, weight: 50%}, {version: 2, weight: 50%, role: canary}], override: {token: a-long-secret-token}}}")
	data := map[string]string{"1": "[2 4 6]", "2": "[20 40 60]", "3": "[30 60 90]"}
	seen := map[string]int{}
	for range 200 {
		a := g.predict(t, "double")
		if a.route != "double@1" || a.reason != "random" || a.data != data[a.version] {
			t.Fatalf("%+v", a)
		}
		seen[a.version]++
	}
	if seen["1"] < 50 || seen["2"] < 50 || len(seen) != 2 {
		t.Errorf("200 requests at 50%%: %v", seen)
	}
	if a := g.predict(t, "double/versions/3"); a != (answered{"3", "double@1", "pinned", data["3"]}) {
		t.Errorf("%+v", a)
	}
	if a := g.predict(t, "double", "Sluice-Override", "3", "Authorization", "Bearer a-long-secret-token"); a != (answered{"3", "double@1", "override", data["3"]}) {
		t.Errorf("%+v", a)
	}
	f := func(want int, model string, headers ...string) {
		t.Helper()
		body := doubleRequest
		r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/"+model+"/infer", body, headers...)
		if err != nil || r.status != want || r.header.Get("Sluice-Version") != "" {
			t.Errorf("%v: %v %d %s, want %d and no version", headers, err, r.status, r.body, want)
		}
	}
	f(http.StatusUnauthorized, "double", "Sluice-Override", "3")
	f(http.StatusUnauthorized, "double", "Sluice-Override", "3", "Authorization", "Bearer another-secret-token")
	f(http.StatusBadRequest, "double", "Sluice-Override", "three", "Authorization", "Bearer a-long-secret-token")
	f(http.StatusNotFound, "double", "Sluice-Override", "9", "Authorization", "Bearer a-long-secret-token")
	f(http.StatusForbidden, "strings", "Sluice-Override", "1", "Authorization", "Bearer a-long-secret-token")

	// An error of the request, after a version was picked, says which one.
	r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/double/infer", strings.Replace(doubleRequest, `"x"`, `"nope"`, 1))
	if err != nil || r.status != http.StatusBadRequest || r.header.Get("Sluice-Route") != "double@1" || r.header.Get("Sluice-Version") == "" {
		t.Errorf("%v %d %v", err, r.status, r.header)
	}
}

// TestRouteOfAnotherName declares a name that no model has.
func TestRouteOfAnotherName(t *testing.T) {
	g := start(t, triple(t))
	body := split(1, 2, 0, `,"model":"double"`)
	if r := g.change(t, http.MethodGet, "shop", "", ""); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if result := g.change(t, http.MethodPut, "shop", `"0"`, body).result(t); result.Revision != 1 || result.SlotsMoved != 10000 {
		t.Errorf("%+v", result)
	}
	if a := g.predict(t, "shop"); a != (answered{"1", "shop@1", "random", "[2 4 6]"}) {
		t.Errorf("%+v", a)
	}
	if a := g.predict(t, "shop/versions/2"); a != (answered{"2", "shop@1", "pinned", "[20 40 60]"}) {
		t.Errorf("%+v", a)
	}
	if a := g.predict(t, "double"); a != (answered{"3", "double@0", "default", "[30 60 90]"}) {
		t.Errorf("%+v", a)
	}
	if text := g.must(t, http.MethodPost, g.url+"/v2/models/shop/infer", doubleRequest); !strings.Contains(text, `"model_name":"shop"`) {
		t.Error(text)
	}
	if result := g.change(t, http.MethodDelete, "shop", "*", "").result(t); result.SlotsMoved != 10000 {
		t.Errorf("%+v", result)
	}
	if status, _ := g.call(t, http.MethodPost, g.url+"/v2/models/shop/infer", doubleRequest); status != http.StatusNotFound {
		t.Errorf("status %d of a name that is gone", status)
	}
}

// TestRoutesUnderExplicitControl: a route loads the versions that it names and keeps them.
func TestRoutesUnderExplicitControl(t *testing.T) {
	g := start(t, triple(t), "repository.control: explicit")
	if got := g.ready(t); len(got) != 0 {
		t.Fatalf("%v", got)
	}
	g.change(t, http.MethodPut, "double", `"0"`, split(1, 2, 500, `,"shadows":[{"version":3,"sample":10000}]`)).result(t)
	if diff := cmp.Diff([]string{"double/1", "double/2"}, g.ready(t)); diff != "" {
		t.Error(diff)
	}
	status, text := g.call(t, http.MethodPost, g.url+"/v2/repository/models/double/unload", "")
	if status != http.StatusConflict || !strings.Contains(text, "route 'double' uses it") {
		t.Errorf("%d %s", status, text)
	}
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/load", "")
	if diff := cmp.Diff([]string{"double/1", "double/2", "double/3"}, g.ready(t)); diff != "" {
		t.Error(diff)
	}
	g.change(t, http.MethodDelete, "double", `"1"`, "").result(t)
	if diff := cmp.Diff([]string{"double/3"}, g.ready(t)); diff != "" {
		t.Error(diff)
	}
	g.must(t, http.MethodPost, g.url+"/v2/repository/models/double/unload", "")
	if got := g.ready(t); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestAnEditLeavesTheRestAlone: an edit loads no other new versions of the repository; a
// reload, a poll or a load does.
func TestAnEditLeavesTheRestAlone(t *testing.T) {
	dir := triple(t)
	g := start(t, dir)
	put(t, dir, "double", 3, scale(t, 300))
	put(t, dir, "double", 4, scale(t, 40))
	put(t, dir, "strings", 1, []byte("half a model"))
	put(t, dir, "third", 1, scale(t, 5))
	g.set(t, "double", split(1, 2, 500))
	if diff := cmp.Diff([]string{"double/1", "double/2", "double/3", "strings/1"}, g.ready(t)); diff != "" {
		t.Errorf("loaded: %s", diff)
	}
	if a := g.predict(t, "double/versions/3"); a.data != "[30 60 90]" {
		t.Errorf("version 3 was replaced: %+v", a)
	}
	if m := g.models(t)["strings/1"]; m.Reason != "" {
		t.Errorf("%+v", m)
	}
	g.set(t, "double", split(1, 4, 500)) // the version that it names is loaded
	if a := g.predict(t, "double/versions/4"); a.data != "[40 80 120]" {
		t.Errorf("%+v", a)
	}
	put(t, dir, "strings", 1, onnxgen.Identity(infer.Bytes, "N").Bytes())
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	if a := g.predict(t, "third"); a.data != "[5 10 15]" {
		t.Errorf("after a reload: %+v", a)
	}
}

// TestSlowLoad: if versions are not loaded within control.timeout, nothing changes, and no
// other caller waits for them.
func TestSlowLoad(t *testing.T) {
	open := make(chan struct{})
	runtime := &slowLoads{open: open, version: 2}
	g := startOn(t, runtime, triple(t), "models: {double: {"+fakeModels+"}}", "control: {timeout: 1s}")
	for _, query := range []string{"", "?dry_run=true"} {
		asked := make(chan reply, 1)
		go func() { asked <- g.change(t, http.MethodPut, "double"+query, `"0"`, split(1, 2, 500)) }()
		eventually(t, func() bool { return g.models(t)["double/2"].State == api.StateLoading })
		if result := g.set(t, "other", `{"model":"double","variants":[{"version":3,"weight":10000}]}`); result.Name != "other" {
			t.Errorf("%+v", result)
		}
		if r := <-asked; r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "control.timeout (1s); nothing was changed") {
			t.Errorf("%d %s", r.status, r.body)
		}
		g.change(t, http.MethodDelete, "other", "*", "").result(t)
	}
	if a := g.predict(t, "double"); a.route != "double@0" {
		t.Errorf("%+v", a)
	}
	if m, listed := g.models(t)["double/2"]; listed {
		t.Errorf("%+v", m)
	}
	close(open)
	// An edit that timed out is not made later.
	eventually(t, func() bool { return slices.Equal(g.ready(t), []string{"double/3", "strings/1"}) })
	if route := g.route(t, "double"); route.Revision != 0 {
		t.Errorf("%+v", route)
	}
	if result := g.change(t, http.MethodPut, "double", `"0"`, split(1, 2, 500)).result(t); result.Revision != 1 {
		t.Errorf("%+v", result)
	}
}

// slowLoads is fakes in which loading one version takes until open is closed.
type slowLoads struct {
	fakes
	open    chan struct{}
	version int64
}

// Load implements serving.Runtime.
func (s *slowLoads) Load(f *serving.File, v infer.Version, m config.Model) (serving.Session, error) {
	if v.Number == s.version {
		<-s.open
	}
	return s.fakes.Load(f, v, m)
}

func TestNoMoreRoutesThanAllowed(t *testing.T) {
	g := start(t, demo(t), "control: {max_routes: 2}")
	body := `{"model":"double","variants":[{"version":1,"weight":10000}]}`
	put := func(name string, want int) {
		t.Helper()
		r := g.change(t, http.MethodPut, name, "*", body)
		if r.status != want {
			t.Errorf("route %s: %d %s, want %d", name, r.status, r.body, want)
		}
	}
	put("a", http.StatusOK)
	put("b", http.StatusOK)
	put("c", http.StatusConflict)
	put("a", http.StatusOK) // an existing one may change
}

// TestBreakerOfAFallback: the version that serves for others has a breaker too.
func TestBreakerOfAFallback(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 2), "routes: {double: {variants: [{version: 1, weight: 100%}], fallback: 2}}")
	text := g.must(t, http.MethodGet, g.admin+"/metrics", "")
	for _, version := range []string{"1", "2"} {
		if want := `sluice_breaker_state{model="double",version="` + version + `"} 0`; !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}
