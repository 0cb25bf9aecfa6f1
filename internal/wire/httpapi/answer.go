package httpapi

import (
	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// encode encodes a response into the answer's body, and releases the response.
func (x *exchange) encode(call *oip.Call, resp *infer.Response) (body []byte, jsonLength int, err error) {
	defer resp.Release()
	size := resp.ByteSize()
	if call.Classifies() {
		if size >= longText {
			x.takeTurn()
		}
		if size, err = call.Classify(resp); err != nil {
			return nil, 0, err
		}
	}
	if err := front.CheckAnswer(size, x.srv.limits.MaxResponseBytes); err != nil {
		return nil, 0, err
	}
	x.out, jsonLength, err = oip.AppendResponse(x.body(), call, x.target.model, x.served.Version.Number, resp, x.srv.opts.Encode)
	return x.out, jsonLength, err
}

// body returns the empty buffer for the answer's body.
func (x *exchange) body() []byte { return x.out[:0] }

// setBody sets the answer's body. The exchange holds its memory until it was written: a caller that
// asks for much and does not read keeps that memory for up to WriteTimeout.
func (x *exchange) setBody(body []byte, contentType string) {
	x.out, x.answered = body, len(body)
	x.ctx.Response.SetBodyRaw(body)
	x.ctx.Response.Header.SetContentType(contentType)
}

// document answers 200 with JSON about the server. The caller does not choose its size, so its
// memory is reserved only after it was built.
func (x *exchange) document(body []byte) error {
	if err := x.memory.Reserve(max(0, cap(body)-cap(x.out))); err != nil {
		return err
	}
	x.ctx.SetStatusCode(fasthttp.StatusOK)
	x.setBody(body, "application/json")
	return nil
}
