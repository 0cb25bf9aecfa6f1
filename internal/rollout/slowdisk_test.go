package rollout_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
	"sluice.io/sluice/internal/testing/slowdisk"
)

// While an event is being written, whoever builds a table or reads rollouts does not wait, and an abort stops traffic. It is not in virtual
// time, in which a caller that waits for a mutex would stop the clock.
func TestNobodyWaitsForTheJournal(t *testing.T) {
	marks, err := rollout.OpenMarks(filepath.Join(t.TempDir(), "marks"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{world: newWorld(), journal: &journal{}, marks: marks}
	g.start(t)
	defer func() { g.stop() }()
	id := g.begin(t, nil).ID
	soon(t, "the canary begins", func() bool { return g.last(t).State == api.RolloutCanary && g.world.share(2) > 0 })
	release := g.journal.hang()
	defer release()
	paused := make(chan error, 1)
	go func() { _, err := g.Pause(t.Context(), "iris", ann); paused <- err }()
	soon(t, "an event is being written", g.journal.waits)

	slowdisk.AtOnce(t, "Digest", func() {
		if g.Digest("iris", 2) != "sha256:1" {
			t.Error("Digest does not know the rollout")
		}
	})
	slowdisk.AtOnce(t, "Locked", func() {
		if g.Locked("iris") != id {
			t.Error("Locked does not know the rollout")
		}
	})
	slowdisk.AtOnce(t, "List", func() {
		if list := g.List(); len(list) != 1 || list[0].State != api.RolloutCanary {
			t.Errorf("%+v", list)
		}
	})
	slowdisk.AtOnce(t, "Start", func() {
		_, err := g.Start(t.Context(), g.last(t).Spec, ann)
		wantCode(t, err, infer.Conflict)
	})
	slowdisk.AtOnce(t, "Abort", func() {
		r, err := g.Abort(t.Context(), "iris", ann)
		if err != nil || r.State != api.RolloutAborting || r.Durable || g.world.share(2) != 0 {
			t.Errorf("%v, state %s, durable %v, the canary has %d", err, r.State, r.Durable, g.world.share(2))
		}
	})
	slowdisk.AtOnce(t, "History", func() {
		if r := g.last(t); r.State != api.RolloutAborting || r.Durable {
			t.Errorf("state %s, durable %v", r.State, r.Durable)
		}
	})
	soon(t, "the mark is written", func() bool {
		ids, err := marks.Get()
		return err == nil && slices.Equal(ids, []string{id})
	})
	release()
	if err := <-paused; err != nil {
		t.Error(err)
	}
	soon(t, "the rollout is rolled back", func() bool { return g.last(t).State == api.RolloutRolledBack })
	wantTypes(t, g.journal, api.EventRolloutStarted, api.EventRolloutAdvanced, api.EventRolloutPaused, api.EventRolloutAborted, api.EventRolloutRolledBack)
	soon(t, "the mark is removed", func() bool {
		ids, err := marks.Get()
		return err == nil && len(ids) == 0
	})
}

// soon waits until something holds.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// An abort during a write that adds exposure is not undone by what follows that write. Nobody's canary gets requests in between.
func TestAbortDuringAStep(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		loads := make(chan bool)
		g.world.loading[2] = loads
		g.begin(t, nil)
		time.Sleep(time.Second)
		release := g.journal.hang()
		defer release()
		loads <- true
		g.world.mu.Lock()
		delete(g.world.loading, 2)
		g.world.mu.Unlock()
		time.Sleep(time.Second)
		if !g.journal.waits() || g.last(t).State != api.RolloutValidating {
			t.Fatalf("the first step is not being written: %+v", g.last(t))
		}
		began := time.Now()
		r, err := g.Abort(t.Context(), "iris", ann)
		if err != nil || r.State != api.RolloutAborting || r.Durable || time.Since(began) > time.Second {
			t.Fatalf("%v after %v: %+v", err, time.Since(began), r)
		}
		for range 10 {
			time.Sleep(time.Second)
			if r := g.last(t); r.State != api.RolloutAborting {
				t.Fatalf("state %s", r.State)
			}
		}
		release()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			if g.world.count(api.Variant{Version: 2, Role: api.RoleCanary}).Requests > 0 {
				t.Fatal("the canary got requests")
			}
		}
		g.until(t, api.RolloutRolledBack, time.Second)
		wantTypes(t, g.journal, api.EventRolloutStarted, api.EventRolloutAdvanced, api.EventRolloutAborted, api.EventRolloutRolledBack)
	})
}

// An abort that comes while the last event is being written says that it is too late, and takes effect if the event cannot be written.
func TestAbortDuringTheLastEvent(t *testing.T) {
	for _, full := range []bool{false, true} {
		serve(t, func(t *testing.T, g *gateway) {
			g.begin(t, nil)
			g.until(t, api.RolloutBaking, 2*time.Hour)
			release := g.journal.hang()
			defer release()
			for end := time.Now().Add(5 * time.Hour); !g.journal.waits() && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			_, err := g.Abort(t.Context(), "iris", ann)
			wantCode(t, err, infer.Unavailable)
			aborted := make(chan error, 1)
			go func() { _, err := g.Abort(t.Context(), "iris", ann); aborted <- err }()
			synctest.Wait()
			g.journal.setFull(full)
			release()
			err = <-aborted
			time.Sleep(time.Second)
			g.journal.setFull(false)
			time.Sleep(time.Second)
			want := api.RolloutCompleted
			if full {
				want = api.RolloutRolledBack
			} else {
				wantCode(t, err, infer.Conflict)
			}
			if r := g.last(t); r.State != want {
				t.Errorf("full %v: %v, state %s, want %s", full, err, r.State, want)
			}
			if ids, err := g.marks.Get(); err != nil || len(ids) != 0 {
				t.Errorf("%q %v", ids, err)
			}
		})
	}
}

// One of two starts wins while its event is being written, and its route is locked. If it cannot be written, another one can start.
func TestStartsRace(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		spec := api.RolloutSpec{Route: "iris", Version: 2}
		spec.Complete()
		started := make(chan error, 1)
		start := func(ctx context.Context) { _, err := g.Start(ctx, spec, ann); started <- err }
		release := g.journal.hang()
		defer release()
		go start(t.Context())
		synctest.Wait()
		_, err := g.Start(t.Context(), spec, bob)
		wantCode(t, err, infer.Conflict)
		if id := g.Locked("iris"); id != "iris-1" {
			t.Errorf("the route is locked by %q", id)
		}
		g.journal.setFull(true)
		release()
		wantCode(t, <-started, infer.Unavailable)
		if id := g.Locked("iris"); id != "" {
			t.Errorf("the route is locked by %q", id)
		}
		g.journal.setFull(false)
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
	})
}

// A route that is being unfrozen is not frozen less before its event is written.
func TestUnfreezeIsWrittenFirst(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.freeze(t)
		release := g.journal.hang()
		defer release()
		done := make(chan error, 1)
		go func() { _, err := g.Unfreeze("iris", ann); done <- err }()
		synctest.Wait()
		_, err := g.Unfreeze("iris", bob)
		wantCode(t, err, infer.Conflict)
		_, err = g.Start(t.Context(), g.last(t).Spec, ann)
		wantCode(t, err, infer.Conflict)
		if !g.last(t).Frozen {
			t.Error("it is not frozen any more")
		}
		release()
		if err := <-done; err != nil || g.last(t).Frozen {
			t.Errorf("%v, frozen %v", err, g.last(t).Frozen)
		}
		g.begin(t, nil)
	})
}
