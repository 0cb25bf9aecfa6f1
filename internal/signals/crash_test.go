package signals_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
	"sluice.io/sluice/internal/signals"
)

var errKilled = errors.New("killed")

// killer ends a process at one of its steps. After that, the process has no effect any more.
type killer struct {
	mu   sync.Mutex
	left int // steps until the end; below 0 there is no end
	at   string
	dead bool
}

// step reports whether the process still runs after a step.
func (k *killer) step(what string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.dead {
		return false
	}
	if k.left == 0 {
		k.dead, k.at = true, what
		return false
	}
	k.left--
	return true
}

// mortal is a process: an outbox with a journal and a sink that end with it.
type mortal struct {
	*killer
	journal *tape
	to      *receiver
}

func (m mortal) Append(e api.Event) (api.Event, error) {
	if !m.step("before " + e.Type) {
		return api.Event{}, errKilled
	}
	e, err := m.journal.Append(e)
	if !m.step("after " + e.Type) {
		return api.Event{}, errKilled
	}
	return e, err
}

func (m mortal) Deliver(ctx context.Context, s api.SignalData) (time.Duration, error) {
	if !m.step("before the delivery") {
		return 0, errKilled
	}
	wait, err := m.to.Deliver(ctx, s)
	if err == nil && !m.step("after the delivery") {
		return 0, errKilled
	}
	return wait, err
}

// TestKilledAtEachStep ends the process at each step of a day in turn. No signal is lost,
// and none arrives twice except in the documented case.
func TestKilledAtEachStep(t *testing.T) {
	signals := []api.SignalData{drift("iris", 1, 0), missing("iris", "a", 0), missing("iris", "b", 0), drift("iris", 2, 0), drift("wine", 1, 0)}
	twice := map[string]int{}
	n := 0
	for ; ; n++ {
		alive := false
		synctest.Test(t, func(t *testing.T) {
			k, tape, to := &killer{left: n}, &tape{}, newReceiver(t)
			live(t, k, tape, to, signals)
			alive = !k.dead
			live(t, &killer{left: -1}, tape, to, signals)
			for i, s := range signals {
				if i == 3 {
					continue // held back by the first
				}
				store := tape.fold(t)
				at := slices.IndexFunc(store.All(), func(r api.Signal) bool {
					return r.Model == s.Model && r.Version == s.Version && r.Type == s.Type && r.Features[0].Feature == s.Features[0].Feature
				})
				if at < 0 {
					t.Fatalf("killed %s: %+v was lost", k.at, s)
				}
				r := store.All()[at]
				calls := len(to.calls[r.ID])
				if calls > 1 {
					twice[k.at]++
				}
				if calls < 1 || calls > 2 || r.State != api.SignalDelivered {
					t.Errorf("killed %s: %s was delivered %d times and is %s", k.at, r.Cause, calls, r.State)
				}
			}
		})
		if alive {
			break
		}
	}
	if n < 20 || twice["after the delivery"] == 0 || twice["before "+api.EventRetrainDelivered] == 0 || len(twice) != 2 {
		t.Errorf("%d steps; delivered twice after it was killed %v", n, twice)
	}
}

// live runs one process: it detects all problems in each window, until it is killed or its
// time is over.
func live(t *testing.T, k *killer, tape *tape, to *receiver, signals []api.SignalData) {
	t.Helper()
	m := mortal{k, tape, to}
	o := outbox(t, tape.fold(t), m, m)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- o.Run(ctx) }()
	for range 3 {
		for _, s := range signals {
			_, _ = o.Detected(s) // the process may have ended
			synctest.Wait()
		}
		sleep(time.Minute)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

// TestADeadReceiverAndKills: the receiver is down for a while, and the gateway is killed
// several times. After that, each signal arrives once.
func TestADeadReceiverAndKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tape, to := &tape{}, newReceiver(t)
		to.set(down)
		signals := []api.SignalData{drift("iris", 1, 0), missing("iris", "a", 0), missing("iris", "b", 0)}
		for n := range 30 {
			live(t, &killer{left: n}, tape, to, signals)
		}
		took := map[string]int{}
		var mu sync.Mutex
		to.set(func(_ context.Context, s api.SignalData) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			took[s.ID]++
			return 0, nil
		})
		for range 3 {
			live(t, &killer{left: -1}, tape, to, signals)
		}
		for id, n := range took {
			if n != 1 {
				t.Errorf("%s was delivered %d times", id, n)
			}
		}
		if len(took) != 3 {
			t.Errorf("%d signals were delivered", len(took))
		}
	})
}

// onDisk is a journal on disk.
type onDisk struct{ *journal.Log }

func (j onDisk) Append(e api.Event) (api.Event, error) {
	for {
		if after, err := j.Log.Append(j.Last(), e); infer.CodeOf(err) != infer.Conflict {
			return after, err
		}
	}
}

// TestJournalOnDisk goes through all states with a restart after each.
func TestJournalOnDisk(t *testing.T) {
	dir, to := t.TempDir(), newReceiver(t)
	arrived := make(chan string, 10)
	receives := func(_ context.Context, s api.SignalData) (time.Duration, error) {
		arrived <- s.ID
		return 0, nil
	}
	var sink signals.Sink
	session := func(f func(o *signals.Outbox)) (all []api.Signal) {
		t.Helper()
		log, err := journal.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		store := signals.NewStore()
		if err := log.Replay(0, journal.Filter{}, store.Apply); err != nil {
			t.Fatal(err)
		}
		o := outbox(t, store, onDisk{log}, sink)
		ran := make(chan error, 1)
		go func() { ran <- o.Run(context.Background()) }()
		f(o)
		if err := errors.Join(o.Shutdown(t.Context()), <-ran, log.Close()); err != nil {
			t.Fatal(err)
		}
		return o.List()
	}
	detect := func(o *signals.Outbox, s api.SignalData) string {
		t.Helper()
		out, err := o.Detected(s)
		if err != nil {
			t.Fatal(err)
		}
		return out.ID
	}
	var request, violation, dropped string
	session(func(o *signals.Outbox) {
		request, violation, dropped = detect(o, drift("iris", 1, 0)), detect(o, missing("iris", "a", 0)), detect(o, missing("iris", "b", 0))
		detect(o, drift("iris", 2, 0))
		if _, err := o.Close(dropped, api.Actor{Actor: "alice", Reason: "known"}); err != nil {
			t.Error(err)
		}
	})
	to.set(receives)
	sink = to
	after := session(func(*signals.Outbox) {
		got := []string{<-arrived, <-arrived}
		slices.Sort(got)
		want := []string{request, violation}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	again := session(func(o *signals.Outbox) { detect(o, drift("iris", 1, 0)) })
	if fmt.Sprint(states(after)) != fmt.Sprint(states(again)) || fmt.Sprint(states(again)) != "[delivered delivered closed]" || again[0].Suppressed != 1 || len(arrived) > 0 {
		t.Errorf("got %v, then %v", states(after), again)
	}
}

func states(all []api.Signal) (states []string) {
	for _, r := range all {
		states = append(states, r.State)
	}
	return states
}
