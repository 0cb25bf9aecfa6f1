package oip_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// sticky is the name of the parameter with the key.
const sticky = "user"

// token marks bare NaNs and infinities of the text.
const token = "\U0010ffff"

// plainJSON returns text in a form for encoding/json: without the byte order mark, and with marked
// strings instead of the bare tokens.
func plainJSON(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	var out []byte
	for i := 0; i < len(text); {
		if text[i] == '"' {
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(len(text), end+1)
			out = append(out, text[i:end]...)
			i = end
			continue
		}
		found := false
		for _, t := range []string{"NaN", "-Infinity", "Infinity"} {
			if bytes.HasPrefix(text[i:], []byte(t)) {
				out = append(out, '"')
				out = append(out, token+t...)
				out = append(out, '"')
				i += len(t)
				found = true
				break
			}
		}
		if !found {
			out = append(out, text[i])
			i++
		}
	}
	return out
}

// reference decodes an accepted request in a slow, simple way.
func reference(t *testing.T, text []byte) infer.Request {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(plainJSON(text)))
	dec.UseNumber()
	var raw map[string]any
	if err := dec.Decode(&raw); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var req infer.Request
	req.ID, _ = raw["id"].(string)
	if params, ok := raw["parameters"].(map[string]any); ok {
		if n, ok := params["priority"].(json.Number); ok {
			p, _ := strconv.Atoi(n.String())
			req.Priority = p
		}
		switch key := params[sticky].(type) {
		case string:
			req.StickyKey = key
		case json.Number:
			req.StickyKey = key.String()
		case bool:
			req.StickyKey = strconv.FormatBool(key)
		}
	}
	for _, v := range raw["inputs"].([]any) {
		in := v.(map[string]any)
		tensor := infer.Tensor{Name: in["name"].(string), Shape: infer.Shape{}}
		tensor.DType, _ = infer.ParseDType(in["datatype"].(string))
		for _, d := range in["shape"].([]any) {
			n, err := strconv.ParseInt(d.(json.Number).String(), 10, 64)
			if err != nil {
				t.Fatalf("%s: dimension %v", text, d)
			}
			tensor.Shape = append(tensor.Shape, n)
		}
		if data, ok := in["data"]; ok {
			tensor.Data = referenceData(t, nil, tensor.DType, data)
		}
		req.Inputs = append(req.Inputs, tensor)
	}
	outputs, _ := raw["outputs"].([]any)
	for _, v := range outputs {
		output := v.(map[string]any)
		ref := infer.OutputRef{Name: output["name"].(string)}
		parameters, _ := output["parameters"].(map[string]any)
		if n, ok := parameters["classification"].(json.Number); ok {
			classes, err := strconv.ParseUint(n.String(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ref.Classes = int(min(classes, math.MaxInt32))
		}
		req.Outputs = append(req.Outputs, ref)
	}
	return req
}

func referenceData(t *testing.T, dst []byte, d infer.DType, v any) []byte {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			dst = referenceData(t, dst, d, e)
		}
		return dst
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	case string:
		name, ok := strings.CutPrefix(v, token)
		if d == infer.Bytes {
			return infer.AppendElement(dst, v)
		}
		if !ok {
			t.Fatalf("a string %q in %v", v, d)
		}
		f, _ := strconv.ParseFloat(name, 64)
		return referenceFloat(dst, d, f)
	case nil:
		return referenceFloat(dst, d, math.NaN())
	case json.Number:
		return referenceNumber(t, dst, d, v.String())
	default:
		t.Fatalf("%v in %v", v, d)
		return nil
	}
}

func referenceFloat(dst []byte, d infer.DType, f float64) []byte {
	le := binary.LittleEndian
	switch d {
	case infer.FP16:
		return le.AppendUint16(dst, infer.Float32ToFP16(float32(f)))
	case infer.BF16:
		return le.AppendUint16(dst, infer.Float32ToBF16(float32(f)))
	case infer.FP32:
		return le.AppendUint32(dst, math.Float32bits(float32(f)))
	default:
		return le.AppendUint64(dst, math.Float64bits(f))
	}
}

func referenceNumber(t *testing.T, dst []byte, d infer.DType, text string) []byte {
	t.Helper()
	le := binary.LittleEndian
	switch d {
	case infer.FP16, infer.BF16: // FuzzFloat compares these with exact arithmetic
		return append(dst, 0, 0)
	case infer.FP32:
		f, err := strconv.ParseFloat(text, 32)
		if err != nil {
			t.Fatal(err)
		}
		return le.AppendUint32(dst, math.Float32bits(float32(f)))
	case infer.FP64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return le.AppendUint64(dst, math.Float64bits(f))
	default:
	}
	n, ok := new(big.Int).SetString(text, 10)
	low, high := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(8*d.Size()))
	if d >= infer.Int8 && d <= infer.Int64 {
		high.Rsh(high, 1)
		low.Neg(high)
	}
	if !ok || n.Cmp(low) < 0 || n.Cmp(high) >= 0 {
		t.Fatalf("%s was accepted as %v", text, d)
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), 64))
	}
	return append(dst, le.AppendUint64(nil, n.Uint64())[:d.Size()]...)
}

func FuzzDecode(f *testing.F) {
	for _, data := range [][3]string{
		{"FP32", "[2,2]", "[[1,-2.5e-3],[NaN,Infinity]]"},
		{"FP64", "[2]", "[ 0.1 , -Infinity]"},
		{"FP32", "[2]", "[null,1]"},
		{"FP16", "[1]", "[65504]"},
		{"BF16", "[]", "[1]"},
		{"INT8", "[2]", "[-128,127]"},
		{"UINT64", "[1]", "[18446744073709551615]"},
		{"INT64", "[1]", "[-9223372036854775808]"},
		{"BOOL", "[2,1]", "[[true],[false]]"},
		{"BYTES", "[2]", `["a\ud83d\ude00","\u0000é"]`},
		{"FP32", "[2,0]", "[[],[]]"},
	} {
		f.Add([]byte(input(data[0], data[1], data[2])), -1)
	}
	f.Add([]byte(`{"id":"x","inputs":[{"data":[1],"name":"\u0061","parameters":{"a":1.5},"datatype":"FP32","shape":[1]}],"outputs":[{"name":"y","parameters":{"binary_data":true}}],"parameters":{"priority":1,"timeout":5},"z":[null,{"q":-0e1}]}`), -1)
	f.Add([]byte(`{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":6}}]}`+"\x02\x00\x00\x00hi"), 92)
	f.Add([]byte("\ufeff{\"inputs\":[]}\n"), -1)
	for _, value := range []string{`"a\u00e9\ud83d\ude00"`, `""`, "42", "-0.5e+1", "true", "false", "null", "[1]", `{"a":1}`, `"x","user":"y"`, `"x","us\u0065r":1`, "", "nul", `"`} {
		f.Add([]byte(`{"parameters":{"us\u0065r": `+value+` },"inputs":[]}`), -1)
	}
	f.Add([]byte(`{"parameters":{"user":`), -1)
	f.Add([]byte(`{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3,"binary_data":true}}]}`), -1)
	f.Fuzz(func(t *testing.T, body []byte, jsonLen int) {
		before := bytes.Clone(body)
		c := oip.NewCall()
		c.StickyParameter = sticky
		err := c.Decode(body, jsonLen, &usual)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		text := body
		if jsonLen != -1 && jsonLen >= 0 && jsonLen <= len(body) {
			text = body[:jsonLen]
		}
		if err != nil {
			if code := infer.CodeOf(err); code != infer.Invalid && code != infer.Unsupported && code != infer.TooLarge {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid(plainJSON(text)) {
			t.Fatalf("%q was accepted", text)
		}
		again := oip.NewCall()
		again.StickyParameter = sticky
		for range 2 { // the second time it may be remembered
			if err := again.Decode(body, jsonLen, &usual); err != nil {
				t.Fatalf("%q is refused, but was not before: %v", body, err)
			}
			if diff := cmp.Diff(c.Request, again.Request, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%q (-before +again):\n%s", body, diff)
			}
		}
		want := reference(t, text)
		for i := range c.Inputs {
			in, ref := &c.Inputs[i], &want.Inputs[i]
			if n, ok := in.Shape.ByteSize(in.DType); !ok || in.DType != infer.Bytes && n != int64(len(in.Data)) {
				t.Errorf("%q: %v of %v in %d bytes", body, in.DType, in.Shape, len(in.Data))
			}
			if ref.Data == nil || in.DType == infer.FP16 || in.DType == infer.BF16 {
				ref.Data = in.Data
			}
		}
		got := c.Request
		got.Timeout = 0
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", body, diff)
		}
	})
}
