package grpcapi_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

func TestModelInfer(t *testing.T) {
	s := &stub{sticky: infer.Called{StickyHeader: "X-User-Id"}}
	c := start(t, s, func(o *options) { o.front.Callers = access.Keys(map[string]string{"tester": "t"}) }).dial(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "order-7", "x-user-id", "u1", "sluice-override", "2", "authorization", "Bearer t")
	var header metadata.MD
	m, err := c.ModelInfer(ctx, raw("q", 1, 2, 3, 4, 5, 6, 7, 8), grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	if m.GetModelName() != "double" || m.GetModelVersion() != "1" || m.GetId() != "q" || len(m.GetOutputs()) != 1 {
		t.Errorf("got %v", m)
	}
	y := m.GetOutputs()[0]
	if y.GetName() != "y" || y.GetDatatype() != "FP32" || y.GetContents() != nil || !cmp.Equal(y.GetShape(), []int64{2, 4}) {
		t.Errorf("got %v", y)
	}
	if got, want := m.GetRawOutputContents(), [][]byte{floats(2, 4, 6, 8, 10, 12, 14, 16)}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p := m.GetParameters()
	if p["sluice_version"].GetInt64Param() != 1 || p["sluice_route"].GetStringParam() != "double@0" || p["sluice_reason"].GetStringParam() != "default" {
		t.Errorf("parameters %v", p)
	}
	if got := header.Get("x-request-id"); !cmp.Equal(got, []string{"order-7"}) {
		t.Errorf("x-request-id is %q", got)
	}
	if a := &s.asked; a.RequestID != "order-7" || a.StickyKey != "u1" || a.Override != "2" || a.ID != "q" {
		t.Errorf("asked %+v", a)
	}
}

// contents is a request for an identity whose elements are in fields of their type.
func contents(datatype string, n int64, c *pb.InferTensorContents) *pb.ModelInferRequest {
	return &pb.ModelInferRequest{
		ModelName: "id_" + datatype,
		Inputs:    []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: datatype, Shape: []int64{n}, Contents: c}},
	}
}

func TestContentsOfEveryKind(t *testing.T) {
	c := start(t, &stub{}, nil).dial(t)
	f := func(datatype string, n int64, in *pb.InferTensorContents, want string) {
		t.Helper()
		m, err := c.ModelInfer(t.Context(), contents(datatype, n, in))
		if err != nil {
			t.Fatalf("%s: %v", datatype, err)
		}
		if got := hex.EncodeToString(m.GetRawOutputContents()[0]); got != want {
			t.Errorf("%s: %s, want %s", datatype, got, want)
		}
	}
	f("BOOL", 2, &pb.InferTensorContents{BoolContents: []bool{true, false}}, "0100")
	f("INT8", 2, &pb.InferTensorContents{IntContents: []int32{-128, 127}}, "807f")
	f("INT16", 2, &pb.InferTensorContents{IntContents: []int32{-32768, 32767}}, "0080ff7f")
	f("INT32", 1, &pb.InferTensorContents{IntContents: []int32{-2}}, "feffffff")
	f("INT64", 1, &pb.InferTensorContents{Int64Contents: []int64{1<<53 + 1}}, "0100000000002000")
	f("UINT8", 2, &pb.InferTensorContents{UintContents: []uint32{0, 255}}, "00ff")
	f("UINT16", 1, &pb.InferTensorContents{UintContents: []uint32{65535}}, "ffff")
	f("UINT32", 1, &pb.InferTensorContents{UintContents: []uint32{1 << 31}}, "00000080")
	f("UINT64", 1, &pb.InferTensorContents{Uint64Contents: []uint64{1<<64 - 1}}, "ffffffffffffffff")
	f("FP32", 1, &pb.InferTensorContents{Fp32Contents: []float32{1}}, "0000803f")
	f("FP64", 1, &pb.InferTensorContents{Fp64Contents: []float64{1}}, "000000000000f03f")
	f("BYTES", 2, &pb.InferTensorContents{BytesContents: [][]byte{{'a', 0}, nil}}, "02000000"+"6100"+"00000000")
	f("FP32", 0, nil, "")
	f("BYTES", 0, &pb.InferTensorContents{}, "")
}

func TestRequestsThatAreRefused(t *testing.T) {
	r := start(t, &stub{sticky: infer.Called{StickyParameter: "user"}}, nil)
	c := r.dial(t)
	f := func(m *pb.ModelInferRequest, code codes.Code, text string) {
		t.Helper()
		_, err := c.ModelInfer(t.Context(), m)
		if status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), text) {
			t.Errorf("got %v, want %v %q", err, code, text)
		}
	}
	with := func(change func(*pb.ModelInferRequest)) *pb.ModelInferRequest {
		m := raw("", 1, 2, 3, 4)
		change(m)
		return m
	}
	param := func(name string, p *pb.InferParameter) *pb.ModelInferRequest {
		return with(func(m *pb.ModelInferRequest) { m.Parameters = map[string]*pb.InferParameter{name: p} })
	}
	whole := func(n int64) *pb.InferParameter {
		return &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: n}}
	}
	word := func(s string) *pb.InferParameter {
		return &pb.InferParameter{ParameterChoice: &pb.InferParameter_StringParam{StringParam: s}}
	}
	f(with(func(m *pb.ModelInferRequest) { m.ModelName = "nope" }), codes.NotFound, "Request for unknown model: 'nope' is not found")
	f(with(func(m *pb.ModelInferRequest) { m.ModelName = "" }), codes.NotFound, "Request for unknown model: '' is not found")
	f(with(func(m *pb.ModelInferRequest) { m.ModelName = "../etc" }), codes.InvalidArgument, "'../etc' is not a valid model name")
	f(with(func(m *pb.ModelInferRequest) { m.ModelVersion = "9" }), codes.NotFound, "Request for unknown model: 'double' version 9 is not found")
	f(with(func(m *pb.ModelInferRequest) { m.ModelVersion = "abc" }), codes.InvalidArgument, "'abc' is not a valid version")
	f(with(func(m *pb.ModelInferRequest) { m.Id = strings.Repeat("x", 1025) }), codes.InvalidArgument, "id: longer than 1024 bytes")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Datatype = "fp32" }), codes.InvalidArgument, "inputs[0].datatype: 'fp32' is not a valid datatype")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Shape = []int64{-1, 4} }), codes.InvalidArgument, "inputs[0].shape[0]: -1 is not a dimension")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Shape = make([]int64, 33) }), codes.InvalidArgument, "inputs[0].shape: more than 32 dimensions")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Shape = []int64{1<<60 + 1, 16} }), codes.InvalidArgument, "inputs[0].shape: ")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Shape = []int64{1 << 62, 1} }), codes.InvalidArgument, "inputs[0].shape: ")
	f(with(func(m *pb.ModelInferRequest) { m.RawInputContents[0] = m.RawInputContents[0][:12] }), codes.InvalidArgument, "Expected 16, got 12")
	f(with(func(m *pb.ModelInferRequest) { m.RawInputContents = append(m.RawInputContents, nil) }), codes.InvalidArgument, "raw_input_contents has 2 entries for 1 inputs")
	f(with(func(m *pb.ModelInferRequest) { m.RawInputContents = nil }), codes.InvalidArgument, "unable to find data for input tensor 'x' for model 'double'")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs[0].Contents = &pb.InferTensorContents{} }), codes.InvalidArgument, "contents field must not be specified when using raw_input_contents for 'x' for model 'double'")
	f(with(func(m *pb.ModelInferRequest) { m.Inputs = append(m.Inputs, m.Inputs[0]) }), codes.InvalidArgument, "unable to find data for input tensor 'x'")
	f(with(func(m *pb.ModelInferRequest) {
		m.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: strings.Repeat("y", 1025)}}
	}), codes.InvalidArgument, "outputs[0].name: longer than 1024 bytes")
	f(contents("INT8", 1, &pb.InferTensorContents{IntContents: []int32{300}}), codes.InvalidArgument, "input 'x': element 0, 300, does not fit INT8")
	f(contents("INT16", 2, &pb.InferTensorContents{IntContents: []int32{0, -40000}}), codes.InvalidArgument, "element 1, -40000, does not fit INT16")
	f(contents("UINT8", 1, &pb.InferTensorContents{UintContents: []uint32{256}}), codes.InvalidArgument, "does not fit UINT8")
	f(contents("UINT16", 1, &pb.InferTensorContents{UintContents: []uint32{65536}}), codes.InvalidArgument, "does not fit UINT16")
	f(contents("FP32", 1, &pb.InferTensorContents{IntContents: []int32{1}}), codes.InvalidArgument, "of type 'INT32', expected datatype 'FP32'")
	f(contents("FP16", 1, &pb.InferTensorContents{Fp32Contents: []float32{1}}), codes.InvalidArgument, "of type 'FP32', expected datatype 'FP16'")
	f(contents("FP32", 2, &pb.InferTensorContents{Fp32Contents: []float32{1}}), codes.InvalidArgument, "Expected 8, got 4")
	f(contents("BYTES", 2, &pb.InferTensorContents{BytesContents: [][]byte{{'a'}}}), codes.InvalidArgument, "expected 2 string elements")
	f(param("triton_x", whole(1)), codes.InvalidArgument, "parameters.triton_x: names that begin with 'triton_' are reserved")
	f(param("shared_memory_region", word("r")), codes.Unimplemented, "shared memory is not supported")
	f(param("sequence_id", whole(1)), codes.Unimplemented, "sequences are not supported")
	f(param("priority", whole(-1)), codes.InvalidArgument, "parameters.priority: expected a whole number")
	f(param("priority", word("1")), codes.InvalidArgument, "parameters.priority: expected a whole number")
	f(param("timeout", whole(-1)), codes.InvalidArgument, "parameters.timeout: expected a whole number")
	f(param("foo", &pb.InferParameter{}), codes.InvalidArgument, "parameters.foo: has no value")
	f(param("user", word(strings.Repeat("x", 1025))), codes.InvalidArgument, "sticky key")
	if got := r.front.Unrouted()["invalid"]; got < 10 {
		t.Errorf("%d requests were counted as invalid", got)
	}
}

func TestParameters(t *testing.T) {
	s := &stub{sticky: infer.Called{StickyParameter: "user", DriftParameter: "plan"}}
	c := start(t, s, nil).dial(t)
	m := raw("", 1, 2, 3, 4)
	m.Parameters = map[string]*pb.InferParameter{
		"plan":     {ParameterChoice: &pb.InferParameter_StringParam{StringParam: "pro"}},
		"priority": {ParameterChoice: &pb.InferParameter_Uint64Param{Uint64Param: 1}},
		"timeout":  {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 5_000_000}},
		"user":     {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 42}},
		"other":    {ParameterChoice: &pb.InferParameter_DoubleParam{DoubleParam: 0.5}},
	}
	if _, err := c.ModelInfer(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if a := &s.asked; a.Priority != 1 || a.Timeout != 5*time.Second || a.StickyKey != "42" || a.DriftSegment != "pro" {
		t.Errorf("asked %+v", a)
	}
}

func TestClassification(t *testing.T) {
	c := start(t, &stub{}, nil).dial(t)
	m := contents("FP32", 4, &pb.InferTensorContents{Fp32Contents: []float32{0.5, 3, -1, 2}})
	m.Outputs = []*pb.ModelInferRequest_InferRequestedOutputTensor{{Name: "y", Parameters: map[string]*pb.InferParameter{
		"classification": {ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: 2}},
	}}}
	answer, err := c.ModelInfer(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(answer.GetRawOutputContents()[0]), "\x0a\x00\x00\x003.000000:1\x0a\x00\x00\x002.000000:3"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if y := answer.GetOutputs()[0]; y.GetDatatype() != "BYTES" || !cmp.Equal(y.GetShape(), []int64{2}) {
		t.Errorf("got %v", y)
	}
}

// A full queue says so with the status and the trailer that clients retry by.
func TestOverload(t *testing.T) {
	f := func(triton bool, want codes.Code) {
		t.Helper()
		s := &stub{predict: func(context.Context, *infer.Request) (*infer.Response, error) {
			return nil, &infer.Error{Code: infer.Overloaded, Msg: "the queue is full", RetryAfter: 3 * time.Second}
		}}
		c := start(t, s, func(o *options) { o.Triton = triton }).dial(t)
		var trailer metadata.MD
		_, err := c.ModelInfer(t.Context(), raw("", 1, 2, 3, 4), grpc.Trailer(&trailer))
		wantCode(t, err, want)
		if got := trailer.Get("grpc-retry-pushback-ms"); !cmp.Equal(got, []string{"3000"}) {
			t.Errorf("pushback %q", got)
		}
	}
	f(false, codes.ResourceExhausted)
	f(true, codes.Unavailable)
}

// The details of an internal error, and of a panic, are for the log only.
func TestInternalErrors(t *testing.T) {
	f := func(predict func() error) {
		t.Helper()
		s := &stub{predict: func(context.Context, *infer.Request) (*infer.Response, error) { return nil, predict() }}
		_, err := start(t, s, nil).dial(t).ModelInfer(t.Context(), raw("", 1, 2, 3, 4))
		wantCode(t, err, codes.Internal)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the caller reads %v", err)
		}
	}
	f(func() error { return errors.New("secret") })
	f(func() error { panic("secret") })
}

// The deadline of a call and its cancellation reach the model.
func TestDeadlineAndCancellation(t *testing.T) {
	began := make(chan error, 1)
	s := &stub{predict: func(ctx context.Context, _ *infer.Request) (*infer.Response, error) {
		_, ok := ctx.Deadline()
		if !ok {
			began <- nil
		}
		<-ctx.Done()
		began <- ctx.Err()
		return nil, ctx.Err()
	}}
	c := start(t, s, nil).dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.ModelInfer(ctx, raw("", 1, 2, 3, 4))
	wantCode(t, err, codes.DeadlineExceeded)
	if err := <-began; infer.CodeOf(err) != infer.Deadline && infer.CodeOf(err) != infer.Canceled {
		t.Errorf("the model saw %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		if <-began == nil {
			cancel()
		}
	}()
	_, err = c.ModelInfer(ctx, raw("", 1, 2, 3, 4))
	wantCode(t, err, codes.Canceled)
	if err := <-began; infer.CodeOf(err) != infer.Canceled {
		t.Errorf("the model saw %v", err)
	}
}
