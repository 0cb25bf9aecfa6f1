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
	// believed is the longest body whose Content-Length is taken for true once a 64th
	// of it has come: to grow step by step copies much of it.
	believed = 1 << 20
)

// bodyError is a body that ended or stalled before it was complete, or was
// framed wrongly. describeBroken has the answer to it.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "read the body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// readBody returns the request's body as it was sent, limit bytes at the most.
// fasthttp hands over a stream: read whole by itself it would allocate what a
// Content-Length only claims, and a few hundred connections could claim all
// memory. Here the buffer grows with what arrives, and is reserved before it does.
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
	most := limit // of what the body can need
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
			room = x.probe[:] // meets the end, or one byte too many
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

func (x *exchange) bodyTooLarge(limit int) error {
	x.hangUp()
	return infer.Errorf(infer.TooLarge, "%s", tooLargeText(limit))
}

func tooLargeText(limit int) string {
	return fmt.Sprintf("the body takes more than the limit of %d bytes", limit)
}
