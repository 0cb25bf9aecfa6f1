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
		repeats(t, closed, trainers, as)
		trainers.Replace(nil)
		if _, err := closed.Identify(as(other)); infer.CodeOf(err) != infer.Unauthenticated {
			t.Errorf("once it is removed: %v", err)
		}
		if c, err := open.Identify(as(other)); err != nil || !c.IsAnonymous() { // as any header if nobody is configured
			t.Errorf("%v %v", c, err)
		}
	})
}

// repeats checks tokens that are only for repeated calls: from a time on, or since their retraining has ended.
func repeats(t *testing.T, b *callers.Book, trainers *callers.Trainers, as func(token string) callers.Credentials) {
	t.Helper()
	judged, ended := "sluice_retrain_"+strings.Repeat("c", 43), "sluice_retrain_"+strings.Repeat("d", 43)
	now := time.Now()
	trainers.Replace([]callers.Trainer{
		{Retraining: "r2", Model: "other", Token: callers.KeyOf([]byte("sluice_retrain_" + strings.Repeat("b", 43)))},
		{Retraining: "r3", Model: "m", Token: callers.KeyOf([]byte(judged)), Over: now.Add(time.Hour)},
		{Retraining: "r4", Model: "m", Token: callers.KeyOf([]byte(ended)), Until: now.Add(2 * time.Hour), Ended: true},
	})
	push, read := callers.On(callers.Register).ForTrainers().AndRepeats(), callers.On(callers.Capture).ForTrainers()
	want := func(token string, need callers.Need, code infer.Code) {
		t.Helper()
		if _, err := b.Authorize(as(token), need, "m"); infer.CodeOf(err) != code {
			t.Errorf("%+v: %v, want %v", need, err, code)
		}
	}
	want(judged, read, infer.OK)
	want(ended, read, infer.Forbidden)
	want(ended, push, infer.OK)
	time.Sleep(time.Hour)
	want(judged, read, infer.Forbidden)
	want(judged, push, infer.OK)
	want(judged, callers.On(callers.Infer), infer.Forbidden)
	time.Sleep(time.Hour)
	want(ended, push, infer.Unauthenticated)
	for _, c := range b.Callers() {
		if c.Name() == "retrain:r4" {
			t.Error("a retraining that has ended is listed")
		}
	}
}
