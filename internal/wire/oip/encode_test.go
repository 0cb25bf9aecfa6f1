package oip_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// response returns one output y of shape [n].
func response(t *testing.T, dtype infer.DType, n int64, data []byte) *infer.Response {
	t.Helper()
	r := infer.NewResponse()
	t.Cleanup(r.Release)
	copy(r.Add("y", 0, dtype, infer.Shape{n}, len(data)), data)
	return r
}

// encode returns the member "data" of the only output.
func encode(t *testing.T, dtype infer.DType, n int64, data []byte, opt oip.EncodeOptions) (string, error) {
	t.Helper()
	c := oip.NewCall()
	out, jsonLen, err := oip.AppendResponse([]byte("before"), c, "m", 1, response(t, dtype, n, data), opt)
	if err != nil {
		if string(out) != "before" {
			t.Errorf("an answer was left after %v: %s", err, out)
		}
		return "", err
	}
	if jsonLen != -1 {
		t.Errorf("JSON length %d of an answer without binary outputs", jsonLen)
	}
	text, ok := strings.CutPrefix(string(out), `before{"model_name":"m","model_version":"1","outputs":[{"name":"y","datatype":"`+dtype.String()+`","shape":[`+strconv.FormatInt(n, 10)+`],"data":[`)
	if !ok || !strings.HasSuffix(text, `]}]}`) {
		t.Fatalf("got %s", out)
	}
	return strings.TrimSuffix(text, `]}]}`), nil
}

func TestEncodeData(t *testing.T) {
	f := func(dtype infer.DType, want string, elements ...uint64) {
		t.Helper()
		var data []byte
		for _, e := range elements {
			data = append(data, binary.LittleEndian.AppendUint64(nil, e)[:dtype.Size()]...)
		}
		got, err := encode(t, dtype, int64(len(elements)), data, oip.EncodeOptions{})
		if err != nil || got != want {
			t.Errorf("%v: got %s %v, want %s", dtype, got, err, want)
		}
	}
	f32 := func(v float32) uint64 { return uint64(math.Float32bits(v)) }
	f(infer.FP32, "0.1,1,-0.0,0,16777216,1e-45,3.4028235e+38,0.000001,1e-7,123456790000000000000,1e+21", f32(0.1), f32(1),
		f32(float32(math.Copysign(0, -1))), 0, f32(1<<24), 1, f32(math.MaxFloat32), f32(1e-6), f32(1e-7), f32(123456789e12), f32(1e21))
	f(infer.FP32, "NaN,Infinity,-Infinity", f32(float32(math.NaN())), f32(float32(math.Inf(1))), f32(float32(math.Inf(-1))))
	f(infer.FP64, "0.1,-0.0,9007199254740992,5e-324,1e+308", math.Float64bits(0.1), 1<<63, math.Float64bits(1<<53), 1, math.Float64bits(1e308))
	f(infer.FP64, "NaN,Infinity", math.Float64bits(math.NaN()), math.Float64bits(math.Inf(1)))
	f(infer.FP16, "1.5,0.099975586,65504,-Infinity", 0x3e00, 0x2e66, 0x7bff, 0xfc00)
	f(infer.BF16, "1.5,256", 0x3fc0, 0x4380)
	f(infer.Bool, "false,true,true", 0, 1, 2)
	f(infer.Int8, "-128,127", 128, 127)
	f(infer.Int16, "-32768,32767", 1<<15, 1<<15-1)
	f(infer.Int32, "-2147483648,2147483647", 1<<31, 1<<31-1)
	f(infer.Int64, "-9223372036854775808,9223372036854775807", 1<<63, 1<<63-1)
	f(infer.Uint8, "255", 255)
	f(infer.Uint16, "65535", 65535)
	f(infer.Uint32, "4294967295", math.MaxUint32)
	f(infer.Uint64, "18446744073709551615", math.MaxUint64)
	f(infer.FP32, "")
}

func TestEncodeStrings(t *testing.T) {
	elements := []string{"a", "", "é€😀", "a\x00b\x1f\"\\/\n\r\t\x7f<&>\u2028"}
	var data []byte
	for _, e := range elements {
		data = infer.AppendElement(data, e)
	}
	got, err := encode(t, infer.Bytes, 4, data, oip.EncodeOptions{})
	want := `"a","","é€😀","a\u0000b\u001f\"\\/\n\r\t` + "\x7f<&>\u2028" + `"`
	if err != nil || got != want {
		t.Errorf("got %s %v, want %s", got, err, want)
	}
	var back []string
	if err := json.Unmarshal([]byte("["+got+"]"), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(elements, back); diff != "" {
		t.Error(diff)
	}
}

func TestEncodeNonFiniteAsNull(t *testing.T) {
	var data []byte
	for _, v := range []float64{math.NaN(), math.Inf(1), 0.5, math.Inf(-1)} {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	got, err := encode(t, infer.FP64, 4, data, oip.EncodeOptions{NonFinite: oip.NonFiniteNull})
	if err != nil || got != "null,null,0.5,null" {
		t.Errorf("got %s %v", got, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	f := func(dtype infer.DType, n int64, data []byte, want string) {
		t.Helper()
		_, err := encode(t, dtype, n, data, oip.EncodeOptions{NonFinite: oip.NonFiniteError})
		if infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	hint := "which JSON cannot carry; ask for it as binary (parameters.binary_data of the output, or parameters.binary_data_output of the request)"
	f(infer.FP32, 2, []byte{0, 0, 0, 0, 0, 0, 0xc0, 0x7f}, "output 'y': element 1 is NaN, "+hint)
	f(infer.FP64, 1, []byte{0, 0, 0, 0, 0, 0, 0xf0, 0xff}, "output 'y': element 0 is -Inf, "+hint)
	f(infer.FP16, 1, []byte{0, 0x7c}, "output 'y': element 0 is +Inf, "+hint)
	f(infer.Bytes, 2, infer.AppendElement(infer.AppendElement(nil, "ok"), "\xff\xfe"), "output 'y': element 1 is not valid UTF-8, "+hint)
}

func TestEncodeResponse(t *testing.T) {
	f := func(request, wantJSON, wantBlobs string) {
		t.Helper()
		c, err := decode(t, request, -1)
		if err != nil {
			t.Fatal(err)
		}
		r := infer.NewResponse()
		defer r.Release()
		copy(r.Add("a\"", 0, infer.Uint8, infer.Shape{1, 2}, 2), "\x01\x02")
		copy(r.Add("b", 1, infer.Int8, infer.Shape{}, 1), "\xff")
		r.Add("c", 2, infer.Bytes, infer.Shape{0}, 0)
		out, jsonLen, err := oip.AppendResponse([]byte("#"), c, "mödel\n", 3, r, oip.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		body := string(out[1:])
		if jsonLen < 0 {
			jsonLen = len(body)
		} else if wantBlobs == "" && jsonLen == len(body) && !strings.Contains(body, "binary_data_size") {
			t.Errorf("%s: a JSON length without binary outputs", request)
		}
		if body[:jsonLen] != wantJSON || body[jsonLen:] != wantBlobs {
			t.Errorf("%s\n got %s %q\nwant %s %q", request, body[:jsonLen], body[jsonLen:], wantJSON, wantBlobs)
		}
		if !json.Valid([]byte(wantJSON)) {
			t.Errorf("%s is not JSON", wantJSON)
		}
	}
	f(`{"inputs":[]}`,
		`{"model_name":"mödel\n","model_version":"3","outputs":[{"name":"a\"","datatype":"UINT8","shape":[1,2],"data":[1,2]},{"name":"b","datatype":"INT8","shape":[],"data":[-1]},{"name":"c","datatype":"BYTES","shape":[0],"data":[]}]}`, "")
	f(`{"inputs":[],"id":"é\"","parameters":{"binary_data_output":true}}`,
		`{"id":"é\"","model_name":"mödel\n","model_version":"3","outputs":[{"name":"a\"","datatype":"UINT8","shape":[1,2],"parameters":{"binary_data_size":2}},{"name":"b","datatype":"INT8","shape":[],"parameters":{"binary_data_size":1}},{"name":"c","datatype":"BYTES","shape":[0],"parameters":{"binary_data_size":0}}]}`, "\x01\x02\xff")
	f(`{"inputs":[],"outputs":[{"name":"a\""},{"name":"b","parameters":{"binary_data":true}},{"name":"c"}]}`,
		`{"model_name":"mödel\n","model_version":"3","outputs":[{"name":"a\"","datatype":"UINT8","shape":[1,2],"data":[1,2]},{"name":"b","datatype":"INT8","shape":[],"parameters":{"binary_data_size":1}},{"name":"c","datatype":"BYTES","shape":[0],"data":[]}]}`, "\xff")
}

// Encoded data decodes to the same bytes, for every datatype.
func TestRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for d := infer.Bool; d <= infer.Bytes; d++ {
		const n = 2000
		var data []byte
		for range n {
			switch d {
			case infer.Bool:
				data = append(data, byte(rng.Uint32()&1))
			case infer.Bytes:
				data = infer.AppendElement(data, string([]rune{rune(rng.IntN(0xd800)), rune(0xe000 + rng.IntN(0x110000-0xe000))}[:rng.IntN(3)]))
			default:
				data = append(data, binary.LittleEndian.AppendUint64(nil, rng.Uint64())[:d.Size()]...)
			}
		}
		text, err := encode(t, d, n, data, oip.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := decode(t, input(d.String(), "[2000]", "["+text+"]"), -1)
		if err != nil {
			t.Fatalf("%v: %v", d, err)
		}
		for i, back := 0, c.Inputs[0].Data; i < len(data); i++ {
			if data[i] != back[i] && !isNaN(d, data, i) {
				t.Fatalf("%v: byte %d became %#x, was %#x", d, i, back[i], data[i])
			}
		}
	}
}

// isNaN reports whether byte i is part of a NaN, whose payload is lost in JSON.
func isNaN(d infer.DType, data []byte, i int) bool {
	le := binary.LittleEndian
	var f float64
	switch b := data[i-i%max(1, d.Size()):]; d {
	case infer.FP16:
		f = float64(infer.FP16ToFloat32(le.Uint16(b)))
	case infer.BF16:
		f = float64(infer.BF16ToFloat32(le.Uint16(b)))
	case infer.FP32:
		f = float64(math.Float32frombits(le.Uint32(b)))
	case infer.FP64:
		f = math.Float64frombits(le.Uint64(b))
	default:
	}
	return f != f
}

func TestDocuments(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	}
	f(oip.AppendError(nil, "no 'x'\n\"\xff"), `{"error":"no 'x'\n\"`+"\ufffd"+`"}`)
	f(oip.AppendServerMetadata(nil, &oip.ServerMetadata{Name: "sluice", Version: "1.0"}), `{"name":"sluice","version":"1.0","extensions":[]}`)
	m := infer.NewModel("m", 2, []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 16}}}, []infer.TensorSpec{{Name: "y", DType: infer.Bytes}})
	doc := oip.NewModelMetadata("route", "onnxruntime_onnx", []int64{1, 2}, m)
	f(oip.AppendModelMetadata(nil, &doc), `{"name":"route","versions":["1","2"],"platform":"onnxruntime_onnx","inputs":[{"name":"x","datatype":"FP32","shape":[-1,16]}],"outputs":[{"name":"y","datatype":"BYTES","shape":[]}]}`)
	m.Outputs[0].Labels = []string{"cat", "dog"}
	doc = oip.NewModelMetadata("m", "p", nil, m)
	f(oip.AppendModelMetadata(nil, &doc), `{"name":"m","versions":[],"platform":"p","inputs":[{"name":"x","datatype":"FP32","shape":[-1,16]}],"outputs":[{"name":"y","datatype":"BYTES","shape":[],"parameters":{"labels":["cat","dog"]}}]}`)
	f(oip.AppendModelMetadata(nil, &oip.ModelMetadata{}), `{"name":"","versions":[],"platform":"","inputs":[],"outputs":[]}`)
	f(oip.AppendRepositoryIndex(nil, nil), `[]`)
	f(oip.AppendRepositoryIndex(nil, []oip.IndexEntry{{Name: "m", Version: "1", State: "READY"}, {Name: "n", State: "UNAVAILABLE", Reason: "unloaded"}}),
		`[{"name":"m","version":"1","state":"READY"},{"name":"n","state":"UNAVAILABLE","reason":"unloaded"}]`)
	f(oip.AppendStatistics(nil, nil), `{"model_stats":[]}`)
	stats := oip.ModelStatistics{Name: "m", Version: "1", BatchStats: []oip.BatchStatistics{{BatchSize: 1}}}
	zero := `{"count":0,"ns":0}`
	f(oip.AppendStatistics(nil, []oip.ModelStatistics{stats}), `{"model_stats":[{"name":"m","version":"1","last_inference":0,"inference_count":0,"execution_count":0,"inference_stats":{"success":`+zero+
		`,"fail":`+zero+`,"queue":`+zero+`,"compute_input":`+zero+`,"compute_infer":`+zero+`,"compute_output":`+zero+`,"cache_hit":`+zero+`,"cache_miss":`+zero+
		`},"response_stats":{},"batch_stats":[{"batch_size":1,"compute_input":`+zero+`,"compute_infer":`+zero+`,"compute_output":`+zero+`}],"memory_usage":[]}]}`)
}
