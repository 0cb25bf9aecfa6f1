package callers_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// A trainer may use the endpoints for trainers on its model, until its token ends, also if nobody is configured. A reload does not matter.
func TestTrainers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		token, other := "sluice_retrain_"+strings.Repeat("a", 43), "sluice_retrain_"+strings.Repeat("b", 43)
		counters := callers.NewCounters(10)
		trainers := callers.NewTrainers(counters)
		trainers.Replace([]callers.Trainer{
			{Retraining: "r1", Model: "m*", Token: callers.KeyOf([]byte(token)), Until: time.Now().Add(time.Hour)},
			{Retraining: "r2", Model: "other", Token: callers.KeyOf([]byte(other))},
		})
		open, err := callers.New(callers.Options{Trainers: trainers}, nil)
		if err != nil {
			t.Fatal(err)
		}
		closed, err := callers.New(callers.Options{Trainers: trainers, Required: true}, open)
		if err != nil {
			t.Fatal(err)
		}
		as := func(token string) callers.Credentials {
			return callers.Credentials{Authorization: []byte("bearer " + token)}
		}
		push := callers.On(callers.Register).ForTrainers()
		for _, b := range []*callers.Book{open, closed} {
			c, err := b.Authorize(as(token), push, "m*")
			if err != nil || c.Name() != "retrain:r1" || c.Retraining() != "r1" || c.IsAnonymous() {
				t.Fatalf("%v %v", c, err)
			}
			if c.MayTrain("r1") != nil || infer.CodeOf(c.MayTrain("r2")) != infer.Forbidden {
				t.Error("it may train r1, and not r2")
			}
			for model, need := range map[string]callers.Need{"mm": push, "other": push, "m*": callers.On(callers.Register)} {
				if _, err := b.Authorize(as(token), need, model); infer.CodeOf(err) != infer.Forbidden {
					t.Errorf("%+v on %s: %v", need, model, err)
				}
			}
			if _, err := b.Authorize(as(token), callers.On(callers.Infer), "m*"); infer.CodeOf(err) != infer.Forbidden {
				t.Errorf("infer: %v", err)
			}
			if n := len(b.Callers()); n != 3 {
				t.Errorf("%d callers", n)
			}
		}
		counters.All()["retrain:m*"].Limited.Add(0) // the requests of all trainers of a model are counted together
		time.Sleep(time.Hour)
		if _, err := closed.Identify(as(token)); infer.CodeOf(err) != infer.Unauthenticated || !strings.Contains(err.Error(), "retraining that has ended") {
			t.Errorf("after its end: %v", err)
		}
		if c, err := closed.Identify(as(other)); err != nil || c.Retraining() != "r2" {
			t.Errorf("%v %v", c, err)
		}
		trainers.Replace(nil)
		if _, err := closed.Identify(as(other)); infer.CodeOf(err) != infer.Unauthenticated {
			t.Errorf("once it is removed: %v", err)
		}
		if c, err := open.Identify(as(other)); err != nil || !c.IsAnonymous() { // as any header if nobody is configured
			t.Errorf("%v %v", c, err)
		}
	})
}
