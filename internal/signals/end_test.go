package signals_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/signals"
)

func TestCloseEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(down)
		first := b.detect(drift("iris", 1, 0))
		r, err := b.Close(first, api.Actor{Actor: "alice", Reason: "a holiday"})
		if err != nil || r.State != api.SignalClosed || r.ClosedBy != "alice" || r.Reason != "a holiday" || r.ClosedAt == nil {
			t.Errorf("got %+v %v", r, err)
		}
		b.to.set(nil)
		sleep(time.Hour)
		b.want(first, api.SignalClosed, 1)
		b.wantHeld(drift("iris", 1, 1), api.HeldBackCoolDown, first)
		b.stop()
		b.again()
		sleep(22*time.Hour + 59*time.Minute)
		b.want(first, api.SignalClosed, 1)
		b.wantHeld(drift("iris", 1, 1), api.HeldBackCoolDown, first)
		sleep(time.Minute)
		second := b.detect(drift("iris", 1, 1))
		b.want(second, api.SignalDelivered, 1)
		sleep(time.Hour)
		b.close(second)
		b.want(second, api.SignalClosed, 1)
		sleep(24*time.Hour - time.Nanosecond)
		b.wantHeld(drift("iris", 1, 2), api.HeldBackCoolDown, second)
		sleep(time.Nanosecond) // a day after it was closed; the delivery does not matter
		b.detect(drift("iris", 1, 2))
		for _, e := range b.journal.events {
			if want := e.Type == api.EventRetrainClosed; want != (e.Origin == api.OriginAPI) {
				t.Errorf("%s has the origin %s", e.Type, e.Origin)
			}
		}
	})
}

func TestCloseCutsOffADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(hangs)
		id := b.detect(drift("iris", 1, 0))
		began := time.Now()
		if _, err := b.Close(id, api.Actor{}); err != nil {
			t.Error(err)
		}
		b.want(id, api.SignalClosed, 1)
		ctx := t.Context()
		if err := b.Shutdown(ctx); err != nil || time.Since(began) > 0 {
			t.Errorf("it was not cut off: %v after %v", err, time.Since(began))
		}
	})
}

// TestADeliveryThatClosingCannotStop: the journal has the delivery anyway.
func TestADeliveryThatClosingCannotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			time.Sleep(time.Second)
			return 0, nil
		})
		id := b.detect(drift("iris", 1, 0))
		if _, err := b.Close(id, api.Actor{}); err != nil {
			t.Error(err)
		}
		sleep(time.Second)
		if r := b.want(id, api.SignalClosed, 1); r.DeliveredAt == nil {
			t.Errorf("got %+v", r)
		}
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainClosed, api.EventRetrainDelivered)
		b.stop()
		b.again()
		sleep(time.Hour)
		b.want(id, api.SignalClosed, 1)
	})
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(down)
		id := b.detect(drift("iris", 1, 0))
		sleep(time.Hour)
		n := len(b.to.times(id))
		if _, err := b.Retry(id); err != nil {
			t.Error(err)
		}
		r := b.want(id, api.SignalOpen, n+1)
		if wait := time.Until(*r.NextAttempt); wait > time.Second {
			t.Errorf("waits %v after the first of a new series", wait)
		}
		b.to.set(nil)
		if _, err := b.Retry(id); err != nil {
			t.Error(err)
		}
		b.want(id, api.SignalDelivered, n+2)
	})
}

func TestRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		f := func(err error, code infer.Code, want string) {
			t.Helper()
			if infer.CodeOf(err) != code || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
		delivered := b.detect(drift("iris", 1, 0))
		_, err := b.Retry(delivered)
		f(err, infer.Conflict, "signal "+delivered+" is delivered; only an open signal can be delivered")
		if _, err := b.Close(delivered, api.Actor{}); err != nil {
			t.Error(err)
		}
		_, err = b.Retry(delivered)
		f(err, infer.Conflict, "signal "+delivered+" is closed; only an open signal can be delivered")
		_, err = b.Close(delivered, api.Actor{})
		f(err, infer.Conflict, "signal "+delivered+" was already closed at 2000-01-01T00:00:00Z")
		_, err = b.Retry("x")
		f(err, infer.NotFound, `there is no signal "x"`)
		_, err = b.Close(strings.Repeat("x", 1000), api.Actor{})
		f(err, infer.NotFound, `there is no signal "xxx`)
		if err := b.Run(t.Context()); err == nil {
			t.Error("a second Run was accepted")
		}
	})
}

func TestShutdownFinishesDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *signals.Options) { o.Parallel = 1 })
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			time.Sleep(time.Second)
			return 0, nil
		})
		first, second := b.detect(missing("iris", "a", 0)), b.detect(missing("iris", "b", 0))
		began := time.Now()
		if err := b.Shutdown(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		b.want(first, api.SignalDelivered, 1)
		b.want(second, api.SignalOpen, 0)
		third := b.detect(missing("iris", "c", 0)) // after the end
		b.want(third, api.SignalOpen, 0)
		b.stop()
		b.again()
		sleep(2 * time.Second)
		b.want(second, api.SignalDelivered, 1)
		b.want(third, api.SignalDelivered, 1)
	})
}

func TestShutdownCutsOffWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b := start(t, func(o *signals.Options) { o.Logger = zap.New(core) })
		b.to.set(hangs)
		id := b.detect(drift("iris", 1, 0))
		logs.TakeAll()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		b.want(id, api.SignalOpen, 1)
		if logs.Len() > 0 {
			t.Errorf("got %v", logs.All())
		}
	})
}

func TestShutdownBeforeRun(t *testing.T) {
	o := outbox(t, signals.NewStore(), &tape{}, newReceiver(t))
	down := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go func() { down <- o.Shutdown(ctx) }()
	if _, err := o.Detected(drift("iris", 1, 0)); err != nil {
		t.Error(err)
	}
	if err := o.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := <-down; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A reload changes how long signals hold others back, also for signals that already do.
func TestHoldingIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		first := b.detect(drift("iris", 1, 0))
		b.close(first)
		b.SetHolding(time.Minute, time.Hour)
		sleep(time.Minute - time.Nanosecond)
		b.wantHeld(drift("iris", 1, 1), api.HeldBackCoolDown, first)
		sleep(time.Nanosecond)
		b.detect(drift("iris", 1, 1))
		b.stop()
	})
}
