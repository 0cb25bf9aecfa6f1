package rollout_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/rollout"
)

// sequences is how many rollouts the tests of answers draw. The default keeps the tests short.
var sequences = flag.Int("sequences", 15, "rollouts in the tests of answers")

var limits = map[string]float64{api.ValueShare: 0.1, api.ValueScore: 0.1, api.ValueNumber: 0.25, api.ValueLoss: 0.1}

// arm draws the answers of a version: one of ten classes, its score, and a number.
type arm struct {
	shares  [10]float64
	score   float64
	shift   float64
	repeats int // each request is sent that often
	sums    [12]rollout.Mean
}

func (a *arm) draw(rng *rand.Rand, requests int) {
	for range requests / max(1, a.repeats) {
		class, u := 0, rng.Float64()
		for u -= a.shares[0]; u > 0 && class < 9; u -= a.shares[class] {
			class++
		}
		score := min(1, max(0, a.score+0.1*rng.NormFloat64()))
		number := 3 + a.shift + rng.NormFloat64()
		for range max(1, a.repeats) {
			for i := range 10 {
				x := 0.0
				if i == class {
					x = 1
				}
				a.add(i, x)
			}
			a.add(10, score)
			a.add(11, number)
		}
	}
}

func (a *arm) add(i int, x float64) {
	a.sums[i] = a.sums[i].With(x)
}

func (a *arm) values() (list []rollout.Value) {
	for i, m := range a.sums {
		kind, name := api.ValueShare, fmt.Sprint("label: ", i)
		switch i {
		case 10:
			kind, name = api.ValueScore, "scores: best score"
		case 11:
			kind, name = api.ValueNumber, "y"
		}
		list = append(list, rollout.Value{Name: name, Kind: kind, Mean: m})
	}
	return list
}

func even() (shares [10]float64) {
	for i := range shares {
		shares[i] = 0.1
	}
	return shares
}

// verdicts returns how many rollouts of 40 looks regress at some look, and how many pass at the last one.
func verdicts(t *testing.T, alpha float64, requests int, canary, control arm) (regress, pass int) {
	t.Helper()
	for run := range *sequences {
		rng := rand.New(rand.NewPCG(7, uint64(run)))
		canary, control := canary, control
		a := rollout.NewAnswers(api.GuardrailAnswers, limits, alpha)
		for look := range 40 {
			// The traffic changes with time, for both variants.
			canary.draw(rng, requests+look%7)
			control.draw(rng, requests)
			a.Look(canary.values(), control.values(), 10*time.Second)
			if v := a.Evidence().Verdict; v == api.VerdictRegress {
				regress++
				break
			} else if v == api.VerdictPass && look == 39 {
				pass++
			}
		}
	}
	return regress, pass
}

// Versions that differ by less than the limit are rolled back rarely, also if each request is sent four times; a
// larger difference is found.
func TestAnswersVerdicts(t *testing.T) {
	const alpha = 0.05
	same := arm{shares: even(), score: 0.8}
	other := same
	other.shares[3], other.shares[4] = 0.35, 0.05
	other.shares[5], other.shares[6] = 0.05, 0
	unsure, sure, shifted, near := same, same, same, same
	unsure.score, sure.score, shifted.shift, near.shift = 0.6, 0.95, 0.6, 0.2
	most := alpha + 3*math.Sqrt(alpha*(1-alpha)/float64(*sequences))
	f := func(name string, canary arm, repeats int, regresses, passes bool) {
		t.Helper()
		control := same
		canary.repeats, control.repeats = repeats, repeats
		regress, pass := verdicts(t, alpha, 100, canary, control)
		r, p := float64(regress)/float64(*sequences), float64(pass)/float64(*sequences)
		t.Logf("%s, each request %d times: %.1f%% regress, %.1f%% pass", name, repeats, 100*r, 100*p)
		if regresses && r < 0.95 || !regresses && r > most || passes && p < 0.9 {
			t.Errorf("%s, each request %d times: %.3f regress, %.3f pass", name, repeats, r, p)
		}
	}
	f("the same", same, 1, false, true)
	f("the same", same, 4, false, false)
	f("a class more often", other, 1, true, false)
	f("a class more often", other, 4, true, false)
	f("less sure", unsure, 1, true, false)
	f("more sure", sure, 1, false, true)
	f("another mean", shifted, 1, true, false)
	f("a mean that is nearly another", near, 1, false, false)
}

// What is in the journal goes on from there.
func TestAnswersResume(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a := rollout.NewAnswers(api.GuardrailAnswers, limits, 0.05)
	canary, control := arm{shares: even(), score: 0.8}, arm{shares: even(), score: 0.8}
	for range 20 {
		canary.draw(rng, 100)
		control.draw(rng, 100)
		a.Look(canary.values(), control.values(), 10*time.Second)
	}
	e := a.Evidence()
	b := rollout.NewAnswers(api.GuardrailAnswers, limits, 0.05)
	b.Resume(e)
	b.Begin(canary.values(), control.values())
	if got := b.Evidence(); fmt.Sprint(got) != fmt.Sprint(e) {
		t.Errorf("%+v\nwant %+v", got, e)
	}
	canary.draw(rng, 100)
	control.draw(rng, 100)
	b.Look(canary.values(), control.values(), 10*time.Second)
	if got := b.Evidence(); got.Canary.Requests != 2100 || got.Values[0].Canary.N != 2100 {
		t.Errorf("%+v", got)
	}
}

func TestOtherAnswersAreRolledBack(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.classes = map[int64]float64{1: 0.3, 2: 0.6}
		g.begin(t, nil)
		g.until(t, api.RolloutRolledBack, 10*time.Minute)
		if r := g.last(t); !strings.Contains(r.Why, "answers: label: a is ") || r.Step != 0 {
			t.Error(r.Why)
		}
	})
}

func TestLabelsAreEvidence(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.wrong = map[int64]float64{1: 0.1, 2: 0.3}
		g.begin(t, nil)
		g.until(t, api.RolloutRolledBack, 10*time.Minute)
		if r := g.last(t); !strings.Contains(r.Why, "loss: label: wrong is ") {
			t.Error(r.Why)
		}
	})
	serve(t, func(t *testing.T, g *gateway) { // better ones do no harm
		g.world.wrong = map[int64]float64{1: 0.3, 2: 0.1}
		g.begin(t, nil)
		g.until(t, api.RolloutCompleted, 2*time.Hour)
	})
}

func TestAShadowThatDisagreesIsNotTried(t *testing.T) {
	shadowed := func(s *api.RolloutSpec) {
		s.Shadow = api.RolloutShadow{Sample: 1000, For: api.Duration(5 * time.Minute)}
	}
	serve(t, func(t *testing.T, g *gateway) {
		g.world.differs = 0.5
		g.begin(t, shadowed)
		g.until(t, api.RolloutRolledBack, 5*time.Minute)
		if r := g.last(t); !strings.Contains(r.Why, "agreement: the shadow disagrees in ") || g.world.share(2) != 0 {
			t.Error(r.Why)
		}
		for _, kind := range g.journal.types() {
			if kind == api.EventRolloutAdvanced && g.last(t).Weight > 0 {
				t.Error("the version had traffic")
			}
		}
	})
	serve(t, func(t *testing.T, g *gateway) {
		g.world.differs = 0.02
		g.begin(t, shadowed)
		g.until(t, api.RolloutCompleted, 2*time.Hour)
		for _, e := range g.last(t).Evidence {
			if e.Guardrail == api.GuardrailAgreement && e.Verdict != api.VerdictPass {
				t.Errorf("%+v", e)
			}
		}
	})
}

// A query that is outside its limits three times in a row rolls a version back; no data never does.
func TestQueries(t *testing.T) {
	limit := 0.1
	asked := func(s *api.RolloutSpec) {
		s.Queries = []api.RolloutQuery{{Name: "refunds", Query: `refunds{model="{{model}}",version="{{version}}"} / on() {{stable}} {{route}}`, Max: &limit}}
	}
	serve(t, func(t *testing.T, g *gateway) {
		looks := 0
		g.query = func(_ context.Context, text string) (float64, error) {
			if want := `refunds{model="iris",version="2"} / on() 1 iris`; text != want {
				t.Errorf("the query is %s, want %s", text, want)
			}
			if looks++; looks%4 == 0 {
				return 0, errors.New("no data")
			}
			return 0.2, nil
		}
		g.restart(t)
		g.begin(t, asked)
		g.until(t, api.RolloutRolledBack, 2*time.Minute)
		if r := g.last(t); r.Why != "query:refunds: 0.2, expected at most 0.1; 3 times in a row" || looks != 3 {
			t.Errorf("%d looks: %s", looks, r.Why)
		}
	})
	serve(t, func(t *testing.T, g *gateway) {
		g.query = func(context.Context, string) (float64, error) { return 0, errors.New("no data") }
		g.restart(t)
		g.begin(t, asked)
		g.until(t, api.RolloutPaused, 2*time.Hour)
		if r := g.last(t); !strings.Contains(r.Why, "inconclusive: query:refunds: no value: no data") {
			t.Error(r.Why)
		}
	})
	serve(t, func(t *testing.T, g *gateway) {
		hang := make(chan struct{})
		g.query = func(ctx context.Context, _ string) (float64, error) {
			select {
			case <-hang:
			case <-ctx.Done():
			}
			return 0.05, nil
		}
		g.restart(t)
		g.begin(t, asked)
		time.Sleep(time.Minute)
		if _, err := g.Abort(t.Context(), "iris", ann); err != nil || g.world.share(2) != 0 { // whatever a query waits for
			t.Error(err)
		}
		close(hang)
		g.until(t, api.RolloutRolledBack, time.Minute)
	})
	serve(t, func(t *testing.T, g *gateway) {
		spec := api.RolloutSpec{Route: "iris", Version: 2}
		asked(&spec)
		spec.Complete()
		_, err := g.Start(t.Context(), spec, ann)
		wantCode(t, err, infer.Conflict)
		for _, change := range []func(*api.RolloutQuery){
			func(q *api.RolloutQuery) { q.Name = "A b" }, func(q *api.RolloutQuery) { q.Query = "" }, func(q *api.RolloutQuery) { q.Max = nil },
			func(q *api.RolloutQuery) { q.Failures = -1 },
		} {
			bad := spec
			bad.Queries = slices.Clone(spec.Queries)
			change(&bad.Queries[0])
			if problems := bad.Check(); len(problems) != 1 || !strings.HasPrefix(problems[0].Field, "queries[0].") {
				t.Errorf("%+v: %v", bad.Queries[0], problems)
			}
		}
	})
}
