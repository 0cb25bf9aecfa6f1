package batch

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"sluice.io/sluice/internal/infer"
)

// copied is a part of a request that was answered, in memory of its own.
type copied struct {
	key    string // of the shape: requests of one key may run together
	hash   uint64 // of the inputs
	rows   int64
	inputs []infer.Tensor
	bytes  int64 // of the inputs, and of the outputs to come
}

// Offer offers a request that has passed Model.Check and was answered with resp. Some
// are copied, of large ones a few rows; the rest costs a look at a flag. It never
// waits. Neither request nor response is used afterwards.
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
		t.bytes -= t.copies[0].bytes
		t.copies = slices.Delete(t.copies, 0, 1)
	}
	c.own(t.opts.Model)
	t.copies = append(t.copies, c)
	t.bytes += c.bytes
	if t.like(c) == groupSize {
		t.close()
	}
}

// close takes nothing further, and wakes collect. There is room, since what was there
// before was taken before the trial opened.
func (t *Trial) close() {
	t.open.Store(false)
	t.ready <- struct{}{}
}

// take looks whether a request can be used. What it returns still aliases the request.
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
	c.key = shapeKey(c.inputs)
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

// like counts the copies of the shape of c.
func (t *Trial) like(c *copied) (n int) {
	for _, other := range t.copies {
		if other.key == c.key {
			n++
		}
	}
	return n
}

// collect waits for a group of requests of one shape, or for so many requests that there
// is none. It is nil if the trial is to end, and empty if there is no group.
func (t *Trial) collect() []*copied {
	t.mu.Lock()
	t.seen = 0
	t.mu.Unlock()
	t.open.Store(true)
	select {
	case <-t.ready:
	case <-t.stop.Done():
		t.open.Store(false)
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	group := make([]*copied, 0, groupSize)
	for _, c := range t.copies {
		if t.like(c) == groupSize {
			group = append(group, c)
			t.bytes -= c.bytes
		}
	}
	t.copies = slices.DeleteFunc(t.copies, func(c *copied) bool { return slices.Contains(group, c) })
	return group
}

// discard forgets what was copied.
func (t *Trial) discard() {
	t.open.Store(false)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.copies, t.bytes = nil, 0
}

// shapeKey names what requests must share to run together: the inputs given, and
// their dimensions but the first.
func shapeKey(inputs []infer.Tensor) string {
	var key []byte
	for i := range inputs {
		key = binary.AppendUvarint(key, uint64(inputs[i].Index)) //nolint:gosec // a place in a slice
		for _, d := range inputs[i].Shape[1:] {
			key = binary.AppendVarint(key, d)
		}
	}
	return string(key)
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
