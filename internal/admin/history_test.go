package admin_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/testing/access"
)

// histories remembers the last query.
type histories struct{ asked *api.HistoryQuery }

func (histories) MaxHistory() time.Duration { return time.Hour }

func (h histories) History(_ context.Context, q api.HistoryQuery) (api.History, error) {
	*h.asked = q
	return api.History{Models: []api.ModelHistory{}, Routes: []api.RouteHistory{}}, nil
}

func TestHistoryQuery(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(query string, want api.HistoryQuery) {
		t.Helper()
		if a := s.ask(http.MethodGet, "/api/v1/history?"+query, nil); a.status != http.StatusOK || !strings.Contains(a.body, `"models":[]`) {
			t.Fatalf("%s: %+v", query, a)
		}
		if diff := cmp.Diff(want, s.asked); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	f("model=iris&route=shop&model=digits", api.HistoryQuery{Models: []string{"iris", "digits"}, Routes: []string{"shop"}, Span: time.Hour, Points: 240})
	f("model=a%20b&span=5m&points=720", api.HistoryQuery{Models: []string{"a b"}, Routes: []string{}, Span: 5 * time.Minute, Points: 720})
	for query, text := range map[string]string{
		"": "1 to 100", "span=1h": "1 to 100", strings.Repeat("&model=m", 51) + strings.Repeat("&route=r", 50): "1 to 100",
		"model=m&span=2h": "span: expected", "model=m&span=1s": "span: expected", "model=m&span=x": "span: expected", "model=m&span=1m&span=2m": "one value",
		"model=m&points=0": "points: expected", "model=m&points=721": "points: expected", "model=m&points=x": "points: expected",
		"model=": "not a valid name", "model=a%2Fb": "not a valid name", "route=" + url.QueryEscape("a\nb"): "not a valid name", "models=m": "not known", "model=%zz": "",
	} {
		s.expectError(s.ask(http.MethodGet, "/api/v1/history?"+query, nil), http.StatusBadRequest, text)
	}
}

// What a caller may not see is left out, as what does not exist is.
func TestHistoryIsOfVisibleModels(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	s.books.Store(access.Of(callers.Options{Callers: []callers.Member{
		access.Can("alice", "alice-key", callers.Statistics, "iris", "shop-*"), access.Can("bob", "bob-key", callers.Metadata, "*"),
	}}).Load())
	const path = "/api/v1/history?model=iris&model=digits&route=shop-eu&route=bank"
	if a := s.ask(http.MethodGet, path, nil, "Authorization", "Bearer alice-key"); a.status != http.StatusOK {
		t.Fatalf("%+v", a)
	}
	if want := (api.HistoryQuery{Models: []string{"iris"}, Routes: []string{"shop-eu"}, Span: time.Hour, Points: 240}); !cmp.Equal(s.asked, want) {
		t.Errorf("%+v", s.asked)
	}
	s.expectError(s.ask(http.MethodGet, path, nil, "Authorization", "Bearer bob-key"), http.StatusForbidden, "statistics")
}
