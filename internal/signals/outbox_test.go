package signals_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/signals"
)

func TestASignalIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		id := b.detect(drift("iris", 1, 0))
		r := b.want(id, api.SignalDelivered, 1)
		if r.Attempts != 1 || r.DeliveredAt == nil || r.NextAttempt != nil || r.LastError != "" || r.Cause != api.CauseDrift || !r.Began.Equal(r.Window.Start) {
			t.Errorf("got %+v", r)
		}
		for range 3 { // the next windows of the same problem
			s := drift("iris", 1, 0)
			s.Began, s.Window.Start = s.Window.Start, s.Window.Start.Add(time.Hour)
			if out, err := b.Detected(s); err != nil || out != (signals.Outcome{ID: id}) {
				t.Errorf("got %+v %v", out, err)
			}
		}
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainDelivered)
		sleep(48 * time.Hour)
		b.stop()
		b.again()
		if diff := cmp.Diff(b.want(id, api.SignalDelivered, 1), r); diff != "" {
			t.Errorf("after a restart: %s", diff)
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *signals.Options) { o.Max = 20 * time.Second })
		b.to.set(down)
		id := b.detect(drift("iris", 1, 0))
		for range 12 {
			r := b.want(id, api.SignalOpen, len(b.to.times(id)))
			if r.LastError != errDown.Error() || r.Attempts != len(b.to.times(id)) {
				t.Fatalf("got %+v", r)
			}
			sleep(time.Until(*r.NextAttempt))
		}
		times := b.to.times(id)
		for i := range len(times) - 1 {
			most := min(time.Second<<i, 20*time.Second)
			if got := times[i+1].Sub(times[i]); got < most/2 || got > most {
				t.Errorf("after attempt %d: waited %v, want %v to %v", i+1, got, most/2, most)
			}
		}
		b.to.set(nil)
		sleep(20 * time.Second)
		b.want(id, api.SignalDelivered, 14)
	})
}

// TestADay: the outbox retries for a day.
func TestADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b := start(t, func(o *signals.Options) { o.Logger = zap.New(core) })
		b.to.set(down)
		id := b.detect(drift("iris", 1, 0))
		sleep(24 * time.Hour)
		n := len(b.to.times(id))
		if n < 24*60/5 || n > 2*24*60/5+20 {
			t.Errorf("%d attempts in a day", n)
		}
		if lines := logs.FilterMessageSnippet("could not be delivered").Len(); lines != 9 && lines != 10 { // 1, 2, 4, …, 256 or 512
			t.Errorf("%d lines in the log", lines)
		}
		b.to.set(nil)
		sleep(5 * time.Minute)
		b.want(id, api.SignalDelivered, n+1)
	})
}

func TestRetryAfter(t *testing.T) {
	f := func(asked, least, most time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			b := start(t, nil)
			b.to.set(func(context.Context, api.SignalData) (time.Duration, error) { return asked, errDown })
			r := b.want(b.detect(drift("iris", 1, 0)), api.SignalOpen, 1)
			if wait := time.Until(*r.NextAttempt); wait < least || wait > most {
				t.Errorf("asked for %v, waits %v", asked, wait)
			}
		})
	}
	f(0, 500*time.Millisecond, time.Second)
	f(time.Minute, time.Minute, time.Minute)
	f(time.Hour, 5*time.Minute, 5*time.Minute)
}

func TestAHangIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(hangs)
		id := b.detect(drift("iris", 1, 0))
		if r := b.want(id, api.SignalOpen, 1); r.NextAttempt != nil {
			t.Errorf("in progress, and the next attempt is at %v", r.NextAttempt)
		}
		sleep(10 * time.Second)
		if r := b.want(id, api.SignalOpen, 1); r.LastError != context.DeadlineExceeded.Error() || r.NextAttempt == nil {
			t.Errorf("got %+v", r)
		}
	})
}

func TestNoWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		b := start(t, func(o *signals.Options) { o.Sink, o.Logger = nil, zap.New(core) })
		id := b.detect(drift("iris", 1, 0))
		sleep(time.Hour)
		b.want(id, api.SignalOpen, 0)
		lines := logs.All()
		if len(lines) != 1 || lines[0].ContextMap()["delivery"] == nil || fmt.Sprint(lines[0].ContextMap()["features"]) != "[petal_length]" {
			t.Errorf("got %v", lines)
		}
		if _, err := b.Retry(id); infer.CodeOf(err) != infer.Conflict || !strings.Contains(err.Error(), "no webhook") {
			t.Errorf("got %v", err)
		}
		if n, oldest := b.Open(); n != 1 || time.Since(oldest) != time.Hour {
			t.Errorf("%d open, since %v", n, oldest)
		}
		b.stop()
		b.opts.Sink = b.to // a webhook is configured now
		b.again()
		b.want(id, api.SignalDelivered, 1)
		if n, oldest := b.Open(); n != 0 || !oldest.IsZero() {
			t.Errorf("%d open, since %v", n, oldest)
		}
	})
}

func TestOnlySoManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			time.Sleep(time.Second)
			return 0, nil
		})
		began := time.Now()
		for i := range 10 {
			b.detect(missing("iris", "a", i))
		}
		sleep(3 * time.Second)
		if n, _ := b.Open(); n != 0 || b.to.most != 4 || time.Since(began) != 3*time.Second {
			t.Errorf("%d open, %d at once", n, b.to.most)
		}
	})
}

// TestTheJournalFails: a delivered signal is not delivered again, and a signal that could
// not be recorded is recorded with the next window.
func TestTheJournalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.journal.fail(errFull)
		if out, err := b.Detected(drift("iris", 1, 0)); !errors.Is(err, errFull) || out.New {
			t.Errorf("got %+v %v", out, err)
		}
		b.journal.fail(nil)
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			b.journal.fail(errFull)
			return 0, nil
		})
		id := b.detect(drift("iris", 1, 0))
		if _, err := b.Close(id, api.Actor{}); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
		sleep(time.Hour)
		if r := b.want(id, api.SignalOpen, 1); !strings.Contains(r.LastError, "the signal was delivered, but") || r.Attempts != 1 {
			t.Errorf("got %+v", r)
		}
		b.journal.fail(nil)
		sleep(5 * time.Minute)
		b.want(id, api.SignalDelivered, 1)

		b.detect(missing("iris", "a", 0))
		b.journal.fail(nil)
		b.stop() // writes the remaining deliveries to the journal
		b.wantEvents(api.EventRetrainRequested, api.EventRetrainDelivered, api.EventQualityViolated, api.EventRetrainDelivered)
	})
}

// counter is an observer.
type counter struct {
	mu  sync.Mutex
	got map[string]int
}

func (c *counter) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[what]++
}

func (c *counter) Recorded(kind, model string) { c.add("recorded " + kind + " " + model) }
func (c *counter) HeldBack(model, why string)  { c.add("held back " + model + " " + why) }
func (c *counter) Attempted(kind string, err error, d time.Duration) {
	c.add(fmt.Sprintf("attempted %s %v %v", kind, err, d))
}

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{got: map[string]int{}}
		b := start(t, func(o *signals.Options) { o.Observer = c })
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			time.Sleep(time.Minute)
			return 0, errDown
		})
		first := b.detect(drift("iris", 1, 0))
		b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
		b.wantHeld(drift("iris", 1, 1), api.HeldBackOpen, first)
		sleep(time.Minute)
		b.to.set(nil)
		sleep(time.Minute)
		b.detect(missing("iris", "a", 0))
		want := map[string]int{
			"recorded io.sluice.retrain.requested.v1 iris":                     1,
			"recorded io.sluice.dataquality.violated.v1 iris":                  1,
			"held back iris open":                                              2,
			"attempted io.sluice.retrain.requested.v1 connection refused 1m0s": 1,
			"attempted io.sluice.retrain.requested.v1 <nil> 0s":                1,
			"attempted io.sluice.dataquality.violated.v1 <nil> 0s":             1,
		}
		synctest.Wait()
		if diff := cmp.Diff(want, c.got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestManyAtOnce lets all methods race with each other.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *signals.Options) { o.CoolDown = 0 })
		var calls atomic.Int64
		b.to.set(func(context.Context, api.SignalData) (time.Duration, error) {
			if calls.Add(1)%3 != 0 {
				return 0, errDown
			}
			return 0, nil
		})
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 100 {
					s := missing("iris", "a", i)
					if i%2 == 0 {
						s = drift(fmt.Sprint("m", i), 1, g%2)
					}
					out, err := b.Detected(s)
					if err != nil {
						t.Error(err)
					}
					if i%7 == 0 {
						_, _ = b.Retry(out.ID) // the signal may be delivered already
					}
					if i%11 == 0 {
						_, _ = b.Close(out.ID, api.Actor{Actor: "a"})
					}
					_ = b.List()
				}
			})
		}
		wg.Wait()
		sleep(24 * time.Hour)
		if n, _ := b.Open(); n > 0 {
			t.Errorf("%d are open", n)
		}
		got := b.List()
		if diff := cmp.Diff(b.journal.fold(t).All(), got); diff != "" || len(got) < 100 {
			t.Errorf("%d signals: %s", len(got), diff)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	f := func(want string, change func(o *signals.Options)) {
		t.Helper()
		o := options()
		o.Journal = &tape{}
		change(&o)
		x, err := signals.New(signals.NewStore(), o)
		if x != nil || infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("Journal", func(o *signals.Options) { o.Journal = nil })
	f("Initial is 0", func(o *signals.Options) { o.Initial = 0 })
	f("Max is 0", func(o *signals.Options) { o.Max = 0 })
	f("Timeout is 0", func(o *signals.Options) { o.Timeout = 0 })
	f("Parallel is 0", func(o *signals.Options) { o.Parallel = 0 })
	f("CoolDown is -1", func(o *signals.Options) { o.CoolDown = -1 })
	f("Expire is 0", func(o *signals.Options) { o.Expire = 0 })
}
