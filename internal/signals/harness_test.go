package signals_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/signals"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errFull = errors.New("the disk is full")
	errDown = errors.New("connection refused")
)

// drift returns a request for retraining for a problem that began n hours after a fixed time.
func drift(model string, version int64, n int) api.SignalData {
	start := time.Date(2026, 11, 1, n, 0, 0, 0, time.UTC)
	return api.SignalData{
		Type: api.TypeRetrainRequested, Model: model, Version: version, Role: api.RoleStable, Rows: 500,
		Window:   api.Span{Start: start, End: start.Add(5 * time.Minute)},
		Features: []api.SignalFinding{{Feature: "petal_length", Kind: "input", Statistic: "g", Value: 97.5, P: 1e-9, Effect: 0.31, Low: 0.2, High: 0.4, Shift: 0.5}},
	}
}

// missing returns a report of bad data: values of a feature are missing.
func missing(model, feature string, n int) api.SignalData {
	s := drift(model, 1, n)
	s.Type = api.TypeDataQualityViolated
	s.Features = []api.SignalFinding{{Feature: feature, Kind: "input", Statistic: "missing", Value: 40, P: 1e-12, Effect: 0.2, Low: 0.15, High: 0.25}}
	return s
}

// tape is a journal in memory that can fail.
type tape struct {
	mu     sync.Mutex
	events []api.Event
	err    error // the error of each Append
}

func (j *tape) Append(e api.Event) (api.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return api.Event{}, j.err
	}
	e.Seq, e.Time = int64(len(j.events)+1), time.Now().UTC()
	text, err := json.Marshal(e)
	if err != nil {
		return api.Event{}, err
	}
	var back api.Event
	if err := json.Unmarshal(text, &back); err != nil {
		return api.Event{}, err
	}
	j.events = append(j.events, back)
	return back, nil
}

func (j *tape) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
}

func (j *tape) types() (types []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		types = append(types, e.Type)
	}
	return types
}

// fold replays the journal from a snapshot in the middle.
func (j *tape) fold(t testing.TB) *signals.Store {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	s := signals.NewStore()
	for i, e := range j.events {
		if i == len(j.events)/2 {
			s = resumed(t, s)
		}
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return resumed(t, s)
}

// resumed returns a store that is restored from a snapshot, and checks that it is equal.
func resumed(t testing.TB, s *signals.Store) *signals.Store {
	t.Helper()
	next := signals.NewStore()
	state, err := s.Snapshot()
	if err == nil {
		err = next.Restore(state)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, next, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Fatalf("the restored store differs: %s", diff)
	}
	return next
}

// receiver is a sink that calls answer, and records when it was called.
type receiver struct {
	t      testing.TB
	mu     sync.Mutex
	answer func(ctx context.Context, s api.SignalData) (time.Duration, error) // nil accepts everything
	calls  map[string][]time.Time
	now    map[string]bool // deliveries in progress
	most   int             // max number of deliveries at the same time
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	return &receiver{t: t, calls: map[string][]time.Time{}, now: map[string]bool{}}
}

func (r *receiver) set(answer func(context.Context, api.SignalData) (time.Duration, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) Deliver(ctx context.Context, s api.SignalData) (time.Duration, error) {
	r.mu.Lock()
	if r.now[s.ID] {
		r.t.Errorf("two deliveries of %s at once", s.ID)
	}
	r.now[s.ID] = true
	r.most = max(r.most, len(r.now))
	r.calls[s.ID] = append(r.calls[s.ID], time.Now())
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.now, s.ID)
	}()
	if answer == nil {
		return 0, nil
	}
	return answer(ctx, s)
}

func (r *receiver) times(id string) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls[id])
}

func down(context.Context, api.SignalData) (time.Duration, error) { return 0, errDown }

func hangs(ctx context.Context, _ api.SignalData) (time.Duration, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// options returns options without Journal and Sink.
func options() signals.Options {
	return signals.Options{
		Initial: time.Second, Max: 5 * time.Minute, Timeout: 10 * time.Second, Parallel: 4,
		CoolDown: 24 * time.Hour, Expire: 7 * 24 * time.Hour,
	}
}

// outbox returns an outbox that does not run. The sink may be nil.
func outbox(tb testing.TB, store *signals.Store, log signals.Journal, sink signals.Sink) *signals.Outbox {
	tb.Helper()
	o := options()
	o.Journal, o.Sink = log, sink
	return newOutbox(tb, store, o)
}

func newOutbox(tb testing.TB, store *signals.Store, o signals.Options) *signals.Outbox {
	tb.Helper()
	x, err := signals.New(store, o)
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

// box is a running outbox with its journal and receiver.
type box struct {
	*signals.Outbox
	t       testing.TB
	journal *tape
	to      *receiver
	opts    signals.Options
	ran     chan error
}

// start makes an outbox with a new journal and runs it. Call it in a synctest bubble.
func start(t testing.TB, change func(o *signals.Options)) *box {
	t.Helper()
	b := &box{t: t, journal: &tape{}, to: newReceiver(t)}
	b.opts = options()
	b.opts.Journal, b.opts.Sink = b.journal, b.to
	if change != nil {
		change(&b.opts)
	}
	b.again()
	t.Cleanup(func() { b.stop() })
	return b
}

// again restarts the outbox with the events of the journal.
func (b *box) again() {
	b.t.Helper()
	b.Outbox = newOutbox(b.t, b.journal.fold(b.t), b.opts)
	b.ran = make(chan error, 1)
	go func() { b.ran <- b.Run(context.Background()) }() // b.stop waits for it
	synctest.Wait()
}

func (b *box) stop() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.Shutdown(ctx) // it may have been called before
	if b.ran != nil {
		if err := <-b.ran; err != nil {
			b.t.Error(err)
		}
		b.ran = nil
	}
}

// detect records a signal and returns its id.
func (b *box) detect(s api.SignalData) string {
	b.t.Helper()
	out, err := b.Detected(s)
	if err != nil || out.HeldBack != "" || !out.New {
		b.t.Fatalf("got %+v %v", out, err)
	}
	synctest.Wait()
	return out.ID
}

// close closes a signal.
func (b *box) close(id string) {
	b.t.Helper()
	if r, err := b.Close(id, api.Actor{}); err != nil || r.State != api.SignalClosed {
		b.t.Errorf("got %+v %v", r, err)
	}
}

// wantHeld checks that a request for retraining is held back.
func (b *box) wantHeld(s api.SignalData, why, by string) {
	b.t.Helper()
	out, err := b.Detected(s)
	if err != nil || out.HeldBack != why || out.By != by || out.New {
		b.t.Errorf("got %+v %v, want it held back, since %s, by %s", out, err, why, by)
	}
}

// want checks a signal's state and the number of calls of the receiver.
func (b *box) want(id, state string, calls int) api.Signal {
	b.t.Helper()
	synctest.Wait()
	r, err := b.Get(id)
	if err != nil || r.State != state || len(b.to.times(id)) != calls {
		b.t.Errorf("got %q after %d calls, %v; want %q after %d", r.State, len(b.to.times(id)), err, state, calls)
	}
	return r
}

func (b *box) wantEvents(want ...string) {
	b.t.Helper()
	synctest.Wait()
	if got := b.journal.types(); !slices.Equal(got, want) {
		b.t.Errorf("the journal has %v, want %v", got, want)
	}
}

// sleep advances the time in a synctest bubble.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
