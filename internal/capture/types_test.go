package capture_test

import (
	"encoding/binary"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

// elements are four elements of each datatype, with the ends of its range.
func elements() map[infer.DType][]byte {
	le := binary.LittleEndian
	var u16, u32, u64, f64, text []byte
	for _, v := range []uint64{0, 1, math.MaxInt64, math.MaxUint64} {
		u16, u32, u64 = le.AppendUint16(u16, uint16(v)), le.AppendUint32(u32, uint32(v)), le.AppendUint64(u64, v)
	}
	for _, v := range []float64{0.1, math.Inf(-1), math.NaN(), math.Copysign(0, -1)} {
		f64 = le.AppendUint64(f64, math.Float64bits(v))
	}
	for _, s := range []string{"", "é, \"x\"\n", "\xff\x00", "base64:AA=="} {
		text = infer.AppendElement(text, s)
	}
	halves := func(values ...uint16) (b []byte) {
		for _, v := range values {
			b = le.AppendUint16(b, v)
		}
		return b
	}
	return map[infer.DType][]byte{
		infer.Bool: {0, 1, 1, 0}, infer.Uint8: {0, 1, 127, 255}, infer.Int8: {0, 1, 127, 255}, infer.Uint16: u16, infer.Int16: u16,
		infer.Uint32: u32, infer.Int32: u32, infer.Uint64: u64, infer.Int64: u64, infer.FP64: f64, infer.Bytes: text,
		infer.FP32: floats(0.1, float32(math.Inf(1)), float32(math.NaN()), float32(math.Copysign(0, -1))),
		infer.FP16: halves(0x3c00, 0x7c00, 0x0001, 0x8000), infer.BF16: halves(0x3f80, 0xff80, 0x0001, 0x8000),
	}
}

// everyType is a model with an input of each datatype in each form, and the same outputs.
func everyType(batch bool) (*infer.Model, *infer.Request, *infer.Response) {
	forms := map[string]infer.Shape{"one": {}, "list": {2}, "free": {-1}}
	if batch {
		forms = map[string]infer.Shape{"one": {-1, 1}, "list": {-1, 2}, "free": {-1, -1, 1}}
	}
	var specs []infer.TensorSpec
	resp := infer.NewResponse()
	req := &infer.Request{RequestID: "r", Arrived: time.UnixMicro(1764500000123456).UTC(), Served: infer.Served{Reason: infer.ReasonDefault}}
	for d, data := range elements() {
		for _, form := range []string{"one", "list", "free"} {
			specs = append(specs, infer.TensorSpec{Name: d.String() + " " + form, DType: d, Shape: forms[form]})
			shape, n := map[string]infer.Shape{"one": {}, "list": {2}, "free": {4}}[form], map[string]int{"one": 1, "list": 2, "free": 4}[form]
			if batch {
				shape, n = map[string]infer.Shape{"one": {4, 1}, "list": {2, 2}, "free": {4, 1, 1}}[form], 4
			}
			if batch { // all have two rows
				shape, n = map[string]infer.Shape{"one": {2, 1}, "list": {2, 2}, "free": {2, 2, 1}}[form], map[string]int{"one": 2, "list": 4, "free": 4}[form]
			}
			index := len(specs) - 1
			part := first(d, data, n)
			req.Inputs = append(req.Inputs, infer.Tensor{Name: specs[index].Name, DType: d, Shape: shape, Data: part, Index: index})
			resp.AddCopy(specs[index].Name, index, d, shape, part)
		}
	}
	return infer.NewModel("every type", 3, specs, slices.Clone(specs)), req, resp
}

// first returns the first n elements.
func first(d infer.DType, data []byte, n int) []byte {
	if d.Size() > 0 {
		return data[:n*d.Size()]
	}
	rest := data
	for range n {
		_, rest, _ = infer.NextElement(rest)
	}
	return data[:len(data)-len(rest)]
}

func TestEveryType(t *testing.T) {
	f := func(batch bool, rows int) {
		t.Helper()
		dir := t.TempDir()
		if keep := os.Getenv("CAPTURE_OUT"); keep != "" && batch {
			dir = keep
		}
		s := capture.New(options(t, dir))
		model, req, resp := everyType(batch)
		tap, err := s.Tap(model, "d", all())
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, s)
		tap.Capture(req, resp, "default", time.Second)
		stop()
		got := requests(t, dir)
		if len(got) != 1 {
			t.Fatalf("%d requests", len(got))
		}
		want := &capture.Request{
			ID: "r", Time: req.Arrived, Duration: time.Second, Role: "default", Reason: "default", Rows: rows, Inputs: req.Inputs, Outputs: resp.Outputs,
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Error(diff)
		}
	}
	f(false, 1)
	f(true, 2)
}
