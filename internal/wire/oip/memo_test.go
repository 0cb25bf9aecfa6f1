package oip_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/wire/oip"
)

// A used Call must decode a document like a new one, whatever it decoded before and whatever was
// done with the request.
func TestDecodeAgain(t *testing.T) {
	bin := func(members, shape string) string {
		return fmt.Sprintf(`{%s"inputs":[{"name":"x","shape":%s,"datatype":"FP32","parameters":{"binary_data_size":8}},`+
			`{"name":"y","shape":[2],"datatype":"BOOL","parameters":{"binary_data_size":2}}]}`, members, shape)
	}
	type body struct{ text, data, sticky string }
	good := "\x00\x00\x80\x3f\x00\x00\x00\x40\x01\x00"
	bodies := []body{
		{bin("", "[2]"), good, ""},
		{bin("", "[2]"), "\x00\x00\x80\x40\x00\x00\x00\x41\x00\x01", ""}, // other data
		{bin("", "[2]"), good[:9], ""},                                   // too short
		{bin("", "[2]"), "\x00\x00\x80\x3f\x00\x00\x00\x40\x07\x00", ""}, // a BOOL of 7, which is copied
		{bin("", "[1,2]"), good, ""},
		{bin(`"id":"7","parameters":{"priority":1,"timeout":5000,"binary_data_output":true},"outputs":[{"name":"z","parameters":{"binary_data":false}}],`, "[2]"), good, ""},
		{bin(`"parameters":{"user":"alice"},`, "[2]"), good, "user"},
		{bin(`"parameters":{"user":"alice"},`, "[2]"), good, ""},
		{input("FP32", "[2]", "[1,2]"), "", ""},
		{bin("", "[2"), good, ""},
	}
	used := oip.NewCall()
	for round := range 4 {
		for i := range bodies {
			for range 2 {
				b := bodies[(i*(round+1))%len(bodies)]
				fresh := oip.NewCall()
				fresh.StickyParameter, used.StickyParameter = b.sticky, b.sticky
				whole := []byte(b.text + b.data)
				want, got := fresh.Decode(whole, len(b.text), &usual), used.Decode(whole, len(b.text), &usual)
				if fmt.Sprint(want) != fmt.Sprint(got) {
					t.Fatalf("%s: %v, at first %v", b.text, got, want)
				}
				if diff := cmp.Diff(fresh.Request, used.Request, cmpopts.EquateEmpty()); want == nil && diff != "" {
					t.Errorf("%s: (-at first +again)\n%s", b.text, diff)
				}
				for j := range 2 {
					if fresh.BinaryOutput(j) != used.BinaryOutput(j) {
						t.Errorf("%s: output %d is binary: %v", b.text, j, used.BinaryOutput(j))
					}
				}
				for j := range used.Inputs { // like the router
					used.Inputs[j].Index = 9
				}
				if n := len(used.Inputs); n > 1 {
					used.Inputs[0], used.Inputs[1] = used.Inputs[1], used.Inputs[0]
				}
				clear(used.Outputs)
				used.Reset()
			}
		}
	}
}
