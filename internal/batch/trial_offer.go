package batch

import (
	"bytes"
	"hash/maphash"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// copied is a part of an answered request, in memory of its own.
type copied struct {
	key    string // of the shape: requests of one key may run together
	hash   uint64 // of the inputs
	rows   int64
	inputs []infer.Tensor
	bytes  int64 // of the inputs, and of the outputs to come
}

// Offer offers a request that has passed Model.Check and was answered with resp. It copies some
// requests, a few rows of large ones; for the rest it only reads a flag. It never waits.
// Neither request nor response is used afterwards.
func (t *Trial) Offer(req *infer.Request, resp *infer.Response) {
	if !t.open.Load() {
		return
	}
	t.offer(req, resp)
}

func (t *Trial) offer(req *infer.Request, resp *infer.Response) {
	if !t.mu.TryLock() {
		return
	}
	defer t.mu.Unlock()
	if !t.open.Load() {
		return
	}
	if t.seen++; t.seen > mostSeen {
		t.close()
		return
	}
	c, ok := t.take(req, resp)
	if !ok {
		return
	}
	for len(t.copies) == mostCopies || t.bytes+c.bytes > t.opts.MaxBytes {
		if t.group() != "" { // enough to do for now
			t.close()
			return
		}
		t.bytes -= t.copies[0].bytes
		t.copies = slices.Delete(t.copies, 0, 1)
	}
	c.own(t.opts.Model)
	t.copies = append(t.copies, c)
	t.bytes += c.bytes
	switch {
	case t.like(c.key) < groupSize:
	case t.agreed == nil: // a spot check needs one group
		t.close()
	default: // further copies wait: on a busy machine the trial may run when callers are gone
		t.wake()
	}
}

// close stops taking copies, and wakes collect.
func (t *Trial) close() {
	t.open.Store(false)
	t.wake()
}

func (t *Trial) wake() {
	select {
	case t.ready <- struct{}{}:
	default: // collect has not received the last one yet
	}
}

// take checks whether a request can be used. The result still shares the request's data.
func (t *Trial) take(req *infer.Request, resp *infer.Response) (c *copied, ok bool) {
	if len(req.Inputs) == 0 {
		return nil, false
	}
	all := req.Rows()
	if all < 1 {
		return nil, false
	}
	c = &copied{rows: max(1, min(all, mostRows, int64(t.opts.MaxSize)/groupSize))}
	for i := range req.Inputs {
		in := &req.Inputs[i]
		if !t.joined[in.Index] || in.Rows() != all {
			return nil, false // it would run alone
		}
		part, _, whole := cut(in, c.rows)
		if !whole {
			return nil, false
		}
		c.inputs = append(c.inputs, part)
	}
	c.bytes = bytesOf(c.inputs) + bytesOf(resp.Outputs)/all*c.rows
	if c.bytes > t.opts.MaxBytes/groupSize {
		return nil, false
	}
	c.key = string(appendKey(nil, c.inputs, false))
	c.hash = t.hash(c.inputs)
	_, known := t.agreed[c.hash]
	same := func(other *copied) bool { return other.hash == c.hash }
	return c, !known && !slices.ContainsFunc(t.copies, same)
}

// own copies the inputs out of the request.
func (c *copied) own(m *infer.Model) {
	for i := range c.inputs {
		in := &c.inputs[i]
		in.Name = m.Inputs[in.Index].Name // the request's may be a part of its body
		in.Shape = slices.Clone(in.Shape)
		in.Data = bytes.Clone(in.Data)
	}
}

// like counts the copies of a shape.
func (t *Trial) like(key string) (n int) {
	for _, c := range t.copies {
		if c.key == key {
			n++
		}
	}
	return n
}

// group returns the first shape with enough copies, "" if there is none.
func (t *Trial) group() string {
	for _, c := range t.copies {
		if t.like(c.key) >= groupSize {
			return c.key
		}
	}
	return ""
}

// collect waits for a group of requests of one shape, or until too many requests had different
// shapes. It is nil if the trial must end, and empty if there is no group.
func (t *Trial) collect() []*copied {
	t.mu.Lock()
	t.seen = 0
	t.open.Store(true)
	if t.group() != "" {
		t.wake()
	}
	t.mu.Unlock()
	for {
		select {
		case <-t.ready:
		case <-t.stop.Done():
			t.open.Store(false)
			return nil
		}
		if group, ok := t.pick(); ok {
			return group
		}
	}
}

// pick takes a group of copies; ok is false if there is none yet.
func (t *Trial) pick() (group []*copied, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := t.group()
	if key == "" && t.open.Load() {
		return nil, false // an earlier call took the group that woke it
	}
	group = make([]*copied, 0, groupSize)
	t.copies = slices.DeleteFunc(t.copies, func(c *copied) bool {
		if key == "" || c.key != key || len(group) == groupSize {
			return false
		}
		group = append(group, c)
		t.bytes -= c.bytes
		return true
	})
	return group, true
}

// discard drops all copies.
func (t *Trial) discard() {
	t.open.Store(false)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.copies, t.bytes = nil, 0
}

func (t *Trial) hash(tensors []infer.Tensor) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for i := range tensors {
		_, _ = h.Write(tensors[i].Data)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
