package httpapi

import (
	"errors"
	"fmt"
	"io"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
)

const (
	// firstRead is the room for a body before anything of it was seen.
	firstRead = 4 << 10
	// freeBytes of each buffer are not counted against MaxBodyMemory.
	freeBytes = 64 << 10
)

// bodyError is a body that ended or stalled before it was complete, or was
// framed wrongly. describeBroken has the answer to it.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// readBody returns the request's body as it was sent. fasthttp hands over a
// stream: read whole by itself it would allocate what a Content-Length only
// claims, and a few hundred connections could claim all memory. Here the buffer
// grows with what arrives, and what all requests together hold is limited.
func (x *exchange) readBody() ([]byte, error) {
	x.bodyTaken = true
	stream := x.ctx.RequestBodyStream()
	if stream == nil {
		return x.ctx.Request.Body(), nil
	}
	length, limit := x.ctx.Request.Header.ContentLength(), x.srv.limits.MaxBodyBytes // -1 for chunks
	x.raw = x.raw[:0]
	if x.reserve(cap(x.raw)-freeBytes) != nil {
		x.raw = nil // a large buffer of an earlier body counts too; begin with a small one
	}
	for {
		if len(x.raw) == cap(x.raw) {
			if err := x.growBody(length); err != nil {
				return nil, err
			}
		}
		n, err := stream.Read(x.raw[len(x.raw):cap(x.raw)])
		x.raw = x.raw[:len(x.raw)+n]
		switch {
		case len(x.raw) > limit:
			return nil, x.bodyTooLarge()
		case errors.Is(err, io.EOF) && len(x.raw) < length:
			return nil, &bodyError{io.ErrUnexpectedEOF}
		case errors.Is(err, io.EOF):
			return x.raw, nil
		case err != nil:
			return nil, &bodyError{err}
		}
	}
}

// headerReceived makes fasthttp answer a request whose body is refused for its
// length without waiting for any of it. The header block still has the length:
// answer sees it, refuses and closes.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.ContentLength() > s.limits.MaxBodyBytes {
		h.SetContentLength(0)
	}
	return fasthttp.RequestConfig{}
}

// expect answers Expect: 100-continue, before anything of the body was sent.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	var h header
	if err := h.scan(ctx.Request.Header.RawHeaders()); err != nil || !h.claims(s.limits.MaxBodyBytes) {
		return fasthttp.StatusContinue
	}
	s.handleBroken(ctx, fasthttp.ErrBodyTooLarge)
	return fasthttp.StatusRequestEntityTooLarge
}

// growBody gives the buffer four times the room, but hardly more than the body can
// need: length, or one byte over the limit, which shows that it is too large.
func (x *exchange) growBody(length int) error {
	most := x.srv.limits.MaxBodyBytes + 1
	if length >= 0 {
		most = max(length, 1)
	}
	size := min(max(4*cap(x.raw), firstRead), most)
	if err := x.reserve(size - max(cap(x.raw), freeBytes)); err != nil {
		x.hangUp()
		return err
	}
	var grown []byte
	if size > maxKeptBytes {
		grown = x.srv.spares.get(size)
	} else {
		grown = make([]byte, 0, size)
	}
	grown = append(grown, x.raw...)
	x.releaseRaw()
	x.raw = grown
	return nil
}

// releaseRaw gives raw back where it is a spare. The largest other one is kept for the
// next body.
func (x *exchange) releaseRaw() {
	if cap(x.raw) > maxKeptBytes {
		x.srv.spares.put(x.raw)
		x.raw = nil
	} else if cap(x.raw) > cap(x.kept) {
		x.kept = x.raw
	}
}

// reserve takes so many bytes of what all bodies may hold together; end gives
// them back. Overloaded where there are not so many left.
func (x *exchange) reserve(bytes int) error {
	if bytes <= 0 {
		return nil
	}
	limit := x.srv.limits.MaxBodyMemory
	if x.srv.bodyMemory.Add(int64(bytes)) > limit {
		x.srv.bodyMemory.Add(int64(-bytes))
		return infer.Errorf(infer.Overloaded, "the bodies of all requests and answers together take more than the limit of %d bytes, try again later", limit)
	}
	x.reserved += int64(bytes)
	return nil
}

func (x *exchange) bodyTooLarge() error {
	x.hangUp()
	return infer.Errorf(infer.TooLarge, "%s", tooLargeText(x.srv.limits.MaxBodyBytes))
}

func tooLargeText(limit int) string {
	return fmt.Sprintf("the body takes more than the limit of %d bytes", limit)
}
