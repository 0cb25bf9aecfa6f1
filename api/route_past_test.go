package api_test

import (
	"encoding/json"
	"testing"

	"sluice.io/sluice/api"
)

func TestPastRoute(t *testing.T) {
	state := func(revision int64) json.RawMessage {
		text, err := json.Marshal(api.RouteState{Route: api.Route{Name: "a", Revision: revision, Seed: "old"}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	events := []api.Event{
		{Type: api.EventRouteSet, Before: state(0), After: state(1)},
		{Type: api.EventRouteSet, Before: state(1), After: state(2)},
		{Type: api.EventRouteDeleted, Before: state(2)},
	}
	f := func(events []api.Event, revision, want int64) {
		t.Helper()
		past, err := api.PastRoute(events, revision)
		switch {
		case err != nil:
			t.Error(err)
		case want == 0 && past != nil, want != 0 && (past == nil || past.Revision != want):
			t.Errorf("%d events, revision %d: %+v, want revision %d", len(events), revision, past, want)
		}
	}
	f(events, api.LastChange, 2)
	f(events[:2], api.LastChange, 1)
	f(events[:1], api.LastChange, 0) // it was implied
	f(events, 1, 1)
	for _, bad := range [][]api.Event{nil, events, {{After: []byte("1")}}} {
		if past, err := api.PastRoute(bad, 7); err == nil {
			t.Errorf("%+v, no error", past)
		}
	}
	now := api.Route{Name: "a", Revision: 5, Seed: "now"}
	if r := now.RestoreTo(api.Route{Name: "a", Revision: 1, Seed: "old"}); r.Seed != "now" || r.Revision != 5 {
		t.Errorf("%+v", r)
	}
	if r := (&api.Route{Name: "a"}).RestoreTo(api.Route{Name: "a", Revision: 1, Seed: "old"}); r.Seed != "old" {
		t.Errorf("%+v", r)
	}
}
