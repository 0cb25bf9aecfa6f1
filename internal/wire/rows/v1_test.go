package rows_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/rows"
)

// elements returns the elements of the only input of a V1 body.
func elements(t *testing.T, body string, o *rows.Options) []string {
	t.Helper()
	frame, err := rows.DecodeV1([]byte(body), o)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var list []string
	for rest := frame.Inputs[0].Data; len(rest) > 0; {
		element, after, ok := infer.NextElement(rest)
		if !ok {
			t.Fatalf("%s: an element is cut off", body)
		}
		list, rest = append(list, string(element)), after
	}
	return list
}

func TestV1Base64(t *testing.T) {
	o := options(model(spec("x", infer.Bytes, -1)))
	f := func(body string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, elements(t, body, o)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	f(`{"instances":[{"b64":"AP8="},"text",{"b64":""}]}`, "\x00\xff", "text", "")
	f(`{"instances":[{"x":{"b64":"AP8="}},{"x":"text"}]}`, "\x00\xff", "text")
	f(`{"inputs":[{"b64":"aGVsbG8="}]}`, "hello")
	f(`{"inputs":{"x":[{"b64":"aGVsbG8="},"ä\n"]}}`, "hello", "ä\n")
	f(`{"instances":[{"b64":"\/\u002f8="}]}`, "\xff\xff") // PHP writes a slash like this
	wide := options(model(spec("x", infer.Bytes, -1, 2)))
	if diff := cmp.Diff([]string{"a", "b"}, elements(t, `{"instances":[["a",{"b64":"Yg=="}]]}`, wide)); diff != "" {
		t.Error(diff)
	}
	// An input with the name b64 takes precedence.
	named := options(model(spec("b64", infer.Bytes, -1)))
	if diff := cmp.Diff([]string{"Yg=="}, elements(t, `{"instances":[{"b64":"Yg=="}]}`, named)); diff != "" {
		t.Error(diff)
	}
}

func TestV1Refuses(t *testing.T) {
	o := options(model(spec("x", infer.Bytes, -1)))
	for body, want := range map[string]string{
		`{"instances":["a",{"b64":"A"}]}`:             "row 1, value 0 of input 'x': 'b64' is not valid base64",
		`{"instances":["a",{"b64":1}]}`:               "row 1, input 'x': 'b64' must be a string, got 1",
		`{"instances":["a",{"b64":"AA==","c":1}]}`:    "expected a value, or an object with the only key 'b64'",
		`{"instances":["a",{"b64":"","b64":"AA=="}]}`: "expected a value, or an object with the only key 'b64'",
		`{"instances":["a",{}]}`:                      "expected a value, or an object with the key 'b64'",
		`{"instances":["a",{"b64":["AA=="]}]}`:        "expected a value, found '['",
		`{"instances":{"b64":"AA=="}}`:                "a list of rows in 'instances'",
		`{"inputs":{"b64":"AA=="}}`:                   "column 'b64' must be a list",
		`{"dataframe_records":[]}`:                    "expected 'instances' (rows) or 'inputs' (columns)",
		`[]`:                                          "expected an object, found '['",
	} {
		if _, err := rows.DecodeV1([]byte(body), o); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	if _, err := rows.DecodeV1([]byte(`{"instances":[{"b64":"AAAA"}]}`), options(model(spec("x", infer.FP32, -1)))); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("base64 for a number: %v", err)
	}
	// The other forms do not have base64.
	if _, err := rows.DecodeJSON([]byte(`[["a"],[{"b64":"AA=="}]]`), o); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("base64 outside of V1: %v", err)
	}
}

// The memory for an escaped element is reserved, and returned.
func TestV1ReservesMemory(t *testing.T) {
	o := options(model(spec("x", infer.Bytes, -1)))
	body := `{"instances":["` + strings.Repeat("a", 1000) + `",{"b64":"` + strings.Repeat(`\/`, 1000) + `"}]}`
	held := &memory{limit: 1 << 20}
	o.Memory = held
	frame, err := rows.DecodeV1([]byte(body), o)
	if err != nil || held.held < 1000+750+2000 {
		t.Fatalf("%d bytes, %v", held.held, err)
	}
	if frame.Release(); held.held != 0 {
		t.Errorf("%d bytes are left", held.held)
	}
	o.Memory = &memory{limit: held.most - 1}
	if _, err := rows.DecodeV1([]byte(body), o); err == nil {
		t.Error("no error without memory")
	}
}

// answerOf returns a response with outputs, each with its data.
func answerOf(outputs ...infer.Tensor) *infer.Response {
	resp := infer.NewResponse()
	for i, t := range outputs {
		copy(resp.Add(t.Name, i, t.DType, t.Shape, len(t.Data)), t.Data)
	}
	return resp
}

func TestV1Answers(t *testing.T) {
	y := infer.Tensor{Name: "y", DType: infer.FP32, Shape: infer.Shape{2, 1}, Data: floats(1.5, 2)}
	flat := infer.Tensor{Name: "flat", DType: infer.FP32, Shape: infer.Shape{2}, Data: floats(3, 4)}
	image := infer.Tensor{Name: "image_bytes", DType: infer.Bytes, Shape: infer.Shape{2}, Data: texts("\x00\xff", "")}
	scalar := infer.Tensor{Name: "s", DType: infer.Int64, Shape: infer.Shape{}, Data: int64s(9)}
	empty := infer.Tensor{Name: "e", DType: infer.FP32, Shape: infer.Shape{2, 0}}
	f := func(wantRows, wantColumns string, outputs ...infer.Tensor) {
		t.Helper()
		resp := answerOf(outputs...)
		defer resp.Release()
		a := &rows.Answer{Rows: 2, Bare: true, V1: true, Grow: func(buf []byte, n int) ([]byte, error) { // exactly the requested room
			return append(make([]byte, 0, len(buf)+n), buf...), nil
		}}
		got, err := rows.AppendPredictions([]byte("> "), resp, a)
		if err != nil {
			got = append(got, infer.CodeOf(err).String()...)
		}
		if string(got) != "> "+wantRows {
			t.Errorf("%s, want %s", got, wantRows)
		}
		if got, err := rows.AppendOutputs([]byte("> "), resp, a); err != nil || string(got) != "> "+wantColumns {
			t.Errorf("%s, %v, want %s", got, err, wantColumns)
		}
	}
	f(`{"predictions":[[1.5],[2]]}`, `{"outputs":[[1.5],[2]]}`, y)
	f(`{"predictions":[3,4]}`, `{"outputs":[3,4]}`, flat)
	f(`{"predictions":[{"y":[1.5],"flat":3},{"y":[2],"flat":4}]}`, `{"outputs":{"y":[[1.5],[2]],"flat":[3,4]}}`, y, flat)
	f(`{"predictions":[{"b64":"AP8="},{"b64":""}]}`, `{"outputs":[{"b64":"AP8="},{"b64":""}]}`, image)
	f(`unsupported`, `{"outputs":9}`, scalar)
	f(`{"predictions":[[],[]]}`, `{"outputs":[[],[]]}`, empty)
}

func TestV1AnswerIsRefused(t *testing.T) {
	a := &rows.Answer{Rows: 1, V1: true, NonFinite: rows.NonFiniteError, Grow: func(buf []byte, n int) ([]byte, error) {
		if len(buf)+n > 64 {
			return buf, infer.Errorf(infer.TooLarge, "too large")
		}
		return append(make([]byte, 0, len(buf)+n), buf...), nil
	}}
	for want, output := range map[infer.Code]infer.Tensor{
		infer.Invalid:  {Name: "s", DType: infer.Bytes, Shape: infer.Shape{1}, Data: texts("\xff")},
		infer.TooLarge: {Name: "s_bytes", DType: infer.Bytes, Shape: infer.Shape{1}, Data: texts(strings.Repeat("x", 100))},
	} {
		resp := answerOf(output)
		if got, err := rows.AppendOutputs([]byte("> "), resp, a); infer.CodeOf(err) != want || string(got) != "> " {
			t.Errorf("%q, %v, want %v", got, err, want)
		}
		if got, err := rows.AppendPredictions([]byte("> "), resp, a); infer.CodeOf(err) != want || string(got) != "> " {
			t.Errorf("%q, %v, want %v", got, err, want)
		}
		resp.Release()
	}
}
