package batch

import (
	"context"
	"encoding/binary"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Predict answers a request that has passed Model.Check, and fills its Timing. The caller must
// release the response. The request must not change until Predict returns, and is not read
// afterwards. Errors are *infer.Error: Invalid (rows do not agree, or are too many), TooLarge
// (never fits the queue), Overloaded, Unavailable, Deadline, Canceled, and errors of the model.
func (b *Batcher) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	rows, solo, err := b.measure(req)
	if err != nil {
		return nil, err
	}
	now := b.now()
	due, err := b.deadline(ctx, req, now)
	if err != nil {
		return nil, err
	}
	if b.opts.Batchable && rows > int64(b.opts.MaxSize) {
		if limit := b.maxRows(solo); rows > limit {
			return nil, b.tooManyRows(limit, solo)
		}
		return b.predictSplit(ctx, req, rows, now, due)
	}
	it := b.newItem(req, int(rows), solo, now, due)
	w, err := b.submit(now, it)
	if err != nil {
		b.recycle(it)
		return nil, err
	}
	detach := it.arm(ctx)
	if w != nil {
		w.lead()
	}
	it.wait(detach)
	resp, err := it.resp, it.err
	if it.left {
		it.alarm.stop()
	} else {
		b.recycle(it)
	}
	return resp, err
}

// tooManyRows is the error of a request with too many rows; it names the setting.
func (b *Batcher) tooManyRows(limit int64, solo bool) error {
	what := "batching.max_size; with batching.oversize: split it would run in pieces"
	switch {
	case solo:
		what = "batching.max_size; it cannot be split, since one of its inputs has no rows"
	case b.opts.Split:
		what = "batching.max_size times batching.queue.max_requests"
	}
	return infer.Errorf(infer.Invalid, "inference request batch-size must be <= %d for '%s' (%s)", limit, b.model.Name, what)
}

// measure returns the rows of a request and whether it must run alone. It must if an input has
// no rows to join, or if inputs have different rows and the model allows that. Unless
// Batchable, a request is one row.
func (b *Batcher) measure(req *infer.Request) (rows int64, solo bool, err error) {
	if !b.opts.Batchable {
		return 1, true, nil
	}
	first := -1 // the first input whose rows differ from the last one's
	rows = -1
	for i := len(req.Inputs) - 1; i >= 0; i-- {
		t := &req.Inputs[i]
		switch {
		case !b.joined[t.Index]:
			solo = true
		case rows < 0:
			rows = t.Rows()
		case rows != t.Rows():
			first = i
		}
	}
	if first >= 0 && !b.sameRows {
		return 1, true, nil
	}
	if first >= 0 {
		return 0, false, infer.Errorf(infer.Invalid, "input '%s' batch size does not match other inputs for '%s'", req.Inputs[first].Name, b.model.Name)
	}
	if rows < 0 {
		return 1, true, nil
	}
	return rows, solo, nil
}

// maxRows is the most rows of a request: those of one run, or of MaxRequests runs if the
// request can be split.
func (b *Batcher) maxRows(solo bool) int64 {
	if !b.opts.Split || solo {
		return int64(b.opts.MaxSize)
	}
	return int64(b.opts.MaxSize) * int64(b.opts.MaxRequests)
}

// deadline returns the time at which the request must have ended.
func (b *Batcher) deadline(ctx context.Context, req *infer.Request, now time.Duration) (due time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, infer.Errorf(infer.CodeOf(err), "request ended before it was accepted")
	}
	timeout := b.opts.Timeout
	if req.Timeout > 0 {
		timeout = min(timeout, req.Timeout)
	}
	due = now + timeout
	if !req.Arrived.IsZero() {
		due = req.Arrived.Sub(b.epoch) + timeout
	}
	if at, ok := ctx.Deadline(); ok {
		due = min(due, at.Sub(b.epoch))
	}
	if due <= now {
		return 0, infer.Errorf(infer.Deadline, "deadline exceeded before the request was accepted")
	}
	return due, nil
}

func (b *Batcher) priority(asked int) int {
	if asked <= 0 {
		return b.opts.DefaultPriority
	}
	return min(asked, b.opts.PriorityLevels)
}

func (b *Batcher) newItem(req *infer.Request, rows int, solo bool, now, due time.Duration) *item {
	it := b.items.Get().(*item)
	it.req, it.rows, it.solo, it.since = req, rows, solo, now
	it.requests, it.bytes, it.priority = 1, req.ByteSize(), b.priority(req.Priority)
	it.key = appendKey(it.key[:0], req.Inputs, solo)
	it.begin(due)
	return it
}

// recycle keeps an item that no worker refers to for another request. Its alarm and a context
// may still refer to it, but name the use that they mean.
func (b *Batcher) recycle(it *item) {
	it.req, it.resp, it.err, it.bucket, it.worker = nil, nil, nil, nil, nil
	b.items.Put(it)
}

// appendKey appends what requests must share to run together: the inputs given and their
// dimensions except for the rows. The key of a request that runs alone has all dimensions.
func appendKey(key []byte, inputs []infer.Tensor, solo bool) []byte {
	if solo {
		key = append(key, 's')
	}
	for i := range inputs {
		t := &inputs[i]
		dims := t.Shape
		if !solo {
			dims = dims[1:]
		}
		key = binary.AppendUvarint(key, uint64(t.Index)<<1|1)
		for _, d := range dims {
			key = binary.AppendVarint(key, d)
		}
	}
	return key
}

// submit queues the items of one request, all or none. If it returns a worker, the caller must
// lead it.
func (b *Batcher) submit(now time.Duration, items ...*item) (lead *worker, err error) {
	bytes := int64(0)
	for _, it := range items {
		bytes += it.bytes
	}
	if bytes > b.opts.MaxBytes {
		return nil, infer.Errorf(infer.TooLarge, "the inputs have %d bytes, more than the %d that may wait for model '%s'", bytes, b.opts.MaxBytes, b.model.Name)
	}
	b.mu.Lock()
	switch {
	case b.closing:
		b.mu.Unlock()
		return nil, b.unavailable()
	case b.full(bytes):
		err := b.overloaded()
		b.mu.Unlock()
		return nil, err
	}
	ready := false
	for i, it := range items {
		b.queue.enter(it)
		if i == 0 && b.queue.hopeless(it, now, len(b.workers)) {
			b.mu.Unlock()
			return nil, tooLate()
		}
		ready = b.queue.push(it, now) || ready
	}
	var w *worker
	if ready {
		w = b.takeIdle()
	} else if len(b.idle) > 0 {
		b.wakeAt(items[0].bucket.startBy)
	}
	if w != nil && len(items) == 1 && b.mayLead(items[0].bucket, items[0].rows) {
		lead, w = w, nil
	}
	b.mu.Unlock()
	w.rouse()
	return lead, nil
}

// full reports whether one more request with that many bytes is too much. If there is no
// deliberate wait, a request for each free instance does not count as waiting: it is taken as
// soon as the worker wakes.
func (b *Batcher) full(bytes int64) bool {
	spare := 0
	if b.opts.MaxDelay == 0 {
		spare = b.free
	}
	waiting := b.queue.requests - spare
	return waiting >= 0 && (waiting >= b.opts.MaxRequests || b.queue.bytes+bytes > b.opts.MaxBytes)
}

// withdraw removes an item that leaves from the queue; false if a worker was faster.
func (b *Batcher) withdraw(it *item, use uint32) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !it.state.CompareAndSwap(use|queued, use|done) {
		return false
	}
	b.queue.remove(it)
	return true
}
