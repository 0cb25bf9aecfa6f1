package trail_test

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/trail"
)

func TestAdvance(t *testing.T) {
	s := newScript(t)
	f := func(next trail.Snapshot, cause string, want ...string) {
		t.Helper()
		events := s.state.Advance(next, always(cause, gatewayItself))
		if diff := cmp.Diff(append([]string{}, want...), texts(events)); diff != "" {
			t.Error(diff)
		}
		s.append(events...)
	}
	two := map[string]int64{"iris": 2, "wine": 1}
	f(of(nil, nil), api.CauseStart)
	f(of(map[trail.Place]string{wine(): "w1", shadow(4): "a4", live(2): "a2", live(1): "a1"}, two), api.CauseStart,
		"version.loaded models/iris/1 live a1 start", "version.loaded models/iris/2 live a2 start", "version.loaded models/wine/1 live w1 start",
		"version.loaded models/iris/4 shadow a4 start", "default.changed models/iris start", "default.changed models/wine start")
	// New versions serve before old ones stop. Failures come between.
	next := of(map[trail.Place]string{wine(): "w2", live(3): "a3", live(2): "a2"}, map[string]int64{"iris": 3, "wine": 1})
	next.Failed[shadow(4)] = trail.Failure{Digest: "b4", Files: "f", Reason: "broken"}
	next.Failed[live(9)] = trail.Failure{Files: "f9", Reason: "broken"}
	f(next, api.CausePoll,
		"version.loaded models/iris/3 live a3 poll", "version.replaced models/wine/1 live w1 w2 poll",
		"version.failed models/iris/9 live f9 broken poll", "version.failed models/iris/4 shadow b4 broken poll",
		"default.changed models/iris poll", "version.retired models/iris/1 live a1 poll", "version.retired models/iris/4 shadow a4 poll")
	f(next, api.CausePoll)

	// The same digest loaded again, and an unknown time.
	rebuilt := of(map[trail.Place]string{wine(): "w2", live(3): "a3", live(2): "a2"}, map[string]int64{"iris": 3, "wine": 1})
	rebuilt.Serving[live(2)] = trail.Loaded{Digest: "a2", At: time.Unix(2, 0)}
	rebuilt.Serving[live(3)] = trail.Loaded{Digest: "a3"}
	f(rebuilt, api.CauseReload, "version.replaced models/iris/2 live a2 a2 reload")

	// A call that loads a newer version retires the older one. A call that removes the last
	// version unloads it.
	f(of(map[trail.Place]string{wine(): "w2", live(3): "a3"}, map[string]int64{"iris": 3, "wine": 1}), api.CauseCall, "version.retired models/iris/2 live a2 call")
	f(of(map[trail.Place]string{wine(): "w2"}, map[string]int64{"wine": 1}), api.CauseCall,
		"default.changed models/iris call", "version.unloaded models/iris/3 live a3 call")
	f(of(nil, nil), api.CauseReload, "default.changed models/wine reload", "version.retired models/wine/1 live w2 reload")
}

func TestActors(t *testing.T) {
	for cause, origin := range map[string]string{
		api.CauseStart: api.OriginGateway, api.CausePoll: api.OriginGateway,
		api.CauseCall: api.OriginAPI, api.CauseRoute: api.OriginAPI, api.CauseReload: api.OriginAPI,
	} {
		events := trail.NewState().Advance(of(map[trail.Place]string{live(1): "a"}, nil), always(cause, alice))
		if len(events) != 1 || events[0].Origin != origin || events[0].Actor != alice {
			t.Errorf("%s: %+v", cause, events)
		}
	}
}

// A start loads one version after another. The default of a model stays in the meantime, and
// is removed if no version of it is loading any more.
func TestDefaultsStandWhileModelsLoad(t *testing.T) {
	s := newScript(t)
	serves, defaults := map[trail.Place]string{live(2): "a2", wine(): "w1"}, map[string]int64{"iris": 2, "wine": 1}
	s.append(s.state.Advance(of(serves, defaults), always(api.CauseStart, gatewayItself))...)
	f := func(next trail.Snapshot, loading string, want ...string) {
		t.Helper()
		next.Loading = map[string]bool{loading: true}
		events := s.state.Advance(next, always(api.CauseStart, gatewayItself))
		if diff := cmp.Diff(append([]string{}, want...), texts(events)); diff != "" {
			t.Error(diff)
		}
		s.append(events...)
	}
	s.append(api.Event{Type: api.EventGatewayStopped, Subject: "gateway"})
	f(of(nil, nil), "iris", "default.changed models/wine start")
	f(of(map[trail.Place]string{live(2): "a2"}, map[string]int64{"iris": 2}), "iris", "version.loaded models/iris/2 live a2 start")
	f(of(nil, nil), "iris", "default.changed models/iris start", "version.retired models/iris/2 live a2 start") // it served
}

// TestRepeatedFailures: a digest that fails for the same reason is one event, also across
// starts, until another version was in its place.
func TestRepeatedFailures(t *testing.T) {
	s := newScript(t)
	failing := func(digest, files, reason string) trail.Snapshot {
		next := of(nil, nil)
		next.Failed[live(1)] = trail.Failure{Digest: digest, Files: files, Reason: reason}
		return next
	}
	f := func(events int, next trail.Snapshot) {
		t.Helper()
		got := s.state.Advance(next, always(api.CausePoll, gatewayItself))
		if len(got) != events {
			t.Errorf("%v, want %d events", texts(got), events)
		}
		s.append(got...)
	}
	f(1, failing("d", "1", "broken"))
	f(0, failing("d", "2", "broken"))
	s.started(nil)
	f(0, failing("d", "2", "broken"))
	f(1, failing("d", "2", "too large"))
	f(1, failing("e", "2", "too large"))
	f(1, failing("", "2", "gone"))
	f(0, failing("", "2", "gone"))
	f(1, failing("", "3", "gone"))
	f(0, of(nil, nil))
	f(0, failing("", "3", "gone"))
	f(1, failing("", "3", "\xff"+strings.Repeat("é", 5_000)))
	f(0, failing("", "3", "\xff"+strings.Repeat("é", 5_000)))
	f(1, of(map[trail.Place]string{live(1): "f"}, nil))
	f(1, of(nil, nil))
	f(1, failing("", "3", "gone"))
}

// TestManyFailures: the state forgets failures instead of growing without limit. A snapshot
// with more failures than it remembers gives events once.
func TestManyFailures(t *testing.T) {
	state := trail.NewState()
	for round := range 4 {
		next := of(nil, nil)
		for i := range int64(15_000) {
			next.Failed[live(i+1)] = trail.Failure{Files: strconv.Itoa(round), Reason: "broken"}
		}
		events := state.Advance(next, always(api.CausePoll, gatewayItself))
		if len(events) != 10_000 {
			t.Fatalf("round %d: %d events", round, len(events))
		}
		for _, e := range events {
			if err := state.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if more := state.Advance(next, always(api.CausePoll, gatewayItself)); len(more) != 0 {
			t.Fatalf("round %d: %d more events", round, len(more))
		}
	}
	if n := state.Failures(); n > 20_000 {
		t.Errorf("%d failures are remembered", n)
	}
}

func TestBreaker(t *testing.T) {
	s := newScript(t)
	s.serve(of(map[trail.Place]string{live(1): "a1", shadow(2): "a2"}, nil), api.CauseStart, gatewayItself)
	f := func(number int64, open bool, want ...string) {
		t.Helper()
		var got []string
		if e, ok := s.state.Breaker(live(number).Version, open, ""); ok {
			got = texts([]api.Event{e})
			s.append(e)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f(1, false)
	f(1, true, "breaker.opened models/iris/1 live a1 requests")
	f(1, true)
	f(1, false, "breaker.closed models/iris/1 live a1 requests")
	f(2, true) // a shadow has no breaker
	f(9, true)
	f(1, true, "breaker.opened models/iris/1 live a1 requests")
	s.started(nil)
	f(1, true) // it does not serve
	s.serve(of(map[trail.Place]string{live(1): "a1"}, nil), api.CauseStart, gatewayItself)
	f(1, true, "breaker.opened models/iris/1 live a1 requests")
}

// TestAnySnapshots takes the state through random snapshots. After the events of each,
// Advance returns none, for the state and for a new one that applied all events.
func TestAnySnapshots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	log := journal.Memory()
	state := trail.NewState()
	apply := func(events []api.Event) {
		t.Helper()
		events, err := log.AppendAll(journal.Any, events)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := state.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	causes := []string{api.CauseStart, api.CausePoll, api.CauseReload, api.CauseCall, api.CauseRoute}
	for step := range 1_000 {
		if r.IntN(10) == 0 {
			kind := []string{api.EventGatewayStarted, api.EventGatewayStopped}[r.IntN(2)]
			apply([]api.Event{{Type: kind, Subject: api.SubjectGateway}})
		}
		next := anySnapshot(r)
		if r.IntN(20) == 0 { // the events could not be written, and come with the next ones
			state.Advance(next, always(api.CausePoll, gatewayItself))
			next = anySnapshot(r)
		}
		cause := causes[r.IntN(len(causes))]
		apply(state.Advance(next, always(cause, gatewayItself)))
		if more := state.Advance(next, always(cause, gatewayItself)); len(more) != 0 {
			t.Fatalf("step %d: the same snapshot gives more events: %v", step, texts(more))
		}
		if step%50 != 0 {
			continue
		}
		fresh := trail.NewState()
		if err := log.Replay(0, journal.Filter{}, fresh.Apply); err != nil {
			t.Fatal(err)
		}
		saved, restored := snapshotOf(t, fresh), trail.NewState()
		if err := restored.Restore(saved); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fresh, restored, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
			t.Fatalf("step %d: the restored state differs: %s", step, diff)
		}
		if more := fresh.Advance(next, always(cause, gatewayItself)); len(more) != 0 {
			t.Fatalf("step %d: a state that applied all events gives more: %v", step, texts(more))
		}
	}
}

func snapshotOf(t *testing.T, s *trail.State) []byte {
	t.Helper()
	saved, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

// TestRestoreRefuses: Restore fails and changes nothing if the bytes are not a snapshot.
func TestRestoreRefuses(t *testing.T) {
	state := trail.NewState()
	for _, e := range state.Advance(anySnapshot(rand.New(rand.NewPCG(1, 1))), always(api.CauseStart, gatewayItself)) {
		if err := state.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, saved := range []string{"", "[]", `{"serving":[{"model":1}]}`} {
		if state.Restore([]byte(saved)) == nil {
			t.Errorf("restored from %q", saved)
		}
	}
	if more := state.Advance(anySnapshot(rand.New(rand.NewPCG(1, 1))), always(api.CauseStart, gatewayItself)); len(more) != 0 {
		t.Errorf("the state has changed: %v", texts(more))
	}
}

func anySnapshot(r *rand.Rand) trail.Snapshot {
	s := of(nil, map[string]int64{})
	for _, model := range []string{"iris", "wine", "a b", "é"} {
		for number := range int64(4) {
			for _, shadow := range []bool{false, true} {
				p := trail.Place{Version: infer.Version{Model: model, Number: number + 1}, Shadow: shadow}
				if r.IntN(2) == 0 {
					s.Serving[p] = trail.Loaded{Digest: strconv.Itoa(r.IntN(3)), At: time.Unix(r.Int64N(3), r.Int64N(2))}
				}
				if r.IntN(4) == 0 {
					s.Failed[p] = trail.Failure{Digest: []string{"", "1", "2"}[r.IntN(3)], Files: strconv.Itoa(r.IntN(2)), Reason: []string{"a", "\xff<&>"}[r.IntN(2)]}
				}
			}
		}
		if n := r.Int64N(4); n > 0 || r.IntN(2) == 0 {
			s.Default[model] = n
		}
	}
	return s
}
