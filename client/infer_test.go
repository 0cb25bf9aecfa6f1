package client_test

import (
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// sent returns the request that Infer sends and its body.
func sent(t *testing.T, o client.Options, r client.InferRequest) (*http.Request, string) {
	t.Helper()
	var got *http.Request
	var body string
	c := over(o, func(req *http.Request) (*http.Response, error) {
		text, err := io.ReadAll(req.Body)
		got, body = req, string(text)
		if int64(len(text)) != req.ContentLength {
			t.Errorf("Content-Length %d for %d bytes", req.ContentLength, len(text))
		}
		return answer(http.StatusOK, `{"outputs":[]}`), err
	})
	if _, err := c.Infer(t.Context(), "iris", r); err != nil {
		t.Fatal(err)
	}
	return got, body
}

func TestInferSends(t *testing.T) {
	f := func(r client.InferRequest, o client.Options, body string) {
		t.Helper()
		_, got := sent(t, o, r)
		if diff := cmp.Diff(body, got); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
	}
	x := client.NewTensor("x", []int64{2}, []int16{1, -1})
	words := client.NewTensor("w", nil, []string{"é"})
	f(client.InferRequest{Inputs: []client.Tensor{x, words}}, client.Options{},
		`{"parameters":{"binary_data_output":true},"inputs":[`+
			`{"name":"x","shape":[2],"datatype":"INT16","parameters":{"binary_data_size":4}},`+
			`{"name":"w","shape":[],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}`+
			"\x01\x00\xff\xff\x02\x00\x00\x00é")
	f(client.InferRequest{Inputs: []client.Tensor{x, words}, JSON: true}, client.Options{},
		`{"inputs":[{"name":"x","shape":[2],"datatype":"INT16","data":[1,-1]},{"name":"w","shape":[],"datatype":"BYTES","data":["é"]}]}`)
	f(client.InferRequest{Outputs: []string{"b", "a"}, Priority: 2, Timeout: time.Nanosecond}, client.Options{},
		`{"parameters":{"priority":2,"timeout":1},"inputs":[],"outputs":[{"name":"b","parameters":{"binary_data":true}},{"name":"a","parameters":{"binary_data":true}}]}`)
	f(client.InferRequest{Outputs: []string{"a"}, StickyKey: "u1", JSON: true}, client.Options{Sticky: api.Sticky{Parameter: "user"}},
		`{"parameters":{"user":"u1"},"inputs":[],"outputs":[{"name":"a"}]}`)
	f(client.InferRequest{Inputs: []client.Tensor{client.NewTensor("x", []int64{0}, []uint8{})}, JSON: true}, client.Options{},
		`{"inputs":[{"name":"x","shape":[0],"datatype":"UINT8","data":[]}]}`)
}

func TestInferHeaders(t *testing.T) {
	req, _ := sent(t, client.Options{Sticky: api.Sticky{Header: "X-User-Id"}, Token: "of the admin port"}, client.InferRequest{
		Version: 3, RequestID: "r1", StickyKey: "u1", Override: 2, OverrideToken: "secret",
	})
	want := http.Header{
		"Accept-Encoding": {"identity"}, "Content-Type": {"application/octet-stream"}, "Inference-Header-Content-Length": {"54"},
		"X-Request-Id": {"r1"}, "X-User-Id": {"u1"}, "Sluice-Override": {"2"}, "Authorization": {"Bearer secret"},
	}
	if diff := cmp.Diff(want, req.Header); diff != "" || req.URL.Path != "/v2/models/iris/versions/3/infer" {
		t.Errorf("%s: headers (-want +got):\n%s", req.URL.Path, diff)
	}
	req, _ = sent(t, client.Options{}, client.InferRequest{JSON: true})
	want = http.Header{"Accept-Encoding": {"identity"}, "Content-Type": {"application/json"}}
	if diff := cmp.Diff(want, req.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestInferRefuses(t *testing.T) {
	f := func(r client.InferRequest, want string) {
		t.Helper()
		c := over(client.Options{Sticky: api.Sticky{Header: "X-User-Id"}}, func(*http.Request) (*http.Response, error) {
			t.Errorf("sent, want %q", want)
			return answer(http.StatusOK, `{"outputs":[]}`), nil
		})
		if _, err := c.Infer(t.Context(), "iris", r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	one := func(tensor client.Tensor, asJSON bool) client.InferRequest {
		return client.InferRequest{Inputs: []client.Tensor{tensor}, JSON: asJSON}
	}
	f(one(client.NewTensor("x", []int64{2, 2}, []float32{1, 2, 3}), false), "tensor 'x' has 12 bytes of data, which does not fit FP32 elements of shape [2 2]")
	f(one(client.NewTensor("x", []int64{-2, -2}, []bool{true, true, true, true}), false), "negative dimension")
	f(one(client.NewTensor("x", []int64{5, 3689348814741910325}, make([]uint64, 9)), false), "tensor 'x'")
	f(one(client.NewTensor("x", []int64{2}, []string{"a"}), false), "1 elements")
	f(one(client.RawTensor("x", "BYTES", []int64{1}, []byte{9, 0, 0, 0, 1}), false), "element 0 is longer than the rest")
	f(one(client.RawTensor("x", "FP8", nil, []byte{1}), false), "unknown datatype 'FP8'")
	f(one(client.RawTensor("x", "BF16", nil, []byte{1, 2}), true), "BF16 can only be sent as binary")
	f(one(client.NewTensor("x", nil, []string{"\xff"}), true), "not UTF-8")
	f(one(client.NewTensor("x", nil, []float64{math.NaN()}), true), "cannot be written as JSON")
	f(client.InferRequest{Version: -1}, "negative")
	f(client.InferRequest{Timeout: -1}, "negative")
	f(client.InferRequest{RequestID: "a\nb"}, "request id: ")
	f(client.InferRequest{StickyKey: "a\nb"}, "sticky key: ")
	f(client.InferRequest{OverrideToken: "a\n"}, "override token: ")

	c := over(client.Options{}, nil)
	if _, err := c.Infer(t.Context(), "iris", client.InferRequest{StickyKey: "u1"}); err == nil || !strings.Contains(err.Error(), "Options.Sticky") {
		t.Errorf("a key without a place gives %v", err)
	}
	if _, err := client.New(client.Options{Sticky: api.Sticky{Header: "a", Parameter: "b"}}); err == nil {
		t.Error("two places for a key are accepted")
	}
}

// decoded returns the result of Infer for an answer.
func decoded(t testing.TB, body string, headers ...string) (*client.InferResult, error) {
	t.Helper()
	c := over(client.Options{}, func(*http.Request) (*http.Response, error) {
		return answer(http.StatusOK, body, headers...), nil
	})
	return c.Infer(t.Context(), "m", client.InferRequest{})
}

func roundTrip[T client.Element](t *testing.T, values ...T) {
	t.Helper()
	in := client.NewTensor("x", []int64{int64(len(values))}, values)
	for _, asJSON := range []bool{false, true} {
		req, body := sent(t, client.Options{}, client.InferRequest{Inputs: []client.Tensor{in}, JSON: asJSON})
		body = strings.Replace(body, `"inputs"`, `"outputs"`, 1)
		var headers []string
		if length, err := strconv.Atoi(req.Header.Get("Inference-Header-Content-Length")); err == nil {
			headers = []string{"Inference-Header-Content-Length", strconv.Itoa(length + 1)}
		}
		result, err := decoded(t, body, headers...)
		if err != nil {
			t.Errorf("%T, JSON %v: %v", values, asJSON, err)
			continue
		}
		got, err := client.Output[T](result, "x")
		if diff := cmp.Diff(values, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%T, JSON %v: %v (-want +got):\n%s", values, asJSON, err, diff)
		}
	}
}

func TestEveryTypeComesBack(t *testing.T) {
	roundTrip(t, true, false)
	roundTrip[uint8](t, 0, math.MaxUint8)
	roundTrip[uint16](t, 0, math.MaxUint16)
	roundTrip[uint32](t, 0, math.MaxUint32)
	roundTrip[uint64](t, 0, math.MaxUint64)
	roundTrip[int8](t, math.MinInt8, math.MaxInt8)
	roundTrip[int16](t, math.MinInt16, math.MaxInt16)
	roundTrip[int32](t, math.MinInt32, math.MaxInt32)
	roundTrip[int64](t, math.MinInt64, math.MaxInt64)
	roundTrip[float32](t, 0.1, -math.MaxFloat32, math.SmallestNonzeroFloat32)
	roundTrip(t, 0.1, -math.MaxFloat64, math.SmallestNonzeroFloat64)
	roundTrip(t, "", "a\x00b", "漢字 \"\\")
	roundTrip(t, []byte{}, []byte("bytes"))
	roundTrip[int64](t)
	roundTrip[string](t)
}

func TestAnswersInJSON(t *testing.T) {
	f := func(text string, want ...float64) {
		t.Helper()
		result, err := decoded(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got, err := client.Output[float64](result, `NaN"`)
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	const head = `{"model_version":"7","outputs":[{"name":"NaN\"","datatype":"FP64","shape":`
	f(head+`[2,2],"data":[[1,2],[3,4.5]]}]}`, 1, 2, 3, 4.5)
	f(head+`[3],"data":[NaN, -Infinity,Infinity]}]}`, math.NaN(), math.Inf(-1), math.Inf(1))
	f(head+`[2],"data":[null,1]}]}`, math.NaN(), 1)
	result, err := decoded(t, head+`[0],"data":[]}]}`)
	if err != nil || result.Version != 7 {
		t.Errorf("%+v, %v, want the version in the body", result, err)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	f := func(body, want string, headers ...string) {
		t.Helper()
		if got, err := decoded(t, body, headers...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q %v gives %+v, %v, want %q", body, headers, got, err, want)
		}
	}
	const length = "Inference-Header-Content-Length"
	for _, bad := range []string{"-1", "x", "3", "+1", "99999999999999999999"} {
		f(`{}`, length, length, bad)
	}
	binary := func(datatype, shape, size string) string {
		return `{"outputs":[{"name":"y","datatype":"` + datatype + `","shape":` + shape + `,"parameters":{"binary_data_size":` + size + `}}]}`
	}
	f(binary("FP32", "[1]", "4"), "0 bytes are left")
	f(binary("FP32", "[1]", "-4"), "binary_data_size of -4")
	f(binary("FP32", "[1]", `"4"`), "cannot be decoded")
	doc := binary("FP32", "[1]", "4")
	f(doc+"12345", "1 unexpected bytes follow the last output", length, strconv.Itoa(len(doc)))
	doc = binary("FP32", "[4,1152921504606846978]", "4")
	f(doc+"1234", "4 bytes of data", length, strconv.Itoa(len(doc)))
	doc = binary("BYTES", "[1]", "6")
	f(doc+"\x03\x00\x00\x00ab", "longer than the rest of the data", length, strconv.Itoa(len(doc)))
	element := func(datatype, data string) string {
		return `{"outputs":[{"name":"y","datatype":"` + datatype + `","shape":[1],"data":` + data + `}]}`
	}
	f(element("INT8", "[128]"), "element 0")
	f(element("UINT8", "[-1]"), "element 0")
	f(element("INT64", "[1.0]"), "element 0")
	f(element("INT64", `["1"]`), "element 0")
	f(element("BOOL", "[1]"), "element 0")
	f(element("INT64", "[null]"), "element 0")
	f(element("BYTES", "[1]"), "element 0")
	f(element("FP32", `["1"]`), "element 0")
	f(element("FP32", `[1e39]`), "element 0")
	f(element("FP32", "[1,2]"), "8 bytes of data")
	f(element("FP32", "1"), "not an array")
	f(element("FP32", "null"), "not an array")
	f(element("FP16", "[1]"), "from binary data")
	f(element("FP32", "[NaNa]"), "cannot be decoded")
	f("<html>", "cannot be decoded")
}

// FuzzAnswer checks that a bad answer gives an error and nothing else, and that tensors of
// accepted answers have the size of their shape.
func FuzzAnswer(f *testing.F) {
	doc := `{"outputs":[{"name":"y","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":6}},{"name":"z","datatype":"FP64","shape":[1,2],"data":[[NaN,1]]}]}`
	f.Add(strconv.Itoa(len(doc)), []byte(doc+"\x02\x00\x00\x00ab"))
	f.Add("", []byte(`{"model_version":"1","outputs":[{"name":"y","datatype":"UINT8","shape":[2],"data":[0,255]}]}`))
	f.Add("2", []byte(`{}x`))
	f.Fuzz(func(t *testing.T, length string, body []byte) {
		result, err := decoded(t, string(body), "Inference-Header-Content-Length", length)
		if err != nil {
			return
		}
		for _, out := range result.Outputs {
			count := int64(1)
			for _, dim := range out.Shape {
				count *= dim
			}
			if got := elements(t, out); int64(got) != count {
				t.Errorf("%d elements of shape %v", got, out.Shape)
			}
		}
	})
}

// elements returns the number of elements of a tensor.
func elements(t *testing.T, out client.Tensor) int {
	t.Helper()
	switch out.Datatype {
	case "BOOL":
		return count[bool](t, out)
	case "BYTES":
		return count[string](t, out)
	case "UINT8", "INT8":
		return len(out.Data)
	case "UINT16", "INT16", "FP16", "BF16":
		return len(out.Data) / 2
	case "INT32", "UINT32", "FP32":
		return len(out.Data) / 4
	default:
		return len(out.Data) / 8
	}
}

func count[T client.Element](t *testing.T, out client.Tensor) int {
	t.Helper()
	list, err := client.Elements[T](out)
	if err != nil {
		t.Error(err)
	}
	return len(list)
}
