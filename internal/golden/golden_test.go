package golden_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/golden"
	"sluice.io/sluice/internal/infer"
)

const valid = `{"tolerance":{"absolute":0.01,"relative":0},"examples":[
 {"inputs":[{"name":"x","datatype":"FP32","shape":[2,1],"data":[[1],[2]]}],
  "outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1,2]},{"name":"label","datatype":"INT64","shape":[1],"data":[-1]},
             {"name":"big","datatype":"UINT64","shape":[1],"data":[18446744073709551615]},{"name":"s","datatype":"BYTES","shape":[1],"data":["a"]},{"name":"b","datatype":"BOOL","shape":[2],"data":[true,false]}]}]}`

func TestCompare(t *testing.T) {
	s, err := golden.Decode([]byte(valid))
	if err != nil {
		t.Fatal(err)
	}
	clone := func(change func([]infer.Tensor)) []infer.Tensor {
		list := append([]infer.Tensor{}, s.Examples[0].Outputs...)
		for i := range list {
			list[i].Data = append([]byte{}, list[i].Data...)
		}
		change(list)
		return list
	}
	for name, c := range map[string]struct {
		change func([]infer.Tensor)
		text   string
	}{
		"equal":          {func([]infer.Tensor) {}, ""},
		"close":          {func(l []infer.Tensor) { l[0].Data[0] = 1 }, ""},
		"far":            {func(l []infer.Tensor) { l[0].Data[3] = 0 }, "element 0 of output 'y'"},
		"NaN":            {func(l []infer.Tensor) { copy(l[0].Data, []byte{0, 0, 0xc0, 0x7f}) }, "NaN"},
		"another label":  {func(l []infer.Tensor) { l[1].Data[0] = 3 }, "output 'label'"},
		"another text":   {func(l []infer.Tensor) { l[3].Data[4] = 'b' }, "output 's' differs"},
		"another shape":  {func(l []infer.Tensor) { l[0].Shape = infer.Shape{2, 1} }, "expected FP32[2]"},
		"another type":   {func(l []infer.Tensor) { l[0].DType = infer.Int32 }, "is INT32"},
		"without output": {func(l []infer.Tensor) { l[0].Name = "z" }, "no output 'y'"},
	} {
		_, err := s.Compare(0, clone(c.change))
		if (err == nil) != (c.text == "") || err != nil && !strings.Contains(infer.Message(err), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                  "expected JSON",
		`{}`:                "1 to 1000 examples",
		`{"examples":[{}]}`: "inputs and outputs",
		valid + "x":         "more after",
		`{"tolerance":{"absolute":-1},"examples":[{}]}`:                                                        "tolerance",
		`{"examples":[{"inputs":[{"name":"x","datatype":"FP31"}]}]}`:                                           "datatype",
		`{"examples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[]}]}]}`:                    "negative",
		`{"examples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[2],"data":[1]}]}]}`:                    "has 1 elements",
		`{"examples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":["a"]}]}]}`:                  "expected a number",
		`{"examples":[{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1.5]}]}]}`:                  "not a valid integer",
		`{"examples":[{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":[1]}]}]}`:                   "expected text",
		`{"examples":[{"inputs":[{"name":"x","datatype":"FP32","shape":[9223372036854775807,9],"data":[]}]}]}`: "too large",
	} {
		_, err := golden.Decode([]byte(text))
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(valid))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := golden.Decode(text)
		if err != nil {
			return
		}
		for i, e := range s.Examples {
			if _, err := s.Compare(i, e.Outputs); err != nil && !strings.Contains(err.Error(), "differs") && !strings.Contains(err.Error(), "is ") && !strings.Contains(err.Error(), "no output") {
				t.Errorf("an example differs from itself: %v", err)
			}
		}
	})
}
