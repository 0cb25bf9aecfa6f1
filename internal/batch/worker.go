package batch

import (
	"cmp"
	"runtime"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// worker runs one instance, on a goroutine that Batcher.Run waits for. An idle worker keeps its
// goroutine only if it is woken often: thousands of models may be loaded, and few of them
// called.
type worker struct {
	batcher  *Batcher
	instance Instance
	err      error // of closing the instance

	start  func()        // work, on a thread of its own in the background
	wake   chan struct{} // of 1; sent by the goroutine that takes a parked worker off the idle ones
	parked bool          // it is idle, and its goroutine waits for wake
	roused int           // how often it was woken

	busy    bool          // it counts as not free
	handed  bool          // a caller took the members and does not lead their run
	taken   time.Duration // when members and refused were taken
	members []*item
	refused []*item
	reqs    []*infer.Request
	last    lesson
	joint   int       // how many runs of several members may still follow a failed one
	failed  []failure // members that wait for a check of the version

	mu       sync.Mutex // guards the fields below
	running  []*item    // the members of a run that can be terminated
	checking *checkRun  // a run of the known input that can be terminated, or nil
}

// keepAfter is how often a worker is woken before its goroutine stays: more often than a
// warm-up does. To wake a goroutine costs a microsecond less than to start one.
const keepAfter = 16

func newWorker(b *Batcher, instance Instance) *worker {
	w := &worker{batcher: b, instance: instance, wake: make(chan struct{}, 1)}
	w.start = w.work
	if b.opts.Background {
		w.start = func() { onOwnThread(b.lower, b.notLowered, w.work) }
	}
	return w
}

// lesson is what the queue learns from a run.
type lesson struct {
	bucket *bucket // nil if there is none
	rows   int
	took   time.Duration
	cut    bool // terminated, so it would have taken longer
}

// rouse wakes a worker that was taken off the idle ones. w may be nil.
func (w *worker) rouse() {
	if w == nil {
		return
	}
	if w.roused++; w.parked {
		w.wake <- struct{}{}
	} else {
		go w.start() // Run waits for the worker's end
	}
}

// work runs what was handed over, if anything was, and then the waiting items.
func (w *worker) work() {
	for ok := w.takeOver() || w.batcher.next(w); ok; ok = w.batcher.next(w) {
		w.process()
		w.settle()
	}
}

// takeOver reports whether a caller has already taken the members.
//
// The scheduler runs a woken goroutine before those that are already ready. Some of these are
// callers about to submit: if no caller took the members, takeOver yields to them, and the run
// is fuller. If no other goroutine is ready this costs about 100 ns.
func (w *worker) takeOver() (handed bool) {
	if handed, w.handed = w.handed, false; !handed {
		runtime.Gosched()
	}
	return handed
}

// end closes the instance. Nothing rouses the worker again.
func (w *worker) end() {
	w.err = w.instance.Close()
	w.batcher.working.Done()
}

// process ends all taken members except for those in failed.
func (w *worker) process() {
	for _, it := range w.refused {
		it.fail(tooLate())
	}
	if len(w.members) > 0 {
		w.joint = 2 * levels(len(w.members))
		w.run(w.members, w.taken)
	}
	clear(w.refused)
	clear(w.members)
	clear(w.reqs)
	w.refused, w.members = w.refused[:0], w.members[:0]
}

// try runs members, all in the state gathering since start, once. If it returns an error, the
// members that have not left have no answer yet, and the run was observed. Otherwise all have
// ended.
func (w *worker) try(members []*item, start time.Duration) (compute time.Duration, err error) {
	b, run := w.batcher, Run{Members: len(members)}
	bucket := members[0].bucket // an item that has ended belongs to another use
	err = w.gather(members, &run, start)
	if lost := w.startRunning(members); lost != nil {
		w.fail(members, 0, lost)
		return 0, nil
	}
	if err == nil {
		err = internal("run", protect(b.log, "run", w.instance.Run))
	}
	computed := b.now()
	run.Compute = computed - start - run.Input
	abandoned := w.stopRunning(members)
	switch {
	case abandoned:
		run.Err = infer.Errorf(infer.Canceled, "every member of the run has left")
		b.observe(run)
		w.last = lesson{bucket, run.Rows, run.Input + run.Compute, true}
		return 0, nil
	case err == nil:
		w.answer(members, &run, computed)
		w.last = lesson{bucket, run.Rows, run.Input + run.Compute + run.Output, false}
		return 0, nil
	case b.stopped.Load():
		err = b.unavailable() // it was terminated, or would be
	}
	run.Err = err
	b.observe(run)
	return run.Compute, err
}

// gather copies the members' inputs. No waiter can leave meanwhile, so the requests may be read
// and written.
func (w *worker) gather(members []*item, run *Run, start time.Duration) error {
	w.reqs = w.reqs[:0]
	for _, it := range members {
		it.worker = w
		w.reqs = append(w.reqs, it.req)
		run.Rows += it.rows
		if it.req.Replay {
			run.Replays++
			run.ReplayRows += it.rows
		}
		if it.req.Span.Valid() && len(members) > 1 {
			run.joined(it.req, w.batcher.epoch.Add(start))
		}
	}
	b := w.batcher
	err := internal("gather", protect(b.log, "gather", func() error { return w.instance.Gather(w.reqs) }))
	run.Input = b.now() - start
	for _, it := range members {
		it.req.Timing = infer.Timing{Queue: start - it.since, Input: run.Input, Rows: run.Rows}
		if run.Trace != nil && it.req.Span.Valid() {
			it.req.Timing.Batch = run.Trace.Span
		}
	}
	return err
}

// startRunning lets the members leave again. It returns an error if no run is needed.
func (w *worker) startRunning(members []*item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	here := 0
	for _, it := range members {
		if it.startRunning() {
			here++
		}
	}
	switch {
	case w.batcher.stopped.Load():
		return w.batcher.unavailable()
	case here == 0:
		return infer.Errorf(infer.Canceled, "every member of the run has left")
	}
	w.running = members
	return nil
}

// stopRunning protects the instance from late leavers. It reports whether all members have
// left.
func (w *worker) stopRunning(members []*item) (abandoned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = nil
	return allDone(members)
}

// memberLeft terminates the run if it was the last member.
func (w *worker) memberLeft() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running != nil && allDone(w.running) {
		w.instance.Terminate()
	}
}

// terminate terminates a run in progress.
func (w *worker) terminate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.checking != nil {
		w.checking.cut = true
	}
	if w.running != nil || w.checking != nil {
		w.instance.Terminate()
	}
}

func allDone(members []*item) bool {
	for _, it := range members {
		if !it.isDone() {
			return false
		}
	}
	return true
}

// answer ends the members that have not left with their outputs. The run ended at start.
func (w *worker) answer(members []*item, run *Run, start time.Duration) {
	b := w.batcher
	var last *item
	now := start
	for i, it := range members {
		if !it.move(running, done) {
			continue
		}
		if last != nil {
			last.end()
		}
		last = it
		it.resp, it.err = w.scatter(i, it.req.Memory)
		run.Err = cmp.Or(run.Err, it.err)
		if it.err == nil {
			b.health.remember(it, b.model, run.Input+run.Compute)
		}
		before := now
		now = b.now()
		it.req.Timing.Compute, it.req.Timing.Output = run.Compute, now-before
	}
	run.Output = now - start
	b.observe(*run)
	if last != nil { // after the run was observed: a caller with all its answers finds them counted
		last.end()
	}
}

// fail ends the members that have not left with err, or keeps them until a check shows whether
// the version is at fault. compute is the time of their run.
func (w *worker) fail(members []*item, compute time.Duration, err error) {
	b := w.batcher
	wait := infer.CodeOf(err) == infer.Internal && b.health.due(b.now())
	for _, it := range members {
		if wait {
			w.failed = append(w.failed, failure{it, compute, err})
		} else {
			it.failRun(compute, b.blame(err))
		}
	}
}

// scatter returns the outputs of member i. It reserves their size from memory, and returns an
// error and no response if that fails.
func (w *worker) scatter(i int, memory infer.Memory) (*infer.Response, error) {
	resp := infer.NewResponse()
	resp.ReserveFrom(memory)
	err := internal("scatter", protect(w.batcher.log, "scatter", func() error { return w.instance.Scatter(i, resp) }))
	err = cmp.Or(err, resp.Err())
	if err != nil {
		resp.Release()
		return nil, err
	}
	return resp, nil
}
