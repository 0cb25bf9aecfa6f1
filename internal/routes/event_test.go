package routes_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/routes"
)

func TestEventsSayWhatChanged(t *testing.T) {
	l := newLog(t)
	first, _ := l.put(api.OriginFile, route(stable(1, 10000)))
	second, _ := l.put(api.OriginAPI, route(stable(1, 9000), canary(2, 1000)))
	l.remove(api.OriginAPI, "iris")
	l.remove(api.OriginFile, "iris")
	f := func(e api.Event, kind, origin string, before, after *api.RouteState) {
		t.Helper()
		if e.Type != kind || e.Origin != origin || e.Subject != "routes/iris" {
			t.Errorf("%s %s %s", e.Type, e.Origin, e.Subject)
		}
		g := func(got json.RawMessage, want *api.RouteState) {
			t.Helper()
			if want == nil {
				if got != nil {
					t.Errorf("got %s, want nothing", got)
				}
				return
			}
			var s api.RouteState
			if err := json.Unmarshal(got, &s); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(*want, s); diff != "" {
				t.Error(diff)
			}
		}
		g(e.Before, before)
		g(e.After, after)
	}
	f(l.events[0], api.EventRouteSet, api.OriginFile, nil, &first)
	f(l.events[1], api.EventRouteSet, api.OriginAPI, &first, &second)
	f(l.events[2], api.EventRouteDeleted, api.OriginAPI, &second, nil)
	f(l.events[3], api.EventRouteDeleted, api.OriginFile, nil, nil)
	if set, deleted := l.FileChanges(nil); len(set)+len(deleted) > 0 {
		t.Errorf("the file's entry is still there: %v", deleted)
	}
}

// TestSameEventsSameSet: the same events give the same set, also through JSON, and so do
// later events.
func TestSameEventsSameSet(t *testing.T) {
	w := walker{rand.New(rand.NewPCG(9, 10))}
	l := newLog(t)
	for range 400 {
		r := route(w.first()...)
		r.Name = []string{"a", "b", "ü/<&>"}[w.IntN(3)]
		origin := []string{api.OriginAPI, api.OriginFile}[w.IntN(2)]
		if now, ok := l.Get(r.Name); ok {
			r.Variants = w.next(now.Variants)
			if w.IntN(5) == 0 {
				l.remove(origin, r.Name)
			}
		}
		if _, n := r.Stable(); n > 0 {
			l.put(origin, r)
		}
	}
	text, err := json.Marshal(l.events)
	if err != nil {
		t.Fatal(err)
	}
	var read []api.Event
	if err = json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	again := fold(t, read)
	if diff := cmp.Diff(l.All(), again.All()); diff != "" || len(l.All()) == 0 {
		t.Errorf("%d routes:\n%s", len(l.All()), diff)
	}
	for _, name := range l.Names() {
		now, _ := l.Get(name)
		now.Variants = w.next(now.Variants)
		now.Variants = append(now.Variants[:0:0], now.Variants...)
		now.Variants[0].Role = api.RoleStable
		one, errOne := l.Put(now.Route)
		two, errTwo := again.Put(now.Route)
		if diff := cmp.Diff(one, two); diff != "" || (errOne == nil) != (errTwo == nil) {
			t.Errorf("%v, %v:\n%s", errOne, errTwo, diff)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	l := newLog(t)
	l.put(api.OriginAPI, route(stable(1, 9500), canary(2, 500)))
	good, err := l.Put(route(stable(1, 9000), canary(2, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	before := l.All()
	g := func(e api.Event, want string) {
		t.Helper()
		e.Seq = 42
		err := l.Apply(e)
		if infer.CodeOf(err) != infer.Internal || !strings.Contains(err.Error(), "event 42") || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if diff := cmp.Diff(before, l.All()); diff != "" || l.Revision("iris") != 1 {
			t.Errorf("a refused event changed something:\n%s", diff)
		}
		if strings.Contains(want, "seed") {
			return // a Fold does not compare seeds
		}
		if _, same := folded(routes.NewFold(), append(slices.Clone(l.events), e)); same == nil || same.Error() != err.Error() {
			t.Errorf("Fold says %v, Apply %v", same, err)
		}
	}
	f := func(want string, change func(e *api.Event, s *api.RouteState)) {
		t.Helper()
		s := good
		e := api.Event{Type: api.EventRouteSet, Subject: "routes/iris", Origin: api.OriginAPI}
		change(&e, &s)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		e.After = text
		g(e, want)
	}
	f("expected revision 2, got 1", func(_ *api.Event, s *api.RouteState) { s.Revision = 1 })
	f("expected revision 2, got 3", func(_ *api.Event, s *api.RouteState) { s.Revision = 3 })
	f("expected revision 1, got 2", func(e *api.Event, s *api.RouteState) { e.Subject, s.Name = "routes/x", "x" })
	f(`after is another route: "x"`, func(_ *api.Event, s *api.RouteState) { s.Name = "x" })
	f(`after is another route: ""`, func(e *api.Event, s *api.RouteState) { e.Subject, s.Name = "routes/", "" })
	f(`expected the seed "iris", got "x"`, func(_ *api.Event, s *api.RouteState) { s.Seed = "x" })
	f("2 variants, but slots of 0", func(_ *api.Event, s *api.RouteState) { s.Slots = nil })
	held := func(want string, slots api.Slots) {
		t.Helper()
		f(want, func(_ *api.Event, s *api.RouteState) { s.Slots = slots })
	}
	held("slots[0]: got 9500 slots, expected 9000, the weight", api.Slots{{{0, 9500}}, {{9500, 10000}}})
	held("slots[1]: expected ranges [from, to) within 0 and 10000, got [9001, 10001)", api.Slots{{{0, 9000}}, {{9001, 10001}}})
	held("got [-1, 8999)", api.Slots{{{-1, 8999}}, {{9000, 10000}}})
	held("got [5, 5)", api.Slots{{{0, 9000}, {5, 5}}, {{9000, 10000}}})
	held("got [9, 5)", api.Slots{{{9, 5}}, {{9000, 10000}}})
	held("two ranges have slot 8999", api.Slots{{{0, 9000}}, {{8999, 9999}}})
	held("two ranges have slot 8000", api.Slots{{{0, 9000}}, {{8000, 9000}}})
	f("no variant has slot 9900", func(_ *api.Event, s *api.RouteState) {
		s.Variants = []api.Variant{stable(1, 9000), canary(2, 900)}
		s.Slots = api.Slots{{{0, 9000}}, {{9000, 9900}}}
	})
	f("no variant has slot 0", func(_ *api.Event, s *api.RouteState) { s.Variants, s.Slots = nil, nil })

	set := api.Event{Type: api.EventRouteSet, Subject: "routes/iris"}
	g(set, "after is not a route")
	g(api.Event{Type: api.EventRouteSet, Subject: "iris"}, "the subject is not a route")
	set.After = json.RawMessage(`[]`)
	g(set, "after is not a route")
	set.After = json.RawMessage(`{"name":"iris","slots":[[[1,2,`)
	g(set, "after is not a route")
	for _, e := range []api.Event{
		{Type: api.EventRouteDeleted, Subject: "routes/x", Origin: api.OriginAPI},
		{Type: api.EventRouteDeleted, Subject: "routes/x", Origin: api.OriginFile},
		{Type: api.EventRouteDeleted, Subject: "models/iris", Origin: api.OriginAPI},
		{Type: api.EventRouteDeleted, Subject: "iris", Origin: api.OriginAPI},
	} {
		g(e, "the route does not exist")
	}
	for _, kind := range []string{api.EventModelLoaded, api.EventConfigReloaded, "of.tomorrow"} {
		if err := l.Apply(api.Event{Type: kind, Subject: "routes/iris", After: json.RawMessage(`{`)}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	l.remove(api.OriginAPI, "iris")
	before = l.All()
	g(api.Event{Type: api.EventRouteDeleted, Subject: "routes/iris", Origin: api.OriginAPI}, "the route does not exist")
}

// TestFoldCounts: a Fold detects a gap even if the route was deleted later.
func TestFoldCounts(t *testing.T) {
	l := newLog(t)
	for range 3 {
		l.put(api.OriginAPI, route(stable(1, 10000)))
	}
	l.remove(api.OriginAPI, "iris")
	for gap := range 2 {
		events := slices.Delete(slices.Clone(l.events), gap, gap+1)
		for _, events := range [][]api.Event{events, events[:2]} {
			if _, err := folded(routes.NewFold(), events); infer.CodeOf(err) != infer.Internal || !strings.Contains(err.Error(), "expected revision 2, got 3") {
				t.Errorf("without event %d: %v", gap+1, err)
			}
		}
	}
}

// TestRestoreRefuses: Restore fails and changes nothing if the bytes are not a snapshot.
func TestRestoreRefuses(t *testing.T) {
	l := newLog(t)
	l.put(api.OriginFile, route(stable(1, 10000)))
	f := restored(t, l.events)
	good, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{
		"", "[]", `{"iris":1}`, strings.Replace(string(good), `{"iris"`, `{"other"`, 1),
		strings.Replace(string(good), "10000", "9000", 1), strings.Replace(string(good), `"revision":1`, `"revision":2`, 1),
	} {
		if f.Restore([]byte(state)) == nil {
			t.Errorf("restored from %s", state)
		}
	}
	set, err := f.Set()
	if diff := cmp.Diff(l.All(), set.All()); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// TestJournalledSlotsWin: the slots of an event are valid, even if move would compute
// others.
func TestJournalledSlotsWin(t *testing.T) {
	l := newLog(t)
	r := route(stable(1, 9000), canary(2, 1000))
	r.Complete()
	r.Revision = 1
	odd := api.RouteState{Route: r, Slots: api.Slots{{{5000, 9999}, {0, 4001}}, {{9999, 10000}, {4001, 5000}}}}
	e, err := routes.SetEvent(api.OriginAPI, nil, odd)
	if err != nil {
		t.Fatal(err)
	}
	l.append(e)
	after, moved := l.put(api.OriginAPI, route(stable(1, 9999), canary(2, 1)))
	if diff := cmp.Diff(api.Slots{{{5000, 9999}, {0, 5000}}, {{9999, 10000}}}, after.Slots); diff != "" || moved != 999 {
		t.Errorf("%d moved; %s", moved, diff)
	}
}

// FuzzApply: Apply refuses an event, or its route has slots that can be served and changed.
func FuzzApply(f *testing.F) {
	for _, text := range []string{
		`{"name":"iris","model":"iris","revision":1,"variants":[{"version":1,"weight":10000,"role":"stable"}],"shadows":[],"seed":"iris","slots":[[[0,10000]]]}`,
		`{"name":"iris","revision":1,"variants":[{"version":1,"weight":9999},{"version":1,"weight":1}],"slots":[[[0,9999]],[[9999,10000]]]}`,
		`{"name":"iris","revision":1,"variants":[{"version":1,"weight":-1},{"version":2,"weight":10001}],"slots":[null,[[-1,10000]]]}`,
		`{"name":"iris","revision":1,"fallback":"stable","slots":[[[9223372036854775807,-9223372036854775808]]]}`,
		`null`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, after []byte) {
		s := routes.NewSet()
		if s.Apply(api.Event{Seq: 1, Type: api.EventRouteSet, Subject: "routes/iris", Origin: api.OriginFile, After: after}) != nil {
			return
		}
		now, ok := s.Get("iris")
		if !ok || routes.CheckSlots(now) != nil || routes.Moved(now, now) != 0 {
			t.Fatalf("applied %+v", now)
		}
		next, err := s.Put(api.Route{Name: "iris", Model: now.Model, Variants: []api.Variant{stable(1, 7500), canary(2, 2500)}})
		if err != nil {
			return // a seed that is not UTF-8, say
		}
		if err = routes.CheckSlots(next); err != nil {
			t.Fatal(err)
		}
	})
}
