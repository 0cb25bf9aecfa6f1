package app

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// inferRoute is the pattern of the path of Infer, for traces.
const inferRoute = "/api/v1/models/{model}/infer"

// Infer implements admin.InferControl. A request differs from one of the data plane only in the listener that has taken it.
func (c control) Infer(ctx context.Context, in admin.Inference, answer func(admin.InferenceAnswer) error) (infer.Served, error) {
	f, arrived := c.app.front, time.Now()
	x := inference{app: c.app, in: &in, id: string(f.AppendRequestID(nil, []byte(in.RequestID)))}
	x.trace = f.Trace(in.Model, arrived, []byte(in.Header.Get("Traceparent")), []byte(in.Header.Get("Tracestate")))
	f.Hold(&x.memory)
	defer x.memory.End()
	err := x.serve(ctx, arrived, answer)
	x.end(arrived, err)
	return x.served, err
}

// inference is a request of Infer.
type inference struct {
	app    *App
	in     *admin.Inference
	id     string
	memory front.Reservation
	trace  *front.Trace
	served infer.Served

	received, answered int // bytes of the bodies
}

// serve answers a request.
func (x *inference) serve(ctx context.Context, arrived time.Time, answer func(admin.InferenceAnswer) error) error {
	f, in, s := x.app.front, x.in, &x.app.opts.Config.Server
	override, err := x.override()
	if err != nil {
		return err
	}
	if err := f.Admit(in.Caller, in.Model, arrived, &x.memory); err != nil {
		return err
	}
	called, err := f.Called(in.Model, 0)
	if err != nil {
		return err
	}
	var sticky string
	if called.StickyHeader != "" {
		sticky = in.Header.Get(called.StickyHeader)
		if err := front.CheckSticky(called.StickyHeader, []byte(sticky), int(s.Limits.MaxStickyKey)); err != nil {
			return err
		}
	}
	body, err := readInference(in.Body, in.Size, int(s.HTTP.MaxBody), &x.memory)
	if err != nil {
		return err
	}
	x.received = len(body)
	x.trace.Read()
	defer f.End()
	if err := f.Begin(); err != nil {
		return err
	}
	call := oip.NewCall()
	defer call.Reset()
	if err := decodeInference(call, body, in, called, s, &x.memory); err != nil {
		return err
	}
	req := &call.Request
	req.Arrived, req.RequestID, req.Handle, req.Override = arrived, x.id, called.Handle, override
	if called.StickyHeader != "" {
		req.StickyKey = sticky
	}
	if in.Caller != nil {
		req.Caller = in.Caller.Name()
	}
	if err := x.memory.AdmitRows(req); err != nil {
		return err
	}
	return x.predict(ctx, call, answer)
}

// predict lets the version that is picked answer.
func (x *inference) predict(ctx context.Context, call *oip.Call, answer func(admin.InferenceAnswer) error) error {
	req, s := &call.Request, &x.app.opts.Config.Server
	x.trace.Ask(req)
	resp, err := x.app.front.Predict(ctx, req)
	x.trace.Answer(req)
	x.served = req.Served
	if err != nil {
		return err
	}
	took := time.Since(req.Arrived)
	defer resp.Release()
	out, jsonLength, err := encodeInference(call, x.in.Model, req.Served.Version.Number, resp, s)
	if err != nil {
		return err
	}
	x.answered = len(out)
	return answer(admin.InferenceAnswer{Body: out, JSONLength: jsonLength, Took: took, Served: req.Served, RequestID: x.id})
}

// override returns the header that names a version, if the caller may choose one.
func (x *inference) override() (string, error) {
	values := x.in.Header.Values("Sluice-Override")
	if len(values) == 0 {
		return "", nil
	}
	if err := front.CheckOverride([]byte(values[0])); err != nil {
		return "", err
	}
	return values[0], x.in.Caller.May(callers.Override, x.in.Model)
}

// end counts, logs and traces a request that has ended, as the listeners of the data plane do.
func (x *inference) end(arrived time.Time, err error) {
	f, in, code := x.app.front, x.in, infer.CodeOf(err)
	if code == infer.Internal {
		f.LogFailure(err, []byte(x.id), in.Model, x.served.Version.Number)
	}
	if err != nil && x.served.Reason == "" {
		f.CountUnrouted(code)
	}
	in.Caller.Count(code)
	if f.Logs(code, arrived) {
		a := front.Access{
			Protocol: "admin", Level: zapcore.InfoLevel, Arrived: arrived, Received: x.received, Answered: x.answered, RequestID: []byte(x.id),
			Traceparent: []byte(in.Header.Get("Traceparent")), Trace: x.trace, Remote: in.Remote, Served: x.served, Caller: in.Caller,
		}
		a.Fields = []zap.Field{zap.String("method", http.MethodPost), zap.String("path", front.Printable(in.Path)), zap.Int("status", wire.HTTPStatus(code))}
		if err != nil {
			a.Fields = append(a.Fields, zap.Stringer("code", code), zap.String("error", front.Printable(infer.Message(err))))
		}
		if code == infer.Internal {
			a.Level = zapcore.WarnLevel
		}
		f.LogAccess(&a)
	}
	if t := x.trace; t != nil {
		t.RequestID, t.Served, t.Code, t.Method, t.Route, t.Path = x.id, x.served, code, http.MethodPost, inferRoute, front.Printable(in.Path)
		t.HTTPStatus, t.Peer, t.UserAgent = wire.HTTPStatus(code), in.Remote, front.Printable(in.Header.Get("User-Agent"))
		t.BytesIn, t.BytesOut = x.received, x.answered
		if err != nil {
			t.Error = front.Printable(infer.Message(err))
		}
		f.Record(t)
	}
}
