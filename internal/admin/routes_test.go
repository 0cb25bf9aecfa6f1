package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
)

// routes is a RouteControl that checks revisions.
type routes struct {
	mu     sync.Mutex
	list   map[string]api.Route
	events []api.Event
	edits  []admin.Edit
	asked  string // the last filter of Events
}

func newRoutes() *routes {
	iris := api.Route{Name: "iris", Revision: 7, Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight}}}
	iris.Complete()
	return &routes{list: map[string]api.Route{"iris": iris}}
}

func (c *routes) Routes() []api.Route {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []api.Route
	for _, r := range c.list {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b api.Route) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (c *routes) Route(name string) (api.Route, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.list[name]; ok {
		return r, nil
	}
	return api.Route{}, infer.Errorf(infer.NotFound, "there is no route '%s'", name)
}

func (c *routes) ShadowReport(name string) (api.ShadowReport, error) {
	_, err := c.Route(name)
	return api.ShadowReport{Route: name, Shadows: []api.ShadowComparison{}}, err
}

func (c *routes) RouteStats(name string) (api.RouteStats, error) {
	r, err := c.Route(name)
	return api.RouteStats{Name: name, Revision: r.Revision}, err
}

func (c *routes) SetRoute(_ context.Context, route api.Route, edit admin.Edit) (api.RouteResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.edits = append(c.edits, edit)
	now := c.list[route.Name]
	if edit.Revision != admin.AnyRevision && edit.Revision != now.Revision {
		return api.RouteResult{}, infer.Errorf(infer.Precondition, "route '%s' is at revision %d, the change was made to %d", route.Name, now.Revision, edit.Revision)
	}
	if route.Seed == "" {
		route.Seed = route.Model
	}
	route.Revision = now.Revision + 1
	if edit.DryRun {
		return api.RouteResult{Route: route, SlotsMoved: 5, DryRun: true}, nil
	}
	c.list[route.Name] = route
	c.events = append(c.events, api.Event{Seq: int64(len(c.events) + 1), Type: api.EventRouteSet, Subject: "routes/" + route.Name, Actor: edit.By})
	return api.RouteResult{Route: route, SlotsMoved: 5}, nil
}

func (c *routes) DeleteRoute(ctx context.Context, name string, edit admin.Edit) (api.RouteResult, error) {
	result, err := c.SetRoute(ctx, api.Route{Name: name}, edit)
	result.Revision = 0
	return result, err
}

func (c *routes) ExportJournal(after int64, filter admin.EventFilter, w io.Writer) error {
	_, err := fmt.Fprintf(w, "{\"after\":%d,\"subject\":%q}\n", after, filter.Subject)
	return err
}

func (c *routes) Events(after int64, limit int, filter admin.EventFilter) ([]api.Event, error) {
	c.asked = fmt.Sprintf("%d %d %s", after, limit, filter.Subject)
	if filter.Types != nil || !filter.Since.IsZero() || !filter.Until.IsZero() {
		c.asked += fmt.Sprintf("%q %s %s", filter.Types, filter.Since.UTC().Format(time.RFC3339Nano), filter.Until.UTC().Format(time.RFC3339Nano))
	}
	if filter.Newest || filter.Before != 0 {
		c.asked += fmt.Sprintf(" newest %v before %d", filter.Newest, filter.Before)
	}
	var list []api.Event
	for _, e := range c.events {
		if e.Seq > after && len(list) < limit && (filter.Subject == "" || e.Subject == filter.Subject) {
			list = append(list, e)
		}
	}
	return list, nil
}

func (c *routes) VerifyJournal(context.Context) (api.JournalReport, error) {
	return api.JournalReport{Events: 7, Segments: 2, Hash: "abc"}, nil
}

func (c *routes) ServedAt(name string, at time.Time) (api.ServedAt, error) {
	r, err := c.Route(name)
	return api.ServedAt{Name: name, Model: r.Model, At: at, Event: 5, Gateway: api.GatewayAt{State: api.GatewayUp}, Revision: r.Revision}, err
}

const split = `{"variants":[{"version":1,"weight":9500},{"version":2,"weight":500,"role":"canary"}]}`

// put sends a PUT of the route iris.
func (s *side) put(body string, header ...string) answer {
	s.t.Helper()
	return s.ask("PUT", "/api/v1/routes/iris", strings.NewReader(body), header...)
}

func TestReadRoutes(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	const iris = `{"name":"iris","model":"iris","revision":7,"variants":[{"version":1,"weight":10000,"role":"stable"}],"shadows":[],"seed":"iris"}`
	f := func(path, want, etag string) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			got := s.ask(method, path, nil)
			if method == "HEAD" {
				want = ""
			}
			if got.status != http.StatusOK || strings.TrimSpace(got.body) != want || got.header.Get("ETag") != etag {
				t.Errorf("%s %s = %d %s with ETag %s, want %s with %s", method, path, got.status, got.body, got.header.Get("ETag"), want, etag)
			}
		}
	}
	f("/api/v1/routes", "["+iris+"]", "")
	f("/api/v1/routes/iris", iris, `"7"`)
	f("/api/v1/routes/iris/stats", `{"name":"iris","model":"","revision":7,"variants":null,"shadows":null}`, "")
	f("/api/v1/journal", "[]", "")
	f("/api/v1/journal/verify", `{"events":7,"segments":2,"hash":"abc"}`, "")
	f("/api/v1/routes/iris?at=2026-11-30T12:00:00.5Z", `{"name":"iris","model":"iris","at":"2026-11-30T12:00:00.5Z","event":5,"gateway":{"state":"up"},"revision":7,"variants":null,"shadows":null}`, "")
	f("/api/v1/routes/iris?at=2026-11-30T12:00:00%2B01:00", `{"name":"iris","model":"iris","at":"2026-11-30T12:00:00+01:00","event":5,"gateway":{"state":"up"},"revision":7,"variants":null,"shadows":null}`, "")
	for _, at := range []string{"", "noon", "2h", "2026-11-30", "2026-11-30T12:00:00", "2026-11-30T12:00:00+01:00"} { // a plus in a query is a blank
		s.expectError(s.ask("GET", "/api/v1/routes/iris?at="+at, nil), http.StatusBadRequest, "at: expected a time in RFC 3339")
	}
	s.expectError(s.ask("GET", "/api/v1/routes/none?at=2026-11-30T12:00:00Z", nil), http.StatusNotFound, "there is no route")
	s.expectError(s.ask("GET", "/api/v1/routes/iris?when=now", nil), http.StatusBadRequest, "unknown parameter; expected at")
	for _, path := range []string{"/api/v1/routes/none", "/api/v1/routes/none/stats", "/api/v1/routes/a%2Fb"} {
		s.expectError(s.ask("GET", path, nil), http.StatusNotFound, "there is no route")
	}
	wrong := s.ask("POST", "/api/v1/routes/iris", nil)
	s.expectError(wrong, http.StatusMethodNotAllowed, "use GET, PUT, DELETE")
	if wrong.header.Get("Allow") != "GET, PUT, DELETE" {
		t.Errorf("Allow is %q", wrong.header.Get("Allow"))
	}
}

func TestSetAndDeleteRoute(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(method, path, etag, want string, edit admin.Edit, header ...string) {
		t.Helper()
		got := s.ask(method, path, strings.NewReader(split), header...)
		if got.status != http.StatusOK || strings.TrimSpace(got.body) != want || got.header.Get("ETag") != etag {
			t.Errorf("%s %s = %d %s with ETag %s, want %s with %s", method, path, got.status, got.body, got.header.Get("ETag"), want, etag)
		}
		if diff := cmp.Diff(edit, s.routes.edits[len(s.routes.edits)-1]); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", method, path, diff)
		}
	}
	set := func(revision int) string {
		return `{"name":"iris","model":"iris","revision":` + strconv.Itoa(revision) +
			`,"variants":[{"version":1,"weight":9500,"role":"stable"},{"version":2,"weight":500,"role":"canary"}],"shadows":[],"seed":"iris","slots_moved":5`
	}
	f("PUT", "/api/v1/routes/iris?dry_run=true", "", set(8)+`,"dry_run":true}`,
		admin.Edit{Revision: 7, DryRun: true, By: api.Actor{Actor: "anonymous"}}, "If-Match", `"7"`)
	f("PUT", "/api/v1/routes/iris?dry_run=false", `"8"`, set(8)+"}",
		admin.Edit{Revision: 7, By: api.Actor{Actor: "Zoë", Reason: "too slow — 20 %"}},
		"If-Match", `"7"`, "Sluice-Actor", "Zoë", "Sluice-Change-Reason", "too slow — 20 %", "Content-Type", "application/json; charset=utf-8")
	f("PUT", "/api/v1/routes/iris", `"9"`, set(9)+"}", admin.Edit{Revision: admin.AnyRevision, By: api.Actor{Actor: "anonymous"}}, "If-Match", "*")
	f("DELETE", "/api/v1/routes/iris", `"0"`, `{"name":"iris","model":"","revision":0,"variants":null,"shadows":null,"seed":"","slots_moved":5}`,
		admin.Edit{Revision: 9, By: api.Actor{Actor: "anonymous"}}, "If-Match", `"9"`)

	entries := s.logs.FilterMessage("set route").FilterField(zap.String("actor", "Zoë")).All()
	if len(entries) != 1 || entries[0].ContextMap()["revision"] != int64(8) || entries[0].ContextMap()["reason"] != "too slow — 20 %" {
		t.Errorf("the log has %v", entries)
	}
}

func TestIfMatch(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	s.expectError(s.put(split), http.StatusPreconditionRequired, "If-Match")
	s.expectError(s.ask("DELETE", "/api/v1/routes/iris", nil), http.StatusPreconditionRequired, "If-Match")
	s.expectError(s.put(split, "If-Match", `"6"`), http.StatusPreconditionFailed, "is at revision 7")
	if len(s.routes.edits) != 1 {
		t.Errorf("%d edits reached the routes, want the stale one alone", len(s.routes.edits))
	}
	f := func(value string, status int, part string) {
		t.Helper()
		s.expectError(s.put(split, "If-Match", value), status, part)
		s.expectError(s.ask("DELETE", "/api/v1/routes/iris", nil, "If-Match", value), status, part)
		if len(s.routes.edits) != 1 {
			t.Errorf("If-Match %s reached the routes", value)
		}
	}
	f(`W/"7"`, http.StatusPreconditionFailed, "weak")
	f(`"abc"`, http.StatusPreconditionFailed, `"abc" is not a valid revision`)
	f(`"-1"`, http.StatusPreconditionFailed, "not a valid revision")
	f(`"07"`, http.StatusPreconditionFailed, "not a valid revision")
	f(`""`, http.StatusPreconditionFailed, "not a valid revision")
	f(`"99999999999999999999"`, http.StatusPreconditionFailed, "not a valid revision")
	f(`7`, http.StatusBadRequest, "in quotes")
	f(`"7`, http.StatusBadRequest, "in quotes")
	f(`7"`, http.StatusBadRequest, "in quotes")
	f(`"`, http.StatusBadRequest, "in quotes")
	f(`""7""`, http.StatusBadRequest, "in quotes")
	f(`-1`, http.StatusBadRequest, "in quotes")
	f(``, http.StatusBadRequest, "in quotes")
	f(`"6", "7"`, http.StatusBadRequest, "a list")
	f(`W/"6", "7"`, http.StatusBadRequest, "a list")

	req := s.request("PUT", "/api/v1/routes/iris", strings.NewReader(split))
	req.Header["If-Match"] = []string{`"7"`, `"7"`}
	s.expectError(s.do(req), http.StatusBadRequest, "given 2 times")
}

func TestBadRoutes(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(body, part string) {
		t.Helper()
		s.expectError(s.put(body, "If-Match", `"7"`), http.StatusBadRequest, part)
	}
	f(``, "the body is empty")
	f(" \n", "the body is empty")
	f(`[]`, "not a JSON object")
	f(`null`, "not a JSON object")
	f(`"iris"`, "not a JSON object")
	f(`{`, "truncated")
	f(`{"variants":[{"version":1`, "truncated")
	f(`{"variants":[{"version":1,"weight":NaN}]}`, "(variants[0].weight)")
	f(`{"variants":[{"version":1,"weight":+5}]}`, "(variants[0].weight)")
	f(split+`{}`, "more than one JSON value")
	f(split+`x`, "more than one JSON value")
	f("{\"seed\":\"\xff\"}", "not UTF-8")
	f(`{"weight":1}`, "weight: unknown field; expected name, model,")
	f(`{"variants":[{"version":1,"wieght":10000}]}`, "variants[0].wieght: unknown field; expected version, weight and role")
	f(`{"variants":[{"version":1,"Weight":10000}]}`, "variants[0].Weight: unknown field")
	f(`{"shadows":[{"version":1,"weight":1}]}`, "shadows[0].weight: unknown field")
	f(`{"variants":[{"version":1,"weight":10000},{"version":2,"role":"canary"}]}`, "variants[1].weight: the field is missing")
	f(`{"variants":[{"weight":10000}]}`, "variants[0].version: the field is missing")
	f(`{"shadows":[{"version":3}]}`, "shadows[0].sample: the field is missing")
	f(`{"sticky":{"cookie":"x"}}`, "sticky.cookie: unknown field")
	f(`{"variants":[{"version":1,"weight":10000,"weight":1}]}`, "variants[0].weight: duplicate field")
	f(`{"variants":[],"variants":[]}`, "variants: duplicate field")
	f(`{"variants":[{"version":1,"weight":"95%"}]}`, `variants[0].weight: expected a whole number of basis points, 2000 for 20%, got "95%"`)
	f(`{"variants":[{"version":1,"weight":0.95}]}`, "variants[0].weight: expected a whole number")
	f(`{"variants":[{"version":1,"weight":1e999}]}`, "variants[0].weight: expected a whole number")
	f(`{"variants":[{"version":1,"weight":null}]}`, "variants[0].weight: expected")
	f(`{"variants":[{"version":"1","weight":10000}]}`, "variants[0].version: expected a version's number")
	f(`{"variants":{}}`, "variants: expected a list")
	f(`{"variants":[1]}`, "variants[0]: expected an object")
	f(`{"sticky":"X-User-Id"}`, "sticky: expected an object")
	f(`{"fallback":"canary"}`, `fallback: expected "stable" or a version's number, got "canary"`)
	f(`{"name":7}`, "name: expected text")
	f(`{"name":"wine","variants":[{"version":1,"weight":10000}]}`, "name: expected 'iris'")
	f(`{"model":"a/b","variants":[{"version":1,"weight":10000}]}`, "model: 'a/b' is not a valid name")
	f(`{"variants":[{"version":1,"weight":9000},{"version":2,"weight":-1,"role":"best"}]}`,
		"variants[1].weight: expected 0 to 10000 basis points, got -1; variants[1].role: expected stable, canary or control")
	f(`{"variants":[{"version":1,"weight":9000}]}`, "variants: the weights add up to 9000")
	f(`{}`, "variants: expected 1 to 16")
	f(strings.Repeat("[", 30_000), "not a JSON object")
	f(`{"fallback":`+strings.Repeat("[", 30_000)+"}", "(fallback)")
	f(`{"seed":"`+strings.Repeat("x", 300)+`","variants":[{"version":1,"weight":10000}]}`, "seed: expected UTF-8 of at most")

	s.expectError(s.put(strings.Repeat(" ", 70<<10)+split, "If-Match", `"7"`), http.StatusRequestEntityTooLarge, "more than 65536 bytes")
	s.expectError(s.ask("PUT", "/api/v1/routes/a%2Fb", strings.NewReader(split), "If-Match", `"0"`), http.StatusBadRequest, "'a/b' is not a valid name")
	s.expectError(s.ask("DELETE", "/api/v1/routes/%20", nil, "If-Match", `"0"`), http.StatusBadRequest, "is not a valid name")
	for _, query := range []string{"dry_run", "dry_run=1", "dry_run=True", "dry_run=true&dry_run=false", "dry-run=true", "dryrun", "%zz"} {
		for _, method := range []string{"PUT", "DELETE"} {
			s.expectError(s.ask(method, "/api/v1/routes/iris?"+query, strings.NewReader(split), "If-Match", `"7"`), http.StatusBadRequest, "")
		}
	}
	if len(s.routes.edits) != 0 {
		t.Errorf("%d edits reached the routes", len(s.routes.edits))
	}
	// The answer of a GET can be sent back.
	for _, body := range []string{s.ask("GET", "/api/v1/routes/iris", nil).body, `{"variants":[{"version":1,"weight":10000}],"shadows":null,"sticky":null,"fallback":null}`} {
		if got := s.put(body, "If-Match", "*"); got.status != http.StatusOK {
			t.Errorf("%s is refused: %d %s", body, got.status, got.body)
		}
	}
}

func TestActor(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(header, value, part string) {
		t.Helper()
		s.expectError(s.ask("POST", "/-/reload", nil, header, value), http.StatusBadRequest, part)
	}
	f("Sluice-Actor", strings.Repeat("x", 129), "at most 128")
	f("Sluice-Actor", "a\tb", "printable")
	f("Sluice-Actor", "a\u202eb", "printable") // reverses the text for its readers
	f("Sluice-Actor", "\xe9", "UTF-8")
	f("Sluice-Change-Reason", strings.Repeat("x", 1025), "at most 1024")
	f("Sluice-Change-Reason", "a\tb", "printable")
	f("Sluice-Change-Reason", "\u0085", "printable")
	req := s.request("POST", "/-/reload", nil)
	req.Header["Sluice-Actor"] = []string{"a", "b"}
	s.expectError(s.do(req), http.StatusBadRequest, "given 2 times")

	// A read does not need a name.
	if got := s.ask("GET", "/api/v1/routes", nil, "Sluice-Actor", "a\tb"); got.status != http.StatusOK {
		t.Errorf("a GET: %d %s", got.status, got.body)
	}
	s.ask("POST", "/api/v1/models/iris/load", nil, "Sluice-Actor", "carol", "Sluice-Change-Reason", "👩‍🔬 asked")
	if diff := cmp.Diff(api.Actor{Actor: "carol", Reason: "👩‍🔬 asked"}, s.control.by); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	withToken := serve(t, "127.0.0.1:0", map[string]string{"alice": "a-secret"})
	withToken.ask("POST", "/-/reload", nil, "Authorization", "Bearer a-secret", "Sluice-Actor", "a\tb", "Sluice-Change-Reason", "why not")
	if diff := cmp.Diff(api.Actor{Actor: "alice", Verified: true, Reason: "why not"}, withToken.control.by); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	withToken.expectError(withToken.put(split, "If-Match", `"7"`), http.StatusUnauthorized, "Bearer")
	if len(withToken.routes.edits) != 0 {
		t.Error("an edit without a token reached the routes")
	}
}

func TestJournal(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	for range 3 {
		s.put(split, "If-Match", "*")
	}
	f := func(query, asked string, want ...int64) {
		t.Helper()
		got := s.ask("GET", "/api/v1/journal"+query, nil)
		var events []api.Event
		if err := json.Unmarshal([]byte(got.body), &events); err != nil || got.status != http.StatusOK {
			t.Fatalf("%d %s: %v", got.status, got.body, err)
		}
		var seqs []int64
		for _, e := range events {
			seqs = append(seqs, e.Seq)
		}
		if !slices.Equal(seqs, want) || s.routes.asked != asked {
			t.Errorf("%s gives %v of %s, want %v of %s", query, seqs, s.routes.asked, want, asked)
		}
	}
	f("", "0 1000 ", 1, 2, 3)
	f("?after=1&limit=1", "1 1 ", 2)
	f("?after=9223372036854775807&limit=10000", "9223372036854775807 10000 ")
	f("?subject=routes/iris", "0 1000 routes/iris", 1, 2, 3)
	f("?subject=routes%2Fa%20b", "0 1000 routes/a b")
	f("?type=version.,route.set&since=2026-11-30T12:00:00%2B01:00&until=2026-11-30T12:00:00.5Z",
		`0 1000 ["version." "route.set"] 2026-11-30T11:00:00Z 2026-11-30T12:00:00.5Z`, 1, 2, 3)
	f("?type=version.loaded", `0 1000 ["version.loaded"] 0001-01-01T00:00:00Z 0001-01-01T00:00:00Z`, 1, 2, 3)
	f("?newest=true&before=9", "0 1000  newest true before 9", 1, 2, 3)
	f("?newest=false&before=9", "0 1000  newest false before 9", 1, 2, 3)
	for _, query := range []string{
		"before=0", "before=x", "newest=1", "newest=", "after=-1", "after=x", "after=", "after=9223372036854775808", "limit=0", "limit=10001", "limit=", "limit=1&limit=2", "limit=%", "afer=1",
		"type=", "type=a,", "type=" + strings.Repeat("a,", 64) + "a", "since=", "since=2h", "until=yesterday",
	} {
		s.expectError(s.ask("GET", "/api/v1/journal?"+query, nil), http.StatusBadRequest, "")
	}
}

func TestTenWriters(t *testing.T) {
	const writers, rounds = 10, 20
	s := serve(t, "127.0.0.1:0", nil)
	var wg sync.WaitGroup
	applied := make(chan string, writers*rounds) // reasons of acknowledged changes
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				reason := fmt.Sprintf("writer %d, round %d", w, i)
				etag := s.ask("GET", "/api/v1/routes/iris", nil).header.Get("ETag")
				switch got := s.put(split, "If-Match", etag, "Sluice-Change-Reason", reason); got.status {
				case http.StatusOK:
					applied <- reason
				case http.StatusPreconditionFailed:
				default:
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	close(applied)
	want := map[string]bool{}
	for reason := range applied {
		want[reason] = true
	}
	got := map[string]bool{}
	for _, e := range s.routes.events {
		got[e.Reason] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != len(s.routes.events) || len(got) == 0 {
		t.Errorf("%d events, (-acknowledged +done):\n%s", len(s.routes.events), diff)
	}
	if route, _ := s.routes.Route("iris"); route.Revision != 7+int64(len(got)) {
		t.Errorf("revision %d after %d changes", route.Revision, len(got))
	}
}

func FuzzRoute(f *testing.F) {
	f.Add(split)
	f.Add(`{"name":"iris","model":"m","revision":3,"variants":[{"version":1,"weight":1e4,"role":"stable"}],"shadows":[{"version":2,"sample":1}],"sticky":{"header":"X"},"fallback":2,"seed":"s"}`)
	f.Add(`{"variants":null,"sticky":null,"fallback":"stable"}`)
	f.Add(`{"variants":[{"version":1,"weight":10000,"weight":1}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		route, err := admin.DecodeRoute([]byte(body))
		if err != nil {
			if infer.CodeOf(err) != infer.Invalid {
				t.Fatalf("%q gives %v", body, err)
			}
			return
		}
		// An accepted document stays the same if it is written and read again.
		// encoding/json, which is less strict, reads the same route.
		text, err := json.Marshal(route)
		if err != nil {
			t.Fatal(err)
		}
		again, err := admin.DecodeRoute(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var loose api.Route
		if err := json.Unmarshal([]byte(body), &loose); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		for _, r := range []*api.Route{&route, &again, &loose} {
			r.Complete()
		}
		if diff := cmp.Diff(route, again); diff != "" {
			t.Fatalf("%q (-read +read again):\n%s", body, diff)
		}
		if diff := cmp.Diff(loose, route); diff != "" {
			t.Fatalf("%q (-encoding/json +got):\n%s", body, diff)
		}
	})
}

func TestJournalExport(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	got := s.ask(http.MethodGet, "/api/v1/journal/export?after=3&subject=routes/iris", nil)
	if got.status != http.StatusOK || got.body != "{\"after\":3,\"subject\":\"routes/iris\"}\n" || got.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("got %+v", got)
	}
	s.expectError(s.ask(http.MethodGet, "/api/v1/journal/export?after=x", nil), http.StatusBadRequest, "after: expected")
	s.expectError(s.ask(http.MethodGet, "/api/v1/journal/export?limit=1", nil), http.StatusBadRequest, "unknown parameter")
}
