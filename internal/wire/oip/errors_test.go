package oip_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/oip"
)

// refuse decodes body and compares code and message of the error.
func refuse(t *testing.T, body string, code infer.Code, want string) {
	t.Helper()
	refuseLen(t, body, -1, code, want)
}

func refuseLen(t *testing.T, body string, jsonLen int, code infer.Code, want string) {
	t.Helper()
	_, err := decode(t, body, jsonLen)
	if infer.CodeOf(err) != code || infer.Message(err) != want {
		t.Errorf("%.200s\n got %v: %s\nwant %v: %s", body, infer.CodeOf(err), infer.Message(err), code, want)
	}
}

func TestDecodeRefusesDocuments(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		refuse(t, body, infer.Invalid, want)
	}
	f("", "the document is empty")
	f("  \n", "the document is empty")
	f("{", "invalid JSON at byte 1: expected a key in double quotes, but the document ends")
	f("[]", "must be an object, not an array")
	f("null", "must be an object, not null")
	f(`"x"`, "must be an object, not a string")
	f("5", "must be an object, not a number")
	f("\xff\xfe{", "invalid JSON at byte 0: expected an object, found 'ÿ'")
	f("{}", "inputs: missing; a request needs an array of inputs")
	f(`{"inputs":{}}`, "inputs: must be an array, not an object")
	f(`{"inputs":null}`, "inputs: must be an array, not null")
	f(`{"inputs":"x"}`, "inputs: must be an array, not a string")
	f(`{"inputs":[1]}`, "inputs[0]: must be an object, not a number")
	f(`{"inputs":[null]}`, "inputs[0]: must be an object, not null")
	f(`{"inputs":[]} x`, "invalid JSON at byte 14: expected the end of the document, found 'x'")
	f(`{"inputs":[]}{"inputs":[]}`, "invalid JSON at byte 13: expected the end of the document, found '{'")
	f(`/*x*/{"inputs":[]}`, "invalid JSON at byte 0: expected an object, found '/'")
	f(`{"inputs":[],}`, "invalid JSON at byte 13: expected another element after ',', found '}'")
	f(`{"inputs":[{},]}`, "inputs[0].name: missing")
	f(`{"inputs":[],"x":[1,]}`, "invalid JSON at byte 20: expected another element after ',', found ']'")
	f(`{'inputs':[]}`, "invalid JSON at byte 1: expected a key in double quotes, found '\\''")
	f(`{"inputs":[] "id":""}`, "invalid JSON at byte 13: expected ',' or '}', found '\"'")
	f(`{"inputs" []}`, "invalid JSON at byte 10: expected ':' after a key, found '['")
	f(`{"inputs":[],"inputs":[]}`, "inputs: given twice")
	f(`{"inputs":[],"in\u0070uts":[]}`, "inputs: given twice")
	f(`{"id":"a","id":"b","inputs":[]}`, "id: given twice")
	f(`{"inputs":[],"x":nul}`, "invalid JSON at byte 17: expected a value, found 'n'")
	f(`{"inputs":[],"x":trues}`, "invalid JSON at byte 21: expected ',' or '}', found 's'")
	f(`{"inputs":[],"x":NaN}`, "invalid JSON at byte 17: expected a value, found 'N'")
	f(`{"inputs":[],"x":01}`, "invalid JSON at byte 18: expected ',' or '}', found '1'")
	f(`{"inputs":[],"x":-}`, "invalid JSON at byte 18: expected a digit, found '}'")
	f(`{"inputs":[],"x":1e}`, "invalid JSON at byte 19: expected a digit, found '}'")
	f(`{"inputs":[],"x":"`, "invalid JSON at byte 17: a string without end")
	f(`{"inputs":[],"x":"\`, "invalid JSON at byte 18: a string without end")
	f(`{"inputs":[],"x":"\x"}`, `invalid JSON at byte 18: no escape sequence begins with \x`)
	f(`{"inputs":[],"x":"\u12g4"}`, `invalid JSON at byte 18: \u needs four hexadecimal digits`)
	f(`{"inputs":[],"x":"\ud800"}`, "invalid JSON at byte 18: half of a surrogate pair")
	f(`{"inputs":[],"x":"\ud800\u0041"}`, "invalid JSON at byte 18: half of a surrogate pair")
	f(`{"inputs":[],"x":"\udc00\ud800"}`, "invalid JSON at byte 18: half of a surrogate pair")
	f("{\"inputs\":[],\"x\":\"a\nb\"}", "invalid JSON at byte 19: a control character in a string must be escaped")
	f("{\"inputs\":[],\"x\":\"\xff\"}", "invalid JSON at byte 17: a string that is not UTF-8")
	f("{\"id\":\"\xff\xfe\",\"inputs\":[]}", "id: invalid JSON at byte 6: a string that is not UTF-8")
	f("{\"inputs\":[],\"x\":\"\xed\xa0\x80\"}", "invalid JSON at byte 17: a string that is not UTF-8") // a surrogate in UTF-8
	deep := strings.Repeat("[", 100_000)
	f(deep, "must be an object, not an array")
	f(`{"id":`+deep, "id: must be a string, not an array")
	f(`{"x":`+deep, "nested more than 100 deep")
	f(`{"x":`+strings.Repeat(`{"y":`, 100_000), "nested more than 100 deep")
	f(`{"inputs":[{"data":`+deep, "inputs[0].data: nested more than 100 deep")
	f(`{"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`,"inputs":[]}`, "nested more than 100 deep")
	if _, err := decode(t, `{"x":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`,"inputs":[]}`, -1); err != nil {
		t.Errorf("99 deep: %v", err)
	}
}

func TestDecodeRefusesMembers(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		refuse(t, body, infer.Invalid, want)
	}
	// in replaces one member of a good input, or removes it if the value is empty.
	in := func(member, value, want string) {
		t.Helper()
		var list []string
		for _, m := range [][2]string{{"name", `"x"`}, {"shape", "[1,2]"}, {"datatype", `"FP32"`}, {"data", "[1,2]"}} {
			if m[0] == member {
				m[1] = value
			}
			if m[1] != "" {
				list = append(list, `"`+m[0]+`":`+m[1])
			}
		}
		f(`{"inputs":[{`+strings.Join(list, ",")+`}]}`, want)
	}
	in("name", "", "inputs[0].name: missing")
	in("name", "5", "inputs[0].name: must be a string, not a number")
	in("name", "null", "inputs[0].name: must be a string, not null")
	in("name", `"`+strings.Repeat("n", 1025)+`"`, "inputs[0].name: longer than 1024 bytes")
	in("name", `"x","name":"y"`, "inputs[0].name: given twice")
	in("shape", "", "inputs[0].shape: missing")
	in("shape", "null", "inputs[0].shape: must be an array, not null")
	in("shape", `"1,2"`, "inputs[0].shape: must be an array, not a string")
	in("shape", "[1.0,2]", "inputs[0].shape[0]: 1.0 is not written as an integer")
	in("shape", "[1,2e0]", "inputs[0].shape[1]: 2e0 is not written as an integer")
	in("shape", `[1,"2"]`, "inputs[0].shape[1]: must be an integer, not a string")
	in("shape", "[true,2]", "inputs[0].shape[0]: must be an integer, not true")
	in("shape", "[[1,2]]", "inputs[0].shape[0]: must be an integer, not an array")
	in("shape", "[67108865,0]", "inputs[0].shape: [67108865,0] has no elements, but its other dimensions multiply to more than the limit of 67108864 bytes for a tensor")
	in("shape", "[-1,2]", "inputs[0].shape[0]: -1 does not fit a dimension (0 to 9223372036854775807)")
	in("shape", "[18446744073709551615,2]", "inputs[0].shape[0]: 18446744073709551615 does not fit a dimension (0 to 9223372036854775807)")
	in("shape", "[1000000000000000000000000000000,2]", "inputs[0].shape[0]: 1000000000000000000000000000000 does not fit a dimension (0 to 9223372036854775807)")
	in("shape", "[9223372036854775807,16]", "inputs[0].shape: [9223372036854775807,16] holds more elements than can be counted")
	in("shape", "[1152921504606846977,16]", "inputs[0].shape: [1152921504606846977,16] holds more elements than can be counted")
	in("shape", "[5,3689348814741910325]", "inputs[0].shape: [5,3689348814741910325] holds more elements than can be counted")
	in("shape", "[4611686018427387906,4]", "inputs[0].shape: [4611686018427387906,4] holds more elements than can be counted")
	in("shape", "[1152921504606846978,4]", "inputs[0].data: expected 4611686018427387912 elements for shape [1152921504606846978,4], got fewer (the document ends 7 bytes on)")
	in("shape", "[1000000000000,16]", "inputs[0].data: expected 16000000000000 elements for shape [1000000000000,16], got fewer (the document ends 7 bytes on)")
	in("shape", "["+strings.Repeat("1,", 32)+"1]", "inputs[0].shape[32]: more than 32 dimensions")
	in("datatype", "", "inputs[0].datatype: missing")
	in("datatype", `"FP99"`, "inputs[0].datatype: 'FP99' is not a valid datatype: expected one of the protocol, such as BOOL, UINT8, FP32 or BYTES")
	in("datatype", `"fp32"`, "inputs[0].datatype: 'fp32' is not a valid datatype: expected one of the protocol, such as BOOL, UINT8, FP32 or BYTES")
	in("datatype", "32", "inputs[0].datatype: must be a string, not a number")
	in("datatype", "null", "inputs[0].datatype: must be a string, not null")
	in("data", "", "inputs[0]: an input has either 'data' or 'binary_data_size' in 'parameters', this one has neither")
	in("data", `[1,2],"parameters":{"binary_data_size":8}`, "inputs[0]: an input has either 'data' or 'binary_data_size' in 'parameters', this one has both")
	in("data", `[1,2],"data":[1,2]`, "inputs[0].data: given twice")
	in("data", `[1,2],"parameters":[]`, "inputs[0].parameters: must be an object, not an array")

	f(`{"inputs":[],"id":7}`, "id: must be a string, not a number")
	f(`{"inputs":[],"id":null}`, "id: must be a string, not null")
	f(`{"inputs":[],"id":true}`, "id: must be a string, not true")
	f(`{"inputs":[],"id":"`+strings.Repeat("x", 1025)+`"}`, "id: longer than 1024 bytes")
	f(`{"inputs":[],"outputs":null}`, "outputs: must be an array, not null")
	f(`{"inputs":[],"outputs":{}}`, "outputs: must be an array, not an object")
	f(`{"inputs":[],"outputs":[{}]}`, "outputs[0].name: missing")
	f(`{"inputs":[],"outputs":[{"name":1}]}`, "outputs[0].name: must be a string, not a number")
	f(`{"inputs":[],"outputs":["sum"]}`, "outputs[0]: must be an object, not a string")
	f(`{"inputs":[],"outputs":[{"name":"a"},{"name":"b","name":"b"}]}`, "outputs[1].name: given twice")
	f(`{"inputs":[`+strings.Repeat(`{"name":"x","shape":[0],"datatype":"FP32","data":[]},`, 1024)+`{}]}`, "inputs[1024]: more than 1024 inputs")
	f(`{"inputs":[],"outputs":[`+strings.Repeat(`{"name":"x"},`, 1024)+`{}]}`, "outputs[1024]: more than 1024 outputs")
}

func TestDecodeRefusesData(t *testing.T) {
	f := func(dtype, shape, data, want string) {
		t.Helper()
		refuse(t, input(dtype, shape, data), infer.Invalid, "inputs[0].data"+want)
		// The same if data comes first and is read at the end. Text that is not JSON is found while
		// it is skipped.
		if strings.Contains(want, "invalid JSON") || strings.Contains(want, "got fewer") {
			return
		}
		refuse(t, fmt.Sprintf(`{"inputs":[{"data":%s,"name":"x","shape":%s,"datatype":"%s"}]}`, data, shape, dtype), infer.Invalid, "inputs[0].data"+want)
	}
	f("FP32", "[2]", "null", ": must be an array, not null")
	f("FP32", "[1]", "1.5", ": must be an array, not a number")
	f("FP32", "[2]", `"x"`, ": must be an array, not a string")
	f("FP32", "[2]", "{}", ": must be an array, not an object")
	f("FP32", "[]", "7", ": must be an array, not a number")
	f("FP32", "[2]", "[]", ": expected 2 elements for shape [2], got 0")
	f("FP32", "[2]", "[1]", ": expected 2 elements for shape [2], got 1")
	f("FP32", "[2]", "[1,2,3]", ": expected 2 elements for shape [2], got more")
	f("FP32", "[0]", "[1]", ": expected 0 elements for shape [0], got more")
	f("FP32", "[9]", "[1]", ": expected 9 elements for shape [9], got fewer (the document ends 5 bytes on)")
	f("FP32", "[2,2]", "[[1,2],[3]]", "[1]: expected 2 elements for shape [2,2], got 1")
	f("FP32", "[2,2]", "[[1,2],[3,4,5]]", "[1]: expected 2 elements for shape [2,2], got more")
	f("FP32", "[2,2]", "[[1,2]]", ": expected 2 elements for shape [2,2], got 1")
	f("FP32", "[2,2]", "[[1,2],[3,4],[5,6]]", ": expected 2 elements for shape [2,2], got more")
	f("FP32", "[1,4]", "[[1,2],[3,4]]", "[0]: expected 4 elements for shape [1,4], got 2")
	f("FP32", "[1,2]", "[[[1],[2]]]", "[0][0]: must be a number, not an array")
	f("FP32", "[2,2]", "[1,[2,3],4]", "[1]: must be a number, not an array")
	f("FP32", "[2,2]", "[[1,2],3,4]", "[1]: must be an array, not a number")
	f("FP32", "[2]", "[[],[]]", "[0]: must be a number, not an array")
	f("FP32", "[2]", "[1,true]", "[1]: must be a number, not true")
	f("FP32", "[2]", `[1,"2"]`, "[1]: must be a number, not a string")
	f("FP32", "[2]", "[nul,1]", "[0]: invalid JSON at byte 61: expected a number, found 'n'")
	f("FP32", "[2]", "[{},1]", "[0]: must be a number, not an object")
	f("FP32", "[2]", "[1,1e39]", "[1]: 1e39 does not fit FP32")
	f("FP32", "[1]", "[-3.4028236e38]", "[0]: -3.4028236e38 does not fit FP32")
	f("FP32", "[1]", "["+strings.Repeat("9", 50)+"]", "[0]: "+strings.Repeat("9", 40)+"… does not fit FP32")
	f("FP64", "[1]", "[1e309]", "[0]: 1e309 does not fit FP64")
	f("FP16", "[1]", "[65520]", "[0]: 65520 does not fit FP16")
	f("BF16", "[1]", "[-3.4e38]", "[0]: -3.4e38 does not fit BF16")
	f("FP32", "[1]", "[+1.5]", "[0]: invalid JSON at byte 61: expected a number, found '+'")
	f("FP32", "[1]", "[.5]", "[0]: invalid JSON at byte 61: expected a number, found '.'")
	f("FP32", "[1]", "[Inf]", "[0]: invalid JSON at byte 61: expected a number, found 'I'")
	f("FP32", "[1]", "[5.]", "[0]: invalid JSON at byte 63: expected a digit, found ']'")
	f("FP32", "[1]", "[01.5]", ": invalid JSON at byte 62: expected ',' or ']', found '1'")
	f("FP32", "[1]", "[0x10]", ": invalid JSON at byte 62: expected ',' or ']', found 'x'")
	f("FP32", "[1]", "[-NaN]", "[0]: invalid JSON at byte 62: expected a digit, found 'N'")
	f("FP32", "[2]", "[1 2]", ": invalid JSON at byte 63: expected ',' or ']', found '2'")
	f("FP32", "[2]", "[1,]", "[1]: invalid JSON at byte 63: expected a number, found ']'")
	f("INT8", "[6]", "[1,2,3,4,5,300]", "[5]: 300 does not fit INT8")
	f("INT8", "[1]", "[-129]", "[0]: -129 does not fit INT8")
	f("INT8", "[1]", "[1.0]", "[0]: 1.0 is not written as an integer")
	f("INT8", "[1]", "[1e1]", "[0]: 1e1 is not written as an integer")
	f("INT8", "[1]", `["1"]`, "[0]: must be an integer, not a string")
	f("INT8", "[1]", "[true]", "[0]: must be an integer, not true")
	f("INT8", "[1]", "[NaN]", "[0]: invalid JSON at byte 61: expected an integer, found 'N'")
	f("INT16", "[1]", "[32768]", "[0]: 32768 does not fit INT16")
	f("INT32", "[1]", "[99999999999999999999]", "[0]: 99999999999999999999 does not fit INT32")
	f("INT64", "[1]", "[9223372036854775808]", "[0]: 9223372036854775808 does not fit INT64")
	f("INT64", "[1]", "[-9223372036854775809]", "[0]: -9223372036854775809 does not fit INT64")
	f("UINT8", "[1]", "[256]", "[0]: 256 does not fit UINT8")
	f("UINT8", "[1]", "[-1]", "[0]: -1 does not fit UINT8")
	f("UINT64", "[1]", "[18446744073709551616]", "[0]: 18446744073709551616 does not fit UINT64")
	f("UINT64", "[1]", "[-1]", "[0]: -1 does not fit UINT64")
	f("BOOL", "[2]", "[true,1]", "[1]: must be true or false, not a number")
	f("BOOL", "[1]", `["true"]`, "[0]: must be true or false, not a string")
	f("BOOL", "[1]", "[null]", "[0]: must be true or false, not null")
	f("BYTES", "[1]", "[1]", "[0]: must be a string, not a number")
	f("BYTES", "[1]", "[null]", "[0]: must be a string, not null")
	f("BYTES", "[2]", `[["a"],["b"]]`, "[0]: must be a string, not an array")
	f("BYTES", "[1]", `["\ud800"]`, "[0]: invalid JSON at byte 63: half of a surrogate pair")
	f("BYTES", "[1]", "[\"\xff\"]", "[0]: invalid JSON at byte 62: a string that is not UTF-8")
}

func TestDecodeRefusesParameters(t *testing.T) {
	f := func(parameters string, code infer.Code, want string) {
		t.Helper()
		refuse(t, `{"inputs":[],"parameters":`+parameters+`}`, code, "parameters"+want)
	}
	bad, not := infer.Invalid, infer.Unsupported
	f("null", bad, ": must be an object, not null")
	f("[1]", bad, ": must be an object, not an array")
	f(`"x"`, bad, ": must be an object, not a string")
	f(`{"foo":null}`, bad, ".foo: must be a number, a bool or a string, not null")
	f(`{"foo":{"a":1}}`, bad, ".foo: must be a number, a bool or a string, not an object")
	f(`{"foo":[1]}`, bad, ".foo: must be a number, a bool or a string, not an array")
	f(`{"triton_foo":1}`, bad, ".triton_foo: names that begin with 'triton_' are reserved")
	f(`{"priority":-1}`, bad, ".priority: -1 does not fit a priority (0 to 2147483647, 1 is the highest)")
	f(`{"priority":"3"}`, bad, ".priority: must be an integer, not a string")
	f(`{"priority":1,"priority":1}`, bad, ".priority: given twice")
	f(`{"timeout":-1}`, bad, ".timeout: -1 does not fit a timeout in microseconds (0 to 18446744073709551615)")
	f(`{"timeout":1.5}`, bad, ".timeout: 1.5 is not written as an integer")
	f(`{"timeout":"5"}`, bad, ".timeout: must be an integer, not a string")
	f(`{"binary_data_output":"true"}`, bad, ".binary_data_output: must be true or false, not a string")
	f(`{"binary_data_output":1}`, bad, ".binary_data_output: must be true or false, not a number")
	f(`{"sequence_id":5}`, not, ".sequence_id: sequences are not supported")
	f(`{"sequence_start":true}`, not, ".sequence_start: sequences are not supported")
	f(`{"shared_memory_region":"r"}`, not, ".shared_memory_region: shared memory is not supported; send the tensor as JSON or binary")
	f(`{"`+strings.Repeat("n", 1025)+`":1}`, bad, ": the name of a parameter is longer than 1024 bytes")
	f(`{`+strings.Repeat(`"a":1,`, 128)+`"a":1}`, bad, ": more than 128 entries")

	f = func(parameters string, code infer.Code, want string) {
		t.Helper()
		refuse(t, `{"inputs":[],"outputs":[{"name":"y","parameters":`+parameters+`}]}`, code, "outputs[0].parameters"+want)
	}
	f("[]", bad, ": must be an object, not an array")
	f(`{"binary_data":"yes"}`, bad, ".binary_data: must be true or false, not a string")
	f(`{"binary_data":1}`, bad, ".binary_data: must be true or false, not a number")
	f(`{"binary_data":true,"binary_data":true}`, bad, ".binary_data: given twice")
	f(`{"classification":1.5}`, bad, ".classification: 1.5 is not written as an integer")
	f(`{"classification":-1}`, bad, ".classification: -1 does not fit a number of classes (0 or more)")
	f(`{"classification":"1"}`, bad, ".classification: must be an integer, not a string")
	f(`{"shared_memory_region":"r"}`, not, ".shared_memory_region: shared memory is not supported; send the tensor as JSON or binary")
	f(`{"foo":[]}`, bad, ".foo: must be a number, a bool or a string, not an array")

	f = func(parameters string, code infer.Code, want string) {
		t.Helper()
		refuse(t, `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":`+parameters+`}]}`, code, "inputs[0].parameters"+want)
	}
	f(`{"binary_data_size":-64}`, bad, ".binary_data_size: -64 does not fit a size in bytes (0 to 9223372036854775807)")
	f(`{"binary_data_size":18446744073709551615}`, bad, ".binary_data_size: 18446744073709551615 does not fit a size in bytes (0 to 9223372036854775807)")
	f(`{"binary_data_size":"64"}`, bad, ".binary_data_size: must be an integer, not a string")
	f(`{"binary_data_size":64.0}`, bad, ".binary_data_size: 64.0 is not written as an integer")
	f(`{"binary_data_size":null}`, bad, ".binary_data_size: must be an integer, not null")
	f(`{"shared_memory_region":"r","shared_memory_byte_size":64}`, not, ".shared_memory_region: shared memory is not supported; send the tensor as JSON or binary")
}

func TestDecodeLimits(t *testing.T) {
	f := func(body string, jsonLen int, set func(l *oip.Limits), code infer.Code, want string) {
		t.Helper()
		c, lim := oip.NewCall(), limits.Tensors()
		set(&lim)
		err := c.Decode([]byte(body), jsonLen, &lim)
		if infer.CodeOf(err) != code || err != nil && infer.Message(err) != want {
			t.Errorf("%.200s\n got %v: %s\nwant %v: %s", body, infer.CodeOf(err), infer.Message(err), code, want)
		}
	}
	one := input("FP64", "[2]", "[1,2]")
	f(one, -1, func(l *oip.Limits) { l.MaxTensorBytes = 15 }, infer.TooLarge, "inputs[0].data: the tensor takes 16 bytes, the limit is 15")
	f(input("BYTES", "[1]", `["abc"]`), -1, func(l *oip.Limits) { l.MaxTensorBytes = 6 }, infer.TooLarge, "inputs[0].data: the tensor takes 7 bytes, the limit is 6")
	head := `{"inputs":[{"name":"x","shape":[2],"datatype":"UINT8","parameters":{"binary_data_size":2}}]}`
	f(head+"ab", len(head), func(l *oip.Limits) { l.MaxTensorBytes = 1 }, infer.TooLarge, "inputs[0]: the tensor takes 2 bytes, the limit is 1")
	f(one, -1, func(l *oip.Limits) { l.MaxNesting = 3 }, infer.Invalid, "inputs[0].shape: nested more than 3 deep")
	f(input("FP32", "[1,1]", "[[1]]"), -1, func(l *oip.Limits) { l.MaxNesting = 4 }, infer.Invalid, "inputs[0].data[0]: nested more than 4 deep")
	f(one, -1, func(l *oip.Limits) {
		l.MaxNameBytes, l.MaxIDBytes, l.MaxRank, l.MaxInputs, l.MaxTensorBytes, l.MaxNesting = 1, 1, 1, 1, 16, 4
	}, infer.OK, "")
	f(one+one, -1, func(*oip.Limits) {}, infer.Invalid, "invalid JSON at byte 68: expected the end of the document, found '{'")
}

// A shape that the body cannot fill costs no memory.
func TestDecodeAllocatesNothingForShapes(t *testing.T) {
	body := []byte(input("FP64", "[1000000000]", "[1,2,3]"))
	c := oip.NewCall()
	got := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		for b.Loop() {
			if c.Decode(body, -1, &usual) == nil {
				b.Fatal("accepted")
			}
		}
	}).AllocedBytesPerOp()
	if got > 4096 {
		t.Errorf("%d bytes allocated", got)
	}
}

func TestDecodeBinary(t *testing.T) {
	f := func(head, blobs string, want ...[]string) {
		t.Helper()
		c, err := decode(t, head+blobs, len(head))
		if err != nil {
			t.Errorf("%s: %v", head, err)
			return
		}
		for i := range want {
			if got := values(&c.Inputs[i]); strings.Join(got, "|") != strings.Join(want[i], "|") {
				t.Errorf("%s: input %d is %q, want %q", head, i, got, want[i])
			}
		}
	}
	in := func(name, dtype, shape string, size int) string {
		return fmt.Sprintf(`{"name":"%s","shape":%s,"datatype":"%s","parameters":{"binary_data_size":%d}}`, name, shape, dtype, size)
	}
	one := func(dtype, shape string, size int) string { return `{"inputs":[` + in("x", dtype, shape, size) + `]}` }
	f(one("FP32", "[2]", 8), "\x00\x00\x80\x3f\x00\x00\x00\x40", []string{"1", "2"})
	f(one("FP16", "[2]", 4), "\x00\x3c\x00\x40", []string{"1", "2"})
	f(one("BF16", "[1]", 2), "\x80\x3f", []string{"1"})
	f(one("BOOL", "[5]", 5), "\x00\x01\x02\xff\x00", []string{"0", "1", "1", "1", "0"})
	f(one("BYTES", "[2]", 10), "\x02\x00\x00\x00hi\x00\x00\x00\x00", []string{"hi", ""})
	f(one("BYTES", "[1]", 7), "\x03\x00\x00\x00\xff\x00b", []string{"\xff\x00b"})
	f(one("BYTES", "[0]", 0), "")
	f(one("FP32", "[1,0]", 0), "")
	f(one("FP32", "[]", 4), "\x00\x00\x80\x3f", []string{"1"})
	f(`{"inputs":[`+in("a", "UINT8", "[2]", 2)+`,{"name":"b","shape":[1],"datatype":"INT8","data":[-7]},`+in("c", "UINT8", "[1]", 1)+`]}`, "\x01\x02\x03",
		[]string{"1", "2"}, []string{"-7"}, []string{"3"})
	// A size of 0 needs no header.
	if _, err := decode(t, one("FP32", "[0]", 0), -1); err != nil {
		t.Error(err)
	}
	// The data aliases the body, except for bools that were changed.
	head := one("UINT8", "[2]", 2)
	body := []byte(head + "ab")
	c := oip.NewCall()
	if err := c.Decode(body, len(head), &usual); err != nil || &c.Inputs[0].Data[0] != &body[len(head)] {
		t.Errorf("the data was copied: %v", err)
	}
	head = one("BOOL", "[2]", 2)
	body = []byte(head + "\x01\x02")
	if err := c.Decode(body, len(head), &usual); err != nil || body[len(body)-1] != 2 {
		t.Errorf("the body was changed: %v", err)
	}
}

func TestDecodeRefusesBinary(t *testing.T) {
	f := func(dtype, shape string, size int, blobs, want string) {
		t.Helper()
		head := fmt.Sprintf(`{"inputs":[{"name":"x","shape":%s,"datatype":"%s","parameters":{"binary_data_size":%d}}]}`, shape, dtype, size)
		refuseLen(t, head+blobs, len(head), infer.Invalid, want)
	}
	z := func(n int) string { return strings.Repeat("\x00", n) }
	f("FP32", "[1,16]", 60, z(64), "unexpected additional input data: 4 bytes beyond the sizes of all inputs")
	f("FP32", "[1,16]", 60, z(60), "inputs[0]: input byte size mismatch for input 'x'. Expected 64, got 60")
	f("FP32", "[1,16]", 68, z(64), "unexpected size for input 'x', expecting 4 additional bytes")
	f("FP32", "[1,16]", 68, z(68), "inputs[0]: input byte size mismatch for input 'x'. Expected 64, got 68")
	f("FP32", "[1,16]", 64, z(40), "unexpected size for input 'x', expecting 24 additional bytes")
	f("FP32", "[1,16]", 64, z(66), "unexpected additional input data: 2 bytes beyond the sizes of all inputs")
	f("FP32", "[1,16]", 0, "", "inputs[0]: input byte size mismatch for input 'x'. Expected 64, got 0")
	f("FP32", "[1,16]", 1<<62, z(64), "unexpected size for input 'x', expecting 4611686018427387840 additional bytes")
	f("FP32", "[1152921504606846978,4]", 32, z(32), "inputs[0].shape: [1152921504606846978,4] of FP32 takes more bytes than can be counted")
	f("BYTES", "[1]", 6, "\xc8\x00\x00\x00hi", "inputs[0]: incomplete string data for inference input 'x', expecting string of length 200 but only 2 bytes available")
	f("BYTES", "[1]", 6, "\xff\xff\xff\xffhi", "inputs[0]: incomplete string data for inference input 'x', expecting string of length 4294967295 but only 2 bytes available")
	f("BYTES", "[1]", 2, "\x02\x00", "inputs[0]: incomplete string length indicator for inference input 'x', expecting 4 bytes but only 2 bytes available")
	f("BYTES", "[1]", 12, "\x02\x00\x00\x00hi\x02\x00\x00\x00hi", "inputs[0]: unexpected number of string elements 2 for inference input 'x', expecting 1")
	f("BYTES", "[2]", 6, "\x02\x00\x00\x00hi", "inputs[0]: expected 2 string elements for inference input 'x', got 1")
	f("BYTES", "[0]", 4, z(4), "inputs[0]: unexpected number of string elements 1 for inference input 'x', expecting 0")

	head := `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}`
	for _, n := range []int{-2, -5, len(head) + 5, 1 << 31, 1 << 62} {
		refuseLen(t, head+z(4), n, infer.Invalid, fmt.Sprintf("inference header size should be in range (0, %d), got: %d", len(head)+4, n))
	}
	hint := "; with binary tensors the header Inference-Header-Content-Length says where the document ends"
	refuse(t, head+z(4), infer.Invalid, fmt.Sprintf("invalid JSON at byte %d: expected the end of the document, found '\\x00'%s", len(head), hint))
	refuse(t, head, infer.Invalid, "unexpected size for input 'x', expecting 4 additional bytes")
	refuseLen(t, head+z(4), 10, infer.Invalid, "inputs: invalid JSON at byte 10: expected an array, but the document ends")
	refuseLen(t, head+z(4), 0, infer.Invalid, "the document is empty")

	c := oip.NewCall()
	c.Model = "lin"
	if err := c.Decode([]byte(head), -1, &usual); infer.Message(err) != "unexpected size for input 'x', expecting 4 additional bytes for model 'lin'" {
		t.Error(err)
	}
}

func model(inputs ...infer.TensorSpec) *infer.Model { return infer.NewModel("m", 1, inputs, nil) }

func TestDecodeRaw(t *testing.T) {
	f := func(dtype infer.DType, spec infer.Shape, body, shape string, want ...string) {
		t.Helper()
		m := model(infer.TensorSpec{Name: "x", DType: dtype, Shape: spec})
		c := oip.NewCall()
		if err := c.DecodeRaw([]byte(body), m, &usual); err != nil {
			t.Errorf("%v %v: %v", dtype, spec, err)
			return
		}
		if got := c.Inputs[0].Shape.String(); got != shape {
			t.Errorf("%v %v: shape %s, want %s", dtype, spec, got, shape)
		}
		if got := values(&c.Inputs[0]); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%v %v: %q, want %q", dtype, spec, got, want)
		}
		if err := m.Check(&c.Request); err != nil || !c.BinaryOutput(0) {
			t.Errorf("%v %v: %v", dtype, spec, err)
		}
	}
	f(infer.Uint8, infer.Shape{3}, "\x01\x02\x03", "[3]", "1", "2", "3")
	f(infer.Uint8, infer.Shape{-1}, "\x01\x02\x03", "[3]", "1", "2", "3")
	f(infer.Int16, infer.Shape{-1, 2}, "\x01\x00\x02\x00", "[1,2]", "1", "2")
	f(infer.Int16, infer.Shape{2, -1}, "", "[2,0]")
	f(infer.Bool, infer.Shape{-1}, "\x02", "[1]", "1")
	f(infer.Bytes, infer.Shape{1}, "hi", "[1]", "hi")
	f(infer.Bytes, infer.Shape{-1}, "", "[1]", "")
	f(infer.Bytes, infer.Shape{-1, 1}, "\xff\x00", "[1,1]", "\xff\x00")
	f(infer.Bytes, infer.Shape{}, "hi", "[]", "hi")
}

func TestDecodeRawRefuses(t *testing.T) {
	f := func(body, want string, inputs ...infer.TensorSpec) {
		t.Helper()
		c := oip.NewCall()
		c.Model = "m"
		err := c.DecodeRaw([]byte(body), model(inputs...), &usual)
		if infer.CodeOf(err) != infer.Invalid || infer.Message(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	spec := func(dtype infer.DType, shape ...int64) infer.TensorSpec {
		return infer.TensorSpec{Name: "x", DType: dtype, Shape: shape}
	}
	f("ab", "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration", spec(infer.Uint8, 1), spec(infer.Uint8, 1))
	f("ab", "a raw request needs an input with at most one dimension that varies, but input 'x' for model 'm' is [-1,-1]", spec(infer.Uint8, -1, -1))
	f("ab", "input byte size mismatch for input 'x' for model 'm'. Expected a multiple of 64, got 2", spec(infer.FP32, -1, 16))
	f("ab", "input byte size mismatch for input 'x' for model 'm'. Expected 64, got 2", spec(infer.FP32, 1, 16))
	f("ab", "input byte size mismatch for input 'x' for model 'm'. Expected 0, got 2", spec(infer.FP32, -1, 0))
	f("ab", "a raw request takes one string, but input 'x' has shape [2]", spec(infer.Bytes, 2))
	f("ab", "a raw request takes one string, but input 'x' has shape [1,2]", spec(infer.Bytes, -1, 2))
}

// FuzzStringElements uses any bytes as a binary string tensor. It must be accepted if, and only if,
// the elements use up all bytes.
func FuzzStringElements(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00hi"), uint8(1))
	f.Add([]byte("\x02\x00\x00\x00hi\x00\x00\x00\x00"), uint8(2))
	f.Add([]byte("\xff\xff\xff\xffhi"), uint8(1))
	f.Add([]byte(""), uint8(0))
	f.Fuzz(func(t *testing.T, blob []byte, n uint8) {
		head := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d],"datatype":"BYTES","parameters":{"binary_data_size":%d}}]}`, n, len(blob))
		c := oip.NewCall()
		err := c.Decode(append([]byte(head), blob...), len(head), &usual)
		rest, elements := blob, 0
		for len(rest) >= 4 && uint64(binary.LittleEndian.Uint32(rest)) <= uint64(len(rest)-4) {
			rest = rest[4+binary.LittleEndian.Uint32(rest):]
			elements++
		}
		if good := len(rest) == 0 && elements == int(n); good != (err == nil) {
			t.Errorf("%q as %d elements: %v", blob, n, err)
		}
		m := model(infer.TensorSpec{Name: "x", DType: infer.Bytes, Shape: infer.Shape{-1}})
		if err == nil && m.Check(&c.Request) != nil {
			t.Errorf("%q as %d elements: %v", blob, n, m.Check(&c.Request))
		}
	})
}
