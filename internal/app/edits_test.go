package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/routes"
)

// reply is an answer as a caller gets it.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends a request with headers, given as names and values in turn.
func (g *gateway) send(ctx context.Context, method, url, body string, headers ...string) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(text)}, err
}

// change sends an edit of a route; an empty match sends no If-Match.
func (g *gateway) change(t *testing.T, method, route, match, body string, headers ...string) reply {
	t.Helper()
	if match != "" {
		headers = append(headers, "If-Match", match)
	}
	r, err := g.send(t.Context(), method, g.admin+"/api/v1/routes/"+route, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// result parses the answer to an edit, which must be 200.
func (r reply) result(t *testing.T) (result api.RouteResult) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// set replaces a route at any revision, and returns the result.
func (g *gateway) set(t *testing.T, route, body string, headers ...string) api.RouteResult {
	t.Helper()
	return g.change(t, http.MethodPut, route, "*", body, headers...).result(t)
}

// route reads a route, whose ETag must be its revision.
func (g *gateway) route(t *testing.T, name string) (route api.Route) {
	t.Helper()
	r := g.change(t, http.MethodGet, name, "", "")
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &route); err != nil {
		t.Fatal(err)
	}
	if etag := r.header.Get("ETag"); etag != quoted(route.Revision) {
		t.Errorf("ETag %s of revision %d", etag, route.Revision)
	}
	return route
}

// quoted is a revision in ETag and If-Match.
func quoted(revision int64) string { return fmt.Sprintf("\"%d\"", revision) }

// split is the body of a PUT: weight basis points for a canary, the rest for the stable
// version. The header User is the sticky key.
func split(stable, canary int64, weight int, more ...string) string {
	return fmt.Sprintf(`{"variants":[{"version":%d,"weight":%d},{"version":%d,"weight":%d,"role":"canary"}],"sticky":{"header":"User"}%s}`,
		stable, api.TotalWeight-weight, canary, weight, strings.Join(more, ""))
}

// journal returns the events after a number, except for those of package trail, which every
// start and every load write.
func (g *gateway) journal(t *testing.T, after int64) (events []api.Event) {
	t.Helper()
	for _, e := range g.events(t, after) {
		noun, _, _ := strings.Cut(e.Type, ".")
		if !slices.Contains([]string{"gateway", "version", "default", "breaker"}, noun) {
			events = append(events, e)
		}
	}
	return events
}

// events returns all events after a number.
func (g *gateway) events(t *testing.T, after int64) (events []api.Event) {
	t.Helper()
	text := g.must(t, http.MethodGet, fmt.Sprintf("%s/api/v1/journal?after=%d&limit=10000", g.admin, after), "")
	if err := json.Unmarshal([]byte(text), &events); err != nil {
		t.Fatal(err)
	}
	return events
}

// fold checks that the journal has no gap and that each event follows from those before it, and
// returns the resulting routes.
func (g *gateway) fold(t *testing.T) *routes.Set {
	t.Helper()
	set, last := routes.NewSet(), map[string]json.RawMessage{}
	for i, e := range g.events(t, 0) {
		if e.Seq != int64(i)+1 {
			t.Fatalf("event %d is number %d", i+1, e.Seq)
		}
		if strings.HasPrefix(e.Type, "route.") {
			if diff := cmp.Diff(string(last[e.Subject]), string(e.Before)); diff != "" {
				t.Errorf("event %d does not begin with the state at the end of the last one: %s", e.Seq, diff)
			}
			last[e.Subject] = e.After
		}
		if err := set.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// answered is the version, route, reason and data of a prediction's answer.
type answered struct{ version, route, reason, data string }

// predict sends the row 1, 2, 3.
func (g *gateway) predict(t *testing.T, path string, headers ...string) answered {
	t.Helper()
	r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/"+path+"/infer", doubleRequest, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, r.status, r.body)
	}
	h := r.header
	return answered{h.Get("Sluice-Version"), h.Get("Sluice-Route"), h.Get("Sluice-Reason"), fmt.Sprint(outputs(t, r.body)[0].Data)}
}

// assigned returns the version that serves each of n keys.
func (g *gateway) assigned(t *testing.T, route string, n int) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for i := range n {
		key := fmt.Sprintf("user-%d", i)
		a := g.predict(t, route, "User", key)
		if a.reason != "sticky" {
			t.Fatalf("key %s: %+v", key, a)
		}
		versions[key] = a.version
	}
	return versions
}

// keysOf returns the keys that a version serves.
func keysOf(assigned map[string]string, version string) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(assigned)) {
		if assigned[key] == version {
			keys = append(keys, key)
		}
	}
	return keys
}

// triple is a repository whose model "double" has three versions: the first doubles its input,
// the second is 20 times its input, the third 30 times.
func triple(t *testing.T) string {
	t.Helper()
	dir := demo(t)
	put(t, dir, "double", 2, scale(t, 20))
	put(t, dir, "double", 3, scale(t, 30))
	return dir
}
