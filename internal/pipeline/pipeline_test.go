package pipeline_test

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// sleep lets time pass, and waits until everything that is due has happened.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheWholeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		sleep(0)
		if r := b.want("a", api.RetrainAccepted); r.Trainer != api.TrainerNATS || r.Deadline == nil || !strings.HasPrefix(r.Document, "sha256:") || b.queue.got["a"] != 1 {
			t.Errorf("%+v", r)
		}
		half := 0.5
		for range 2 { // the second call changes nothing
			if r, err := b.Progress("a", api.RetrainProgress{Progress: &half, Message: "trial 1"}, api.Actor{Actor: "trainer"}); err != nil || r.State != api.RetrainRunning || *r.Progress != half {
				t.Errorf("%+v %v", r, err)
			}
		}
		if n := b.count(api.EventRetrainRunning); n != 1 {
			t.Errorf("%d events for two equal calls", n)
		}
		b.journal.register(t, "a", "iris", 2, "sha256:2")
		b.journal.register(t, "a", "iris", 3, "sha256:3") // nothing admits it; it is not the candidate
		sleep(0)
		r := b.want("a", api.RetrainFinished)
		if r.Candidate != 2 || r.Digest != "sha256:2" || r.Judgement.Rows != 7 || r.Rollout != "iris-1" || b.count(api.EventRetrainClosed) != 1 {
			t.Errorf("%+v", r)
		}
		if _, err := b.Progress("a", api.RetrainProgress{}, api.Actor{}); infer.CodeOf(err) != infer.Conflict {
			t.Errorf("got %v", err)
		}
	})
}

// TestKilledAtEachStep: the journal fails at each write in turn, before or after it has written, and the process ends there. A new one
// goes on, nothing is lost, and nothing is done twice.
func TestKilledAtEachStep(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for _, written := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, api.TrainerNATS)
				if written {
					b.journal.after = n
				} else {
					b.journal.before = n
				}
				b.journal.request(t, "a", "iris")
				sleep(0)
				b.again()
				sleep(2 * time.Second)
				for range 3 {
					if _, err := b.Progress("a", api.RetrainProgress{Message: "it goes on"}, api.Actor{}); err != nil {
						b.again()
						sleep(2 * time.Second)
					}
				}
				b.journal.register(t, "a", "iris", 2, "sha256:2")
				b.again()
				sleep(5 * time.Second)
				b.again()
				sleep(5 * time.Second)
				b.want("a", api.RetrainFinished)
				for _, kind := range []string{api.EventRetrainRunning, api.EventRetrainJudged, api.EventRetrainFinished, api.EventRetrainClosed} {
					if got := b.count(kind); got != 1 {
						t.Errorf("write %d, written %v: %d events %s", n, written, got, kind)
					}
				}
				if b.side.applied["a"] != 1 {
					t.Errorf("write %d, written %v: %d rollouts", n, written, b.side.applied["a"])
				}
			})
		}
	}
}

func TestASilentTrainerExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		sleep(59 * time.Minute)
		b.want("a", api.RetrainAccepted)
		b.again() // the deadline does not begin again
		sleep(2 * time.Minute)
		b.want("a", api.RetrainExpired)
		b.journal.register(t, "a", "iris", 2, "sha256:2") // too late
		sleep(time.Minute)
		if r := b.want("a", api.RetrainExpired); r.Candidate != 0 {
			t.Errorf("%+v", r)
		}
		if _, _, err := b.Admits("a", "iris", ""); infer.CodeOf(err) != infer.Conflict {
			t.Errorf("got %v", err)
		}
	})
}

func TestAQueueThatIsDownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.queue.set(true)
		b.journal.request(t, "a", "iris")
		sleep(12 * time.Hour)
		b.again()
		sleep(12 * time.Hour)
		b.want("a", api.RetrainRequested)
		b.queue.set(false)
		sleep(time.Minute)
		if r := b.want("a", api.RetrainAccepted); !r.Deadline.After(time.Now()) || b.queue.got["a"] != 1 {
			t.Errorf("%+v, %d times", r, b.queue.got["a"])
		}
	})
}

func TestOnePerModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		b.journal.request(t, "b", "iris")
		b.journal.request(t, "c", "wine")
		sleep(0)
		b.want("a", api.RetrainAccepted)
		b.want("b", api.RetrainRequested)
		b.want("c", api.RetrainAccepted)
		if _, err := b.Fail("a", "too few rows", api.Actor{}); err != nil {
			t.Error(err)
		}
		if r, err := b.Fail("a", "too few rows", api.Actor{}); err != nil || r.Why != "the trainer says: too few rows" { // again
			t.Errorf("%+v %v", r, err)
		}
		sleep(0)
		b.want("a", api.RetrainFailed)
		b.want("b", api.RetrainAccepted)
	})
}

func TestARolloutThatRunsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.side.problem = infer.Errorf(infer.Conflict, "a rollout has not ended")
		b.journal.request(t, "a", "iris")
		b.journal.register(t, "a", "iris", 2, "sha256:2")
		sleep(time.Hour)
		b.want("a", api.RetrainJudged)
		b.side.mu.Lock()
		b.side.problem = nil
		b.side.mu.Unlock()
		sleep(2 * time.Second)
		b.want("a", api.RetrainFinished)
	})
}

func TestAWorseVersionIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNone)
		b.side.verdict = api.VerdictWorse
		b.journal.request(t, "a", "iris")
		b.journal.register(t, "a", "iris", 2, "sha256:2")
		sleep(0)
		if r := b.want("a", api.RetrainFinished); b.side.applied["a"] != 0 || !strings.Contains(r.Why, "worse") {
			t.Errorf("%+v", r)
		}
	})
}

func TestTheWebhookAccepts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerWebhook)
		b.journal.request(t, "a", "iris")
		sleep(time.Minute)
		b.want("a", api.RetrainRequested)
		b.journal.put(t, api.EventRetrainDelivered, "retrain/a", api.SignalProgress{State: api.SignalDelivered})
		sleep(0)
		if r := b.want("a", api.RetrainAccepted); r.Document == "" || r.Deadline == nil || !r.Deadline.Equal(r.AcceptedAt.Add(time.Hour)) {
			t.Errorf("%+v", r)
		}
		sleep(2 * time.Hour)
		b.want("a", api.RetrainExpired)
		if n := b.count(api.EventRetrainClosed); n != 0 { // the outbox forgets it by itself
			t.Errorf("closed %d times", n)
		}
	})
}

func TestAClosedSignalEndsItsRetraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		sleep(0)
		if err := b.side.Close("a", "it was a holiday"); err != nil {
			t.Fatal(err)
		}
		if r := b.want("a", api.RetrainRejected); r.Why != "the signal was closed: it was a holiday" {
			t.Errorf("%+v", r)
		}
	})
}

func TestAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		f := func(id, model, digest string, existing int64, code infer.Code) {
			t.Helper()
			got, parent, err := b.Admits(id, model, digest)
			if got != existing || (err == nil) != (parent == 1) || err == nil != (code == infer.OK) || err != nil && infer.CodeOf(err) != code {
				t.Errorf("%d of %d, %v, want %d %v", got, parent, err, existing, code)
			}
		}
		f("a", "iris", "", 0, infer.NotFound)
		b.journal.request(t, "a", "iris")
		f("a", "iris", "", 0, infer.OK)
		f("a", "wine", "", 0, infer.Forbidden)
		b.journal.register(t, "a", "iris", 2, "sha256:2")
		f("a", "iris", "", 2, infer.OK)
		f("a", "iris", "sha256:2", 2, infer.OK)
		f("a", "iris", "sha256:3", 0, infer.Conflict)
		sleep(0)
		f("a", "iris", "sha256:2", 2, infer.OK) // the answer was lost, and the retraining is finished
		b.journal.request(t, "b", "iris")
		if _, err := b.Cancel("b", api.Actor{Actor: "ada", Reason: "no"}); err != nil {
			t.Error(err)
		}
		f("b", "iris", "", 0, infer.Conflict)
	})
}

func TestCallsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		for _, x := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
			if _, err := b.Progress("a", api.RetrainProgress{Progress: &x}, api.Actor{}); infer.CodeOf(err) != infer.Invalid {
				t.Errorf("%v: %v", x, err)
			}
		}
		for _, said := range []api.RetrainProgress{{Message: strings.Repeat("x", 5000)}, {Message: "\x1b[31m"}, {Log: "javascript:alert(1)"}, {Log: "/tmp"}} {
			if _, err := b.Progress("a", said, api.Actor{}); infer.CodeOf(err) != infer.Invalid {
				t.Errorf("%+v: %v", said, err)
			}
		}
		if _, err := b.Fail("a", " ", api.Actor{}); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("got %v", err)
		}
		if _, err := b.Fail("?", "x", api.Actor{}); infer.CodeOf(err) != infer.NotFound {
			t.Errorf("got %v", err)
		}
		sleep(0)
	})
}

// TestTheDocumentIsMadeOnce: whoever asks gets the same one.
func TestTheDocumentIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, api.TrainerNATS)
		b.journal.request(t, "a", "iris")
		first, err := b.Document(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		again, err := b.Document(t.Context(), "a")
		if err != nil || string(again) != string(first) {
			t.Errorf("%v\n%s\n%s", err, first, again)
		}
		if part, err := b.Part(t.Context(), "a", api.PartWindow); err != nil || string(part) != "{}" {
			t.Errorf("%s %v", part, err)
		}
		if _, err := b.Part(t.Context(), "a", api.PartReference); infer.CodeOf(err) != infer.NotFound {
			t.Errorf("got %v", err)
		}
	})
}
