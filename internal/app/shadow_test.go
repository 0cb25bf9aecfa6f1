package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
)

// doubles makes a repository with that many versions of the model "double".
func doubles(t *testing.T, versions int64) string {
	t.Helper()
	dir := t.TempDir()
	for n := range versions {
		put(t, dir, "double", n+1, scale(t, 2))
	}
	return dir
}

// ask sends the row v, 2, 3 and checks that it is returned doubled. header has names and values
// in turn.
func (g *gateway) ask(path string, v int, header ...string) error {
	body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[%d,2,3]}]}`, v)
	req, err := http.NewRequest(http.MethodPost, g.url+"/v2/models/"+path+"/infer", strings.NewReader(body))
	if err != nil {
		return err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf(`"data":[%d,4,6]`, 2*v); err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(text), want)) {
		err = fmt.Errorf("%s: %d %s, want %s", path, resp.StatusCode, text, want)
	}
	return err
}

// asks is ask, n times from several callers at the same time.
func (g *gateway) asks(t *testing.T, path string, n, callers int, header ...string) {
	t.Helper()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := c; i < n; i += callers {
				if err := g.ask(path, i, header...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// shadowOf returns the statistics of the first shadow of a route.
func (g *gateway) shadowOf(t *testing.T, route string) api.ShadowStats {
	t.Helper()
	return g.routeStats(t, route).Shadows[0]
}

func (g *gateway) routeStats(t *testing.T, route string) (stats api.RouteStats) {
	t.Helper()
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/routes/"+route+"/stats", "")), &stats); err != nil {
		t.Fatal(err)
	}
	return stats
}

// copied waits until the route's first shadow has counted as many requests as were offered to
// it, and returns its statistics. One more would be found too.
func (g *gateway) copied(t *testing.T, route string, offered int64) api.ShadowStats {
	t.Helper()
	var s api.ShadowStats
	eventually(t, func() bool {
		s = g.shadowOf(t, route)
		return ended(s) >= offered && s.Queued == 0
	})
	if ended(s) != offered {
		t.Errorf("%+v: want %d", s, offered)
	}
	return s
}

// ended returns how many requests a shadow has counted, with any result.
func ended(s api.ShadowStats) int64 {
	n := s.Answered
	for _, dropped := range s.Dropped {
		n += dropped
	}
	return n
}

// series returns the sum of a metric's series that have all the labels.
func (g *gateway) series(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(g.must(t, http.MethodGet, g.admin+"/metrics", "")) {
		if !strings.HasPrefix(line, name+"{") || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(line, l) }) {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// setRoute replaces a route at any revision.
func (g *gateway) setRoute(t *testing.T, name, document string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPut, g.admin+"/api/v1/routes/"+name, strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("If-Match", "*")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("PUT of route %s: %d %s", name, resp.StatusCode, text)
	}
}

const token = "0123456789abcdef"

// patient are limits of the model "double" under which no copy is dropped.
const patient = "shadow: {max_requests: 10000, max_age: 1m, timeout: 1m, pause_above: 0s}"

// The shadow gets the requests that the route has split and answered, and no others.
func TestShadowIsCountedApart(t *testing.T) {
	dir := doubles(t, 1)
	put(t, dir, "double", 2, scale(t, 20)) // no caller may see its answers
	g := start(t, dir, "models: {double: {"+patient+"}}", "routes: {double: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}], override: {token: "+token+"}}}")
	g.asks(t, "double", 100, 4)
	for range 5 {
		if err := g.ask("double/versions/1", 1); err != nil {
			t.Error(err)
		}
		if err := g.ask("double", 1, "Sluice-Override", "1", "Authorization", "Bearer "+token); err != nil {
			t.Error(err)
		}
		if status, _ := g.call(t, http.MethodPost, g.url+"/v2/models/double/infer", `{"inputs":[]}`); status != http.StatusBadRequest {
			t.Errorf("a request without inputs: %d", status)
		}
	}
	if err := g.ask("double", 1); err != nil {
		t.Error(err)
	}
	s := g.copied(t, "double", 101)
	if s.Answered != 101 || s.Errors != 0 || s.State != api.StateReady || s.Recent.Requests != 101 || s.Recent.P99 <= 0 {
		t.Errorf("%+v", s)
	}
	want := func(n float64, name string, labels ...string) {
		t.Helper()
		if got := g.series(t, name, labels...); got != n {
			t.Errorf("%s %v: %v, want %v", name, labels, got, n)
		}
	}
	want(101, "sluice_shadow_requests_total", `route="double"`, `model="double"`, `version="2"`, `code="ok"`)
	want(101, "sluice_shadow_requests_total")
	want(101, "sluice_shadow_duration_seconds_count")
	want(0, "sluice_shadow_dropped_total")
	want(111, "sluice_requests_total", `version="1"`, `code="ok"`)
	want(5, "sluice_requests_total", `version="1"`, `code="invalid"`)
	want(0, "sluice_requests_total", `version="2"`)
}

// A version that is a shadow here and live elsewhere is loaded twice, and copies and requests
// never share a run.
func TestShadowIsLoadedApart(t *testing.T) {
	f := &fakes{}
	g := startOn(t, f, doubles(t, 2), "models: {double: {"+fakeModels+", "+patient+"}}", `routes:
  one: {model: double, variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}
  two: {model: double, variants: [{version: 2, weight: 100%}]}`)
	g.asks(t, "one", 20, 2)
	g.asks(t, "two", 10, 2)
	g.asks(t, "double", 5, 1) // the newest version
	g.copied(t, "one", 20)
	var listed []string
	var models []api.ModelStatus
	if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/models", "")), &models); err != nil {
		t.Fatal(err)
	}
	for _, m := range models {
		listed = append(listed, fmt.Sprintf("%d %s %s", m.Version, m.Role, m.State))
	}
	if diff := cmp.Diff([]string{"1 live READY", "2 live READY", "2 shadow READY"}, listed); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	live, shadows := f.loaded(2)
	if len(live) != 1 || len(shadows) != 1 || len(live[0].Runs()) != 15 || len(shadows[0].Runs()) != 20 {
		t.Fatalf("%d live versions, %d shadows, want one each with 15 and 20 runs", len(live), len(shadows))
	}
	if m := shadows[0].settings; m.Instances != 1 || m.IntraThreads != 1 {
		t.Errorf("the shadow has %d instances and %d threads", m.Instances, m.IntraThreads)
	}
	if n := g.series(t, "sluice_requests_total", `version="2"`); n != 15 {
		t.Errorf("version 2 answered %v requests, want 15", n)
	}

	// Callers see the version once.
	if list := g.must(t, http.MethodPost, g.url+"/v2/repository/index", ""); strings.Count(list, `"version":"2"`) != 1 {
		t.Errorf("index: %s", list)
	}
}

// Which requests are copied depends only on their ids.
func TestSampleFollowsFromTheRequestID(t *testing.T) {
	const requests = 400
	sampled := func() (values []float64) {
		var mu sync.Mutex
		f := &fakes{shadow: map[int64]fake.Options{2: {Compute: func(m *infer.Model, in []infer.Tensor) ([]infer.Tensor, error) {
			mu.Lock()
			defer mu.Unlock()
			values = append(values, float64(first(in[0])))
			return double(m, in)
		}}}}
		g := startOn(t, f, doubles(t, 2), "models: {double: {"+fakeModels+", "+patient+"}}",
			"routes: {double: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 30%}]}}")
		for i := range requests {
			if err := g.ask("double", i, "X-Request-Id", fmt.Sprint("request-", i)); err != nil {
				t.Error(err)
			}
		}
		eventually(t, func() bool { return g.shadowOf(t, "double").Queued == 0 })
		if err := g.stop(); err != nil { // nothing is copied any more
			t.Error(err)
		}
		slices.Sort(values)
		return values
	}
	one, two := sampled(), sampled()
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("another gateway copied others (-one +two):\n%s", diff)
	}
	if n := len(one); n < requests*20/100 || n > requests*40/100 {
		t.Errorf("%d of %d were copied, want some 30 %%", n, requests)
	}
}

// A shadow that always fails affects only its own numbers.
func TestShadowThatFails(t *testing.T) {
	f := &fakes{shadow: map[int64]fake.Options{2: {Fail: func(int) error { return errors.New("broken on purpose") }}}}
	g := startOn(t, f, doubles(t, 2), "models: {double: {"+fakeModels+", "+patient+"}}",
		"routes: {double: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}}")
	g.asks(t, "double", 50, 4)
	s := g.copied(t, "double", 50)
	if s.Errors != 50 || s.Answered != 50 {
		t.Errorf("%+v", s)
	}
	if n := g.series(t, "sluice_shadow_requests_total", `code="internal"`); n != float64(s.Errors) {
		t.Errorf("%v failures in the metric, %d in the statistics", n, s.Errors)
	}
	v := g.routeStats(t, "double").Variants[0]
	if v.Total != (api.VariantCount{Requests: 50, Random: 50}) || v.Breaker != "closed" {
		t.Errorf("the variant: %+v", v)
	}
	if n := g.series(t, "sluice_requests_total", `code="internal"`); n != 0 {
		t.Errorf("%v failures of the version that answers", n)
	}
}

// A shadow that its route no longer names is unloaded, and its memory is freed.
func TestShadowIsUnloadedWithItsRoute(t *testing.T) {
	f := &fakes{}
	g := startOn(t, f, doubles(t, 2), "models: {double: {"+fakeModels+", "+patient+"}}")
	const plain = `{"variants":[{"version":1,"weight":10000}]}`
	const shadowed = `{"variants":[{"version":1,"weight":10000}],"shadows":[{"version":2,"sample":10000}]}`
	g.setRoute(t, "double", plain)
	g.asks(t, "double", 10, 1)
	goroutines := settled(t)
	for range 3 {
		g.setRoute(t, "double", shadowed)
		g.asks(t, "double", 10, 1)
		g.copied(t, "double", 10)
		g.setRoute(t, "double", plain)
		g.asks(t, "double", 10, 1)
	}
	_, shadows := f.loaded(2)
	if len(shadows) != 3 {
		t.Fatalf("loaded %d times, want 3", len(shadows))
	}
	for _, s := range shadows {
		<-s.over
		if n := len(s.Runs()); n != 10 {
			t.Errorf("%d copies were run, want 10", n)
		}
	}
	noMore(t, goroutines)
	if n := g.series(t, "sluice_shadow_requests_total") + g.series(t, "sluice_shadow_queued_requests"); n != 0 {
		t.Errorf("the shadow's series remain: %v", n)
	}
	if live, _ := f.loaded(2); len(live) != 1 || live[0].closed() { // it is the newest
		t.Errorf("version 2 itself was touched: %d instances", len(live))
	}
}

// The report says how a shadow's answers differ: version 2 answers ten times as much, and version 3 fails.
func TestShadowReport(t *testing.T) {
	dir := doubles(t, 1)
	put(t, dir, "double", 2, scale(t, 20))
	g := start(t, dir, "models: {double: {"+patient+"}}", "routes: {double: {variants: [{version: 1, weight: 100%}], shadows: [{version: 2, sample: 100%}]}}")
	report := func() (r api.ShadowReport) {
		t.Helper()
		if err := json.Unmarshal([]byte(g.must(t, http.MethodGet, g.admin+"/api/v1/routes/double/shadows", "")), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := report(); len(r.Shadows) != 1 || r.Shadows[0].Version != 2 || r.Shadows[0].Against != 0 || r.Shadows[0].Compared != 0 {
		t.Errorf("before the first copy: %+v", r)
	}
	g.asks(t, "double", 100, 4)
	g.copied(t, "double", 100)
	r := report()
	s := r.Shadows[0]
	if r.Route != "double" || len(r.Shadows) != 1 || s.Version != 2 || s.Against != 1 || s.Compared != 100 || s.Differing != 100 || s.Failed != 0 || s.Reference.Count != 100 {
		t.Fatalf("%+v", r)
	}
	// The answers are 2v, 4, 6 and 20v, 40, 60 for v from 0 to 99.
	if o := s.Outputs[0]; o.Elements != 300 || o.Equal != api.Number(1.0/300) || o.MaxAbsolute != 18*99 || o.MeanDifference != (18*4950+100*(36+54))/300.0 || o.Top1Rows != 0 {
		t.Errorf("%+v", o)
	}
	if s.Disagreement <= 0.5 || s.Low > s.Disagreement || s.High < s.Disagreement || len(s.Worst) != 10 {
		t.Errorf("%+v", s)
	}
	for _, w := range s.Worst { // all differ by nine times their size; which ten are listed depends on the order of the copies
		reference, err := strconv.ParseFloat(w.Reference, 64)
		candidate, cerr := strconv.ParseFloat(w.Candidate, 64)
		if err != nil || cerr != nil || reference == 0 || candidate != 10*reference || w.Output != "y" || w.RequestID == "" || w.Inputs != nil {
			t.Errorf("%+v", w)
		}
	}
	if got := g.series(t, "sluice_shadow_compared_total"); got != 100 {
		t.Errorf("%v copies were compared", got)
	}
	if got := g.series(t, "sluice_shadow_disagreement_total"); math.Abs(got/100-float64(s.Disagreement)) > 1e-9 {
		t.Errorf("a disagreement of %v, want %v", got, s.Disagreement)
	}
	if status, _ := g.call(t, http.MethodGet, g.admin+"/api/v1/routes/nothing/shadows", ""); status != http.StatusNotFound {
		t.Errorf("a route that does not exist: %d", status)
	}
}
