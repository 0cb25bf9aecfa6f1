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

// Predictor is the shadow's own composed version: batcher, instance, session.
type Predictor interface {
	Predict(ctx context.Context, req *infer.Request) (*infer.Response, error)
}

// Options configure a Mirror.
type Options struct {
	Version   infer.Version
	Predictor Predictor
	Model     *infer.Model // the signature that copies are checked against
	// MaxRequests bounds the copies that wait. MaxBytes bounds the inputs and the primary's
	// outputs of all that wait or run.
	MaxRequests int
	MaxBytes    int64
	MaxAge      time.Duration // how long a copy may wait
	Timeout     time.Duration // of one run
	// PauseAbove is the longest wait of a primary's request in its queue for which a copy is
	// made: if live requests wait, the processor has no time for shadows. With 0 copies are
	// always made.
	PauseAbove time.Duration
	// Concurrency is how many copies run at a time, so that the shadow's batcher can join them.
	Concurrency int
	Logger      *zap.Logger // may be nil
}

// check returns an error if an option is missing or wrong.
func (o *Options) check() error {
	if o.Predictor == nil || o.Model == nil {
		return infer.Errorf(infer.Invalid, "shadow: Predictor and Model are needed")
	}
	for _, f := range []struct {
		name           string
		value, minimum int64
	}{
		{"MaxRequests", int64(o.MaxRequests), 1},
		{"MaxBytes", o.MaxBytes, 1},
		{"MaxAge", int64(o.MaxAge), 1},
		{"Timeout", int64(o.Timeout), 1},
		{"PauseAbove", int64(o.PauseAbove), 0},
		{"Concurrency", int64(o.Concurrency), 1},
	} {
		if f.value < f.minimum {
			return infer.Errorf(infer.Invalid, "shadow: %s is %d; expected at least %d", f.name, f.value, f.minimum)
		}
	}
	return nil
}

// Mirror copies requests to one version.
type Mirror struct {
	opts     Options
	log      *zap.Logger
	names    map[string]string // the names of the signature, in its own strings
	started  atomic.Bool
	stopping chan struct{} // closed when new copies are refused
	ended    chan struct{} // closed when Run returns

	waiting atomic.Int64 // copies that wait or are being made
	held    atomic.Int64 // bytes of copies that are being made, wait or run

	mu     sync.Mutex
	some   sync.Cond // the queue is not empty, or will stay empty
	queue  []*sample // oldest first
	cancel func()    // terminates the runs in progress; nil before Run

	complaints complaints
}

// New checks the options and returns a mirror. It starts nothing. Requests that are offered
// before Run wait.
func New(o Options) (*Mirror, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	m := &Mirror{
		opts: o, log: o.Logger, names: map[string]string{},
		stopping: make(chan struct{}), ended: make(chan struct{}),
	}
	m.some.L = &m.mu
	for _, specs := range [][]infer.TensorSpec{o.Model.Inputs, o.Model.Outputs} {
		for i := range specs {
			m.names[specs[i].Name] = specs[i].Name
		}
	}
	return m, nil
}

// Run runs copies until Shutdown, or until ctx ends, which terminates the runs and drops the
// waiting copies. It returns when the Predictor is no longer in use.
func (m *Mirror) Run(ctx context.Context) error {
	if !m.started.CompareAndSwap(false, true) {
		return errors.New("shadow: Run was called before")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	m.cancel = cancel
	m.mu.Unlock()
	var wg sync.WaitGroup // Wait is called below
	for range m.opts.Concurrency {
		wg.Go(func() { m.work(ctx) })
	}
	wg.Go(func() { m.sweep(ctx) })
	wg.Wait()
	close(m.ended)
	return nil
}

// Shutdown refuses new copies, drops the waiting ones and returns when the runs have ended. If
// ctx ends first, it terminates the runs and returns ctx's error, also only when the Predictor
// is no longer in use. Run must have been called or be about to be called.
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
	if cancel != nil { // before Run nothing is running, and nothing will
		cancel()
	}
	<-m.ended
	return fmt.Errorf("shadow: runs were terminated: %w", context.Cause(ctx))
}

// Queued returns how many copies wait, and the bytes of those that wait or run.
func (m *Mirror) Queued() (requests int, bytes int64) {
	return int(m.waiting.Load()), m.held.Load()
}

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
