package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// signals is a DriftControl with three signals, the oldest first.
type signals struct {
	mu    sync.Mutex
	drift []api.DriftStatus
	list  []api.Signal
	by    api.Actor // the actor of the last close
	tried []string  // the ids of retries
}

func newSignals() *signals {
	signal := func(id, model, state string) api.Signal {
		return api.Signal{SignalData: api.SignalData{ID: id, Model: model, Version: 1}, SignalProgress: api.SignalProgress{State: state}}
	}
	return &signals{
		drift: []api.DriftStatus{
			{Model: "gone", Version: 1, Role: api.RoleStable, State: api.DriftOff, Reason: "the profile does not fit"},
			{Model: "iris", Version: 1, Role: api.RoleStable, State: "OK"},
			{Model: "iris", Version: 2, Role: api.RoleCanary, State: "DETECTED"},
		},
		list: []api.Signal{
			signal("s1", "iris", api.SignalClosed), signal("s2", "wine", api.SignalOpen), signal("s3", "iris", api.SignalOpen),
		},
	}
}

func (c *signals) Drift() []api.DriftStatus { return c.drift }

func (c *signals) DriftReport(model string) []api.DriftReport {
	list := []api.DriftReport{}
	for _, d := range c.drift {
		if d.Model == model {
			list = append(list, api.DriftReport{DriftStatus: d, Distributions: []api.DriftDistribution{{Feature: "x"}}})
		}
	}
	return list
}

func (c *signals) Signals() []api.Signal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]api.Signal(nil), c.list...)
}

func (c *signals) RetrySignal(id string) (api.Signal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.list {
		switch {
		case r.ID != id:
		case r.State != api.SignalOpen:
			return api.Signal{}, infer.Errorf(infer.Conflict, "signal %s is %s; only an open signal can be delivered", id, r.State)
		default:
			c.tried = append(c.tried, id)
			return r, nil
		}
	}
	return api.Signal{}, infer.Errorf(infer.NotFound, "there is no signal %q", id)
}

func (c *signals) CloseSignal(id string, by api.Actor) (api.Signal, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.list {
		r := &c.list[i]
		switch {
		case r.ID != id:
		case r.State == api.SignalClosed:
			return api.Signal{}, infer.Errorf(infer.Conflict, "%s was closed already", id)
		default:
			r.State, r.ClosedBy, r.Reason, c.by = api.SignalClosed, by.Actor, by.Reason, by
			return *r, nil
		}
	}
	return api.Signal{}, infer.Errorf(infer.NotFound, "there is no signal %q", id)
}

func TestDrift(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(path, want string) {
		t.Helper()
		got := s.ask("GET", path, nil)
		var list []api.DriftStatus
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK || list == nil {
			t.Fatalf("GET %s = %d %s: %v", path, got.status, got.body, err)
		}
		var names []string
		for _, d := range list {
			names = append(names, d.Model+" "+d.Role+" "+d.State)
		}
		if diff := cmp.Diff(want, strings.Join(names, ", ")); diff != "" {
			t.Errorf("GET %s (-want +got):\n%s", path, diff)
		}
	}
	f("/api/v1/drift", "gone stable OFF, iris stable OK, iris canary DETECTED")
	f("/api/v1/drift/iris", "iris stable OK, iris canary DETECTED")
	f("/api/v1/drift/gone", "gone stable OFF") // its files are gone, but it has a stream
	f("/api/v1/drift/a%20b", "")               // known, but without a reference
	s.expectError(s.ask("GET", "/api/v1/drift/none", nil), http.StatusNotFound, "there is no model 'none'")
	f("/api/v1/drift/iris/report", "iris stable OK, iris canary DETECTED")
	s.expectError(s.ask("GET", "/api/v1/drift/none/report", nil), http.StatusNotFound, "there is no model 'none'")
	s.signals.drift = nil
	f("/api/v1/drift", "")
}

func TestSignals(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(query, want string) {
		t.Helper()
		got := s.ask("GET", "/api/v1/signals"+query, nil)
		var list []api.Signal
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK || list == nil {
			t.Fatalf("GET %s = %d %s: %v", query, got.status, got.body, err)
		}
		var ids []string
		for _, r := range list {
			ids = append(ids, r.ID)
		}
		if text := strings.Join(ids, " "); text != want {
			t.Errorf("GET %s lists %s, want %s", query, text, want)
		}
	}
	f("", "s3 s2 s1")
	f("?model=iris", "s3 s1")
	f("?model=none", "")
	f("?state=open", "s3 s2")
	f("?model=iris&state=closed", "s1")
	s.expectError(s.ask("GET", "/api/v1/signals?state=OPEN", nil), http.StatusBadRequest, "state: expected open, delivered or closed, got 'OPEN'")
	s.expectError(s.ask("GET", "/api/v1/signals?state=open&state=closed", nil), http.StatusBadRequest, "state is given 2 times")

	if got := s.ask("GET", "/api/v1/signals/s2", nil); got.status != http.StatusOK || !strings.Contains(got.body, `"model":"wine"`) {
		t.Errorf("s2 = %d %s", got.status, got.body)
	}
	s.expectError(s.ask("GET", "/api/v1/signals/s9", nil), http.StatusNotFound, "there is no signal 's9'")
	s.signals.list = nil
	f("", "")
}

func TestRetryAndCloseSignal(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"carol": "a secret of 16+ characters"})
	f := func(path, part string, header ...string) {
		t.Helper()
		got := s.ask("POST", "/api/v1/signals/"+path, nil, append(header, "Authorization", "Bearer a secret of 16+ characters")...)
		if got.status != http.StatusOK || !strings.Contains(got.body, part) {
			t.Errorf("POST %s = %d %s, want %s", path, got.status, got.body, part)
		}
	}
	refused := func(path string, status int, part string, header ...string) {
		t.Helper()
		got := s.ask("POST", "/api/v1/signals/"+path, nil, append(header, "Authorization", "Bearer a secret of 16+ characters")...)
		s.expectError(got, status, part)
	}
	f("s3/retry", `"state":"open"`)
	f("s3/close", `"state":"closed","attempts":0,"closed_by":"carol","reason":"trained anew — v4"`, "Sluice-Change-Reason", "trained anew — v4")
	refused("s3/close", http.StatusConflict, "s3 was closed already")
	refused("s3/retry", http.StatusConflict, "s3 is closed")
	refused("s9/retry", http.StatusNotFound, "there is no signal")
	refused("s9/close", http.StatusNotFound, "there is no signal")
	s.expectError(s.ask("POST", "/api/v1/signals/s2/close", nil), http.StatusUnauthorized, "")

	want := api.Actor{Actor: "carol", Verified: true, Reason: "trained anew — v4"}
	if s.signals.by != want || len(s.signals.tried) != 1 {
		t.Errorf("closed by %+v, tried again %v", s.signals.by, s.signals.tried)
	}
	entries := s.logs.FilterMessage("close signal").FilterField(zap.String("actor", "carol")).FilterField(zap.String("id", "s3")).All()
	if len(entries) != 2 || entries[0].ContextMap()["model"] != "iris" || entries[1].ContextMap()["code"] != "conflict" {
		t.Errorf("the log has %v", entries)
	}
	if n := s.logs.FilterMessage("retry signal").Len(); n != 3 {
		t.Errorf("the log has %d retries, want 3", n)
	}
}

// The old path of the collection answers in the same way as the new one.
func TestRetrainIsSignals(t *testing.T) {
	answers := func(collection string) (list []string) {
		s := serve(t, "127.0.0.1:0", nil)
		for _, r := range []struct{ method, path string }{
			{"GET", ""},
			{"HEAD", ""},
			{"GET", "?model=iris&state=open"},
			{"GET", "?state=OPEN"},
			{"DELETE", ""},
			{"GET", "/s2"},
			{"GET", "/s9"},
			{"PUT", "/s2"},
			{"POST", "/s3/retry"},
			{"POST", "/s1/retry"},
			{"POST", "/s9/retry"},
			{"GET", "/s3/retry"},
			{"POST", "/s3/close"},
			{"POST", "/s3/close"},
			{"GET", "/s3/close"},
			{"GET", "/s3"},
			{"GET", "/s3/open"},
		} {
			got := s.ask(r.method, "/api/v1/"+collection+r.path, nil)
			body := strings.ReplaceAll(got.body, "/api/v1/"+collection, "/api/v1/…") // the error for an unknown path has the path
			list = append(list, fmt.Sprint(r.method, r.path, " ", got.status, got.header.Get("Allow"), body))
		}
		return list
	}
	signals := answers("signals")
	if !strings.HasPrefix(signals[0], "GET 200") || !strings.HasPrefix(signals[8], "POST/s3/retry 200") {
		t.Errorf("signals answer %q", signals)
	}
	if diff := cmp.Diff(signals, answers("retrain")); diff != "" {
		t.Errorf("/api/v1/retrain beside /api/v1/signals:\n%s", diff)
	}
}
