package batch

import (
	"context"
	"slices"
	"time"

	"sluice.io/sluice/internal/infer"
)

// predictSplit runs a request with more rows than a run may have in pieces, and joins their
// outputs. The pieces are admitted, refused and fail together.
func (b *Batcher) predictSplit(ctx context.Context, req *infer.Request, rows int64, now, due time.Duration) (*infer.Response, error) {
	pieces, err := splitRequest(req, rows, int64(b.opts.MaxSize))
	if err != nil {
		return nil, err
	}
	items := make([]*item, len(pieces)) // not recycled: the items of a failed request are left behind
	for i := range pieces {
		items[i] = b.newItem(&pieces[i], int(pieces[i].Rows()), false, now, due)
		items[i].requests = 0
	}
	items[len(items)-1].requests = 1
	if _, err := b.submit(now, items...); err != nil {
		return nil, err
	}
	detach := make([]func() bool, len(items))
	for i, it := range items {
		detach[i] = it.arm(ctx)
	}
	responses := make([]*infer.Response, 0, len(items))
	for i, it := range items {
		it.wait(detach[i])
		it.alarm.stop()
		switch {
		case it.err == nil:
			responses = append(responses, it.resp)
		case err == nil:
			err = it.err
			for _, other := range slices.Backward(items[i+1:]) { // the one that runs last, since its end frees the worker for the next
				other.cancel()
			}
		}
	}
	req.Timing = joinTiming(pieces)
	return joinResponses(responses, req.Memory, err)
}

// splitRequest cuts a request into pieces of at most size rows. They share its data.
func splitRequest(req *infer.Request, rows, size int64) ([]infer.Request, error) {
	pieces := make([]infer.Request, 0, (rows+size-1)/size)
	rest := append([]infer.Tensor(nil), req.Inputs...)
	for ; rows > 0; rows -= size {
		piece := *req
		piece.Inputs = make([]infer.Tensor, len(rest))
		for i := range rest {
			var ok bool
			if piece.Inputs[i], rest[i], ok = cut(&rest[i], min(size, rows)); !ok {
				return nil, infer.Errorf(infer.Invalid, "the data of input '%s' does not fit its shape", rest[i].Name)
			}
		}
		pieces = append(pieces, piece)
	}
	return pieces, nil
}

// cut splits a tensor after its first n rows; both parts share its data. ok is false if the
// data is shorter than the shape says.
func cut(t *infer.Tensor, n int64) (head, rest infer.Tensor, ok bool) {
	head, rest = *t, *t
	head.Shape = append(infer.Shape{n}, t.Shape[1:]...)
	rest.Shape = append(infer.Shape{t.Shape[0] - n}, t.Shape[1:]...)
	elements, ok := head.Shape.Elements()
	if !ok {
		return head, rest, false
	}
	if t.DType != infer.Bytes {
		size := elements * int64(t.DType.Size())
		if size > int64(len(t.Data)) {
			return head, rest, false
		}
		head.Data, rest.Data = t.Data[:size:size], t.Data[size:]
		return head, rest, true
	}
	for rest.Data = t.Data; elements > 0; elements-- {
		if _, rest.Data, ok = infer.NextElement(rest.Data); !ok {
			return head, rest, false
		}
	}
	head.Data = t.Data[:len(t.Data)-len(rest.Data)]
	return head, rest, true
}

// joinTiming combines the timings of the pieces: the longest wait, and the sums of work and
// rows.
func joinTiming(pieces []infer.Request) (sum infer.Timing) {
	for i := range pieces {
		t := &pieces[i].Timing
		sum.Queue = max(sum.Queue, t.Queue)
		sum.Input += t.Input
		sum.Compute += t.Compute
		sum.Output += t.Output
		sum.Rows += t.Rows
		if t.Batch.Valid() {
			sum.Batch = t.Batch // of one of them; the runs name the request
		}
	}
	return sum
}

// joinResponses joins the outputs of the pieces along the first dimension and releases the
// pieces. If err is set it only releases them. Until then both are in memory, and both are
// reserved from it.
func joinResponses(pieces []*infer.Response, memory infer.Memory, err error) (*infer.Response, error) {
	defer func() {
		for _, p := range pieces {
			p.Release()
		}
	}()
	if err != nil {
		return nil, err
	}
	joined := infer.NewResponse()
	joined.ReserveFrom(memory)
	for i := range pieces[0].Outputs {
		if err := joinOutput(joined, pieces, i); err != nil {
			joined.Release()
			return nil, err
		}
	}
	return joined, nil
}

func joinOutput(joined *infer.Response, pieces []*infer.Response, i int) error {
	first := &pieces[0].Outputs[i]
	rows, size := int64(0), 0
	for _, p := range pieces {
		t := &p.Outputs[i]
		if len(t.Shape) == 0 || len(t.Shape) != len(first.Shape) || !t.Shape[1:].Equal(first.Shape[1:]) {
			return infer.Errorf(infer.Invalid, "output '%s' has shapes %v and %v in the pieces of a split request; send fewer rows at a time",
				t.Name, first.Shape, t.Shape)
		}
		rows += t.Shape[0]
		size += len(t.Data)
	}
	shape := append(infer.Shape{rows}, first.Shape[1:]...)
	data := joined.Add(first.Name, first.Index, first.DType, shape, size)
	if err := joined.Err(); err != nil {
		return err
	}
	for _, p := range pieces {
		data = data[copy(data, p.Outputs[i].Data):]
	}
	return nil
}
