package httpapi

import (
	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// encode makes the answer of a response, which it releases.
func (x *exchange) encode(call *oip.Call, resp *infer.Response) (body []byte, jsonLength int, err error) {
	defer resp.Release()
	size := outputBytes(resp)
	if call.Classifies() {
		if size >= longText {
			x.takeTurn()
		}
		if size, err = call.Classify(resp); err != nil {
			return nil, 0, err
		}
	}
	if limit := x.srv.limits.MaxResponseBytes; size > limit {
		return nil, 0, x.answerTooLarge(size, limit)
	}
	x.out, jsonLength, err = oip.AppendResponse(x.body(), call, x.target.model, x.served.Version.Number, resp, x.srv.opts.Encode)
	return x.out, jsonLength, err
}

// outputBytes returns the bytes of all outputs together.
func outputBytes(resp *infer.Response) (n int) {
	for i := range resp.Outputs {
		n += len(resp.Outputs[i].Data)
	}
	return n
}

func (x *exchange) answerTooLarge(size, limit int) error {
	return infer.Errorf(infer.TooLarge, "the answer takes %d bytes, more than the limit of %d; ask for fewer rows or outputs, or for binary data", size, limit)
}

// body returns the empty buffer in which the answer's body is built.
func (x *exchange) body() []byte { return x.out[:0] }

// setBody makes body the answer's. The exchange holds it until it was written: who
// asks for much and does not read holds what it takes for as long as WriteTimeout.
func (x *exchange) setBody(body []byte, contentType string) {
	x.out, x.answered = body, len(body)
	x.ctx.Response.SetBodyRaw(body)
	x.ctx.Response.Header.SetContentType(contentType)
}

// document answers 200 with JSON about the server. Its size is not the caller's to
// choose, so it is counted when it is there.
func (x *exchange) document(body []byte) error {
	if err := x.memory.Reserve(max(0, cap(body)-cap(x.out))); err != nil {
		return err
	}
	x.ctx.SetStatusCode(fasthttp.StatusOK)
	x.setBody(body, "application/json")
	return nil
}
