package trail_test

import (
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/trail"
)

var (
	gatewayItself = api.Actor{}
	alice         = api.Actor{Actor: "alice", Reason: "first users"}
	bob           = api.Actor{Actor: "bob", Reason: "done"}
)

func live(number int64) trail.Place {
	return trail.Place{Version: infer.Version{Model: "iris", Number: number}}
}

func shadow(number int64) trail.Place {
	return trail.Place{Version: infer.Version{Model: "iris", Number: number}, Shadow: true}
}

func wine() trail.Place { return trail.Place{Version: infer.Version{Model: "wine", Number: 1}} }

// of returns a snapshot of versions with digests. All have the same time.
func of(digests map[trail.Place]string, defaults map[string]int64) trail.Snapshot {
	s := trail.Snapshot{Serving: map[trail.Place]trail.Loaded{}, Default: defaults, Failed: map[trail.Place]trail.Failure{}}
	for p, digest := range digests {
		s.Serving[p] = trail.Loaded{Digest: digest, At: time.Unix(1, 0)}
	}
	return s
}

// TestEveryInstant plays a script of changes and asks what served at every instant of it.
func TestEveryInstant(t *testing.T) {
	s := newScript(t)
	s.asked = append(s.asked,
		question{s.now, "iris", "not_found: the journal begins at 2026-11-30T12:00:01Z, so it does not know what served at 2026-11-30T12:00:00Z"},
		question{s.now.AddDate(1, 0, 0), "iris", "invalid: the time 2027-11-30T12:00:00Z is in the future: it is 2026-11-30T13:01:13Z now"})
	s.started(nil)
	s.want("iris", "not_found: at 2026-11-30T12:00:01Z there was no route 'iris', and the journal does not know a model of that name")
	s.asked = s.asked[:3] // the messages have the instants in them

	// The start: two versions. The newer one answers.
	s.serve(of(map[trail.Place]string{live(1): "a1", live(2): "a2", wine(): "w1"}, map[string]int64{"iris": 2, "wine": 1}), api.CauseStart, gatewayItself)
	s.want("iris", "up", "up", "up", "up; stable 100: 2 RE a2", "up; stable 100: 2 RE a2")

	// With poll, a file is replaced, then again by one that does not load.
	s.serve(of(map[trail.Place]string{live(1): "a1", live(2): "b2", wine(): "w1"}, map[string]int64{"iris": 2, "wine": 1}), api.CausePoll, gatewayItself)
	s.want("iris", "up; stable 100: 2 RE b2")
	next := of(map[trail.Place]string{live(1): "a1", live(2): "b2", wine(): "w1"}, map[string]int64{"iris": 2, "wine": 1})
	next.Failed[live(2)] = trail.Failure{Digest: "c2", Reason: "not ONNX"}
	next.Failed[live(3)] = trail.Failure{Files: "f3", Reason: "no model.onnx"}
	s.serve(next, api.CausePoll, gatewayItself)
	s.want("iris", "up; stable 100: 2 RE b2", "up; stable 100: 2 RE b2")

	// A route: its canary is not loaded yet, and its shadow is loaded with it.
	s.route("iris", 1, alice, []api.Variant{{Version: 1, Weight: 9500}, {Version: 3, Weight: 500, Role: api.RoleCanary}}, func(r *api.Route) {
		r.Shadows, r.Fallback = []api.Shadow{{Version: 4, Sample: 1000}}, api.Fallback{Version: 2}
	})
	const split = `up; @1 by alice "first users"; stable 95: 1 RE a1; canary 5: `
	s.want("iris", split+"3 UN failed to load: no model.onnx; shadow 10: 4 UN not loaded after the gateway's start at 2026-11-30T12:00:01Z; fallback: 2 RE b2")
	four := map[trail.Place]string{live(1): "a1", live(2): "b2", live(3): "a3", shadow(4): "a4", wine(): "w1"}
	s.serve(of(four, map[string]int64{"iris": 3, "wine": 1}), api.CauseRoute, alice)
	const late = "; shadow 10: 4 UN not loaded after the gateway's start at 2026-11-30T12:00:01Z; fallback: 2 RE b2"
	const whole = split + "3 RE a3; shadow 10: 4 RE a4; fallback: 2 RE b2"
	s.want("iris", split+"3 RE a3"+late, whole, whole)

	// The canary's breaker opens. It closes when the version is loaded again.
	for _, open := range []bool{true, false, true} {
		e, ok := s.state.Breaker(live(3).Version, open, "")
		if !ok {
			t.Fatal("no event of a breaker")
		}
		s.append(e)
	}
	const opened = split + "3 RE a3 open; shadow 10: 4 RE a4; fallback: 2 RE b2"
	s.want("iris", opened, whole, opened)
	rebuilt := of(four, map[string]int64{"iris": 3, "wine": 1})
	rebuilt.Serving[live(3)] = trail.Loaded{Digest: "a3", At: time.Unix(2, 0)}
	s.serve(rebuilt, api.CauseReload, gatewayItself)
	s.want("iris", whole)

	// A kill: the gateway served until its last heartbeat.
	alive := s.now.Add(20 * time.Second)
	s.asked = append(s.asked, question{alive, "iris", whole}, question{alive.Add(1), "iris", "killed between 12:00:37 and 12:00:58; " + whole[len("up; "):]})
	s.now = s.now.Add(40 * time.Second)
	s.asked = append(s.asked, question{s.now, "iris", "killed between 12:00:37 and 12:00:58; " + whole[len("up; "):]})
	s.started(&api.GatewayEnd{How: api.EndKilled, LastAlive: alive})
	const notYet = " UN not loaded after the gateway's start at 2026-11-30T12:00:58Z"
	const starting = `up; @1 by alice "first users"; stable 95: 1` + notYet + "; canary 5: 3" + notYet + "; shadow 10: 4" + notYet + "; fallback: 2 UN failed to load: not ONNX"
	s.want("iris", starting)

	// Version 2 fails as it did while its earlier files served, so there is no event.
	// The route is deleted, then a call unloads the model.
	again := of(map[trail.Place]string{live(1): "a1", wine(): "w1"}, map[string]int64{"wine": 1})
	again.Failed[live(2)] = next.Failed[live(2)]
	s.serve(again, api.CauseStart, gatewayItself)
	const one = `up; @1 by alice "first users"; stable 95: 1 RE a1; canary 5: 3` + notYet + "; shadow 10: 4" + notYet + "; fallback: 2 UN failed to load: not ONNX"
	s.want("iris", one, one, one)
	s.append(api.Event{Type: api.EventRouteDeleted, Subject: "routes/iris", Actor: bob})
	s.want("iris", "up")
	s.serve(of(map[trail.Place]string{live(1): "a1", wine(): "w1"}, map[string]int64{"iris": 1, "wine": 1}), api.CauseRoute, bob)
	s.want("iris", "up; stable 100: 1 RE a1")
	s.serve(of(map[trail.Place]string{wine(): "w1"}, map[string]int64{"wine": 1}), api.CauseCall, bob)
	s.want("iris", "up", "up")

	// A route with another name over the model. The model is not loaded.
	s.route("shop", 4, bob, []api.Variant{{Version: 1, Weight: 10_000}}, func(r *api.Route) { r.Fallback.Stable = true })
	s.want("shop", `up; @4 by bob "done"; stable 100: 1 UN unloaded at 2026-11-30T12:01:05Z by a call; fallback: 1 UN unloaded at 2026-11-30T12:01:05Z by a call`)

	// A regular stop, downtime, and the next start.
	s.append(api.Event{Type: api.EventGatewayStopped, Subject: api.SubjectGateway})
	s.want("wine", "down since 12:01:07 until 12:01:09; stable 100: 1 UN the gateway was stopped")
	s.now = s.now.Add(time.Second)
	s.started(&api.GatewayEnd{How: api.EndStopped, LastAlive: s.now.Add(-time.Second)})
	s.want("wine", "up; stable 100: 1 UN not loaded after the gateway's start at 2026-11-30T12:01:09Z")
	s.serve(of(map[trail.Place]string{wine(): "w1"}, map[string]int64{"wine": 1}), api.CauseStart, gatewayItself)
	s.want("wine", "up; stable 100: 1 RE w1")
	s.serve(of(nil, nil), api.CausePoll, gatewayItself)
	s.want("wine", "up", "up")
	s.append(api.Event{Type: api.EventGatewayStopped, Subject: api.SubjectGateway})
	s.want("wine", "down since 12:01:13")
	s.check()
}

// TestJournalOfAnEarlierVersion asks a journal that has routes and no events of versions,
// for times before and after the program began to write these events.
func TestJournalOfAnEarlierVersion(t *testing.T) {
	s := newScript(t)
	s.route("iris", 1, alice, []api.Variant{{Version: 1, Weight: 10_000}}, nil)
	s.want("iris", `unknown; @1 by alice "first users"; stable 100: 1 UN the journal has no events of versions before that time`)
	s.append(api.Event{Type: "model.loaded", Subject: "models/wine"})
	s.want("wine", "not_found: at 2026-11-30T12:00:02Z there was no route 'wine', and the journal does not know a model of that name")
	s.asked = s.asked[:4] // the messages have the instants in them
	s.started(&api.GatewayEnd{How: api.EndUnknown, LastAlive: s.now})
	s.serve(of(map[trail.Place]string{live(1): "a1"}, nil), api.CauseStart, gatewayItself)
	s.want("iris", `up; @1 by alice "first users"; stable 100: 1 UN not loaded after the gateway's start at 2026-11-30T12:00:03Z`,
		`up; @1 by alice "first users"; stable 100: 1 RE a1`)
	s.check()
	empty := newScript(t)
	empty.asked = []question{{empty.now, "iris", "not_found: the journal has no events, so it does not know what served at 2026-11-30T12:00:00Z"}}
	empty.check()
}

// TestClockSetBack: events from before the clock was set back count for later times.
func TestClockSetBack(t *testing.T) {
	s := newScript(t)
	s.started(nil)
	s.now = s.now.Add(10 * time.Second)
	s.serve(of(map[trail.Place]string{live(1): "a1"}, map[string]int64{"iris": 1}), api.CauseStart, gatewayItself)
	s.now = s.now.Add(-10 * time.Second)
	s.route("iris", 1, alice, []api.Variant{{Version: 1, Weight: 10_000}}, nil)
	s.asked = []question{{s.now, "iris", `up; @1 by alice "first users"; stable 100: 1 RE a1`}}
	s.check()
}

// TestUnreadable: an event in an unknown form is an error.
func TestUnreadable(t *testing.T) {
	f := func(e api.Event) {
		t.Helper()
		s := newScript(t)
		s.started(nil)
		if _, err := s.log.Append(1, e); err != nil {
			t.Fatal(err)
		}
		if _, err := trail.At(source{s.log, false}, "iris", time.Now(), time.Now()); infer.CodeOf(err) != infer.Internal {
			t.Errorf("%+v: %v", e, err)
		}
	}
	f(api.Event{Type: api.EventRouteSet, Subject: "routes/iris", After: []byte(`[]`)})
	f(api.Event{Type: api.EventRouteSet, Subject: "routes/iris", After: []byte(`{"name":"other"}`)})
	f(api.Event{Type: api.EventVersionLoaded, Subject: "models/iris/1"})
	f(api.Event{Type: api.EventGatewayStarted, Subject: "gateway", After: []byte(`1`)})
	f(api.Event{Type: api.EventDefaultChanged, Subject: "models/iris", After: []byte(`{"model":"iris","version":-1}`)})
}
