package signals

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Journal records signals. Append returns when the event survives a crash, with its number
// and time.
type Journal interface {
	Append(e api.Event) (api.Event, error)
}

// Sink delivers signals to a receiver. Deliver returns when ctx ends. If it fails, wait is
// the min time until a retry that the receiver asks for, or 0.
type Sink interface {
	Deliver(ctx context.Context, s api.SignalData) (wait time.Duration, err error)
}

// Observer counts events. It is called without locks, from any goroutine.
type Observer interface {
	Recorded(kind, model string)                       // a signal was written to the journal
	HeldBack(model, why string)                        // a request was held back, for each detection
	Attempted(kind string, err error, d time.Duration) // a delivery ended, after d
}

// Options configure an Outbox.
type Options struct {
	Journal  Journal
	Sink     Sink          // nil: signals are recorded and listed, and stay open until they are closed
	Initial  time.Duration // max time until the retry after the first failure; doubled with each failure
	Max      time.Duration // max time until a retry
	Timeout  time.Duration // of one delivery
	Parallel int           // max number of deliveries at the same time, of different signals
	CoolDown time.Duration // how long a closed request for retraining holds others back; 0 for none
	Expire   time.Duration // how long a delivered request that is not closed holds others back
	// Block says why a request for retraining must not be made now, although no earlier one holds it back; "" if it may. It must
	// not call the outbox. It may be nil.
	Block    func(s *api.SignalData) (why string)
	Observer Observer    // may be nil
	Logger   *zap.Logger // may be nil
}

// check returns an error if an option is missing or not valid.
func (o *Options) check() error {
	if o.Journal == nil {
		return infer.Errorf(infer.Invalid, "signal: Journal is missing")
	}
	for _, f := range []struct {
		name           string
		value, minimum int64
	}{
		{"Initial", int64(o.Initial), 1},
		{"Max", int64(o.Max), 1},
		{"Timeout", int64(o.Timeout), 1},
		{"Parallel", int64(o.Parallel), 1},
		{"CoolDown", int64(o.CoolDown), 0},
		{"Expire", int64(o.Expire), 1},
	} {
		if f.value < f.minimum {
			return infer.Errorf(infer.Invalid, "signal: %s is %d; expected at least %d", f.name, f.value, f.minimum)
		}
	}
	return nil
}

type unobserved struct{}

func (unobserved) Recorded(string, string)                {}
func (unobserved) HeldBack(string, string)                {}
func (unobserved) Attempted(string, error, time.Duration) {}

// Outbox records signals and delivers them. All methods may be called at any time
// from any goroutine.
type Outbox struct {
	opts     Options // CoolDown and Expire are guarded by write
	log      *zap.Logger
	started  atomic.Bool
	wake     chan struct{} // makes Run look for due deliveries
	stopping chan struct{} // closed when no delivery may begin any more
	stopOnce sync.Once
	ended    chan struct{} // closed when Run returns

	// write is locked from a decision until it is in the journal and in the store, so that
	// decisions are made one after another. Readers lock only mu, and never wait for the
	// disk.
	write sync.Mutex

	mu      sync.Mutex
	store   *Store // changed with both locks held
	jobs    map[string]*job
	running int    // the number of deliveries in progress
	cancel  func() // cancels deliveries; nil before Run
}

// New checks the options and returns an outbox with a store after the journal's events. The
// outbox owns the store from then on. New starts nothing: Run delivers the open signals.
func New(store *Store, opts Options) (*Outbox, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.Observer == nil {
		opts.Observer = unobserved{}
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	o := &Outbox{
		opts: opts, log: opts.Logger, store: store, jobs: map[string]*job{},
		wake: make(chan struct{}, 1), stopping: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, r := range store.All() {
		if r.State == api.SignalOpen {
			o.plan(r.SignalData)
		}
	}
	return o, nil
}

// plan adds the job of an open signal, if there is a sink.
func (o *Outbox) plan(s api.SignalData) {
	if o.opts.Sink != nil {
		o.jobs[s.ID] = &job{signal: s, due: time.Now()}
	}
}

// SetHolding changes how long signals hold others back: coolDown and expire are as in
// Options.
func (o *Outbox) SetHolding(coolDown, expire time.Duration) {
	o.write.Lock()
	defer o.write.Unlock()
	o.opts.CoolDown, o.opts.Expire = coolDown, expire
}

// Run delivers until Shutdown. If ctx ends, it cancels deliveries in progress. When it has
// returned, it does not use the sink or the journal any more.
func (o *Outbox) Run(ctx context.Context) error {
	if !o.started.CompareAndSwap(false, true) {
		return errors.New("signal: Run was called before")
	}
	defer close(o.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o.mu.Lock()
	o.cancel = cancel
	open := len(o.jobs)
	o.mu.Unlock()
	if open > 0 {
		o.log.Info("signals from before the start are not delivered yet", zap.Int("open", open))
	}

	var wg sync.WaitGroup // counts deliveries in progress
	timer := time.NewTimer(0)
	defer timer.Stop()
	for o.goesOn(ctx) {
		timer.Reset(o.begin(ctx, &wg))
		select {
		case <-o.wake:
		case <-timer.C:
		case <-o.stopping:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	o.writeDown()
	return nil
}

func (o *Outbox) goesOn(ctx context.Context) bool {
	select {
	case <-o.stopping:
		return false
	default:
		return ctx.Err() == nil
	}
}

// Shutdown starts no more deliveries and waits for those in progress. If ctx ends, it
// cancels them, waits until they have ended, and returns ctx's error. Open signals are
// delivered after the next start, also those that are detected after Shutdown. Run must have
// been called or be called soon.
func (o *Outbox) Shutdown(ctx context.Context) error {
	o.stopOnce.Do(func() { close(o.stopping) })
	select {
	case <-o.ended:
		return nil
	case <-ctx.Done():
	}
	o.mu.Lock()
	cancel := o.cancel
	o.mu.Unlock()
	if cancel != nil { // before Run there are no deliveries to cancel, and none will start
		cancel()
	}
	<-o.ended
	return fmt.Errorf("signal: deliveries were canceled: %w", context.Cause(ctx))
}

// wakeUp makes Run look for due deliveries.
func (o *Outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default: // Run will look anyway
	}
}
