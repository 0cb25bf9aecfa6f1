package httpapi

// maxKeptBytes is the largest of an exchange's buffers that it keeps for the next
// request; larger ones are spares.
const maxKeptBytes = 16 << 10

// reserveKept counts the buffers of earlier requests among what this one holds. If
// memory is scarce it goes without: a small request must not count as a large one for
// what others have left, since only small ones get the last of the memory.
func (x *exchange) reserveKept() {
	if x.srv.front.Scarce() || x.memory.Reserve(cap(x.raw)+cap(x.spare)+cap(x.out)+x.call.Kept()) != nil {
		x.raw, x.spare, x.out = nil, nil, nil
		x.newCall()
	}
}

// larger returns a buffer of at least size bytes, but most at the most, that holds
// what buf does. It is reserved before it is allocated, and buf is dropped after it
// was copied. With an error it returns buf.
func (x *exchange) larger(buf []byte, size, most int) ([]byte, error) {
	size = min(spareSize(size), most)
	if err := x.memory.Reserve(size); err != nil {
		return buf, err
	}
	grown := append(x.srv.spares.get(size), buf...)
	x.drop(buf)
	return grown, nil
}

// inflated is larger for a body that is being inflated.
func (x *exchange) inflated(buf []byte, size, most int) ([]byte, error) {
	if size >= longText {
		x.takeTurn()
	}
	return x.larger(buf, size, most)
}

// drop lets go of a buffer that nothing uses any more. A small one stays with the
// exchange, as the first buffer of the next body.
func (x *exchange) drop(buf []byte) {
	if cap(buf) > maxKeptBytes {
		x.srv.spares.put(buf)
		x.memory.Release(cap(buf))
	} else if cap(buf) > cap(x.kept) {
		x.kept = buf
	}
}

// dropBody lets go of the request's body and of what was decoded from it.
func (x *exchange) dropBody() {
	x.call.Drop()
	x.drop(x.raw)
	x.raw = nil
	if cap(x.spare) > maxKeptBytes {
		x.drop(x.spare)
		x.spare = nil
	}
}

// growAnswer returns the answer's buffer with room for n bytes more. It is the
// exchange's at once: should encoding panic, the error must not be written into one
// that was dropped.
func (x *exchange) growAnswer(buf []byte, n int) (_ []byte, err error) {
	if len(buf) >= longText {
		x.takeTurn() // so much JSON takes long; binary data has its room at once
	}
	limit := x.srv.limits.maxEncoded()
	if need := len(buf) + n; need <= limit {
		x.out, err = x.larger(buf, max(need, 2*cap(buf)), limit)
		return x.out, err
	}
	return buf, x.answerTooLarge(len(buf)+n, limit)
}
