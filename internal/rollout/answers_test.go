package rollout_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
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
	a.sums[i] = rollout.Mean{N: a.sums[i].N + 1, Sum: a.sums[i].Sum + x, Squares: a.sums[i].Squares + x*x}
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
		if r := g.last(t); !strings.Contains(r.Why, "answers: label: a is 6") || r.Step != 0 {
			t.Error(r.Why)
		}
	})
}

func TestLabelsAreEvidence(t *testing.T) {
	serve(t, func(t *testing.T, g *gateway) {
		g.world.wrong = map[int64]float64{1: 0.1, 2: 0.3}
		g.begin(t, nil)
		g.until(t, api.RolloutRolledBack, 10*time.Minute)
		if r := g.last(t); !strings.Contains(r.Why, "loss: label: wrong is 3") {
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
