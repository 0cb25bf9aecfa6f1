package batch

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// TrialOptions configure a Trial.
type TrialOptions struct {
	Model *infer.Model
	// NewInstance makes an instance that nothing else uses; Run closes it before it returns.
	NewInstance func() (Instance, error)
	// Why is the probe's finding. The trial's finding repeats it until the trial has decided.
	Why Finding
	// Tolerance is that of ProbeOptions.
	Tolerance float64
	// MaxSize is the most rows of one run.
	MaxSize int
	// Requests is how many requests with different inputs must agree before requests are
	// joined, at least 32. A request counts if its answer differs from those of others that ran
	// beside it.
	Requests int
	// MaxBytes bounds the copies that are held, inputs and outputs. Outputs of joined runs take
	// as much again while they are compared.
	MaxBytes int64
	// CheckEvery is the time between spot checks after requests are joined, and of a pause if
	// too few requests have one shape.
	CheckEvery time.Duration
	// Timeout is the longest time of a run. It is then terminated, and its requests decide
	// nothing.
	Timeout time.Duration
	// Settled is called on Run's goroutine, at most once with the finding that requests can be
	// joined, and at most once with the finding that they cannot, which is final. It must not
	// wait for the trial.
	Settled func(Finding)
	Logger  *zap.Logger // may be nil
}

const (
	fewestRequests = 32

	groupSize  = 4    // requests of one shape that are run together
	mostCopies = 64   // most copies that wait for others of their shape, or to be run
	mostRows   = 4    // most rows that are copied of a request
	mostTried  = 1024 // requests after which a trial with too few distinct answers ends
	mostSeen   = 1024 // requests without four of one shape, after which the trial pauses
)

// check returns an error if an option is missing or wrong.
func (o *TrialOptions) check() error {
	if o.Model == nil || o.NewInstance == nil || o.Settled == nil {
		return infer.Errorf(infer.Invalid, "batch: Model, NewInstance and Settled of a trial are needed")
	}
	return atLeast(
		bound{"MaxSize", int64(o.MaxSize), 1},
		bound{"Requests", int64(o.Requests), fewestRequests},
		bound{"MaxBytes", o.MaxBytes, 1},
		bound{"CheckEvery", int64(o.CheckEvery), 1},
		bound{"Timeout", int64(o.Timeout), 1},
	)
}

// Trial finds out from real requests whether requests can be joined, for a model that made-up
// data did not decide. It copies some answered requests, and runs those of one shape alone and
// together on an instance of its own, with the lowest priority of the OS (on Linux). When
// enough have agreed it calls Settled, and goes on with spot checks. The first that disagrees
// ends the trial for good.
//
// A Trial does not answer callers: they must get runs of their own until it has found that
// requests can be joined.
type Trial struct {
	opts    TrialOptions
	joined  []bool
	seed    maphash.Seed
	lower   func() error
	started atomic.Bool
	ended   chan struct{}   // closed when Run returns
	stop    context.Context //nolint:containedctx // of all runs: Shutdown ends them
	cancel  context.CancelFunc

	open  atomic.Bool // copies are wanted
	ready chan struct{}

	mu      sync.Mutex
	copies  []*copied           // oldest first
	bytes   int64               // of copies
	seen    int                 // requests since the trial opened last
	agreed  map[uint64]struct{} // hashes of inputs, until requests are joined
	finding Finding

	// Used by Run only.
	comparer
	tried int
}

// NewTrial returns a trial. It starts nothing, and does not take requests before Run. The error
// says why requests for the model can never be joined.
func NewTrial(o TrialOptions) (*Trial, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	joined, problem := joinedInputs(o.Model)
	if problem != "" {
		return nil, infer.Errorf(infer.Invalid, "model '%s' cannot be batched: %s", o.Model.Name, problem)
	}
	t := &Trial{
		opts: o, joined: joined, seed: maphash.MakeSeed(), lower: lowerPriority,
		ended: make(chan struct{}), ready: make(chan struct{}, 1),
		agreed: map[uint64]struct{}{},
	}
	t.stop, t.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // ends with Shutdown
	t.finding = t.onTrial()
	return t, nil
}

// Finding returns the current finding.
func (t *Trial) Finding() Finding {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.finding
}

// Run tries requests until the trial has ended, Shutdown is called or ctx ends. It returns when
// its instance is closed.
func (t *Trial) Run(ctx context.Context) (err error) {
	if !t.started.CompareAndSwap(false, true) {
		return errors.New("batch: Run of a trial was called before")
	}
	defer close(t.ended)
	detach := context.AfterFunc(ctx, t.cancel)
	defer detach()
	done := make(chan struct{})
	go func() { // the receive below waits for it; a thread whose priority was lowered ends with it
		defer close(done)
		onOwnThread(t.lower, func(err error) {
			t.opts.Logger.Warn("a trial of batching runs with normal priority", zap.String("model", t.opts.Model.Name), zap.Error(err))
		}, func() { err = t.run() })
	}()
	<-done
	return err
}

// Shutdown ends the trial and returns when Run has returned or is about to. It terminates a run
// in progress. If ctx ends first it returns ctx's error. Run must have been called or be about
// to be called.
func (t *Trial) Shutdown(ctx context.Context) error {
	t.cancel()
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("batch: a trial still runs: %w", context.Cause(ctx))
	}
}

func (t *Trial) run() error {
	instance, err := t.opts.NewInstance()
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.finding = t.opts.Why
		return err
	}
	t.comparer = comparer{instance: instance, tolerance: t.opts.Tolerance, log: t.opts.Logger}
	for joining := false; ; {
		group := t.collect()
		if group == nil {
			break
		}
		f := t.check(group)
		if f.Reason == "" && !joining {
			f = t.conclude()
		}
		if f.Reason != "" {
			t.settle(f)
			if joining = f.Batchable; !joining {
				break
			}
		}
		if (joining || len(group) < groupSize) && !t.pause() {
			break
		}
	}
	t.discard()
	return instance.Close()
}

// pause waits until requests are wanted again; false if the trial must end.
func (t *Trial) pause() bool {
	timer := time.NewTimer(t.opts.CheckEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.stop.Done():
		return false
	}
}

// settle publishes a finding.
func (t *Trial) settle(f Finding) {
	t.open.Store(false)
	t.mu.Lock()
	t.finding, t.agreed = f, nil
	t.copies, t.bytes = nil, 0 // spot checks use new copies
	t.mu.Unlock()
	t.opts.Settled(f)
}

// check runs a group's requests alone, together, in another order and in pairs. The finding
// says why requests cannot be joined; its Reason is empty if they agree. Requests that fail or
// take too long decide nothing.
func (t *Trial) check(group []*copied) Finding {
	var samples []sample
	var keys []uint64
	for _, c := range group {
		t.tried++
		s := sample{rows: c.rows, inputs: c.inputs}
		if t.within(func(ctx context.Context) error { return t.alone(ctx, &s) }) != nil {
			continue
		}
		if f := checkRows(&s); f.Reason != "" {
			return f
		}
		samples, keys = append(samples, s), append(keys, c.hash)
	}
	if len(samples) < 2 {
		return Finding{}
	}
	for _, arrangement := range orders(len(samples)) {
		var f Finding
		err := t.within(func(ctx context.Context) (err error) {
			f, err = t.together(ctx, samples, arrangement)
			return err
		})
		switch code := infer.CodeOf(err); {
		case code == infer.TooLarge || code == infer.Canceled || code == infer.Deadline:
			return Finding{}
		case err != nil:
			return t.off("requests that are answered alone fail together")
		case f.Reason != "":
			return t.off(f.Reason)
		}
	}
	t.note(samples, keys)
	return Finding{}
}

// orders are the arrangements of n samples: one request each, in order and reversed, then a
// request of two samples beside another, and the last two.
func orders(n int) [][][]int {
	ahead, back := make([][]int, n), make([][]int, n)
	for i := range n {
		ahead[i], back[n-1-i] = []int{i}, []int{i}
	}
	orders := [][][]int{ahead, back}
	if n > 2 {
		orders = append(orders, [][]int{{1, 0}, {2}}, [][]int{{n - 1}, {n - 2}})
	}
	return orders
}

// within limits the time of a run. The error is Canceled or Deadline if the time was over.
func (t *Trial) within(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.stop, t.opts.Timeout)
	defer cancel()
	err := f(ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("a run of a trial was terminated: %w", ctx.Err())
	}
	return err
}

// conclude returns the finding if no request showed that requests cannot be joined. Its Reason
// is empty while there is none.
func (t *Trial) conclude() Finding {
	t.mu.Lock()
	n := len(t.agreed)
	t.mu.Unlock()
	switch {
	case n >= t.opts.Requests:
		return Finding{
			Batchable: true, Summary: yesTried,
			Reason: fmt.Sprintf("copies of %d requests gave equal outputs alone and together", n),
		}
	case t.tried >= max(mostTried, 4*t.opts.Requests):
		f := undecided(fmt.Sprintf("only %[2]d of the %[1]d requests that were tried could be told apart by their answers", t.tried, n))
		f.Undecided = false // nothing further is tried
		return f
	default:
		return Finding{}
	}
}

// off is the finding that ends a trial.
func (t *Trial) off(reason string) Finding {
	return mixed("%s, as copies of requests have shown", reason)
}

// onTrial is the finding while the trial is in progress.
func (t *Trial) onTrial() Finding {
	return Finding{
		Undecided: true, Summary: onTrial,
		Reason: fmt.Sprintf("%s; copies of requests are tried, of which %d of %d have agreed", t.opts.Why.Reason, len(t.agreed), t.opts.Requests),
	}
}

// note counts requests that agreed, until there are enough. Requests with equal answers show
// nothing.
func (t *Trial) note(samples []sample, inputs []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.finding.Undecided {
		return
	}
	if t.distinct(samples) {
		for _, hash := range inputs {
			t.agreed[hash] = struct{}{}
		}
	}
	t.finding = t.onTrial()
}
