package httpapi

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// headerJSONLength is the length of the JSON part of a body, in bytes, if binary data follows it
// (the binary tensor data extension). 0 means that the body is one raw tensor.
const headerJSONLength = "Inference-Header-Content-Length"

// infer answers POST /v2/models/M[/versions/V]/infer, with tensors in both directions.
func (x *exchange) infer() error { return x.inference(x.tensors) }

// inference admits an inference, and calls answer with its body.
func (x *exchange) inference(answer func(called infer.Called, body []byte) error) error {
	x.trace = x.srv.front.Trace(x.target.model, x.arrived, x.header.traceparent, x.header.tracestate)
	// An unknown name is refused before the body is read. A body that arrives slowly does not count
	// as a request in progress.
	called, err := x.srv.front.Called(x.target.model, x.target.version)
	if err != nil {
		return err
	}
	if err := x.pickedBy(called.StickyHeader); err != nil {
		return err
	}
	body, err := x.readBody(x.srv.limits.MaxBodyBytes)
	if err != nil {
		return err
	}
	x.trace.Read()
	if pinned := x.target.version; x.target.label != "" { // its alias may have moved since
		if err := x.findLabel(); err != nil {
			return err
		}
		if x.target.version != pinned {
			if called, err = x.srv.front.Called(x.target.model, x.target.version); err != nil {
				return err
			}
		}
	}
	defer x.srv.front.End()
	if err := x.srv.front.Begin(); err != nil {
		return err
	}
	return answer(called, body)
}

// tensors answers a request with tensors.
func (x *exchange) tensors(called infer.Called, body []byte) error {
	err := x.predict(x.call, called, body)
	x.call.Reset() // not deferred: after a panic something may still use it
	return err
}

// pickedBy reads the sticky key. sticky names its header, "" if there is none.
func (x *exchange) pickedBy(sticky string) (err error) {
	if sticky == "" {
		return nil
	}
	if x.sticky, err = x.field(sticky); err != nil {
		return err
	}
	return front.CheckSticky(sticky, x.sticky, x.srv.limits.Tensors.MaxStickyKeyBytes)
}

func (x *exchange) predict(call *oip.Call, called infer.Called, body []byte) error {
	body, err := x.plainBody(body, x.srv.limits.MaxInflatedBytes)
	if err != nil {
		return err
	}
	if x.header.jsonLength == nil { // otherwise the data may be an image
		if err := x.refuseForeign(body); err != nil {
			return err
		}
	}
	call.Memory = &x.memory
	call.Model, call.Version = x.target.model, x.target.version
	call.StickyParameter, call.SegmentParameter, call.KeepParameters = called.StickyParameter, called.SegmentParameter, called.KeepParameters
	call.DriftParameter = called.DriftParameter
	if err := x.decode(call, body, called.Model); err != nil {
		return err
	}
	resp, err := x.ask(&call.Request, called)
	if err != nil {
		return err
	}
	x.dropBody() // the body is not needed any more, and the answer may be large
	out, jsonLength, err := x.encode(call, resp)
	if err != nil {
		return err
	}
	x.writeInference(out, jsonLength)
	return nil
}

// ask sends a decoded request to the predictor.
func (x *exchange) ask(req *infer.Request, called infer.Called) (*infer.Response, error) {
	x.endTurn()
	req.Arrived, req.RequestID, req.Handle = x.arrived, view(x.id), called.Handle
	req.Override, req.Presence = view(x.header.override), &x.conn.presence
	if x.caller != nil {
		req.Caller = x.caller.Name()
	}
	if called.StickyHeader != "" {
		req.StickyKey = view(x.sticky)
	}
	if err := x.memory.AdmitRows(req); err != nil {
		return nil, err
	}
	x.trace.Ask(req)
	resp, err := x.srv.front.Predict(x.srv.predictions, req)
	x.trace.Answer(req)
	x.served = req.Served
	return resp, err
}

// plainBody returns the decompressed body of the request, at most limit bytes.
func (x *exchange) plainBody(body []byte, limit int) ([]byte, error) {
	if x.header.contentEncoding == nil {
		return body, nil
	}
	from, err := parseContentEncoding(x.header.contentEncoding)
	if err != nil {
		x.ctx.Response.Header.Set(fasthttp.HeaderAcceptEncoding, acceptedCodings)
		return nil, err
	}
	if from == identity {
		return body, nil
	}
	held, err := from.readerBytes(body)
	if err != nil {
		return nil, err
	}
	if err := x.memory.Reserve(held); err != nil {
		return nil, err
	}
	x.spare, err = x.srv.codecs.inflate(x.spare[:0], from, body, limit, x.inflated)
	x.memory.Release(held)
	x.drop(x.raw)
	x.raw = nil
	return x.spare, err
}

// decode decodes the body with the length in the header. model is the version that would serve the
// request.
func (x *exchange) decode(call *oip.Call, body []byte, model *infer.Model) error {
	limits := &x.srv.limits.Tensors
	length, ok := len(body), true
	if x.header.jsonLength != nil {
		length, ok = parseLength(x.header.jsonLength)
	}
	switch {
	case !ok || length > len(body):
		return infer.Errorf(infer.Invalid, "%s should be in range [0, %d], got: '%s'", headerJSONLength, len(body), x.header.jsonLength)
	case length == 0 && x.header.jsonLength != nil:
		return call.DecodeRaw(body, model, limits)
	}
	if length >= longText {
		x.takeTurn()
	}
	return call.Decode(body, length, limits)
}

// parseLength parses decimal digits, at most as many as a body's length has.
func parseLength(s []byte) (n int, ok bool) {
	if len(s) == 0 || len(s) > len("2147483647") {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// writeInference answers 200 with an encoded response, compressed if the caller asks for it. The
// length header counts uncompressed bytes.
func (x *exchange) writeInference(body []byte, jsonLength int) {
	contentType := "application/json"
	if jsonLength >= 0 {
		contentType = "application/octet-stream"
		var digits [20]byte
		x.ctx.Response.Header.SetCanonical([]byte(headerJSONLength), strconv.AppendInt(digits[:0], int64(jsonLength), 10))
	}
	if x.header.acceptEncoding != nil {
		body = x.compress(body, negotiate(x.header.acceptEncoding))
	}
	x.setBody(body, contentType)
}

// compress returns the compressed body and sets the header. If there is not enough memory, it
// returns body.
func (x *exchange) compress(body []byte, to coding) []byte {
	if to == identity || x.memory.Reserve(to.writerBytes()) != nil {
		return body
	}
	defer x.memory.Release(to.writerBytes())
	if len(body) >= longText {
		x.takeTurn()
	}
	compressed, ok := x.srv.codecs.deflate(x.spare[:0], to, body, x.larger)
	x.spare = compressed
	if ok {
		x.spare, body = body, compressed
		x.ctx.Response.Header.SetContentEncoding(to.String())
	}
	return body
}
