package grpcapi

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

// serviceDesc is the generated one with the inferences as this package reads them: their
// messages are exchanges, whose memory the codec counts.
func serviceDesc() grpc.ServiceDesc {
	desc := handled(pb.GRPCInferenceService_ServiceDesc)
	for i := range desc.Methods {
		if m := &desc.Methods[i]; m.MethodName == "ModelInfer" {
			m.Handler = func(srv any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return srv.(*Server).modelInfer(ctx, read) //nolint:forcetypeassert // New registers no other
			}
		}
	}
	return desc
}

// modelInfer answers ModelInfer.
func (s *Server) modelInfer(ctx context.Context, read func(any) error) (any, error) {
	x := s.newExchange(ctx, pb.GRPCInferenceService_ModelInfer_FullMethodName)
	return x.single(ctx, func() error { return read(x) }, true, x.infer)
}

// single answers a call of one message whose memory the codec counts: read reads the message, if the
// caller may use the method at all, and answer makes the answer.
func (x *exchange) single(ctx context.Context, read func() error, inference bool, answer func(context.Context) error) (any, error) {
	defer x.call.end()
	x.answerPlain(ctx)
	if err := x.identify(x.srv.needs[x.method], ""); err != nil {
		x.end(err, inference)
		return nil, x.fail(ctx, err)
	}
	err := x.call.read(read)
	if err != nil { // too large, or the call has ended
		x.tellID(ctx)
		x.end(unread(err), inference)
		return nil, err
	}
	err = answer(ctx)
	x.end(err, inference)
	if err != nil {
		return nil, x.fail(ctx, err)
	}
	x.sendID(ctx)
	return x, nil
}

// unread returns the error of a message that grpc-go has not read, which has answered it.
func unread(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	code := infer.Invalid
	switch s.Code() {
	case codes.ResourceExhausted:
		code = infer.TooLarge
	case codes.Canceled:
		code = infer.Canceled
	case codes.DeadlineExceeded:
		code = infer.Deadline
	default:
	}
	return infer.Errorf(code, "%s", s.Message())
}

// infer answers the request that was read.
func (x *exchange) infer(ctx context.Context) (err error) {
	defer recovered(&err)
	if x.refused != nil {
		return x.refused
	}
	x.beginTrace()
	version, err := parseVersion(x.request.model, x.request.version)
	if err != nil {
		return err
	}
	if err := x.admitInference(); err != nil {
		return err
	}
	defer x.srv.front.End()
	if err := x.srv.front.Begin(); err != nil {
		return err
	}
	called, err := x.srv.front.Called(x.request.model, version)
	if err != nil {
		return err
	}
	call := x.srv.calls.Get().(*oip.Call) //nolint:forcetypeassert // nothing else is put there
	call.Memory, call.Model, call.Version = &x.memory, x.request.model, version
	err = x.predict(ctx, call, called)
	call.Reset() // not deferred: after a panic something may still use it, and the message
	x.forget()
	x.srv.calls.Put(call)
	return err
}

func (x *exchange) predict(ctx context.Context, call *oip.Call, called infer.Called) error {
	if err := x.decode(call, called); err != nil {
		return err
	}
	req := &call.Request
	req.Arrived, req.RequestID, req.Handle = x.arrived, x.id, called.Handle
	if x.caller != nil {
		req.Caller = x.caller.Name()
	}
	if err := x.pickedBy(req, called.StickyHeader); err != nil {
		return err
	}
	if err := x.memory.AdmitRows(req); err != nil {
		return err
	}
	x.trace.Ask(req)
	if x.call != nil && !x.streamed {
		ctx = x.call // it tells at once that the caller leaves
	}
	resp, err := x.srv.front.Predict(ctx, req)
	x.trace.Answer(req)
	x.served = req.Served
	if err != nil {
		return err
	}
	defer resp.Release()
	size := resp.ByteSize()
	if call.Classifies() {
		if size, err = call.Classify(resp); err != nil {
			return err
		}
	}
	if err := front.CheckAnswer(size, x.srv.opts.Limits.MaxResponseBytes); err != nil {
		return err
	}
	r := newReply(call.Model, call.ID, &x.served, resp.Outputs, x.streamed)
	return x.reply(&r)
}

// pickedBy takes from the metadata what a version is picked by.
func (x *exchange) pickedBy(req *infer.Request, sticky string) error {
	override, err := x.field(overrideHeader)
	if err != nil {
		return err
	}
	if override != nil {
		if err := front.CheckOverride(override); err != nil {
			return err
		}
		req.Override = string(override)
	}
	if sticky == "" {
		return nil
	}
	key, err := x.field(sticky)
	if err != nil {
		return err
	}
	req.StickyKey = string(key)
	return front.CheckSticky(sticky, key, x.limits().MaxStickyKeyBytes)
}

// minAnswer is the least capacity of an answer: grpc-go tells only of larger ones that they were written.
const minAnswer = 1<<10 + 1

// smallAnswers has the rooms of answers that were written.
var smallAnswers = sync.Pool{New: func() any { return new([minAnswer]byte) }}

// room reserves and makes an empty answer with room for size bytes. It releases the request's data, which
// is not read again.
func (x *exchange) room(size int) ([]byte, error) {
	x.forget()
	size = max(size, minAnswer)
	if err := x.memory.Reserve(size); err != nil {
		return nil, err
	}
	if size == minAnswer {
		return smallAnswers.Get().(*[minAnswer]byte)[:0], nil //nolint:forcetypeassert // nothing else is put there
	}
	return make([]byte, 0, size), nil
}

// reply makes the answer to an inference.
func (x *exchange) reply(r *reply) error {
	answer, err := x.room(r.size())
	if err == nil {
		x.answer = r.append(answer)
	}
	return err
}

// encode makes the answer of any other call.
func (x *exchange) encode(m proto.Message) error {
	answer, err := x.room(proto.Size(m))
	if err == nil {
		x.answer, err = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(answer, m)
	}
	return err
}

// parseVersion checks what a call names, and returns its version: 0 for none.
func parseVersion(model, version string) (int64, error) {
	if model != "" { // else it is an unknown model
		if err := front.CheckName(model); err != nil {
			return 0, err
		}
	}
	if version == "" {
		return 0, nil
	}
	n, ok := infer.ParseVersion(version)
	if !ok {
		return 0, infer.Errorf(infer.Invalid, "'%s' is not a valid version of model '%s': a version is a whole number above 0", front.Cut(version), front.Cut(model))
	}
	return n, nil
}

// decode fills call from the request.
func (x *exchange) decode(call *oip.Call, called infer.Called) error {
	m := &x.request
	if err := call.Begin(m.id, x.limits()); err != nil {
		return err
	}
	if err := x.parameters(call, &called); err != nil {
		return err
	}
	if called.KeepParameters && len(m.parameters) > 0 {
		call.Parameters = parametersJSON(m.parameters)
	}
	for i := range m.outputs {
		out := &m.outputs[i]
		classes, err := classes(call, out.parameters)
		if err != nil {
			return err
		}
		if err := call.AddOutput(out.name, classes); err != nil {
			return err
		}
	}
	for i := range m.inputs {
		in := &m.inputs[i]
		if err := each(call, in.parameters, func(string, *pb.InferParameter) error { return nil }); err != nil {
			return err
		}
		if err := call.AddInput(in.name, in.datatype, in.shape); err != nil {
			return err
		}
	}
	if len(m.raw) > 0 {
		return attachRaw(call, m)
	}
	for i := range m.inputs {
		if err := attachContents(call, i, &m.inputs[i]); err != nil {
			return err
		}
	}
	return nil
}

// attachRaw gives each input its raw contents.
func attachRaw(call *oip.Call, m *request) error {
	raw, inputs := m.raw, m.inputs
	for i := range inputs {
		in := &inputs[i]
		if in.contents != nil {
			return infer.Errorf(infer.Invalid, "contents field must not be specified when using raw_input_contents for '%s' for model '%s'", in.name, call.Model)
		}
		if i >= len(raw) {
			return infer.Errorf(infer.Invalid, "unable to find data for input tensor '%s' for model '%s' in request.", in.name, call.Model)
		}
		if err := call.SetData(i, raw[i]); err != nil {
			return err
		}
	}
	if len(raw) > len(inputs) {
		return infer.Errorf(infer.Invalid, "raw_input_contents has %d entries for %d inputs of model '%s'", len(raw), len(inputs), call.Model)
	}
	return nil
}

// each checks the parameters of an object and tells read of them.
func each(call *oip.Call, parameters map[string]*pb.InferParameter, read func(name string, p *pb.InferParameter) error) error {
	n := 0
	for name, p := range parameters {
		n++
		if name == "triton_enable_empty_final_response" { // of models that answer many times
			continue
		}
		if err := call.CheckParameter(n, name); err != nil {
			return err
		}
		if p.GetParameterChoice() == nil {
			return infer.Errorf(infer.Invalid, "parameters.%s: has no value", name)
		}
		if err := read(name, p); err != nil {
			return err
		}
	}
	return nil
}

// parameters reads those of the request.
func (x *exchange) parameters(call *oip.Call, called *infer.Called) error {
	return each(call, x.request.parameters, func(name string, p *pb.InferParameter) error {
		if name == called.SegmentParameter && name != "" {
			call.Segment = text(p)
		}
		if name == called.DriftParameter && name != "" {
			call.DriftSegment = text(p)
		}
		switch sticky := called.StickyParameter; {
		case name == "priority":
			n, err := whole(name, p, math.MaxInt32)
			call.Priority = int(n)
			return err
		case name == "timeout":
			n, err := whole(name, p, math.MaxUint64)
			call.Timeout = time.Duration(min(n, math.MaxInt64/uint64(time.Microsecond))) * time.Microsecond //nolint:gosec // it fits
			return err
		case strings.HasPrefix(name, "sequence_"):
			return infer.Errorf(infer.Unsupported, "parameters.%s: sequences are not supported", name)
		case name == sticky:
			call.StickyKey = text(p)
			return front.CheckSticky(sticky, []byte(call.StickyKey), x.limits().MaxStickyKeyBytes)
		}
		return nil
	})
}

// classes returns how many classes an output is asked for.
func classes(call *oip.Call, parameters map[string]*pb.InferParameter) (n int, err error) {
	err = each(call, parameters, func(name string, p *pb.InferParameter) error {
		if name != "classification" {
			return nil
		}
		most, err := whole(name, p, math.MaxUint64)
		n = int(min(most, math.MaxInt32))
		return err
	})
	return n, err
}

// whole returns the value of a parameter that is a whole number up to most.
func whole(name string, p *pb.InferParameter, most uint64) (n uint64, err error) {
	ok := false
	switch v := p.GetParameterChoice().(type) {
	case *pb.InferParameter_Int64Param:
		n, ok = uint64(v.Int64Param), v.Int64Param >= 0 //nolint:gosec // used only if it is not negative
	case *pb.InferParameter_Uint64Param:
		n, ok = v.Uint64Param, true
	}
	if !ok || n > most {
		return 0, infer.Errorf(infer.Invalid, "parameters.%s: expected a whole number from 0 to %d in int64_param or uint64_param", name, most)
	}
	return n, nil
}

// text returns a parameter as JSON would have it, so that 42 and "42" are the same key
// over both protocols.
func text(p *pb.InferParameter) string {
	switch v := p.GetParameterChoice().(type) {
	case *pb.InferParameter_StringParam:
		return v.StringParam
	case *pb.InferParameter_Int64Param:
		return strconv.FormatInt(v.Int64Param, 10)
	case *pb.InferParameter_Uint64Param:
		return strconv.FormatUint(v.Uint64Param, 10)
	case *pb.InferParameter_BoolParam:
		return strconv.FormatBool(v.BoolParam)
	default:
		return strconv.FormatFloat(p.GetDoubleParam(), 'g', -1, 64)
	}
}

// parametersJSON returns the parameters as the object of a JSON request, with sorted names. A number
// that JSON cannot have is text.
func parametersJSON(parameters map[string]*pb.InferParameter) []byte {
	object := make(map[string]any, len(parameters))
	for name, p := range parameters {
		switch v := p.GetParameterChoice().(type) {
		case *pb.InferParameter_Int64Param:
			object[name] = v.Int64Param
		case *pb.InferParameter_Uint64Param:
			object[name] = v.Uint64Param
		case *pb.InferParameter_BoolParam:
			object[name] = v.BoolParam
		case *pb.InferParameter_DoubleParam:
			object[name] = v.DoubleParam
			if math.IsNaN(v.DoubleParam) || math.IsInf(v.DoubleParam, 0) {
				object[name] = text(p)
			}
		default:
			object[name] = p.GetStringParam()
		}
	}
	encoded, err := json.Marshal(object)
	if err != nil {
		panic("BUG: parameters that are not JSON: " + err.Error())
	}
	return encoded
}
