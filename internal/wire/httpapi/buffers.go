package httpapi

import "sluice.io/sluice/internal/wire/front"

// maxKeptBytes is the max size of a buffer that an exchange keeps for the next request. Larger ones
// go to the spares.
const maxKeptBytes = 16 << 10

// reserveKept reserves the buffers kept from earlier requests for this one. If memory is scarce it
// drops them: with them, a small request would count as a large one, and only small ones get the
// last of the memory.
func (x *exchange) reserveKept() {
	if x.srv.front.Scarce() || x.memory.Reserve(cap(x.raw)+cap(x.spare)+cap(x.out)+x.call.Kept()) != nil {
		x.raw, x.spare, x.out = nil, nil, nil
		x.newCall()
	}
}

// larger returns a buffer with a capacity of at least size, at most most bytes, and the content of
// buf. It reserves the new buffer first, and drops buf after copying it. After an error it returns
// buf.
func (x *exchange) larger(buf []byte, size, most int) ([]byte, error) {
	size = min(spareSize(size), most)
	if err := x.memory.Reserve(size); err != nil {
		return buf, err
	}
	grown := append(x.srv.spares.get(size), buf...)
	x.drop(buf)
	return grown, nil
}

// inflated is larger for a body that is being decompressed.
func (x *exchange) inflated(buf []byte, size, most int) ([]byte, error) {
	if size >= longText {
		x.takeTurn()
	}
	return x.larger(buf, size, most)
}

// drop releases an unused buffer. A small one stays with the exchange, as the first buffer of the
// next body.
func (x *exchange) drop(buf []byte) {
	if cap(buf) > maxKeptBytes {
		x.srv.spares.put(buf)
		x.memory.Release(cap(buf))
	} else if cap(buf) > cap(x.kept) {
		x.kept = buf
	}
}

// dropBody releases the request's body and the data decoded from it.
func (x *exchange) dropBody() {
	x.call.Drop()
	x.drop(x.raw)
	x.raw = nil
	if cap(x.spare) > maxKeptBytes {
		x.drop(x.spare)
		x.spare = nil
	}
}

// growAnswer returns the answer's buffer with room for n more bytes. It sets x.out immediately, so
// that after a panic during encoding the error is not written into a dropped buffer.
func (x *exchange) growAnswer(buf []byte, n int) (_ []byte, err error) {
	if len(buf) >= longText {
		x.takeTurn() // so much JSON takes long; binary data gets its room in one step
	}
	need, limit := len(buf)+n, x.srv.limits.maxEncoded()
	if err := front.CheckAnswer(need, limit); err != nil {
		return buf, err
	}
	x.out, err = x.larger(buf, max(need, 2*cap(buf)), limit)
	return x.out, err
}
