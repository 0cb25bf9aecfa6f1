package oip_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/oip"
)

var usual = limits.Tensors()

// input is a request with one input x.
func input(dtype, shape, data string) string {
	return fmt.Sprintf(`{"inputs":[{"name":"x","shape":%s,"datatype":"%s","data":%s}]}`, shape, dtype, data)
}

func decode(t *testing.T, body string, jsonLen int) (*oip.Call, error) {
	t.Helper()
	c := oip.NewCall()
	return c, c.Decode([]byte(body), jsonLen, &usual)
}

// values shows a tensor's elements as text.
func values(t *infer.Tensor) []string {
	le := binary.LittleEndian
	var list []string
	for b := t.Data; len(b) > 0; {
		var v any
		size := t.DType.Size()
		switch t.DType { //nolint:exhaustive // there is no tensor of the zero datatype
		case infer.Bool, infer.Uint8:
			v = b[0]
		case infer.Int8:
			v = int8(b[0])
		case infer.Uint16:
			v = le.Uint16(b)
		case infer.Int16:
			v = int16(le.Uint16(b))
		case infer.FP16:
			v = infer.FP16ToFloat32(le.Uint16(b))
		case infer.BF16:
			v = infer.BF16ToFloat32(le.Uint16(b))
		case infer.Uint32:
			v = le.Uint32(b)
		case infer.Int32:
			v = int32(le.Uint32(b))
		case infer.FP32:
			v = math.Float32frombits(le.Uint32(b))
		case infer.Uint64:
			v = le.Uint64(b)
		case infer.Int64:
			v = int64(le.Uint64(b))
		case infer.FP64:
			v = math.Float64frombits(le.Uint64(b))
		case infer.Bytes:
			element, rest, _ := infer.NextElement(b)
			list = append(list, string(element))
			b = rest
			continue
		}
		list = append(list, fmt.Sprint(v))
		b = b[size:]
	}
	return list
}

func TestDecodeData(t *testing.T) {
	f := func(dtype, shape, data string, want ...string) {
		t.Helper()
		c, err := decode(t, input(dtype, shape, data), -1)
		if err != nil {
			t.Errorf("%s %s: %v", dtype, data, err)
			return
		}
		if diff := cmp.Diff(want, values(&c.Inputs[0])); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", dtype, data, diff)
		}
		if got := c.Inputs[0].Shape.String(); got != shape {
			t.Errorf("shape %s, want %s", got, shape)
		}
	}
	f("FP32", "[5]", "[1,2.5,-0.0,1e-45,3.4028235e38]", "1", "2.5", "-0", "1e-45", "3.4028235e+38")
	f("FP32", "[3]", "[ 16777217 , 0.1,\n1E2]", "1.6777216e+07", "0.1", "100")
	f("FP32", "[4]", "[NaN,Infinity,-Infinity,1e-400]", "NaN", "+Inf", "-Inf", "0")
	f("FP32", "[2,2]", "[[null,1],[2, null ]]", "NaN", "1", "2", "NaN") // missing values
	f("FP32", "[1]", "[0."+strings.Repeat("1", 500)+"]", "0.11111111")
	f("FP32", "[2,2]", "[1,2,3,4]", "1", "2", "3", "4")
	f("FP32", "[2,2]", "[[1,2],[3,4]]", "1", "2", "3", "4")
	f("FP32", "[2,1,2]", "[[[1,2]],[[3,4]]]", "1", "2", "3", "4")
	f("FP32", "[]", "[7]", "7")
	f("FP32", "[0]", "[]")
	f("FP32", "[0,5]", "[]")
	f("FP32", "[2,0]", "[]")
	f("FP32", "[2,0]", "[[],[]]")
	f("FP32", "[67108864,0]", "[]")
	f("FP64", "[6]", "[0.1,1e308,5e-324,-0.0,1,9007199254740993]", "0.1", "1e+308", "5e-324", "-0", "1", "9.007199254740992e+15")
	f("FP64", "[2]", "[null,1]", "NaN", "1")
	f("FP64", "[3]", "[-Infinity,NaN,0.30000000000000004]", "-Inf", "NaN", "0.30000000000000004")
	f("FP16", "[5]", "[1.5,-2,65504,0.1,6e-8]", "1.5", "-2", "65504", "0.099975586", "5.9604645e-08")
	// 2049 is the middle of two halves. A number close to it rounds to its side.
	f("FP16", "[4]", "[2049,2049.0000000000000000001,2048.9999999999999999999,2051]", "2048", "2050", "2048", "2052")
	f("FP16", "[3]", "[65519.99999999999999999999,1e-400,-1e-400]", "65504", "0", "-0")
	f("FP16", "[1]", "[null]", "NaN")
	f("FP16", "[3]", "[NaN,Infinity,-Infinity]", "NaN", "+Inf", "-Inf")
	f("BF16", "[3]", "[1.5,3.3e38,257]", "1.5", "3.2964854e+38", "256")
	f("BF16", "[2]", "[257.00000000000000000000001,-257.00000000000000000000001]", "258", "-258")
	f("INT8", "[2]", "[-128,127]", "-128", "127")
	f("INT16", "[2]", "[-32768,32767]", "-32768", "32767")
	f("INT32", "[2]", "[-2147483648,2147483647]", "-2147483648", "2147483647")
	f("INT64", "[3]", "[-9223372036854775808,9223372036854775807,9007199254740993]", "-9223372036854775808", "9223372036854775807", "9007199254740993")
	f("UINT8", "[3]", "[0,255,-0]", "0", "255", "0")
	f("UINT16", "[1]", "[65535]", "65535")
	f("UINT32", "[1]", "[4294967295]", "4294967295")
	f("UINT64", "[2]", "[18446744073709551615,9007199254740993]", "18446744073709551615", "9007199254740993")
	f("BOOL", "[2]", "[true,false]", "1", "0")
	f("BYTES", "[4]", `["a","","\u00e9\u20ac\ud83d\ude00","é€😀\/\b\f\n\r\t\"\\"]`, "a", "", "é€😀", "é€😀/\b\f\n\r\t\"\\")
	f("BYTES", "[1]", `["a\u0000b"]`, "a\x00b")
	f("BYTES", "[2,1]", `[["a"],["b"]]`, "a", "b")
	f("BYTES", "[0]", `[]`)
}

func TestDecodeRequest(t *testing.T) {
	f := func(body string, want infer.Request) {
		t.Helper()
		c, err := decode(t, body, -1)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			return
		}
		got := c.Request
		got.Inputs = nil
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	var req infer.Request
	f(`{"inputs":[]}`, req)
	f("\ufeff \t{\"inputs\":[]}\r\n ", req)
	f(`{"inputs":[],"outputs":[],"parameters":{}}`, req)
	f(`{"x":[{"y":[null,true,1.5e3,"\u00e9"]}],"inputs":[],"model_name":"other"}`, req)
	f(`{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"foo":{},"parameters":null}]}`, req)
	f(`{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"parameters":{"foo":1}}]}`, req)
	f(`{"inputs":[],"parameters":{"a":1,"b":-1,"c":1.5,"d":"x","e":true,"":1,"f":9223372036854775808,"g":1180591620717411303424}}`, req)
	req.ID = "é\"\\\n"
	f(`{"id":"\u00e9\"\\\n","inputs":[]}`, req)
	req.ID = ""
	f(`{"id":"","inputs":[]}`, req)
	req.Priority, req.Timeout = 3, time.Second
	f(`{"inputs":[],"parameters":{"priority":3,"timeout":1000000}}`, req)
	req.Priority, req.Timeout = 0, math.MaxInt64/1000*1000
	f(`{"inputs":[],"parameters":{"priority":0,"timeout":18446744073709551615}}`, req)
	req.Timeout = 0
	req.Outputs = []infer.OutputRef{{Name: "a"}, {Name: "b"}}
	f(`{"inputs":[],"outputs":[{"name":"a"},{"parameters":{"foo":"bar","classification":0},"name":"b"}]}`, req)
	req.Outputs = []infer.OutputRef{{Name: "a", Classes: 3}, {Name: "b", Classes: math.MaxInt32}}
	f(`{"inputs":[],"outputs":[{"name":"a","parameters":{"classification":3}},{"parameters":{"classification":18446744073709551615},"name":"b"}]}`, req)
}

// Members may come in any order, also data before shape and datatype.
func TestDecodeOrder(t *testing.T) {
	members := []string{`"name":"x"`, `"shape":[2,1]`, `"datatype":"FP32"`, `"data":[[1.5],[NaN]]`, `"parameters":{"a":1}`}
	for i := range members {
		for j := range members {
			members[i], members[j] = members[j], members[i]
			c, err := decode(t, `{"inputs":[{`+strings.Join(members, ",")+`}],"id":"7"}`, -1)
			if err != nil {
				t.Fatalf("%v: %v", members, err)
			}
			if diff := cmp.Diff([]string{"1.5", "NaN"}, values(&c.Inputs[0])); diff != "" || c.ID != "7" {
				t.Errorf("%v (-want +got):\n%s", members, diff)
			}
		}
	}
}

func TestDecodeBinaryOutput(t *testing.T) {
	f := func(body string, want ...bool) {
		t.Helper()
		c, err := decode(t, body, -1)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got := c.BinaryOutput(i); got != want[i] {
				t.Errorf("%s: output %d is %v, want %v", body, i, got, want[i])
			}
		}
	}
	f(`{"inputs":[]}`, false, false)
	f(`{"inputs":[],"parameters":{"binary_data_output":true}}`, true, true)
	f(`{"inputs":[],"parameters":{"binary_data_output":false}}`, false)
	f(`{"inputs":[],"outputs":[{"name":"a","parameters":{"binary_data":false}},{"name":"b"}],"parameters":{"binary_data_output":true}}`, false, true)
	f(`{"inputs":[],"outputs":[{"name":"a","parameters":{"binary_data":true}},{"name":"b","parameters":null}]}`, true, false)
}
