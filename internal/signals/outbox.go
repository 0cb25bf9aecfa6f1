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

// Journal is where signals are recorded. Append returns once the event survives a
// crash, with the number and time it has got.
type Journal interface {
	Append(e api.Event) (api.Event, error)
}

// Sink is where signals are delivered to. It ends when ctx does. Where it fails,
// wait is how long the receiver asks to be left alone, 0 if it does not say.
type Sink interface {
	Deliver(ctx context.Context, s api.SignalData) (wait time.Duration, err error)
}

// Observer counts. It is called with nothing locked, from any goroutine.
type Observer interface {
	Recorded(kind, model string)                       // a signal was journalled
	HeldBack(model, why string)                        // a detection came to nothing, each time
	Attempted(kind string, err error, d time.Duration) // a delivery ended
}

// Options configure an Outbox.
type Options struct {
	Journal  Journal
	Sink     Sink          // nil: signals are recorded and listed, and stay open until they are closed
	Initial  time.Duration // how long to wait after a first failure, at most; it doubles with each
	Max      time.Duration // how long to wait at most
	Timeout  time.Duration // of one delivery
	Parallel int           // how many deliveries are in progress at once, of different signals
	CoolDown time.Duration // after a request for retraining was closed; 0 is none
	Expire   time.Duration // after which one that was delivered and not closed holds nothing back
	Observer Observer      // may be nil
	Logger   *zap.Logger   // may be nil
}

// check returns what is missing or wrong.
func (o *Options) check() error {
	if o.Journal == nil {
		return infer.Errorf(infer.Invalid, "signal: Journal is needed")
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
	wake     chan struct{} // there may be something to do
	stopping chan struct{} // closed when no delivery is begun any more
	stopOnce sync.Once
	ended    chan struct{} // closed when Run returns

	// write is held from a decision until it is in the journal and in the store, so
	// that decisions follow each other. What only looks takes mu, and never waits
	// for the disk.
	write sync.Mutex

	mu      sync.Mutex
	store   *Store // changed with both locks held
	jobs    map[string]*job
	running int    // deliveries
	cancel  func() // cuts off deliveries; nil before Run
}

// New checks the options and returns an outbox over what a replay of the journal has
// told the store, which it takes over. It starts nothing: what is open is delivered by
// Run.
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

// plan makes a job of a signal that is open. Where nobody receives it there is none.
func (o *Outbox) plan(s api.SignalData) {
	if o.opts.Sink != nil {
		o.jobs[s.ID] = &job{signal: s, due: time.Now()}
	}
}

// SetHolding says from now on how long signals hold others back: coolDown and expire as
// in Options.
func (o *Outbox) SetHolding(coolDown, expire time.Duration) {
	o.write.Lock()
	defer o.write.Unlock()
	o.opts.CoolDown, o.opts.Expire = coolDown, expire
}

// Run delivers until Shutdown, or until ctx ends, which cuts off what is in
// progress. It returns when neither sink nor journal are in use by it any more.
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
		o.log.Info("signals wait for their delivery since before the start", zap.Int("open", open))
	}

	var wg sync.WaitGroup // deliveries; waited for below
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

// Shutdown begins no more deliveries and returns when those in progress have
// ended. Where ctx ends first, it cuts them off and returns ctx's error, still not
// before they have ended. Signals that are open are delivered after the next
// start, those too that are detected after this. Run must have been called or be
// about to be.
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
	if cancel != nil { // before Run there is nothing to cut off, and nothing comes any more
		cancel()
	}
	<-o.ended
	return fmt.Errorf("signal: deliveries were cut off: %w", context.Cause(ctx))
}

// wakeUp has Run look for something to do.
func (o *Outbox) wakeUp() {
	select {
	case o.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}
