package httpapi

import (
	"bytes"
	"sync/atomic"

	"sluice.io/sluice/internal/infer"
)

// largeAnswer is the body of an answer that is too large for its connection to
// keep. It counts against what all bodies may hold until it was written: who asks
// for much and does not read holds it for as long as WriteTimeout.
type largeAnswer struct {
	bytes.Reader
	memory *atomic.Int64 // the server's bodyMemory
	held   int64
}

// Close is called by fasthttp when the answer was written, or could not be.
func (a *largeAnswer) Close() error {
	a.memory.Add(-a.held)
	a.held = 0
	a.Reset(nil)
	return nil
}

// holdAnswer passes what a large answer takes from the exchange, which ends when
// it was encoded, to the answer itself, which lasts until it was written.
func (x *exchange) holdAnswer(body []byte) *largeAnswer {
	a := &largeAnswer{memory: &x.srv.bodyMemory, held: int64(cap(body) - maxKeptBytes)}
	a.Reset(body)
	x.reserved -= a.held // below 0 where nothing was reserved: end then adds it
	return a
}

// reserveOutputs checks how much the outputs of an answer take, and takes room for
// them as they will be encoded.
func (x *exchange) reserveOutputs(resp *infer.Response) (size int, err error) {
	for i := range resp.Outputs {
		size += len(resp.Outputs[i].Data)
	}
	if limit := int(min(int64(x.srv.limits.MaxResponseBytes), x.srv.limits.MaxBodyMemory)); size > limit {
		return 0, infer.Errorf(infer.TooLarge, "the outputs take %d bytes, more than the limit of %d for an answer; ask for fewer rows or outputs", size, limit)
	}
	return size, x.reserve(size - maxKeptBytes)
}
