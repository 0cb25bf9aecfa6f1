package signals_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/signals"
)

// roll is a journal whose appends can be waited for.
type roll struct {
	tape

	next chan struct{}
}

func newRoll() *roll { return &roll{next: make(chan struct{})} }

func (r *roll) Append(e api.Event) (api.Event, error) {
	added, err := r.tape.Append(e)
	if err == nil {
		r.mu.Lock()
		close(r.next)
		r.next = make(chan struct{})
		r.mu.Unlock()
	}
	return added, err
}

func (r *roll) Appended() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

func (r *roll) Last() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.events))
}

func (r *roll) Read(after int64, limit int, types []string) (list []api.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Seq > after && len(list) < limit && slices.Contains(types, e.Type) {
			list = append(list, e)
		}
	}
	return list, nil
}

// state returns the fold of the journal.
func (r *roll) state(t *testing.T) *signals.FeedState {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &signals.FeedState{}
	for _, e := range r.events {
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	text, err := s.Snapshot()
	back := &signals.FeedState{}
	if err == nil {
		err = back.Restore(text)
	}
	if err != nil || *back != *s {
		t.Errorf("%v: %+v was restored as %+v", err, s, back)
	}
	return back
}

// mailbox is a receiver that can be down.
type mailbox struct {
	mu    sync.Mutex
	down  bool
	tries int
	got   []int64

	posted  map[string]int // by type and result, as an observer sees it
	waiting map[string]int
}

// EventPosted implements signals.FeedObserver.
func (m *mailbox) EventPosted(kind string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.posted == nil {
		m.posted = map[string]int{}
	}
	m.posted[fmt.Sprintf("%s %v", kind, err == nil)]++
}

// EventsWaiting implements signals.FeedObserver.
func (m *mailbox) EventsWaiting(waiting map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = waiting
}

func (m *mailbox) DeliverEvent(_ context.Context, e api.Event) (time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tries++
	if m.down {
		return 0, errDown
	}
	m.got = append(m.got, e.Seq)
	return 0, nil
}

func (m *mailbox) set(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

func (m *mailbox) want(t *testing.T, seqs ...int64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.got, seqs) {
		t.Errorf("the receiver has %v, want %v", m.got, seqs)
	}
}

// feed runs a feed over a journal until stop is called.
func (r *roll) feed(t *testing.T, to *mailbox, types ...string) (stop func()) {
	t.Helper()
	f := signals.NewFeed(signals.FeedOptions{
		Journal: r, Sink: to, Types: types, State: r.state(t), Initial: time.Second, Max: time.Minute, Timeout: time.Second, Observer: to, Logger: zap.NewNop(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func (r *roll) write(t *testing.T, types ...string) {
	t.Helper()
	for _, kind := range types {
		if _, err := r.Append(api.Event{Type: kind, Subject: "rollouts/iris"}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}

// Events are posted in their order, those of a time without a receiver too, and none from before.
func TestFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal, to := newRoll(), &mailbox{}
		journal.write(t, "rollout.started") // 1, before the feed
		stop := journal.feed(t, to, "rollout.started", "rollout.completed")
		journal.write(t, "rollout.started", "route.set", "rollout.completed") // 3, 4, 5, after the feed's own event
		to.want(t, 3, 5)
		to.set(true)
		journal.write(t, "rollout.started", "rollout.completed") // 6, 7
		time.Sleep(time.Hour)
		to.want(t, 3, 5)
		to.set(false)
		time.Sleep(time.Minute)
		to.want(t, 3, 5, 6, 7)
		stop()
		if s := journal.state(t); s.Seq != 7 || !s.On {
			t.Errorf("%+v", s)
		}
		journal.write(t, "rollout.started") // 9 at the latest, while the gateway is down
		missed := journal.Last()
		stop = journal.feed(t, to, "rollout.started", "rollout.completed")
		to.want(t, 3, 5, 6, 7, missed)
		stop()
		// Without events a feed is off, and what happens meanwhile is not posted later.
		journal.feed(t, to)()
		journal.write(t, "rollout.started")
		stop = journal.feed(t, to, "rollout.started")
		to.want(t, 3, 5, 6, 7, missed)
		journal.write(t, "rollout.started")
		to.want(t, 3, 5, 6, 7, missed, journal.Last())
		stop()
	})
}

// Few events say what was posted, and a journal that cannot be written stops nothing.
func TestFeedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal, to := newRoll(), &mailbox{}
		stop := journal.feed(t, to, "rollout.started")
		for range 100 {
			journal.write(t, "rollout.started")
			time.Sleep(time.Second)
		}
		moved := 0
		for _, kind := range journal.types() {
			if kind == api.EventFeedMoved {
				moved++
			}
		}
		if moved > 3 || len(to.got) != 100 {
			t.Errorf("%d events about the feed, %d events were posted", moved, len(to.got))
		}
		before := journal.Last()
		time.Sleep(time.Hour)
		if journal.Last() > before+1 {
			t.Errorf("%d events without anything to post", journal.Last()-before)
		}
		journal.write(t, "rollout.started") // a minute is over, so this one is written
		journal.write(t, "rollout.started")
		last := journal.Last()
		journal.fail(errFull)
		stop()
		journal.fail(nil)
		to.got = nil
		stop = journal.feed(t, to, "rollout.started")
		to.want(t, last) // again
		stop()
	})
}

// A receiver gets a signed CloudEvent with the event of the journal.
func TestEventsAsCloudEvents(t *testing.T) {
	var got event.Event
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := got.UnmarshalJSON(body); err != nil || got.Validate() != nil {
			t.Errorf("%v %v: %s", err, got.Validate(), body)
		}
		stamp, signature, _ := strings.Cut(r.Header.Get(signals.SignatureHeader), ",")
		var second int64
		if _, err := fmt.Sscanf(stamp, "t=%d", &second); err != nil || signals.Sign([]byte("the-secret"), time.Unix(second, 0), body) != stamp+","+signature {
			t.Errorf("the signature %q is wrong", r.Header.Get(signals.SignatureHeader))
		}
	}))
	defer server.Close()
	w, err := signals.NewWebhook(signals.WebhookOptions{URL: server.URL, Secret: []byte("the-secret"), Source: "/gateway/a"})
	if err != nil {
		t.Fatal(err)
	}
	e := api.Event{Seq: 7, Time: time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC), Type: api.EventRolloutRolledBack, Subject: "rollouts/iris", Actor: api.Actor{Actor: "gateway"}, After: []byte(`{"id":"iris-3"}`)}
	if _, err := w.DeliverEvent(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	var data api.Event
	if err := got.DataAs(&data); err != nil {
		t.Fatal(err)
	}
	if got.Type() != "io.sluice.rollout.rolled_back.v1" || got.Subject() != "rollouts/iris" || got.Source() != "/gateway/a" || got.ID() != signals.EventID(e) || len(got.ID()) != 32 ||
		!got.Time().Equal(e.Time) || data.Seq != 7 || string(data.After) != `{"id":"iris-3"}` {
		t.Errorf("%v with %+v", got, data)
	}
	other := e
	other.Time = e.Time.Add(1)
	if signals.EventID(other) == got.ID() {
		t.Error("two events have one id")
	}
}

// What was posted, what failed, and what waits are counted by type.
func TestFeedIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, to := newRoll(), &mailbox{}
		stop := j.feed(t, to, "a", "b")
		j.write(t, "a")
		to.set(true)
		j.write(t, "a") // it is tried at once, and again
		j.write(t, "b", "b", "c")
		time.Sleep(5 * time.Second)
		to.set(false)
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		failed := to.tries - len(to.got) // the times between attempts are random
		if want := map[string]int{"a true": 2, "a false": failed, "b true": 2}; !maps.Equal(to.posted, want) || failed < 2 || len(to.waiting) > 0 {
			t.Errorf("%v, %v, want %v", to.posted, to.waiting, want)
		}
		to.set(true)
		j.write(t, "b")
		if want := map[string]int{"b": 1}; !maps.Equal(to.waiting, want) {
			t.Errorf("%v, want %v", to.waiting, want)
		}
		stop()
	})
}
