package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

// watched is a stream of a gateway.
type watched struct {
	t     *testing.T
	lines *bufio.Scanner
}

// watch opens a stream, which ends with the test.
func (g *gateway) watch(t *testing.T, client *http.Client, query string) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.admin+"/api/v1/watch?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close() // its end is the test's
	})
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", query, resp.StatusCode)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	return &watched{t: t, lines: lines}
}

// next returns the next message that is not a heartbeat.
func (w *watched) next() (m api.WatchMessage, ok bool) {
	w.t.Helper()
	for w.lines.Scan() {
		name, value, _ := strings.Cut(w.lines.Text(), ": ")
		switch name {
		case "id":
			m.ID, _ = strconv.ParseInt(value, 10, 64)
		case "event":
			m.Kind = value
		case "data":
			m.Data = json.RawMessage(value)
			return m, true
		}
	}
	return m, false
}

// until returns the first message that a test accepts.
func (w *watched) until(what string, accept func(api.WatchMessage) bool) api.WatchMessage {
	w.t.Helper()
	for {
		m, ok := w.next()
		if !ok {
			w.t.Fatalf("the stream ended before: %s", what)
		}
		if accept(m) {
			return m
		}
	}
}

func states(t *testing.T, m api.WatchMessage) (s api.WatchStates) {
	t.Helper()
	if m.Kind == api.WatchState {
		if err := json.Unmarshal(m.Data, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A watcher sees an edit as an event and as a state, counts of its route alone, a rollout, and the stop.
func TestWatch(t *testing.T) {
	g := startOn(t, &fakes{}, doubles(t, 2), "data_dir: "+t.TempDir(), `routes: {double: {variants: [{version: 1, weight: 100%}]}}`, "models: {double: {"+fakeModels+"}}")
	w := g.watch(t, http.DefaultClient, "journal=true&type=route.,rollout.&models=*&routes=double&rollouts=double&counters=double&every=250ms")
	first, _ := w.next()
	var start api.WatchStarted
	if err := json.Unmarshal(first.Data, &start); err != nil || first.Kind != api.WatchStart || start.After == 0 || start.After != start.Last {
		t.Fatalf("%s %s %v", first.Kind, first.Data, err)
	}
	whole := states(t, w.until("all states", func(m api.WatchMessage) bool { return m.Kind == api.WatchState }))
	if !whole.Whole || len(whole.Models) == 0 || len(whole.Routes) != 1 || len(whole.Counters) != 1 || len(whole.Rollouts) != 0 || whole.Models[0].Detail != nil {
		t.Errorf("%+v", whole)
	}
	if r := g.change(t, http.MethodPut, "double", "*", split(1, 2, 500)); r.status != http.StatusOK {
		t.Fatal(r.body)
	}
	event := w.until("the event", func(m api.WatchMessage) bool { return m.Kind == api.WatchJournal })
	var e api.Event
	if err := json.Unmarshal(event.Data, &e); err != nil || e.Type != api.EventRouteSet || e.Seq != event.ID || e.Seq <= start.After {
		t.Errorf("%d %s %v", event.ID, event.Data, err)
	}
	w.until("the route", func(m api.WatchMessage) bool {
		s := states(t, m)
		return len(s.Routes) == 1 && len(s.Routes[0].Variants) == 2
	})
	g.must(t, http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest)
	w.until("the request", func(m api.WatchMessage) bool {
		s := states(t, m)
		return len(s.Counters) == 1 && s.Counters[0].Variants[0].Total.Requests+s.Counters[0].Variants[1].Total.Requests == 1
	})
	if r := g.change(t, http.MethodPut, "double", "*", `{"variants": [{"version": 1, "weight": 10000, "role": "stable"}]}`); r.status != http.StatusOK {
		t.Fatal(r.body)
	}
	g.startRollout(t)
	w.until("its event", func(m api.WatchMessage) bool {
		return m.Kind == api.WatchJournal && strings.Contains(string(m.Data), `"rollout.started"`)
	})
	w.until("its state", func(m api.WatchMessage) bool { return len(states(t, m).Rollouts) == 1 })
	if n := g.must(t, http.MethodGet, g.admin+"/metrics", ""); !strings.Contains(n, "\nsluice_watchers 1\n") {
		t.Error("the watcher is not in the metrics")
	}
	// A stream that goes on after the first event has the same ones.
	again := g.watch(t, http.DefaultClient, "journal=true&type=route.&after="+strconv.FormatInt(e.Seq-1, 10))
	if m := again.until("the event", func(m api.WatchMessage) bool { return m.Kind == api.WatchJournal }); string(m.Data) != string(event.Data) {
		t.Errorf("again: %s, first: %s", m.Data, event.Data)
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	w.until("the end", func(m api.WatchMessage) bool { return m.Kind == api.WatchEnd })
}

func TestWatchOverTLS(t *testing.T) {
	s := startSecured(t)
	w := s.watch(t, s.client, "models=*")
	w.until("states", func(m api.WatchMessage) bool { return len(states(t, m).Models) == 1 })
}
