package retrain_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/retrain"
)

func TestRequestsAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(down)
		first := b.detect(drift("iris", 1, 0))
		for range 3 {
			b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
			b.wantHeld(drift("iris", 2, 1), api.HeldBackOpen, first)
		}
		other := b.detect(drift("wine", 1, 0))
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainSuppressed, api.EventRetrainSuppressed, api.EventRetrainRequested)
		b.stop()
		b.to.set(nil)
		b.again() // in which they are delivered
		b.want(other, api.RetrainDelivered, 2)
		sleep(24*time.Hour - time.Nanosecond)
		b.wantHeld(drift("iris", 1, 2), api.HeldBackCoolDown, first)
		b.wantHeld(drift("iris", 2, 1), api.HeldBackCoolDown, first)
		if r := b.want(first, api.RetrainDelivered, 2); r.Suppressed != 2 {
			t.Errorf("%d suppressed, want 2", r.Suppressed)
		}
		sleep(time.Nanosecond)
		second := b.detect(drift("iris", 2, 1)) // it lasts still
		b.wantHeld(drift("iris", 1, 2), api.HeldBackCoolDown, second)
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainSuppressed, api.EventRetrainSuppressed, api.EventRetrainRequested,
			api.EventRetrainDelivered, api.EventRetrainDelivered, api.EventRetrainRequested, api.EventRetrainDelivered, api.EventRetrainSuppressed)
	})
}

func TestViolationsAreNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(down)
		request := b.detect(drift("iris", 1, 0))
		ids := []string{b.detect(missing("iris", "a", 0)), b.detect(missing("iris", "b", 0)), b.detect(missing("iris", "a", 1))}
		b.to.set(nil)
		sleep(time.Second)
		for _, id := range ids {
			if r := b.want(id, api.RetrainDelivered, 2); r.Type != api.TypeDataQualityViolated || !strings.HasSuffix(r.Cause, " missing") {
				t.Errorf("got %+v", r)
			}
		}
		b.want(request, api.RetrainDelivered, 2)
		sleep(time.Hour)
		b.want(b.detect(missing("iris", "a", 2)), api.RetrainDelivered, 1)
		// Nor do they hold anything back.
		b.detect(missing("wine", "a", 0))
		b.want(b.detect(drift("wine", 1, 0)), api.RetrainDelivered, 1)
	})
}

func TestNoCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *retrain.Options) { o.CoolDown = -1 })
		b.want(b.detect(drift("iris", 1, 0)), api.RetrainDelivered, 1)
		b.want(b.detect(drift("iris", 1, 1)), api.RetrainDelivered, 1)
	})
}

// TestClockJumps: a cool-down that seems to begin in the future ends, and retries
// do not look at the clock at all.
func TestClockJumps(t *testing.T) {
	s := retrain.NewStore()
	j := &tape{}
	o := retrain.New(s, retrain.Options{Journal: j, Sink: newReceiver(t)})
	out, err := o.Detected(drift("iris", 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	e := api.Event{Type: api.EventRetrainDelivered, Subject: "retrain/" + out.ID, Time: time.Now().AddDate(1, 0, 0), After: []byte(`{}`)}
	if err := s.Apply(e); err != nil {
		t.Fatal(err)
	}
	f := func(ahead time.Duration, want string) {
		t.Helper()
		if by, why := s.HeldBack("iris", e.Time.Add(-ahead), time.Hour); why != want || (by == out.ID) != (want != "") {
			t.Errorf("%v ahead: held back by %q, since %q", ahead, by, why)
		}
	}
	f(365*24*time.Hour, "")
	f(time.Hour, "")
	f(59*time.Minute, api.HeldBackCoolDown)
	f(-59*time.Minute, api.HeldBackCoolDown)
	f(-time.Hour, "")
}
