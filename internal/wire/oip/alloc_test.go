//go:build !race

package oip_test

import (
	"fmt"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// Decoding and encoding numeric tensors allocates nothing after the Call and the buffer have grown.
func TestNoAllocations(t *testing.T) {
	f := func(name, head, blob string) {
		t.Helper()
		body := []byte(head + blob)
		var out []byte
		c := oip.NewCall()
		got := testing.AllocsPerRun(200, func() {
			c.StickyParameter = "user"
			if err := c.Decode(body, len(head), &usual); err != nil {
				t.Fatal(err)
			}
			resp := infer.NewResponse()
			for i := range c.Inputs {
				in := &c.Inputs[i]
				copy(resp.Add("out", i, in.DType, in.Shape, len(in.Data)), in.Data)
			}
			var err error
			if out, _, err = oip.AppendResponse(out[:0], c, "m", 1, resp, oip.EncodeOptions{}); err != nil {
				t.Fatal(err)
			}
			resp.Release()
			c.Reset()
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	for _, bits := range []int{32, 64} {
		for _, dtype := range []string{"FP16", "BF16", "FP32", "FP64"} {
			f(fmt.Sprint(dtype, bits), input(dtype, "[100]", floats(100, bits)), "")
		}
	}
	f("nested", input("FP32", "[2,3]", "[[1,2.5,NaN],[1e-3,-0,1e30]]"), "")
	f("integers", input("INT64", "[4]", "[1,-9223372036854775808,9223372036854775807,0]"), "")
	f("unsigned", input("UINT64", "[2]", "[18446744073709551615,0]"), "")
	f("bools", input("BOOL", "[2]", "[true,false]"), "")
	f("strings", input("BYTES", "[2]", `["a\u00e9","b"]`), "")
	f("data first", `{"inputs":[{"data":[1,2],"datatype":"FP32","shape":[2],"name":"x"}]}`, "")
	f("sticky string", `{"parameters":{"user":"a\u00e9-0123456789"},`+input("BYTES", "[1]", `["\u00e9"]`)[1:], "")
	f("sticky number", `{"parameters":{"user":42},`+input("FP32", "[1]", "[1]")[1:], "")
	f("binary", `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],"outputs":[{"name":"y"}],"parameters":{"binary_data_output":true,"timeout":5}}`, "12345678")
}

// Classes allocate nothing either, except for a large output.
func TestClassesAllocateNothing(t *testing.T) {
	body := []byte(`{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":5}},{"name":"z"}]}`)
	shape, scores := infer.Shape{2, 100}, make([]byte, 800)
	for i := range scores {
		scores[i] = byte(i * 7)
	}
	m := infer.NewModel("m", 1, nil, []infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 100}, Labels: []string{"a"}}, {Name: "z", DType: infer.FP32}})
	c := oip.NewCall()
	if got := testing.AllocsPerRun(200, func() {
		if err := c.Decode(body, -1, &usual); err != nil {
			t.Fatal(err)
		}
		if err := m.Check(&c.Request); err != nil {
			t.Fatal(err)
		}
		resp := infer.NewResponse()
		resp.AddCopy("y", 0, infer.FP32, shape, scores)
		resp.AddCopy("z", 1, infer.FP32, shape, scores)
		if _, err := c.Classify(resp); err != nil {
			t.Fatal(err)
		}
		resp.Release()
		c.Reset()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
