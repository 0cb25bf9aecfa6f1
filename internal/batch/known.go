package batch

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// A run that fails with code Internal does not say whether the values or the version are the
// cause: many kernels do not check their values, and throw. A broken version fails on other
// values too. So the first small input that the version answers (that of the warm-up if there
// is one) is kept, and run again after such a failure. If that succeeds, the error is marked
// with infer.ErrVersionWell, and becomes a refusal of the values (Invalid) if they may have
// caused it.
//
// The worker whose run failed does that on its own instance, after the others of the batch have
// their answers, and never on the goroutine of a caller that leads. It does so at most once a
// second for the whole version. In between, and while a check is in progress, the last finding
// holds. A version counts as well when its input is kept. It counts as well again if nothing
// has failed for a second after a finding: then the finding is too old to blame the version.
const (
	maxKnownBytes = 1 << 20 // of the inputs that are kept
	checkEvery    = time.Second
	// A check may take checkTimes times as long as the run that answered the input, at least a
	// second, and at most the longest time of a request. A check that is terminated finds
	// nothing: the machine may be busy, and the breaker opens for a version that hangs, since
	// its requests time out.
	checkTimes    = 16
	shortestCheck = time.Second
)

// health is the state of a version as its known input shows it.
type health struct {
	known atomic.Pointer[knownInput] // nil until there is one
	next  atomic.Int64               // when it may be run again; never while it runs
	ill   atomic.Bool                // what the last check found
}

// knownInput is an input that the version has answered. It does not change.
type knownInput struct {
	req  *infer.Request
	took time.Duration // its run
}

// failure is a member whose run failed, and which has no answer yet.
type failure struct {
	it      *item
	compute time.Duration
	err     error
}

// remember keeps the input of an item that a run has just answered, if none is kept yet. took
// is the time of the run. The caller must have claimed the item's end and not have ended it.
func (h *health) remember(it *item, m *infer.Model, took time.Duration) {
	if h.known.Load() != nil || it.rows == 0 || it.bytes > maxKnownBytes || it.bytes == 0 && len(it.req.Inputs) > 0 {
		return
	}
	req := &infer.Request{Inputs: slices.Clone(it.req.Inputs), Outputs: slices.Clone(it.req.Outputs)}
	for i := range req.Inputs {
		t := &req.Inputs[i]
		t.Name, t.Shape, t.Data = m.Inputs[t.Index].Name, slices.Clone(t.Shape), slices.Clone(t.Data)
	}
	for i := range req.Outputs {
		req.Outputs[i].Name = m.Outputs[req.Outputs[i].Index].Name
	}
	h.known.CompareAndSwap(nil, &knownInput{req, took})
}

// due reports whether the version should be checked.
func (h *health) due(now time.Duration) bool {
	return h.known.Load() != nil && int64(now) >= h.next.Load()
}

// blame marks an error of the runtime if the version was found well, and turns it into a
// refusal if the runtime says that the values may have caused it.
func (b *Batcher) blame(err error) error {
	e, ok := errors.AsType[*infer.Error](err)
	if !ok || e.Code != infer.Internal || b.health.known.Load() == nil || b.health.ill.Load() {
		return err
	}
	well := fmt.Errorf("%w: %w", infer.ErrVersionWell, err)
	if errors.Is(err, infer.ErrMaybeRefused) {
		return infer.Refused(b.model.Name, e.Msg, well)
	}
	return &infer.Error{Code: infer.Internal, Op: "batch", Msg: "the run failed", Err: well}
}

// settle checks the version and answers the requests whose runs failed.
func (w *worker) settle() {
	if len(w.failed) == 0 {
		return
	}
	w.check()
	for _, f := range w.failed {
		f.it.failRun(f.compute, w.batcher.blame(f.err))
	}
	clear(w.failed)
	w.failed = w.failed[:0]
}

// check finds out whether the version is well, unless another worker does or did so recently.
func (w *worker) check() {
	b, h := w.batcher, &w.batcher.health
	begin, next := b.now(), h.next.Load()
	if int64(begin) < next || !h.next.CompareAndSwap(next, int64(never)) {
		return
	}
	if begin > time.Duration(next)+checkEvery {
		h.ill.Store(false)
	}
	cut, err := w.runKnown(h.known.Load())
	if ill := err != nil; !cut && h.ill.Swap(ill) != ill {
		b.logHealth(err)
	}
	end := b.now()
	h.next.Store(int64(end + max(checkEvery, end-begin))) // a slow model is not checked all the time
}

func (b *Batcher) logHealth(err error) {
	version := []zap.Field{zap.String("model", b.model.Name), zap.Int64("version", b.model.Version)}
	if err != nil {
		b.log.Warn("the version fails on an input that it has answered before", append(version, zap.Error(err))...)
	} else {
		b.log.Info("the version answers a known input again", version...)
	}
}

// runKnown runs the known input on the worker's instance. cut says that its time was over or a
// stop terminated it; err then says nothing.
func (w *worker) runKnown(known *knownInput) (cut bool, err error) {
	b := w.batcher
	if err := protect(b.log, "gather", func() error { return w.instance.Gather([]*infer.Request{known.req}) }); err != nil {
		return false, err
	}
	c := new(checkRun)
	w.setChecking(c)
	if b.stopped.Load() { // checked now, since a later stop sees the run
		w.setChecking(nil)
		return true, nil
	}
	limit := time.AfterFunc(min(b.opts.Timeout, max(shortestCheck, checkTimes*known.took)), func() { w.cutCheck(c) })
	err = protect(b.log, "run", w.instance.Run)
	limit.Stop()
	w.setChecking(nil)
	if c.cut || err != nil {
		return c.cut, err
	}
	resp, err := w.scatter(0, nil)
	if err == nil {
		resp.Release()
	}
	return false, err
}

// checkRun is a run of the known input in progress.
type checkRun struct {
	cut bool // guarded by the worker's mu until the run is over
}

func (w *worker) setChecking(c *checkRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checking = c
}

// cutCheck terminates a run of the known input unless it is over, since a timer may be late.
func (w *worker) cutCheck(c *checkRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.checking == c {
		c.cut = true
		w.instance.Terminate()
	}
}
