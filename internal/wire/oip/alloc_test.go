//go:build !race

package oip_test

import (
	"fmt"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// Decoding and encoding of numeric tensors allocate nothing once the Call and
// the buffer have grown.
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
