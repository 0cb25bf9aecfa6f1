package httpapi

import (
	"errors"
	"fmt"
	"io"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
)

const (
	// firstRead is the size of a body's buffer before any of it has been received.
	firstRead = 4 << 10
	// believed is the max Content-Length that is trusted after a 64th of the body has been
	// received. A buffer that grows step by step is copied often.
	believed = 1 << 20
)

// bodyError is the error of a body that ended or stalled before it was complete, or had wrong
// framing. describeBroken has the answer for it.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// readBody returns the request's body as received, at most limit bytes. fasthttp passes a stream:
// if it read the body itself, it would allocate the claimed Content-Length, and a few hundred
// connections could claim all memory. This buffer grows with the received bytes, and each step is
// reserved first.
func (x *exchange) readBody(limit int) ([]byte, error) {
	x.bodyTaken = true
	stream := x.ctx.RequestBodyStream()
	if stream == nil {
		return x.ctx.Request.Body(), nil
	}
	length := x.ctx.Request.Header.ContentLength() // -1 for chunks
	if length > limit {
		return nil, x.bodyTooLarge(limit)
	}
	most := limit // the max size that the body can need
	if length >= 0 {
		most = min(spareSize(length), limit)
	}
	x.raw = x.raw[:0]
	for {
		room := x.raw[len(x.raw):cap(x.raw)]
		if len(room) == 0 && len(x.raw) < most && len(x.raw) != length {
			var err error
			size := max(4*cap(x.raw), firstRead)
			if length >= 0 && length <= believed && len(x.raw) >= max(1, length/64) {
				size = most
			}
			if x.raw, err = x.larger(x.raw, size, most); err != nil {
				x.hangUp()
				return nil, err
			}
			continue
		}
		if len(room) == 0 {
			room = x.probe[:] // to find the end, or one byte too many
		}
		n, err := stream.Read(room)
		if len(x.raw)+n > min(limit, cap(x.raw)) {
			return nil, x.bodyTooLarge(limit)
		}
		x.raw = x.raw[:len(x.raw)+n]
		x.received = len(x.raw)
		switch {
		case errors.Is(err, io.EOF) && len(x.raw) < length:
			return nil, &bodyError{io.ErrUnexpectedEOF}
		case errors.Is(err, io.EOF):
			return x.raw, nil
		case err != nil:
			return nil, &bodyError{err}
		}
	}
}

// headerReceived makes fasthttp call the handler without waiting for a body that is too long. The
// header block still has the length, so that answer refuses the request and closes the connection.
func (s *Server) headerReceived(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if h.ContentLength() > s.limits.MaxBodyBytes {
		h.SetContentLength(0)
	}
	return fasthttp.RequestConfig{}
}

// expect answers Expect: 100-continue, before any of the body has been sent.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	var h header
	if err := h.scan(ctx.Request.Header.RawHeaders()); err != nil || !h.claims(s.limits.MaxBodyBytes) {
		return fasthttp.StatusContinue
	}
	s.handleBroken(ctx, fasthttp.ErrBodyTooLarge)
	return fasthttp.StatusRequestEntityTooLarge
}

func (x *exchange) bodyTooLarge(limit int) error {
	x.hangUp()
	return infer.Errorf(infer.TooLarge, "%s", tooLargeText(limit))
}

func tooLargeText(limit int) string {
	return fmt.Sprintf("the body takes more than the limit of %d bytes", limit)
}
