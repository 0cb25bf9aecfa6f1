package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// recorded is a request to an admin port.
type recorded struct {
	Target, Body, Match, Type, Token, Actor, Reason string
}

// record gives the same answer to every request and records the last one.
func record(t *testing.T, status int, answer string) (*recorded, *client.Client) {
	t.Helper()
	var last recorded
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		last = recorded{
			r.Method + " " + r.RequestURI, string(body), r.Header.Get("If-Match"), r.Header.Get("Content-Type"),
			r.Header.Get("Authorization"), r.Header.Get("Sluice-Actor"), r.Header.Get("Sluice-Change-Reason"),
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Admin: s.URL, Token: "secret", Actor: "dave"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &last, c
}

func TestRoutes(t *testing.T) {
	f := func(answer string, sent recorded, want any, call func(context.Context, *client.Client) (any, error)) {
		t.Helper()
		last, c := record(t, http.StatusOK, answer)
		got, err := call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		sent.Token = "Bearer secret"
		if diff := cmp.Diff(sent, *last); diff != "" {
			t.Errorf("(-want +sent):\n%s", diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sent.Target, diff)
		}
	}
	route := api.Route{Name: "a b?", Revision: 7, Variants: []api.Variant{{Version: 1, Weight: 10_000, Role: api.RoleStable}}}
	text, err := json.Marshal(route)
	if err != nil {
		t.Fatal(err)
	}
	result := api.RouteResult{Route: route, SlotsMoved: 3}
	const answer = `{"name":"a b?","revision":7,"variants":[{"version":1,"weight":10000,"role":"stable"}],"slots_moved":3}`
	const path = "/api/v1/routes/a%20b%3F"

	f(`[`+answer+`]`, recorded{Target: "GET /api/v1/routes"}, []api.Route{route},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Routes(ctx) })
	f(answer, recorded{Target: "GET " + path}, route,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Route(ctx, "a b?") })
	f(`{"name":"a b?","revision":7,"variants":[{"version":1,"weight":10000,"role":"stable","total":{"requests":9},"recent":{"p50":"1.5ms"}}]}`,
		recorded{Target: "GET " + path + "/stats"},
		api.RouteStats{Name: "a b?", Revision: 7, Variants: []api.VariantStats{{
			Variant: route.Variants[0], Total: api.VariantCount{Requests: 9}, Recent: api.Recent{P50: 1_500_000},
		}}},
		func(ctx context.Context, c *client.Client) (any, error) { return c.RouteStats(ctx, "a b?") })
	f(answer, recorded{"PUT " + path, string(text), `"7"`, "application/json", "", "Zoë", "zu langsam — 20 % 👎"}, result,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.SetRoute(ctx, route, client.EditOptions{Revision: 7, Actor: "Zoë", Reason: "zu langsam — 20 % 👎"})
		})
	f(answer, recorded{Target: "PUT " + path + "?dry_run=true", Body: string(text), Match: `"0"`, Type: "application/json", Actor: "dave"}, result,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.SetRoute(ctx, route, client.EditOptions{DryRun: true})
		})
	f(answer, recorded{Target: "DELETE " + path, Match: "*", Actor: "dave", Reason: "over"}, result,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.DeleteRoute(ctx, "a b?", client.EditOptions{Revision: client.AnyRevision, Reason: "over"})
		})
	f(`[]`, recorded{Target: "POST /api/v1/models/iris/load", Actor: "dave"}, []api.ModelStatus{},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Load(ctx, "iris") })
	event := `[{"seq":4,"time":"0001-01-01T00:00:00Z","type":"route.set","subject":"routes/iris","origin":"api","actor":"carol","after":{"x":1}}]`
	events := []api.Event{{Seq: 4, Type: api.EventRouteSet, Subject: "routes/iris", Origin: api.OriginAPI, Actor: api.Actor{Actor: "carol"}, After: json.RawMessage(`{"x":1}`)}}
	f(event, recorded{Target: "GET /api/v1/journal?after=3&limit=10&subject=routes%2Firis"}, events,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.Events(ctx, 3, 10, client.EventFilter{Subject: "routes/iris"})
		})
	f(event, recorded{Target: "GET /api/v1/journal?after=0"}, events,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.Events(ctx, 0, 0, client.EventFilter{})
		})
	noon := time.Date(2026, 11, 30, 13, 0, 0, 5, time.FixedZone("", 3600))
	f(event, recorded{Target: "GET /api/v1/journal?after=0&since=2026-11-30T12%3A00%3A00.000000005Z&type=route.set%2Cversion.&until=2026-11-30T13%3A00%3A00.000000005Z"}, events,
		func(ctx context.Context, c *client.Client) (any, error) {
			return c.Events(ctx, 0, 0, client.EventFilter{Types: []string{"route.set", "version."}, Since: noon, Until: noon.Add(time.Hour)})
		})
	f(`{"name":"a b","revision":3}`, recorded{Target: "GET /api/v1/routes/a%20b?at=2026-11-30T12%3A00%3A00.000000005Z"}, api.ServedAt{Name: "a b", Revision: 3},
		func(ctx context.Context, c *client.Client) (any, error) { return c.ServedAt(ctx, "a b", noon) })
}

func TestRefusedEditsCarryTheirStatus(t *testing.T) {
	for _, status := range []int{http.StatusPreconditionFailed, http.StatusPreconditionRequired} {
		_, c := record(t, status, `{"error":"route 'iris' is at revision 8"}`)
		_, err := c.SetRoute(t.Context(), api.Route{Name: "iris"}, client.EditOptions{Revision: 7})
		if e, ok := errors.AsType[*client.Error](err); !ok || e.Status != status || e.Message != "route 'iris' is at revision 8" {
			t.Errorf("%d gives %v", status, err)
		}
	}
	_, c := record(t, http.StatusOK, "{}")
	if _, err := c.SetRoute(t.Context(), api.Route{Name: "iris"}, client.EditOptions{Reason: "two\nlines"}); err == nil {
		t.Error("a reason of two lines was sent")
	}
}

// guarded is an admin port with one route, which checks revisions.
type guarded struct {
	mu    sync.Mutex
	route api.Route
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method == http.MethodPut {
		if r.Header.Get("If-Match") != strconv.Quote(strconv.FormatInt(g.route.Revision, 10)) {
			w.WriteHeader(http.StatusPreconditionFailed)
			_ = json.NewEncoder(w).Encode(api.Error{Error: "stale"})
			return
		}
		revision := g.route.Revision
		g.route = api.Route{}
		if err := json.NewDecoder(r.Body).Decode(&g.route); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		g.route.Revision = revision + 1
	}
	_ = json.NewEncoder(w).Encode(api.RouteResult{Route: g.route})
}

// Ten writers each add to the same route. In the end the route must have all acknowledged
// changes and no refused ones.
func TestTenWriters(t *testing.T) {
	const writers, rounds = 10, 10
	s := httptest.NewServer(&guarded{route: api.Route{Name: "iris", Revision: 1}})
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Admin: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var mu sync.Mutex
	want := map[int64]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				route, err := c.Route(t.Context(), "iris")
				if err != nil {
					t.Error(err)
					return
				}
				mark := int64(w*rounds + i + 1)
				route.Variants = append(route.Variants, api.Variant{Version: mark})
				_, err = c.SetRoute(t.Context(), route, client.EditOptions{Revision: route.Revision})
				if e, ok := errors.AsType[*client.Error](err); err != nil && (!ok || e.Status != http.StatusPreconditionFailed) {
					t.Error(err)
				}
				mu.Lock()
				if err == nil {
					want[mark] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	route, err := c.Route(t.Context(), "iris")
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]bool{}
	for _, v := range route.Variants {
		got[v.Version] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != len(route.Variants) || len(got) == 0 {
		t.Errorf("%d variants, (-acknowledged +there):\n%s", len(route.Variants), strings.TrimSpace(diff))
	}
	if route.Revision != 1+int64(len(got)) {
		t.Errorf("revision %d after %d changes", route.Revision, len(got))
	}
}
