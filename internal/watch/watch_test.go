package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is the sources and the journal of a hub.
type gateway struct {
	t   *testing.T
	hub *watch.Hub

	mu       sync.Mutex
	events   []api.Event
	appended chan struct{}
	broken   int64 // events up to this one cannot be read
	models   []api.ModelStatus
	signals  []api.Signal
	requests map[string]int64 // by route
	looks    int              // at models
	counted  []string         // routes whose counters were read
}

// newGateway returns a gateway in a synctest bubble, whose hub ends with the test.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, appended: make(chan struct{}), requests: map[string]int64{}}
	g.hub = watch.New(watch.Options{Journal: g, Logger: zap.NewNop(), Sources: watch.Sources{
		Models: g.allModels, Routes: g.routes, Rollouts: func() []api.Rollout { return nil }, Signals: g.allSignals,
		Drift: func() []api.DriftStatus { return nil }, Counters: g.counters,
	}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.hub.Run(ctx) }() // received in the cleanup
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g
}

func (g *gateway) Appended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.appended
}

func (g *gateway) Last() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int64(len(g.events))
}

func (g *gateway) Read(after int64, limit int, f watch.Filter) (list []api.Event, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if after < g.broken {
		return nil, infer.Errorf(infer.Unavailable, "the journal cannot be read: a segment is missing")
	}
	for _, e := range g.events[min(int(after), len(g.events)):] {
		kind := len(f.Types) == 0 || slices.Contains(f.Types, e.Type)
		subject := f.Subject == "" || f.Subject == e.Subject || strings.HasSuffix(f.Subject, "/") && strings.HasPrefix(e.Subject, f.Subject)
		if kind && subject && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (g *gateway) append(subjects ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, subject := range subjects {
		g.events = append(g.events, api.Event{Seq: int64(len(g.events)) + 1, Type: "route.set", Subject: subject})
	}
	close(g.appended)
	g.appended = make(chan struct{})
}

func (g *gateway) allModels() []api.ModelStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	return slices.Clone(g.models)
}

func (g *gateway) allSignals() []api.Signal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.signals)
}

func (g *gateway) setModels(list ...api.ModelStatus) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.models = list
}

func (g *gateway) routes() []api.Route { return []api.Route{{Name: "iris"}, {Name: "wine"}} }

func (g *gateway) counters(route string) (api.RouteStats, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if route != "iris" && route != "wine" {
		return api.RouteStats{}, infer.Errorf(infer.NotFound, "there is no route '%s'", route)
	}
	g.counted = append(g.counted, route)
	v := api.VariantStats{Total: api.VariantCount{Requests: g.requests[route]}}
	v.Recent.Window = api.Duration(time.Now().UnixNano()) // always another one
	return api.RouteStats{Name: route, Variants: []api.VariantStats{v}}, nil
}

// viewer writes messages down, as "kind id data".
type viewer struct {
	mu      sync.Mutex
	got     []api.WatchMessage
	hidden  map[string]bool // names that it may not see
	changed bool            // for the next Check
	err     error           // of Check
	at      []time.Time     // when messages were sent
	hold    chan struct{}   // if it is not nil, Send waits for it
	cancel  func()
	ended   chan error
}

// watch starts a stream, which ends with the test.
func (g *gateway) watch(q api.WatchQuery, options ...func(*viewer)) *viewer {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	v := &viewer{cancel: cancel, ended: make(chan error, 1)}
	for _, o := range options {
		o(v)
	}
	go func() { v.ended <- g.hub.Watch(ctx, q, v) }() // received in the cleanup or by the test
	g.t.Cleanup(cancel)
	synctest.Wait()
	return v
}

func (v *viewer) Check() (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := v.changed
	v.changed = false
	return changed, v.err
}

func (v *viewer) May(_, name string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.hidden[name]
}

func (v *viewer) Send(m api.WatchMessage) error {
	if v.hold != nil {
		<-v.hold
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got, v.at = append(v.got, m), append(v.at, time.Now())
	return nil
}

// take returns the messages since the last call.
func (v *viewer) take() []api.WatchMessage {
	synctest.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	got := v.got
	v.got = nil
	return got
}

// events returns the numbers of the events in messages, and "gap".
func events(list []api.WatchMessage) string {
	var texts []string
	for _, m := range list {
		switch m.Kind {
		case api.WatchJournal:
			texts = append(texts, strconv.FormatInt(m.ID, 10))
		case api.WatchGap:
			texts = append(texts, "gap")
		}
	}
	return strings.Join(texts, " ")
}

// states returns the messages of states, each as its names with the states of models or the counters.
func states(t *testing.T, list []api.WatchMessage) string {
	t.Helper()
	var texts []string
	for _, m := range list {
		if m.Kind != api.WatchState {
			continue
		}
		var s api.WatchStates
		if err := json.Unmarshal(m.Data, &s); err != nil {
			t.Fatalf("%s: %v", m.Data, err)
		}
		var parts []string
		if s.Whole {
			parts = append(parts, "whole")
		}
		for _, x := range s.Models {
			parts = append(parts, fmt.Sprintf("%s/%d=%s", x.Name, x.Version, x.State))
		}
		for _, x := range s.Signals {
			parts = append(parts, "signal "+x.ID+"="+x.State)
		}
		for _, x := range s.Counters {
			parts = append(parts, fmt.Sprintf("%s:%d", x.Name, x.Variants[0].Total.Requests))
		}
		for _, collection := range api.WatchCollections() {
			for _, name := range s.Gone[collection] {
				parts = append(parts, "gone "+collection+" "+name)
			}
		}
		texts = append(texts, strings.Join(parts, " "))
	}
	return strings.Join(texts, " | ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func model(name string, version int64, state string) api.ModelStatus {
	return api.ModelStatus{Name: name, Version: version, State: state}
}

func TestEventsAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.append("routes/iris", "routes/wine")
		fresh := g.watch(api.WatchQuery{Journal: true, After: api.WatchFromNow})
		all := g.watch(api.WatchQuery{Journal: true})
		some := g.watch(api.WatchQuery{Journal: true, Subject: "routes/", Types: []string{"route.set"}, After: 1})
		other := g.watch(api.WatchQuery{Journal: true, Subject: "routes/iris"})
		want(t, "from now", events(fresh.take()), "")
		want(t, "from the beginning", events(all.take()), "1 2")
		want(t, "after 1", events(some.take()), "2")
		want(t, "of a subject", events(other.take()), "1")
		g.append("routes/wine", "routes/iris")
		want(t, "from now", events(fresh.take()), "3 4")
		want(t, "from the beginning", events(all.take()), "3 4")
		want(t, "of a subject", events(other.take()), "4")
		g.append("models/iris")
		want(t, "another subject", events(some.take()), "3 4")
		if got := other.take(); len(got) > 0 {
			t.Errorf("another subject: %v", got)
		}
		time.Sleep(16 * time.Second) // bubble time: a heartbeat has the number of the last event, though it was not selected
		if got := other.take(); len(got) != 1 || got[0].Kind != api.WatchAlive || got[0].ID != 5 {
			t.Errorf("after a quarter of a minute: %v", got)
		}
	})
}

// A viewer that waits gets everything later, from the ring or from the journal.
func TestNoEventIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		hold := make(chan struct{})
		v := g.watch(api.WatchQuery{Journal: true, After: api.WatchFromNow}, func(v *viewer) { v.hold = hold })
		const count = 2000 // more than the ring has
		var expected []string
		for i := range count {
			g.append("routes/iris")
			expected = append(expected, strconv.Itoa(i+1))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		close(hold)
		want(t, "all events, in order", events(v.take()), strings.Join(expected, " "))
	})
}

func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.append("routes/iris", "routes/iris", "routes/iris")
		v := g.watch(api.WatchQuery{Journal: true, After: 500})
		got := v.take()
		want(t, "a number from another journal", events(got), "gap 1 2 3")
		var gap api.WatchMissing
		if err := json.Unmarshal(got[1].Data, &gap); err != nil || gap.After != 500 || gap.Next != 0 || !strings.Contains(gap.Why, "another journal") {
			t.Errorf("got %s, %v", got[1].Data, err)
		}
		g.mu.Lock()
		g.broken = 2
		g.mu.Unlock()
		v = g.watch(api.WatchQuery{Journal: true})
		got = v.take()
		want(t, "a missing archive", events(got), "gap")
		if err := json.Unmarshal(got[1].Data, &gap); err != nil || gap.After != 0 || gap.Next != 3 || !strings.Contains(gap.Why, "missing") {
			t.Errorf("got %s, %v", got[1].Data, err)
		}
		g.append("routes/iris")
		want(t, "after the gap", events(v.take()), "4")
	})
}

func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.setModels(model("iris", 1, api.StateReady), model("iris", 2, api.StateLoading), model("wine", 1, api.StateReady))
		g.signals = []api.Signal{{SignalData: api.SignalData{ID: "s1", Model: "iris"}, SignalProgress: api.SignalProgress{State: api.SignalOpen}}}
		all := g.watch(api.WatchQuery{Models: []string{"*"}, Signals: []string{"iris"}, Every: time.Second})
		one := g.watch(api.WatchQuery{Models: []string{"wine", "none"}, Every: time.Second})
		time.Sleep(time.Second)
		want(t, "at first", states(t, all.take()), "whole iris/1=READY iris/2=LOADING wine/1=READY signal s1=open")
		want(t, "one at first", states(t, one.take()), "whole wine/1=READY")
		time.Sleep(5 * time.Second)
		if got := states(t, all.take()); got != "" {
			t.Errorf("nothing has changed: %s", got)
		}
		g.setModels(model("iris", 1, api.StateReady), model("iris", 2, api.StateReady), model("wine", 1, api.StateReady))
		time.Sleep(time.Second)
		want(t, "a version", states(t, all.take()), "iris/1=READY iris/2=READY")
		want(t, "another model", states(t, one.take()), "")
		g.setModels(model("iris", 1, api.StateReady), model("iris", 2, api.StateReady))
		time.Sleep(time.Second)
		want(t, "a model is gone", states(t, all.take()), "gone models wine")
		want(t, "the same", states(t, one.take()), "gone models wine")
		g.setModels(model("iris", 1, api.StateReady), model("wine", 1, api.StateReady))
		time.Sleep(time.Second)
		want(t, "a model is back", states(t, all.take()), "iris/1=READY wine/1=READY")
	})
}

// A viewer that waits gets one message with everything that has changed meanwhile, also if a model came and went.
func TestSlowViewersGetLessMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.setModels(model("iris", 1, api.StateReady), model("wine", 1, api.StateReady))
		hold := make(chan struct{}, 2)
		hold <- struct{}{} // start
		hold <- struct{}{} // the first states
		g.watch(api.WatchQuery{Models: []string{"*"}, Every: 250 * time.Millisecond})
		v := g.watch(api.WatchQuery{Models: []string{"*"}, Every: 250 * time.Millisecond}, func(v *viewer) { v.hold = hold })
		time.Sleep(time.Second)
		want(t, "at first", states(t, v.take()), "whole iris/1=READY wine/1=READY")
		g.setModels(model("iris", 1, api.StateLoading), model("wine", 1, api.StateReady)) // the viewer waits in this message
		time.Sleep(time.Second)
		g.setModels(model("iris", 1, api.StateReady))
		time.Sleep(time.Second)
		g.setModels(model("digits", 1, api.StateReady), model("iris", 1, api.StateReady))
		time.Sleep(time.Second)
		close(hold)
		time.Sleep(time.Second)
		want(t, "later", states(t, v.take()), "iris/1=LOADING | digits/1=READY iris/1=READY gone models wine")
	})
}

func TestCountersOfWhatIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.mu.Lock()
		g.requests["iris"], g.requests["wine"] = 1, 1
		g.mu.Unlock()
		v := g.watch(api.WatchQuery{Counters: []string{"iris", "unknown"}, Every: time.Second})
		time.Sleep(3 * time.Second)
		want(t, "once, since nothing has changed", states(t, v.take()), "whole iris:1")
		g.mu.Lock()
		g.requests["iris"], g.requests["wine"] = 7, 9
		if slices.Contains(g.counted, "wine") {
			t.Error("counters were read that nobody has asked for")
		}
		g.mu.Unlock()
		time.Sleep(time.Second)
		want(t, "new counts", states(t, v.take()), "iris:7")
		v = g.watch(api.WatchQuery{Counters: []string{"*"}, Every: time.Second})
		time.Sleep(time.Second)
		want(t, "all", states(t, v.take()), "whole iris:7 wine:9")
	})
}

// Many watchers cost one look, and none costs nothing.
func TestOneLookForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		time.Sleep(time.Minute)
		looks := func() int {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.looks
		}
		if n := looks(); n != 0 {
			t.Errorf("%d looks without a watcher", n)
		}
		var all []*viewer
		for range 200 {
			all = append(all, g.watch(api.WatchQuery{Models: []string{"*"}, Every: time.Second}))
		}
		time.Sleep(time.Second)
		before := looks()
		time.Sleep(time.Minute)
		if n := looks() - before; n < 55 || n > 65 {
			t.Errorf("%d looks in a minute for 200 watchers that want one a second", n)
		}
		for _, v := range all {
			v.cancel()
			if err := <-v.ended; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		before = looks()
		time.Sleep(time.Minute)
		if n := looks() - before; n > 1 {
			t.Errorf("%d looks after the last watcher has gone", n)
		}
	})
}

// Many watchers do not get a change all at once, so that requests go on between their messages. All get it soon.
func TestWatchersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var all []*viewer
		for range 200 {
			all = append(all, g.watch(api.WatchQuery{Journal: true, After: api.WatchFromNow, Models: []string{"*"}, Every: time.Second}))
		}
		time.Sleep(time.Minute)
		for _, change := range []func(){
			func() { g.append("routes/iris") },
			func() { g.setModels(model("iris", 1, api.StateReady)) },
		} {
			for _, v := range all {
				v.take()
				v.at = nil
			}
			began := time.Now()
			change()
			time.Sleep(3 * time.Second)
			atOnce := map[time.Time]int{}
			for i, v := range all {
				if messages := v.take(); len(messages) != 1 {
					t.Fatalf("watcher %d got %d messages of a change", i, len(messages))
				}
				atOnce[v.at[0]]++
				if took := v.at[0].Sub(began); took > 1500*time.Millisecond {
					t.Errorf("watcher %d was told after %v", i, took)
				}
			}
			for at, n := range atOnce {
				if n > 8 {
					t.Errorf("%d watchers were told at once, after %v", n, at.Sub(began))
				}
			}
		}
	})
}

func TestAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.setModels(model("iris", 1, api.StateReady), model("wine", 1, api.StateReady))
		v := g.watch(api.WatchQuery{Models: []string{"*"}, Every: time.Second}, func(v *viewer) { v.hidden = map[string]bool{"wine": true} })
		time.Sleep(time.Second)
		want(t, "what it may see", states(t, v.take()), "whole iris/1=READY")
		g.setModels(model("iris", 1, api.StateReady))
		time.Sleep(time.Second)
		want(t, "a hidden model is gone", states(t, v.take()), "")
		g.setModels(model("iris", 1, api.StateReady), model("wine", 1, api.StateReady))
		time.Sleep(time.Second)
		synctest.Wait() // the hub has looked
		v.mu.Lock()
		v.hidden, v.changed = nil, true
		v.mu.Unlock()
		time.Sleep(20 * time.Second)
		want(t, "new rights", states(t, v.take()), "whole iris/1=READY wine/1=READY")
		refused := infer.Errorf(infer.Unauthenticated, "the token has expired")
		v.mu.Lock()
		v.err = refused
		v.mu.Unlock()
		if err := <-v.ended; !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEndOfTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{t: t, appended: make(chan struct{})}
		g.hub = watch.New(watch.Options{Journal: g, Logger: zap.NewNop(), Sources: watch.Sources{
			Models: g.allModels, Routes: g.routes, Rollouts: func() []api.Rollout { return nil }, Signals: g.allSignals,
			Drift: func() []api.DriftStatus { return nil }, Counters: g.counters,
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.hub.Run(ctx) }() // received below
		v := g.watch(api.WatchQuery{Journal: true})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := <-v.ended; infer.CodeOf(err) != infer.Unavailable {
			t.Errorf("got %v", err)
		}
		v = g.watch(api.WatchQuery{Journal: true})
		if err := <-v.ended; infer.CodeOf(err) != infer.Unavailable {
			t.Errorf("after the end: %v", err)
		}
	})
}
