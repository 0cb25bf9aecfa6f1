package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// Batcher serves one version of a model.
type Batcher struct {
	opts   Options
	model  *infer.Model
	joined []bool // by input: rows of several requests can be put together
	// sameRows says that all joined inputs of a request must have equally many rows.
	sameRows bool
	log      *zap.Logger
	epoch    time.Time // all times are durations since then
	items    sync.Pool
	workers  []*worker
	working  sync.WaitGroup // workers that have not ended
	started  atomic.Bool
	ended    chan struct{} // closed when Run returns
	stopped  atomic.Bool   // work is terminated

	health health // of the version

	lower    func() error // lowers the calling thread's priority
	complain sync.Once    // logs once that it cannot be lowered

	mu       sync.Mutex
	queue    queue
	idle     []*worker // the last one to become idle is woken first: its caches are warm
	free     int       // workers that are idle or are about to look for work
	closing  bool      // new requests are refused
	linger   *time.Timer
	lingerAt time.Duration // when linger wakes a worker, or never
}

// New checks the options and returns a batcher. It starts nothing, and leaves the instances
// to the caller if it fails.
func New(opts Options) (*Batcher, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	opts.Timeout = min(opts.Timeout, longestTimeout)
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	b := &Batcher{
		opts: opts, model: opts.Model, log: opts.Logger, epoch: time.Now(),
		ended: make(chan struct{}), queue: newQueue(opts.MaxSize, opts.MaxDelay, opts.Timeout), lingerAt: never, lower: lowerPriority,
	}
	if opts.Batchable {
		var problem string
		if b.joined, problem = joinedInputs(opts.Model); problem != "" {
			return nil, infer.Errorf(infer.Invalid, "model '%s' cannot be batched: %s", opts.Model.Name, problem)
		}
		b.sameRows = sameRows(opts.Model, b.joined)
	}
	b.items.New = func() any { return &item{batcher: b, ended: make(chan struct{}, 1)} }
	for _, instance := range opts.Instances {
		b.workers = append(b.workers, newWorker(b, instance))
	}
	return b, nil
}

// Run runs the accepted requests, each instance on one goroutine at a time, until Shutdown has
// emptied the queue or ctx ends. The end of ctx terminates the current runs and refuses the
// waiting requests. Run returns when all instances are closed, with the errors of closing them.
func (b *Batcher) Run(ctx context.Context) error {
	if !b.started.CompareAndSwap(false, true) {
		return errors.New("batch: Run was called before")
	}
	cut := make(chan struct{})
	detach := context.AfterFunc(ctx, func() { b.stop(); close(cut) })
	b.working.Add(len(b.workers))
	b.mu.Lock()
	b.free = len(b.workers)
	b.mu.Unlock()
	for _, w := range b.workers {
		w.rouse()
	}
	b.working.Wait()
	if !detach() {
		<-cut
	}
	b.mu.Lock()
	if b.linger != nil {
		b.linger.Stop()
	}
	b.mu.Unlock()
	close(b.ended)
	var err error
	for _, w := range b.workers {
		err = errors.Join(err, w.err)
	}
	return err
}

// notLowered logs once that the workers run with normal priority.
func (b *Batcher) notLowered(err error) {
	b.complain.Do(func() {
		b.log.Warn("background work runs with normal priority", zap.String("model", b.model.Name),
			zap.Int64("version", b.model.Version), zap.Error(err))
	})
}

// Shutdown refuses new requests and returns when all accepted ones have ended and Run has
// returned or is about to. If ctx ends first, Shutdown terminates the current runs, refuses the
// waiting requests and returns ctx's error. It does not wait for Run then, which returns when
// the runtime does. Run must have been called or be about to be called.
func (b *Batcher) Shutdown(ctx context.Context) error {
	b.close(false)
	select {
	case <-b.ended:
		return nil
	case <-ctx.Done():
		b.stop()
		return fmt.Errorf("batch: requests were terminated: %w", context.Cause(ctx))
	}
}

// Queued returns how many requests wait for a run.
func (b *Batcher) Queued() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queue.requests
}

// stop refuses the waiting requests and terminates the current runs.
func (b *Batcher) stop() {
	b.stopped.Store(true)
	for _, it := range b.close(true) {
		it.fail(b.unavailable())
	}
	for _, w := range b.workers {
		w.terminate()
	}
}

// close refuses new requests, and workers without work end. With drop it removes the waiting
// requests; the caller must end them.
func (b *Batcher) close(drop bool) (dropped []*item) {
	b.mu.Lock()
	b.closing, b.queue.drain = true, true
	if drop {
		dropped = b.queue.clear()
	}
	idle := b.idle
	b.idle = nil
	b.mu.Unlock()
	for _, w := range idle {
		w.rouse()
	}
	return dropped
}

// next waits for work and puts it into w: members to run, refused to answer. It is false if the
// worker's goroutine must end, since the worker is idle and seldom woken, or there is no more
// work.
func (b *Batcher) next(w *worker) bool {
	b.mu.Lock()
	b.finish(w)
	for {
		again, ok := b.take(w)
		if ok {
			break
		}
		if b.closing {
			b.free--
			b.mu.Unlock()
			w.end()
			return false
		}
		b.wakeAt(again)
		w.parked = w.roused > keepAfter || b.opts.Background
		parked := w.parked
		b.idle = append(b.idle, w)
		b.mu.Unlock()
		if !parked {
			return false
		}
		<-w.wake
		if w.takeOver() {
			return true
		}
		b.mu.Lock()
	}
	other := b.takeIdle()
	b.mu.Unlock()
	other.rouse()
	return true
}

// take puts waiting requests into w. ok is false if there are none; again then says when to
// look next.
func (b *Batcher) take(w *worker) (again time.Duration, ok bool) {
	w.taken = b.now()
	w.members, w.refused, again = b.queue.take(w.taken, b.free, w.members[:0], w.refused[:0])
	if len(w.members) > 0 {
		w.busy = true
		b.free--
	}
	return again, len(w.members)+len(w.refused) > 0
}

// finish ends the worker's last run.
func (b *Batcher) finish(w *worker) {
	if w.busy {
		w.busy = false
		b.free++
	}
	b.queue.learn(w.last)
	w.last = lesson{}
}

// takeIdle removes a worker from the idle ones if a request waits, else it returns nil. The
// caller wakes it after it has released the lock.
func (b *Batcher) takeIdle() (w *worker) {
	if last := len(b.idle) - 1; last >= 0 && len(b.queue.active) > 0 {
		w, b.idle = b.idle[last], b.idle[:last]
	}
	return w
}

// wakeAt makes an idle worker look for work at that time.
func (b *Batcher) wakeAt(at time.Duration) {
	if at >= b.lingerAt {
		return
	}
	b.lingerAt = at
	if b.linger == nil {
		b.linger = time.AfterFunc(at-b.now(), b.lingered)
	} else {
		b.linger.Reset(at - b.now())
	}
}

func (b *Batcher) lingered() {
	b.mu.Lock()
	b.lingerAt = never
	w := b.takeIdle()
	b.mu.Unlock()
	w.rouse()
}

// now returns the time since the batcher was made.
func (b *Batcher) now() time.Duration { return time.Since(b.epoch) }

func (b *Batcher) observe(run Run) {
	if b.opts.ObserveRun != nil {
		b.opts.ObserveRun(run)
	}
}

func (b *Batcher) unavailable() error {
	return infer.Errorf(infer.Unavailable, "model '%s' is being unloaded, try again", b.model.Name)
}
