package signals_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/signals"
)

// about makes an event about a signal.
func about(kind, id string, after any) api.Event {
	e := api.Event{Seq: 42, Type: kind, Subject: "retrain/" + id, Time: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)}
	if after != nil {
		e.After, _ = json.Marshal(after) // values of tests can be marshaled
	}
	return e
}

func requested(s api.SignalData, id string) api.Event {
	s.ID, s.Cause = id, api.CauseDrift
	return about(api.EventRetrainRequested, id, s)
}

func TestApplyRefuses(t *testing.T) {
	s := signals.NewStore()
	for _, e := range []api.Event{requested(drift("iris", 1, 0), "a"), requested(drift("wine", 1, 0), "b")} {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	before := s.All()
	f := func(e api.Event, want string) {
		t.Helper()
		err := s.Apply(e)
		if infer.CodeOf(err) != infer.Internal || !strings.Contains(err.Error(), "event 42") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if diff := cmp.Diff(before, s.All()); diff != "" {
			t.Errorf("a refused event changed something: %s", diff)
		}
	}
	f(about(api.EventRetrainRequested, "c", nil), "after is not a signal")
	f(about(api.EventRetrainRequested, "c", drift("iris", 1, 0)), `after is another signal: ""`)
	f(about(api.EventRetrainRequested, "", drift("iris", 1, 0)), `after is another signal: ""`)
	e := requested(drift("iris", 1, 0), "c")
	e.Subject = "retrain/d"
	f(e, `after is another signal: "c"`)
	f(requested(missing("iris", "x", 0), "c"), "after is of type")
	e = requested(drift("iris", 1, 0), "c")
	e.Type = api.EventQualityViolated
	f(e, "after is of type")
	f(about(api.EventRetrainDelivered, "c", api.SignalProgress{}), "the signal does not exist")
	f(about(api.EventRetrainClosed, "c", nil), "the signal does not exist")
	f(about(api.EventRetrainDelivered, "a", nil), "after is not a signal's progress")
	f(about(api.EventRetrainSuppressed, "a", nil), "after is not a suppression")
	held := api.SignalSuppression{SignalData: drift("iris", 1, 0), HeldBackBy: "b"}
	f(about(api.EventRetrainSuppressed, "b", held), "not the model's last request")
	held.HeldBackBy = "a"
	f(about(api.EventRetrainSuppressed, "b", held), "not the model's last request")
	held.Model = "x"
	f(about(api.EventRetrainSuppressed, "a", held), "not the model's last request")
	for _, kind := range []string{api.EventRouteSet, api.EventModelLoaded, "of.tomorrow"} {
		if err := s.Apply(api.Event{Type: kind, Subject: "retrain/a"}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestApplyTwice: the same event a second time changes nothing.
func TestApplyTwice(t *testing.T) {
	s := signals.NewStore()
	closed := about(api.EventRetrainClosed, "a", nil)
	closed.Actor = api.Actor{Actor: "alice", Reason: "done"}
	held := about(api.EventRetrainSuppressed, "a", api.SignalSuppression{SignalData: drift("iris", 2, 0), HeldBackBy: "a"})
	delivered := about(api.EventRetrainDelivered, "a", api.SignalProgress{Attempts: 3})
	for _, e := range []api.Event{requested(drift("iris", 1, 0), "a"), held, delivered, closed} {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
		before := s.All()
		e.Time, e.Actor = e.Time.Add(time.Hour), api.Actor{Actor: "bob"}
		if err := s.Apply(e); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, s.All()); diff != "" {
			t.Errorf("%s, twice: %s", e.Type, diff)
		}
	}
	want := api.SignalProgress{
		State: api.SignalClosed, Attempts: 3, DeliveredAt: &delivered.Time, ClosedAt: &closed.Time, ClosedBy: "alice", Reason: "done", Suppressed: 1,
	}
	also := s.All()[0].Also
	if len(also) != 1 || also[0].Version != 2 || also[0].Role != "stable" || len(also[0].Features) != 1 || also[0].Features[0] != "input petal_length" {
		t.Errorf("%+v", also)
	}
	want.Also = also
	if diff := cmp.Diff(want, s.All()[0].SignalProgress); diff != "" {
		t.Error(diff)
	}
}

// TestOldSignalsAreForgotten: the store keeps only the ids of old signals that are not open.
func TestOldSignalsAreForgotten(t *testing.T) {
	s := signals.NewStore()
	apply := func(e api.Event) {
		t.Helper()
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	apply(requested(drift("open", 1, 0), "open"))
	for i := range 1500 {
		id := strconv.Itoa(i)
		apply(requested(drift("iris", 1, i), id))
		apply(about(api.EventRetrainClosed, id, nil))
	}
	all := s.All()
	if len(all) != 1001 || all[0].ID != "open" || all[1].ID != "500" || all[1000].ID != "1499" {
		t.Errorf("%d signals, %s, %s, …", len(all), all[0].ID, all[1].ID)
	}
	if _, ok := s.Get("499"); ok || !s.Known("499") || s.Known("1500") {
		t.Error("499 is not known, or 1500 is")
	}
	s = resumed(t, s)
	apply(requested(drift("iris", 1, 499), "499"))
	apply(about(api.EventRetrainDelivered, "499", api.SignalProgress{}))
	if diff := cmp.Diff(all, s.All()); diff != "" {
		t.Error(diff)
	}
}

// TestLastRequestsAreNotForgotten: a model's last request stays until it is closed.
func TestLastRequestsAreNotForgotten(t *testing.T) {
	s := signals.NewStore()
	apply := func(e api.Event) {
		t.Helper()
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(id string, e api.Event) {
		t.Helper()
		apply(e)
		apply(about(api.EventRetrainDelivered, id, api.SignalProgress{Attempts: 1}))
	}
	many := func(from int) {
		t.Helper()
		for i := range 1100 {
			id := strconv.Itoa(from + i)
			v := missing("iris", "x", from+i)
			v.ID = id
			settle(id, about(api.EventQualityViolated, id, v))
		}
	}
	settle("first", requested(drift("iris", 1, 0), "first"))
	settle("wine", requested(drift("wine", 1, 0), "wine"))
	many(0)
	if _, ok := s.Get("first"); !ok || len(s.All()) != 1000 {
		t.Errorf("the store lacks the request that holds others back, or keeps one of %d too many", len(s.All()))
	}
	settle("second", requested(drift("iris", 1, 1), "second"))
	apply(about(api.EventRetrainClosed, "wine", nil))
	s = resumed(t, s)
	many(2000)
	s = resumed(t, s)
	for id, want := range map[string]bool{"first": false, "wine": false, "second": true} {
		if _, ok := s.Get(id); ok != want || !s.Known(id) {
			t.Errorf("%s: there is %t, want %t", id, ok, want)
		}
	}
	if n := len(s.All()); n != 1000 {
		t.Errorf("%d signals", n)
	}
}

// TestRestoreRefuses: Restore fails and changes nothing if the bytes are not a snapshot.
func TestRestoreRefuses(t *testing.T) {
	s := signals.NewStore()
	if err := s.Apply(requested(drift("iris", 1, 0), "a")); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"", "[]", `{"signals":[null]}`, `{"signals":[{"id":"x"}]}`, `{"models":{"iris":{}}}`} {
		if s.Restore([]byte(state)) == nil {
			t.Errorf("restored from %q", state)
		}
	}
	if !s.Known("a") || len(s.All()) != 1 {
		t.Error("the store has changed")
	}
}

// FuzzStore applies any events: nothing panics, an error changes nothing, and the same events
// give the same store.
func FuzzStore(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 2, 0, 3, 0, 4, 0}, []byte(`{}`))
	f.Add([]byte{0, 0, 4, 0, 0, 1, 2, 1, 1, 9, 3, 1, 2, 1}, []byte(`{"id":"0","state":"closed","attempts":-1}`))
	f.Add([]byte{5, 0, 5, 5, 0, 0, 8, 0}, []byte(`{"id":"0","type":"io.sluice.retrain.requested.v1","model":"","features":[null]}`))
	f.Fuzz(func(t *testing.T, steps, after []byte) {
		s, again := signals.NewStore(), signals.NewStore()
		for len(steps) > 1 {
			n := int(steps[1]) % 16
			id, now := strconv.Itoa(n), drift("iris", int64(n%3), n)
			e := [...]api.Event{
				requested(now, id),
				about(api.EventQualityViolated, id, api.SignalData{ID: id, Type: api.TypeDataQualityViolated}),
				about(api.EventRetrainDelivered, id, api.SignalProgress{Attempts: n}),
				about(api.EventRetrainClosed, id, nil),
				about(api.EventRetrainSuppressed, id, api.SignalSuppression{SignalData: now, HeldBackBy: id}),
			}[steps[0]%5]
			if steps[0]%10 > 4 {
				e.After = after
			}
			steps = steps[2:]
			before := s.All()
			if err := s.Apply(e); err != nil {
				if diff := cmp.Diff(before, s.All()); diff != "" {
					t.Fatalf("%v changed: %s", err, diff)
				}
				continue
			}
			if err := again.Apply(e); err != nil {
				t.Fatal(err)
			}
			r, ok := s.Get(strings.TrimPrefix(e.Subject, "retrain/"))
			if !ok || (r.State == api.SignalOpen) != (r.DeliveredAt == nil && r.ClosedAt == nil) || (r.State == api.SignalClosed) != (r.ClosedAt != nil) {
				t.Fatalf("after %s: %+v", e.Type, r)
			}
		}
		if diff := cmp.Diff(s.All(), again.All()); diff != "" {
			t.Error(diff)
		}
	})
}
