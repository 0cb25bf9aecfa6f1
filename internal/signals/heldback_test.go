package signals_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/signals"
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
		b.again() // the restarted outbox delivers them
		b.want(other, api.SignalDelivered, 2)
		sleep(5 * 24 * time.Hour) // the retraining is in progress
		b.wantHeld(drift("iris", 1, 2), api.HeldBackOpen, first)
		b.close(first)
		sleep(24*time.Hour - time.Nanosecond)
		b.wantHeld(drift("iris", 1, 2), api.HeldBackCoolDown, first)
		b.wantHeld(drift("iris", 2, 1), api.HeldBackCoolDown, first)
		if r := b.want(first, api.SignalClosed, 2); r.Suppressed != 2 {
			t.Errorf("%d suppressed, want 2", r.Suppressed)
		}
		if also := b.want(first, api.SignalClosed, 2).Also; len(also) != 2 || also[1].Version != 2 || also[1].Cause != api.CauseDrift || also[1].Why != api.HeldBackOpen || len(also[1].Features) == 0 {
			t.Errorf("%+v", also)
		}
		sleep(time.Nanosecond)
		second := b.detect(drift("iris", 2, 1)) // the problem still lasts
		b.wantHeld(drift("iris", 1, 2), api.HeldBackOpen, second)
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainSuppressed, api.EventRetrainSuppressed, api.EventRetrainRequested,
			api.EventRetrainDelivered, api.EventRetrainDelivered, api.EventRetrainClosed,
			api.EventRetrainRequested, api.EventRetrainDelivered, api.EventRetrainSuppressed)
	})
}

// TestFurtherFeatures: features of the same problem that are detected later are listed once, without a second delivery, until the request is closed.
func TestFurtherFeatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		s := drift("iris", 1, 0)
		id := b.detect(s)
		sleep(time.Minute)
		wider := s
		wider.Features = append(slices.Clone(s.Features), api.SignalFinding{Kind: "input", Feature: "later"})
		for range 3 {
			if out, err := b.Detected(wider); err != nil || out.New || out.HeldBack != "" || out.ID != id {
				t.Errorf("%+v %v", out, err)
			}
			b.stop()
			b.again()
		}
		r := b.want(id, api.SignalDelivered, 1)
		if len(r.Also) != 1 || !slices.Equal(r.Also[0].Features, []string{"input later"}) || r.Suppressed != 0 {
			t.Errorf("%+v", r.Also)
		}
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainDelivered, api.EventRetrainSuppressed)
		b.close(id)
		wider.Features = append(wider.Features, api.SignalFinding{Kind: "input", Feature: "too late"})
		if _, err := b.Detected(wider); err != nil {
			t.Error(err)
		}
		if r := b.want(id, api.SignalClosed, 1); len(r.Also) != 1 {
			t.Errorf("%+v", r.Also)
		}
	})
}

// TestSegmentsAreOneRequest: a whole and its segments that drift together make one request, which names each segment once, also after a restart.
func TestSegmentsAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		whole := drift("iris", 1, 0)
		id := b.detect(whole)
		german, french := whole, whole // began in the same window
		german.Segment, french.Segment = "DE", "FR"
		if signals.ID(german) == signals.ID(whole) || signals.ID(german) == signals.ID(french) {
			t.Error("segments have the same id")
		}
		for range 2 {
			b.wantHeld(german, api.HeldBackOpen, id)
			b.wantHeld(french, api.HeldBackOpen, id)
			b.stop()
			b.again()
		}
		r := b.want(id, api.SignalDelivered, 1)
		if len(r.Also) != 2 || r.Also[0].Segment != "DE" || r.Also[1].Segment != "FR" || r.Suppressed != 2 || r.Lists("input later") {
			t.Errorf("%+v", r)
		}
	})
}

// TestForgottenRequestsExpire: a request that was delivered and never closed stops holding
// others back. One that was not delivered does not stop.
func TestForgottenRequestsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		first := b.detect(drift("iris", 1, 0))
		sleep(7*24*time.Hour - time.Nanosecond)
		b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
		b.stop()
		b.again()
		b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
		sleep(time.Nanosecond)
		out, err := b.Detected(drift("iris", 1, 0))
		if err != nil || out.New || out.ID != first { // the same problem is not a new request
			t.Errorf("got %+v %v", out, err)
		}
		second := b.detect(drift("iris", 1, 1)) // without a cool-down
		b.close(first)                          // late, and without effect
		b.wantHeld(drift("iris", 1, 2), api.HeldBackOpen, second)
		sleep(8 * 24 * time.Hour)
		b.close(second) // expired, but the cool-down still applies
		b.wantHeld(drift("iris", 1, 2), api.HeldBackCoolDown, second)

		b.to.set(down)
		third := b.detect(drift("wine", 1, 0))
		sleep(30 * 24 * time.Hour)
		b.wantHeld(drift("wine", 1, 1), api.HeldBackOpen, third)
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
			if r := b.want(id, api.SignalDelivered, 2); r.Type != api.TypeDataQualityViolated || !strings.HasSuffix(r.Cause, " missing") {
				t.Errorf("got %+v", r)
			}
		}
		b.want(request, api.SignalDelivered, 2)
		sleep(time.Hour)
		b.want(b.detect(missing("iris", "a", 2)), api.SignalDelivered, 1)
		// They do not hold anything back either.
		b.detect(missing("wine", "a", 0))
		b.want(b.detect(drift("wine", 1, 0)), api.SignalDelivered, 1)
	})
}

func TestNoCoolDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *signals.Options) { o.CoolDown = 0 })
		first := b.detect(drift("iris", 1, 0))
		b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
		b.close(first)
		b.want(b.detect(drift("iris", 1, 1)), api.SignalDelivered, 1)
	})
}

// TestClockJumps: a cool-down that seems to begin in the future ends, and so does the expiry
// of a request. Retries do not use the wall clock.
func TestClockJumps(t *testing.T) {
	s := signals.NewStore()
	o := outbox(t, s, &tape{}, newReceiver(t))
	out, err := o.Detected(drift("iris", 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().AddDate(1, 0, 0)
	f := func(ahead time.Duration, want string) {
		t.Helper()
		if by, why := s.HeldBack("iris", at.Add(-ahead), time.Hour, 2*time.Hour); why != want || (by == out.ID) != (want != "") {
			t.Errorf("%v ahead: held back by %q, since %q", ahead, by, why)
		}
	}
	apply := func(kind string) {
		t.Helper()
		if err := s.Apply(api.Event{Type: kind, Subject: "retrain/" + out.ID, Time: at, After: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
	f(365*24*time.Hour, api.HeldBackOpen)
	apply(api.EventRetrainDelivered)
	f(365*24*time.Hour, "")
	f(2*time.Hour, "")
	f(119*time.Minute, api.HeldBackOpen)
	f(-119*time.Minute, api.HeldBackOpen)
	f(-2*time.Hour, "")
	apply(api.EventRetrainClosed)
	f(365*24*time.Hour, "")
	f(time.Hour, "")
	f(59*time.Minute, api.HeldBackCoolDown)
	f(-59*time.Minute, api.HeldBackCoolDown)
	f(-time.Hour, "")
}
