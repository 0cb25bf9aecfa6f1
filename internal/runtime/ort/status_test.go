package ort_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// lookup is a table of 3 floats, looked up by op.
func lookup(op string) *onnxgen.Graph {
	g := onnxgen.New("lookup")
	table := g.Init(onnxgen.Float32s([]float32{1, 2, 3}, 3))
	g.Output("y", infer.FP32, g.Op(op, table, g.Input("x", infer.Int64, "N")), "N")
	return g
}

func indices(list ...int64) infer.Tensor {
	return named("x", 0, onnxgen.Int64s(list, int64(len(list))))
}

// TestRefusedValues sends an index out of range first, when the runtime allocates the outputs,
// and again when they are in the instance's block.
func TestRefusedValues(t *testing.T) {
	s := load(t, lookup("Gather"), options())
	instance := newInstance(t, s)
	for range 3 {
		_, err := predict(instance, request(t, s, nil, indices(7)))
		if infer.CodeOf(err) != infer.Invalid || !errors.Is(err, infer.ErrRefused) {
			t.Fatalf("got %v, want invalid, refused by the model", err)
		}
		want := "model 'lookup' refused the values of the request: Non-zero status code returned while running Gather node. " +
			"Name:'Gather_0' Status Message: indices element out of data bounds, idx=7 must be within the inclusive range [-3,2]"
		if got := infer.Message(err); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for range 2 {
			same(t, mustPredict(t, instance, request(t, s, nil, indices(2))), floats("y", infer.Shape{1}, 3))
		}
	}
}

// GatherElements checks its indices too, but throws.
func TestExceptionMayBeARefusal(t *testing.T) {
	s := load(t, lookup("GatherElements"), options())
	instance := newInstance(t, s)
	for range 3 {
		_, err := predict(instance, request(t, s, nil, indices(7)))
		e, ok := errors.AsType[*infer.Error](err)
		if !ok || e.Code != infer.Internal || errors.Is(err, infer.ErrRefused) || !errors.Is(err, infer.ErrMaybeRefused) {
			t.Fatalf("got %v, want internal, maybe refused", err)
		}
		want := "Non-zero status code returned while running GatherElements node. Name:'GatherElements_0' " +
			"Status Message: GatherElements op: Out of range value in index tensor"
		if e.Msg != want {
			t.Errorf("got  %s\nwant %s", e.Msg, want)
		}
		same(t, mustPredict(t, instance, request(t, s, nil, indices(2))), floats("y", infer.Shape{1}, 3))
	}
}

// A request asks for an output that does not fit into memory. Its values are the reason, but a
// smaller one fails in the same way if the machine is short of memory.
func TestNoMemoryIsNoRefusal(t *testing.T) {
	g := onnxgen.New("sized")
	g.Output("y", infer.FP32, g.Op("ConstantOfShape", g.Input("x", infer.Int64, "N")), "M")
	s := load(t, g, options())
	instance := newInstance(t, s)
	_, err := predict(instance, request(t, s, nil, indices(1<<50)))
	if infer.CodeOf(err) != infer.Internal || errors.Is(err, infer.ErrMaybeRefused) || errors.Is(err, infer.ErrRefused) {
		t.Errorf("got %v, want internal, not refused", err)
	}
	same(t, mustPredict(t, instance, request(t, s, nil, indices(2))), floats("y", infer.Shape{2}, 0, 0))
}

func TestOutOfMemory(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if got := ort.OutOfMemory(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	f("Status Message: std::bad_alloc", true)
	f("Status Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 4096", true)
	f("bfc_arena.cc:359 Available memory of 1024 is smaller than requested bytes of 4096", true)
	f("CUDA failure 2: out of memory ; GPU=0", true)
	f("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", true)
	f("Status Message: indices element out of data bounds, idx=7", false)
	f("Calculation for Tensor storage size overflowed", false)
	f("", false)
}

func TestPublicText(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := ort.PublicText(text); got != want {
			t.Errorf("%q\ngot  %q\nwant %q", text, got, want)
		}
	}
	const node = "Non-zero status code returned while running Reshape node. Name:'/encoder/layer.0/Reshape' Status Message: "
	f(node+"/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:45 onnxruntime::ReshapeHelper::ReshapeHelper"+
		"(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == size was false. "+
		"The input tensor cannot be reshaped to the requested shape. Input shape:{3}, requested shape:{7,7}\n",
		node+"The input tensor cannot be reshaped to the requested shape. Input shape:{3}, requested shape:{7,7}")
	f(node+"/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/gather_elements.cc:150 void onnxruntime::core_impl(const Tensor*, "+
		"int64_t, concurrency::ThreadPool*) [with Tin = long int; int64_t = long int] GatherElements op: Out of range value in index tensor",
		node+"GatherElements op: Out of range value in index tensor")
	f(node+"matmul_helper.h:59 Compute MatMul dimension mismatch (2 and 3)", node+"MatMul dimension mismatch (2 and 3)")
	f(node+"/onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 virtual OrtValue* onnxruntime::OpKernelContext::OutputMLValue"+
		"(int, const onnxruntime::TensorShape&) status.IsOK() was false. tensor.cc:57 CalculateTensorStorageSize Tensor shape.Size() must be >= 0",
		node+"Tensor shape.Size() must be >= 0")
	f("cannot open /srv/models/iris/1/weights.bin: no such file", "cannot open weights.bin: no such file")
	f("tensor 'core/providers/cpu/x' is 1/2 of input/output", "tensor 'x' is 1/2 of input/output")
	f("tensor at 0x7f3a5c001040 of Name:'0x7f3a5c001040' has 0x10 rows", "tensor at 0x… of Name:'0x7f3a5c001040' has 0x10 rows")
	f("a\tb\x00c\x1b[31m\xff  d\u202ee", "a b c [31m d e")
	f("", "")
	f(strings.Repeat("é", ort.MaxPublicText), strings.Repeat("é", ort.MaxPublicText/2)+"…")
}

func FuzzPublicText(f *testing.F) {
	f.Add("Name:'/a/b' Status Message: /x/y/z.cc:1 void a::b(int) c was false. d\n")
	f.Add("/\x00/\xff'{(")
	f.Fuzz(func(t *testing.T, text string) {
		got := ort.PublicText(text)
		if len(got) > ort.MaxPublicText+len("…") || !utf8.ValidString(got) {
			t.Errorf("%d bytes, %q", len(got), got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("not printable: %q", got)
		}
	})
}
