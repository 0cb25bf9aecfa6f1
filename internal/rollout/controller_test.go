package rollout_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
)

// A version that is as good gets all of the traffic, step by step.
func TestEqualVersionIsPromoted(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.errors[1], g.world.errors[2] = 0.002, 0.002
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		time.Sleep(time.Second)
		if got := g.world.share(2); got != 500 {
			t.Errorf("the canary has %d, want 500", got)
		}
		g.until(t, api.RolloutBaking, time.Hour)
		if _, err := g.Start(t.Context(), g.last(t).Spec, ann); infer.CodeOf(err) != infer.Conflict {
			t.Errorf("a second rollout: %v", err)
		}
		g.until(t, api.RolloutCompleted, time.Hour)
		if got := g.world.share(2); got != api.TotalWeight || len(g.world.route.Variants) != 1 {
			t.Errorf("the route is %+v", g.world.route)
		}
		wantTypes(t, g.journal, api.EventRolloutStarted, api.EventRolloutAdvanced, api.EventRolloutAdvanced, api.EventRolloutAdvanced,
			api.EventRolloutAdvanced, api.EventRolloutCompleted)
		if g.Locked("iris") != "" {
			t.Error("the route is still locked")
		}
	})
}

// A version that fails more often is rolled back, and callers are kept from it at once.
func TestWorseVersionIsRolledBack(t *testing.T) {
	for name, worsen := range map[string]func(w *world){
		"errors":  func(w *world) { w.errors[1], w.errors[2] = 0.005, 0.02 },
		"latency": func(w *world) { w.slow[2] = 0.05 },
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, func(t *testing.T, g *gateway) {
				worsen(g.world)
				g.begin(t, nil)
				g.until(t, api.RolloutRolledBack, time.Hour)
				if g.world.share(2) != 0 || g.world.share(1) != api.TotalWeight {
					t.Errorf("the route is %+v", g.world.route)
				}
				r := g.last(t)
				e := r.Evidence[map[string]int{"errors": 0, "latency": 2}[name]]
				if e.Guardrail != name || e.Verdict != api.VerdictRegress || e.EValue < e.Threshold || r.Why != e.Why {
					t.Errorf("evidence %+v, why %q", e, r.Why)
				}
			})
		})
	}
}

// A version that fails nearly all requests is stopped by the floor, before the statistics are sure.
func TestFloor(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.rate = 10
		g.world.errors[2] = 1
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		if took := g.until(t, api.RolloutAborting, time.Minute); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// If both versions fail, the new one is not the cause.
func TestBothFail(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		g.world.mu.Lock()
		g.world.errors[1], g.world.errors[2] = 0.6, 0.6
		g.world.mu.Unlock()
		time.Sleep(5 * time.Minute)
		if r := g.last(t); r.State != api.RolloutCanary {
			t.Errorf("state %s: %s", r.State, r.Why)
		}
	})
}

// An abort works while a model loads.
func TestAbortWhileLoading(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.loading[2] = make(chan bool)
		g.begin(t, nil)
		time.Sleep(time.Minute)
		if got := g.last(t).State; got != api.RolloutValidating {
			t.Fatalf("state %s", got)
		}
		if _, err := g.Abort(t.Context(), "iris", ann); err != nil {
			t.Fatal(err)
		}
		g.until(t, api.RolloutRolledBack, time.Second)
	})
}

// A version that cannot be loaded ends its rollout.
func TestVersionFailsToLoad(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		loads := make(chan bool, 1)
		loads <- false
		g.world.loading[2] = loads
		g.begin(t, nil)
		g.until(t, api.RolloutRolledBack, time.Minute)
		if want := "version cannot serve: it is not a model"; g.last(t).Why != want {
			t.Errorf("why %q, want %q", g.last(t).Why, want)
		}
	})
}

// While the journal cannot be written, nothing adds exposure, and an abort still acts.
func TestJournalIsFull(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		time.Sleep(time.Second)
		g.journal.setFull(true)
		g.world.setBroken(true)
		time.Sleep(15 * time.Minute) // longer than the step
		if got := g.world.share(2); got != 500 {
			t.Fatalf("the canary has %d", got)
		}
		r, err := g.Abort(t.Context(), "iris", ann)
		if err != nil || r.Durable || r.State != api.RolloutAborting || g.world.share(2) != 0 {
			t.Fatalf("%v, state %s, durable %v, share %d", err, r.State, r.Durable, g.world.share(2))
		}
		time.Sleep(time.Minute)
		if got := g.last(t); got.State != api.RolloutAborting || got.Durable {
			t.Errorf("state %s, durable %v", got.State, got.Durable)
		}
		g.journal.setFull(false)
		g.world.setBroken(false)
		g.until(t, api.RolloutRolledBack, time.Second)
		wantTypes(t, g.journal, api.EventRolloutStarted, api.EventRolloutAdvanced, api.EventRolloutAborted, api.EventRolloutRolledBack)
	})
}

// An abort that was not in the journal when the gateway ended is not forgotten: its version gets nothing until somebody decides.
func TestAbortIsNotForgotten(t *testing.T) {
	for _, how := range []string{"resume", "promote", "abort"} {
		serve(t, func(t *testing.T, g *gateway) {
			g.begin(t, nil)
			g.until(t, api.RolloutCanary, time.Minute)
			time.Sleep(time.Second)
			g.journal.setFull(true)
			g.world.setBroken(true)
			if r, err := g.Abort(t.Context(), "iris", ann); err != nil || r.Durable {
				t.Fatalf("%v %+v", err, r)
			}
			g.stop()
			g.world.Halt("iris", 2, false) // a new process knows nothing of it
			g.start(t)
			time.Sleep(time.Second)
			if r := g.last(t); r.State != api.RolloutPaused || r.Paused != api.RolloutCanary || !r.Halted || r.Durable || g.world.share(2) != 0 {
				t.Errorf("share %d, %+v", g.world.share(2), r)
			}
			g.journal.setFull(false)
			g.world.setBroken(false)
			time.Sleep(time.Second)
			g.restart(t)
			time.Sleep(time.Second)
			if r := g.last(t); r.State != api.RolloutPaused || !r.Halted || !r.Durable || g.world.share(2) != 0 {
				t.Errorf("share %d, %+v", g.world.share(2), r)
			}
			if ids, err := g.marks.Get(); err != nil || len(ids) != 0 {
				t.Errorf("%q %v", ids, err)
			}
			do := map[string]func(context.Context, string, api.Actor) (api.Rollout, error){"resume": g.Continue, "promote": g.Promote, "abort": g.Abort}
			if _, err := do[how](t.Context(), "iris", ann); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			want := map[string]int{"resume": 500, "promote": api.TotalWeight, "abort": 0}[how]
			if got := g.world.share(2); got != want || g.last(t).Halted {
				t.Errorf("%s: the canary has %d, want %d: %+v", how, got, want, g.last(t))
			}
		})
	}
}

// After a restart in any state a rollout goes on, with its evidence.
func TestRestart(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, func(s *api.RolloutSpec) { s.Shadow = api.RolloutShadow{Sample: 1000, For: api.Duration(time.Minute)} })
		states := map[string]bool{}
		for i := range 10_000 {
			r := g.last(t)
			states[r.State] = true
			if r.Final() {
				break
			}
			g.stop()
			g.start(t)
			if again := g.last(t); again.State != r.State || again.Step != r.Step {
				t.Fatalf("state %s step %d became %s step %d", r.State, r.Step, again.State, again.Step)
			}
			time.Sleep(time.Duration(i%30+1) * time.Second)
			synctest.Wait() // what is due now is done
		}
		for _, s := range []string{api.RolloutValidating, api.RolloutShadowing, api.RolloutCanary, api.RolloutBaking, api.RolloutCompleted} {
			if !states[s] {
				t.Errorf("never %s", s)
			}
		}
	})
}

// If the clock was set back while the gateway was down, a state begins anew: it does not last until the clock is there again.
func TestRestartWithAnEarlierClock(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		r := g.begin(t, nil)
		g.until(t, api.RolloutBaking, 5*time.Hour)
		g.stop()
		g.journal.setSince(t, r.ID, time.Now().Add(100*time.Hour))
		g.start(t)
		g.until(t, api.RolloutCompleted, 5*time.Hour)
	})
}

// Without traffic a rollout is held, and can be resumed.
func TestNoTraffic(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.rate = 0
		g.begin(t, nil)
		g.until(t, api.RolloutPaused, time.Hour)
		if got, want := g.last(t).Why, "inconclusive: the canary has 0 requests in this step, expected 100"; got != want {
			t.Errorf("why %q, want %q", got, want)
		}
		g.world.mu.Lock()
		g.world.rate = 100
		g.world.mu.Unlock()
		if _, err := g.Continue(t.Context(), "iris", ann); err != nil {
			t.Fatal(err)
		}
		g.until(t, api.RolloutCompleted, 2*time.Hour)
	})
}

func TestPauseAndPromote(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		if _, err := g.Pause(t.Context(), "iris", ann); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if r := g.last(t); r.State != api.RolloutPaused || g.world.share(2) != 500 {
			t.Errorf("state %s, share %d", r.State, g.world.share(2))
		}
		if _, err := g.Pause(t.Context(), "iris", ann); infer.CodeOf(err) != infer.Conflict {
			t.Errorf("paused twice: %v", err)
		}
		if _, err := g.Promote(t.Context(), "iris", ann); err != nil {
			t.Fatal(err)
		}
		g.until(t, api.RolloutCompleted, time.Hour)
	})
}

// freeze rolls back two rollouts in a row.
func (g *gateway) freeze(t *testing.T) {
	t.Helper()
	for range 2 {
		g.begin(t, nil)
		if _, err := g.Abort(t.Context(), "iris", ann); err != nil {
			t.Fatal(err)
		}
		g.until(t, api.RolloutRolledBack, time.Minute)
		time.Sleep(time.Second)
	}
}

// After two rollbacks in a row the route is frozen until someone lifts that.
func TestFreeze(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.freeze(t)
		spec := g.last(t).Spec
		_, err := g.Start(t.Context(), spec, ann)
		wantCode(t, err, infer.Conflict)
		g.stop()
		g.start(t)
		_, err = g.Start(t.Context(), spec, ann)
		wantCode(t, err, infer.Conflict)
		if _, err := g.Unfreeze("iris", ann); err != nil {
			t.Fatal(err)
		}
		g.begin(t, nil)
		g.until(t, api.RolloutCompleted, 3*time.Hour)
	})
}

func TestApprovals(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.policy = rollout.Policy{Approvals: 1, Groups: []string{"leads"}, Expires: time.Hour}
		g.begin(t, nil)
		g.until(t, api.RolloutAwaiting, time.Minute)
		approve := func(by api.Actor, groups ...string) error {
			_, err := g.Approve(t.Context(), "iris", by, groups)
			return err
		}
		wantCode(t, approve(ann, "leads"), infer.Forbidden)                       // the author
		wantCode(t, approve(bob, "others"), infer.Forbidden)                      // not a member
		wantCode(t, approve(api.Actor{Actor: "carol"}, "leads"), infer.Forbidden) // nobody knows who that is
		time.Sleep(time.Minute)
		if g.world.share(2) != 0 {
			t.Fatal("it serves without an approval")
		}
		if err := approve(bob, "leads"); err != nil {
			t.Fatal(err)
		}
		g.until(t, api.RolloutCanary, time.Minute)
		wantCode(t, approve(bob, "leads"), infer.Conflict)
	})
}

// Changed files end a rollout in each state.
func TestChangedFiles(t *testing.T) {
	for _, state := range []string{api.RolloutCanary, api.RolloutPaused, api.RolloutBaking} {
		serve(t, func(t *testing.T, g *gateway) {
			g.begin(t, nil)
			g.until(t, api.RolloutCanary, time.Minute)
			var err error
			switch state {
			case api.RolloutPaused:
				_, err = g.Pause(t.Context(), "iris", ann)
			case api.RolloutBaking:
				_, err = g.Promote(t.Context(), "iris", ann)
			}
			if err != nil {
				t.Fatal(err)
			}
			g.until(t, state, time.Minute)
			g.world.mu.Lock()
			g.world.digest = "sha256:2"
			g.world.mu.Unlock()
			g.until(t, api.RolloutRolledBack, time.Second)
			if got := g.last(t).Why; got != "the files of the version have changed since the rollout began; it was started and approved for sha256:1" {
				t.Error(got)
			}
		})
	}
}

// Changed files void the approvals, and nobody's approval expires the rollout.
func TestApprovalsAreVoid(t *testing.T) {
	for name, spoil := range map[string]func(g *gateway){
		"the files of the version have changed since the rollout began; it was started and approved for sha256:1": func(g *gateway) {
			g.world.mu.Lock()
			defer g.world.mu.Unlock()
			g.world.digest = "sha256:2"
		},
		"not approved within 1h0m0s": func(*gateway) { time.Sleep(time.Hour) },
	} {
		serve(t, func(t *testing.T, g *gateway) {
			g.policy = rollout.Policy{Approvals: 2, Expires: time.Hour}
			g.begin(t, nil)
			g.until(t, api.RolloutAwaiting, time.Minute)
			if _, err := g.Approve(t.Context(), "iris", bob, nil); err != nil {
				t.Fatal(err)
			}
			spoil(g)
			g.until(t, api.RolloutRolledBack, time.Minute)
			if got := g.last(t).Why; got != name {
				t.Errorf("why %q, want %q", got, name)
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, nil)
		g.until(t, api.RolloutCanary, time.Minute)
		spec := api.RolloutSpec{Route: "iris", Version: 3}
		spec.Complete()
		if _, err := g.Start(t.Context(), spec, ann); err == nil || !strings.Contains(err.Error(), "rollout 'iris-1' of route 'iris' has not ended") {
			t.Error(err) // and not that the route has variants
		}
	})
	serve(t, func(t *testing.T, g *gateway) {
		start := func(route string, version int64) error {
			spec := api.RolloutSpec{Route: route, Version: version}
			spec.Complete()
			_, err := g.Start(t.Context(), spec, ann)
			return err
		}
		wantCode(t, start("absent", 2), infer.NotFound)
		wantCode(t, start("iris", 1), infer.Conflict)
		g.world.route.Variants = []api.Variant{{Version: 1, Weight: 9000, Role: api.RoleStable}, {Version: 3, Weight: 1000, Role: api.RoleCanary}}
		wantCode(t, start("iris", 2), infer.Conflict)
		_, err := g.Abort(t.Context(), "iris", ann)
		wantCode(t, err, infer.Conflict)
	})
}

// An abort takes all traffic from a version that has all of it, also while the journal cannot be written.
func TestAbortWhileBaking(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.begin(t, nil)
		g.until(t, api.RolloutBaking, 2*time.Hour)
		time.Sleep(time.Second)
		if got := g.world.share(2); got != api.TotalWeight {
			t.Fatalf("the version has %d", got)
		}
		g.journal.setFull(true)
		g.world.setBroken(true)
		r, err := g.Abort(t.Context(), "iris", ann)
		if err != nil || r.Durable || r.State != api.RolloutAborting || g.world.share(2) != 0 {
			t.Errorf("%v, %+v, the version has %d", err, r, g.world.share(2))
		}
		g.journal.setFull(false)
		g.world.setBroken(false)
		g.until(t, api.RolloutRolledBack, time.Second)
		if len(g.world.route.Variants) != 1 || g.world.share(1) != api.TotalWeight {
			t.Errorf("the route is %+v", g.world.route)
		}
	})
}
