package shadow

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

// Predictor is the shadow's own composed version: batcher, slot, session.
type Predictor interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
}

// Options configure a Mirror. Zero values of those with a default mean the default.
type Options struct {
	Version   infer.Version
	Predictor Predictor
	Model     *infer.Model // the signature that copies are checked against
	// MaxRequests bounds the copies that wait, default 100. MaxBytes bounds the
	// inputs and the primary's outputs of all that wait or run, default 64 MiB.
	MaxRequests int
	MaxBytes    int64
	MaxAge      time.Duration // how long a copy may wait; default 5 s
	Timeout     time.Duration // of one run; default 5 s
	// PauseAbove is how long a primary may have waited in its queue for a copy to
	// be made: the processor has no time for shadows where live requests wait. 0
	// makes copies always.
	PauseAbove time.Duration
	// Concurrency is how many copies are in progress at once, so that the shadow's
	// batcher can join them; default 8.
	Concurrency int
	// KeepPairs, KeepBytes and KeepFor bound the results that are kept; default
	// 128, below 0 none, 8 MiB and a minute.
	KeepPairs int
	KeepBytes int64
	KeepFor   time.Duration
	Logger    *zap.Logger // may be nil
}

const (
	defaultRequests    = 100
	defaultBytes       = 64 << 20
	defaultAge         = 5 * time.Second
	defaultTimeout     = 5 * time.Second
	defaultConcurrency = 8
	defaultKeepPairs   = 128
	defaultKeepBytes   = 8 << 20
	defaultKeepFor     = time.Minute
)

// complete sets defaults; a number below 0 has no meaning but for KeepPairs.
func (o *Options) complete() {
	setDefault(&o.MaxRequests, defaultRequests)
	setDefault(&o.MaxBytes, defaultBytes)
	setDefault(&o.MaxAge, defaultAge)
	setDefault(&o.Timeout, defaultTimeout)
	setDefault(&o.Concurrency, defaultConcurrency)
	if o.KeepPairs == 0 {
		o.KeepPairs = defaultKeepPairs
	}
	setDefault(&o.KeepBytes, defaultKeepBytes)
	setDefault(&o.KeepFor, defaultKeepFor)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Mirror copies requests to one version.
type Mirror struct {
	opts     Options
	log      *zap.Logger
	names    map[string]string // the names of the signature, as strings of its own
	started  atomic.Bool
	stopping chan struct{} // closed when nothing new is accepted
	ended    chan struct{} // closed when Run returns

	waiting atomic.Int64 // copies that wait, or are being made
	held    atomic.Int64 // bytes of copies that are being made, wait or run

	mu     sync.Mutex
	some   sync.Cond // the queue is not empty, or will stay empty
	queue  []*sample // oldest first
	cancel func()    // cuts off what runs; nil before Run

	pairs      pairs
	complaints complaints
}

// New returns a mirror. It starts nothing; what is offered before Run waits.
func New(o Options) *Mirror {
	o.complete()
	m := &Mirror{
		opts: o, log: o.Logger, names: map[string]string{},
		stopping: make(chan struct{}), ended: make(chan struct{}),
		pairs: pairs{most: o.KeepPairs, mostBytes: o.KeepBytes, keepFor: o.KeepFor},
	}
	m.some.L = &m.mu
	for _, specs := range [][]infer.TensorSpec{o.Model.Inputs, o.Model.Outputs} {
		for i := range specs {
			m.names[specs[i].Name] = specs[i].Name
		}
	}
	return m
}

// Run runs copies until Shutdown, or until ctx ends, which cuts off what runs and
// drops what waits. It returns when the Predictor is no longer in use.
func (m *Mirror) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return errors.New("shadow: Run was called before")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	m.cancel = cancel
	m.mu.Unlock()
	var wg sync.WaitGroup // waited for below
	for range m.opts.Concurrency {
		wg.Go(func() { m.work(ctx) })
	}
	wg.Go(func() { m.sweep(ctx) })
	wg.Wait()
	close(m.ended)
	return nil
}

// Shutdown refuses new copies, drops what waits and returns when what runs has
// ended. Where ctx ends first, it cuts that off and returns ctx's error, still
// not before the Predictor is no longer in use. Run must have been called or be
// about to be.
func (m *Mirror) Shutdown(ctx context.Context) error {
	m.stop()
	select {
	case <-m.ended:
		return nil
	case <-ctx.Done():
	}
	m.mu.Lock()
	cancel := m.cancel
	m.mu.Unlock()
	if cancel != nil { // before Run there is nothing to cut off, and nothing comes any more
		cancel()
	}
	<-m.ended
	return fmt.Errorf("shadow: runs were cut off: %w", context.Cause(ctx))
}

// Queued returns how many copies wait, and the bytes of those that wait or run.
func (m *Mirror) Queued() (requests int, bytes int64) {
	return int(m.waiting.Load()), m.held.Load()
}

// Pairs returns the results that are kept, the newest last. They are shared and
// must not be changed.
func (m *Mirror) Pairs() []Pair { return m.pairs.list(time.Now()) }

// stop refuses new copies and drops those that wait.
func (m *Mirror) stop() {
	m.mu.Lock()
	if !m.stopped() {
		close(m.stopping)
	}
	dropped := m.queue
	m.queue = nil
	m.waiting.Add(-int64(len(dropped)))
	m.some.Broadcast()
	m.mu.Unlock()
	m.drop(dropped, api.DropStopped)
}

func (m *Mirror) stopped() bool {
	select {
	case <-m.stopping:
		return true
	default:
		return false
	}
}
