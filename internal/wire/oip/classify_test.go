package oip_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/compat"
	"sluice.io/sluice/internal/wire/oip"
)

// recorded are the signatures of the models in the record. Each returns its input, and "labels"
// also its negative.
func recorded() map[string]*infer.Model {
	model := func(name string, in, out infer.DType, shape infer.Shape, labels ...string) *infer.Model {
		return infer.NewModel(name, 1, []infer.TensorSpec{{Name: "x", DType: in, Shape: shape}}, []infer.TensorSpec{
			{Name: "y", DType: out, Shape: shape, Labels: labels}, {Name: "z", DType: out, Shape: shape},
		})
	}
	models := map[string]*infer.Model{}
	for _, m := range []*infer.Model{
		model("labels", infer.FP32, infer.FP32, infer.Shape{-1, 4}, "ant", "bee with space", "cat:colon"),
		model("labels_nb", infer.FP32, infer.FP32, infer.Shape{2, 4}, strings.Split("abcdefgh", "")...),
		model("labels_i32", infer.Int32, infer.Int32, infer.Shape{-1, 4}, strings.Split("abcd", "")...),
		model("bool_not", infer.Bool, infer.Bool, infer.Shape{-1, 2}),
		model("ty_uint8", infer.Uint8, infer.Uint8, infer.Shape{-1}),
		model("cast_u8", infer.Uint8, infer.Int64, infer.Shape{-1, 2}),
		model("ty_fp64", infer.FP64, infer.FP64, infer.Shape{-1}),
	} {
		models[m.Name] = m
	}
	return models
}

// respond answers like a recorded model.
func respond(c *oip.Call, m *infer.Model) *infer.Response {
	in := &c.Inputs[0]
	resp := infer.NewResponse()
	resp.ReserveFrom(c.Memory)
	for _, ref := range c.Outputs {
		spec := &m.Outputs[ref.Index]
		elements, _ := in.Shape.Elements()
		out := resp.Add(ref.Name, ref.Index, spec.DType, in.Shape, int(elements)*spec.DType.Size())
		switch {
		case spec.DType == infer.Int64 && in.DType == infer.Uint8:
			for i, v := range in.Data {
				binary.LittleEndian.PutUint64(out[8*i:], uint64(v))
			}
		case ref.Name == "z":
			for i := 0; i < len(in.Data); i += 4 {
				binary.LittleEndian.PutUint32(out[i:], binary.LittleEndian.Uint32(in.Data[i:])^(1<<31))
			}
		default:
			copy(out, in.Data)
		}
	}
	return resp
}

// classified decodes a request and encodes the answer.
func classified(t *testing.T, m *infer.Model, body string) (answer []byte, jsonLen int, err error) {
	t.Helper()
	c := oip.NewCall()
	c.Model = m.Name
	if err := c.Decode([]byte(body), -1, &usual); err != nil {
		return nil, 0, err
	}
	if err := m.Check(&c.Request); err != nil {
		return nil, 0, err
	}
	resp := respond(c, m)
	defer resp.Release()
	size, err := c.Classify(resp)
	if err != nil {
		return nil, 0, err
	}
	for i := range resp.Outputs {
		size -= len(resp.Outputs[i].Data)
	}
	if size != 0 {
		t.Errorf("the size of all outputs is wrong by %d", size)
	}
	return oip.AppendResponse(nil, c, m.Name, 1, resp, oip.EncodeOptions{})
}

// TestClassificationAsTriton replays the recorded requests with classification to models with
// labels. The answers are from Triton 2.51.
func TestClassificationAsTriton(t *testing.T) {
	rows, err := compat.Load("../../../testdata/triton-2.51-classification.jsonl")
	if err != nil || len(rows) != 26 {
		t.Fatal(len(rows), err)
	}
	for _, row := range rows {
		_, body, _ := strings.Cut(string(row.Request), "\r\n\r\n")
		switch row.Name {
		case "D.class_fp16": // Triton refuses FP16 in JSON
			continue
		case "D.class_nan": // Triton makes numbers beyond FP32 infinite, this gateway refuses them
			body = strings.NewReplacer("-1e+39", "-Infinity", "1e+39", "Infinity").Replace(body)
		}
		got, jsonLen, err := classified(t, recorded()[strings.Split(row.Path, "/")[3]], body)
		switch want := row.Answer; want.Status {
		case 200:
			if err != nil {
				t.Errorf("%s: %v", row.Name, err)
				continue
			}
			sameAnswer(t, row.Name, want, got, jsonLen)
		case 400:
			if text := string(oip.AppendError(nil, infer.Message(err))); infer.CodeOf(err) != infer.Invalid || text != string(want.Body) {
				t.Errorf("%s: %s, want %s", row.Name, text, want.Body)
			}
		default: // Triton answers 500 for a parameter of the wrong type
			if infer.CodeOf(err) != infer.Invalid {
				t.Errorf("%s: %v, want invalid", row.Name, err)
			}
		}
	}
}

// sameAnswer compares floats as FP32.
func sameAnswer(t *testing.T, name string, want compat.Answer, got []byte, jsonLen int) {
	t.Helper()
	split := func(body []byte, n int) (doc any, blobs []byte) {
		if n < 0 {
			n = len(body)
		}
		if err := json.Unmarshal(body[:n], &doc); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		return doc, body[n:]
	}
	length := -1
	if header := want.Header["Inference-Header-Content-Length"]; header != "" {
		length, _ = strconv.Atoi(header)
	}
	wantDoc, wantBlobs := split(want.Body, length)
	gotDoc, gotBlobs := split(got, jsonLen)
	same := cmp.Comparer(func(a, b float64) bool { return float32(a) == float32(b) })
	if diff := cmp.Diff(wantDoc, gotDoc, same); diff != "" || !bytes.Equal(wantBlobs, gotBlobs) {
		t.Errorf("%s: blobs %q, want %q (-want +got)\n%s", name, gotBlobs, wantBlobs, diff)
	}
}

// best returns the classes of one tensor.
func best(t *testing.T, d infer.DType, spec, shape infer.Shape, data []byte, k int, labels ...string) (infer.Shape, []string, error) {
	t.Helper()
	c := oip.NewCall()
	if err := c.Decode([]byte(`{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":`+strconv.Itoa(k)+`}}]}`), -1, &usual); err != nil {
		t.Fatal(err)
	}
	m := infer.NewModel("m", 1, nil, []infer.TensorSpec{{Name: "y", DType: d, Shape: spec, Labels: labels}})
	if err := m.Check(&c.Request); err != nil {
		return nil, nil, err
	}
	resp := infer.NewResponse()
	defer resp.Release()
	copy(resp.Add("y", 0, d, shape, len(data)), data)
	if _, err := c.Classify(resp); err != nil {
		return nil, nil, err
	}
	if len(resp.Outputs) != 1 || resp.Outputs[0].DType != infer.Bytes || resp.Outputs[0].Name != "y" {
		t.Fatalf("%+v", resp.Outputs)
	}
	return slices.Clone(resp.Outputs[0].Shape), elements(t, resp.Outputs[0].Data), nil
}

func elements(t *testing.T, data []byte) (list []string) {
	t.Helper()
	for len(data) > 0 {
		element, rest, ok := infer.NextElement(data)
		if !ok {
			t.Fatal("cut off")
		}
		list, data = append(list, string(element)), rest
	}
	return list
}

func TestClassifyDatatypes(t *testing.T) {
	f := func(d infer.DType, want string, values ...uint64) {
		t.Helper()
		var data []byte
		for _, v := range values {
			data = append(data, binary.LittleEndian.AppendUint64(nil, v)[:d.Size()]...)
		}
		_, got, err := best(t, d, infer.Shape{-1, int64(len(values))}, infer.Shape{1, int64(len(values))}, data, len(values))
		if text := strings.Join(got, " "); err != nil || text != want {
			t.Errorf("%v: %s, %v; want %s", d, text, err, want)
		}
	}
	neg := func(v int64) uint64 { return uint64(v) }
	f(infer.Int8, "127:1 0:2 -128:0", neg(-128), 127, 0)
	f(infer.Int16, "32767:1 0:2 -32768:0", neg(-32768), 32767, 0)
	f(infer.Int32, "2147483647:1 0:2 -2147483648:0", neg(math.MinInt32), math.MaxInt32, 0)
	f(infer.Int64, "9223372036854775807:0 9223372036854775806:1 -9223372036854775808:2", math.MaxInt64, math.MaxInt64-1, 1<<63)
	f(infer.Uint8, "255:1 128:2 127:0", 127, 255, 128)
	f(infer.Uint16, "65535:1 1:0", 1, 65535)
	f(infer.Uint32, "4294967295:1 1:0", 1, math.MaxUint32)
	f(infer.Uint64, "18446744073709551615:1 9223372036854775808:2 1:0", 1, math.MaxUint64, 1<<63)
	f(infer.FP16, "1.500000:0 0.099976:1 -inf:2", 0x3e00, 0x2e66, 0xfc00)
	f(infer.BF16, "256.000000:1 1.500000:0", 0x3fc0, 0x4380)
	f32 := func(v float64) uint64 { return uint64(math.Float32bits(float32(v))) }
	f(infer.FP32, "inf:4 0.700000:0 0.000000:1 -0.000000:2 -0.500000:5 -inf:3 nan:6 nan:7",
		f32(0.7), f32(0), f32(math.Copysign(0, -1)), f32(math.Inf(-1)), f32(math.Inf(1)), f32(-0.5), f32(math.NaN()), f32(math.NaN())|1<<31)
	f(infer.FP64, "0.000000:1 0.000000:0", math.Float64bits(1e-300), math.Float64bits(2e-300))
	_, got, err := best(t, infer.FP64, infer.Shape{1}, infer.Shape{1}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(-math.MaxFloat64)), 1)
	if err != nil || len(got[0]) != len("-")+309+len(".000000:0") {
		t.Errorf("%q, %v", got, err)
	}
	for _, d := range []infer.DType{infer.Bool, infer.Bytes} {
		_, _, err := best(t, d, infer.Shape{1}, infer.Shape{1}, nil, 1)
		if want := "class result not available for output due to unsupported type '" + d.String() + "'"; infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
			t.Errorf("%v: %v", d, err)
		}
	}
}

func TestClassifyShapes(t *testing.T) {
	f := func(spec, shape infer.Shape, k int, wantShape infer.Shape, want ...string) {
		t.Helper()
		n, _ := shape.Elements()
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(i)
		}
		got, list, err := best(t, infer.Uint8, spec, shape, data, k, "a", "", "c")
		if err != nil || !got.Equal(wantShape) || !slices.Equal(list, want) {
			t.Errorf("%v of %v: %v %q, %v; want %v %q", shape, spec, got, list, err, wantShape, want)
		}
	}
	f(infer.Shape{-1, 3}, infer.Shape{2, 3}, 2, infer.Shape{2, 2}, "2:2:c", "1:1", "5:2:c", "4:1")
	f(infer.Shape{-1, -1}, infer.Shape{1, 3}, 9, infer.Shape{1, 3}, "2:2:c", "1:1", "0:0:a")
	f(infer.Shape{2, 3}, infer.Shape{2, 3}, 2, infer.Shape{2}, "5:5", "4:4")
	f(infer.Shape{-1, 2, 2}, infer.Shape{2, 2, 2}, 1, infer.Shape{2, 1}, "3:3", "7:3")
	f(infer.Shape{-1}, infer.Shape{3}, 1, infer.Shape{1}, "2:2:c")
	f(nil, infer.Shape{}, 5, infer.Shape{1}, "0:0:a")
	f(nil, infer.Shape{2, 1}, 1, infer.Shape{2, 1}, "0:0:a", "1:0:a") // the file has no shape
	f(infer.Shape{-1, 3}, infer.Shape{0, 3}, 2, infer.Shape{0, 2})
	f(infer.Shape{-1, -1}, infer.Shape{2, 0}, 2, infer.Shape{2, 0})
	f(infer.Shape{-1}, infer.Shape{0}, 2, infer.Shape{0})
}

// The heap selects the same elements as sorting.
func TestClassifyRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // test data
	for range 200 {
		n, k := 1+rng.IntN(200), 1+rng.IntN(200)
		data := make([]byte, n)
		order := make([]int, n)
		for i := range data {
			data[i], order[i] = byte(rng.IntN(20)), i
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(data[b]) - int(data[a]) })
		want := make([]string, min(n, k))
		for i := range want {
			want[i] = strconv.Itoa(int(data[order[i]])) + ":" + strconv.Itoa(order[i])
		}
		if _, got, err := best(t, infer.Uint8, infer.Shape{-1, int64(n)}, infer.Shape{1, int64(n)}, data, k); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%d of %v: %q, %v; want %q", k, data, got, err, want)
		}
	}
}

// The memory for classes is reserved before it is allocated, and returned.
func TestClassesAreReserved(t *testing.T) {
	const n, k = 100_000, 50_000
	label := strings.Repeat("x", 100)
	m := infer.NewModel("m", 1, nil, []infer.TensorSpec{{Name: "y", DType: infer.Uint8, Shape: infer.Shape{-1, n}, Labels: slices.Repeat([]string{label}, n)}})
	run := func(memory *ledger) (held int, err error) {
		c := oip.NewCall()
		c.Memory = memory
		if err := c.Decode([]byte(`{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":50000}}]}`), -1, &usual); err != nil {
			t.Fatal(err)
		}
		if err := m.Check(&c.Request); err != nil {
			t.Fatal(err)
		}
		resp := infer.NewResponse()
		resp.ReserveFrom(memory)
		resp.Add("y", 0, infer.Uint8, infer.Shape{1, n}, n)
		size, err := c.Classify(resp)
		held = memory.held
		if err == nil && (held < size+16*k || held > 2*size) {
			t.Errorf("%d bytes are reserved for classes of %d", held, size)
		}
		resp.Release()
		c.Reset()
		if memory.held != 0 {
			t.Errorf("%d bytes are never given back", memory.held)
		}
		return held, err
	}
	held, err := run(&ledger{limit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{n + 1000, held - 1000} { // no room for the selection; no room for the text
		if _, err := run(&ledger{limit: limit}); infer.CodeOf(err) != infer.Overloaded {
			t.Errorf("%d bytes: %v", limit, err)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("\x00\x00\x80\x3f\x00\x00\x80\x7f\xff\xff\xff\xff\x00\x00\x00\x80"), uint8(infer.FP32), uint8(3), uint8(2))
	f.Add([]byte("abc"), uint8(infer.Int8), uint8(1), uint8(9))
	f.Fuzz(func(t *testing.T, data []byte, dtype, rows, k uint8) {
		d := infer.DType(dtype)
		if d <= infer.Bool || d >= infer.Bytes || rows == 0 || k == 0 {
			return
		}
		classes := len(data) / d.Size() / int(rows)
		shape := infer.Shape{int64(rows), int64(classes)}
		got, list, err := best(t, d, infer.Shape{-1, -1}, shape, data[:classes*int(rows)*d.Size()], int(k), "a", "b")
		want := min(int(k), classes)
		if err != nil || !got.Equal(infer.Shape{int64(rows), int64(want)}) || len(list) != int(rows)*want {
			t.Fatalf("%v %q, %v", got, list, err)
		}
		for row := range int(rows) {
			last, seen := math.Inf(1), map[string]bool{}
			for _, text := range list[row*want : (row+1)*want] {
				parts := strings.Split(text, ":")
				value, err := strconv.ParseFloat(parts[0], 64)
				if err != nil || value > last || seen[parts[1]] {
					t.Fatalf("row %d: %q", row, list)
				}
				seen[parts[1]] = true
				if !math.IsNaN(value) {
					last = value
				}
			}
		}
	})
}

func TestClassifyLimits(t *testing.T) {
	before := usual.MaxClassified
	defer func() { usual.MaxClassified = before }()
	usual.MaxClassified = 5
	_, _, err := best(t, infer.Uint8, infer.Shape{-1, 3}, infer.Shape{2, 3}, make([]byte, 6), 1)
	if want := "output 'y' has shape [2,3]; classification takes at most 5 elements, ask for the values"; infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
		t.Error(err)
	}
}
