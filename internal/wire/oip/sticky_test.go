package oip_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/oip"
)

// decodeSticky decodes a request with these parameters. The parameter name has the key.
func decodeSticky(t *testing.T, name, parameters string) (*oip.Call, error) {
	t.Helper()
	c := oip.NewCall()
	c.StickyParameter = name
	return c, c.Decode([]byte(`{"parameters":`+parameters+`,"inputs":[{"name":"\u0078","shape":[1],"datatype":"BYTES","data":["\u00e9\u00e9\u00e9"]}]}`), -1, &usual)
}

func TestDecodeStickyKey(t *testing.T) {
	f := func(name, parameters, want string) {
		t.Helper()
		if c, err := decodeSticky(t, name, parameters); err != nil || c.StickyKey != want {
			t.Errorf("%s in %.80s: got %.80q, %v, want %.80q", name, parameters, c.StickyKey, err, want)
		}
	}
	f("user", `{"user":"alice"}`, "alice")
	f("user", `{"a":1,"us\u0065r" : "alice" ,"b":"\u00e9"}`, "alice")
	f("user", `{"user":"a\u00e9\ud83d\ude00\u0000\n"}`, "aé😀\x00\n") // unchanged by later unescaping
	f("user", `{"user":" alice "}`, " alice ")
	f("user", `{"user":""}`, "")
	f("user", `{"user":42}`, "42")
	f("user", `{"user":"42"}`, "42")
	f("user", `{"user": -0.50e+1 }`, "-0.50e+1")
	f("user", `{"user":18446744073709551616}`, "18446744073709551616")
	f("user", `{"user":true}`, "true")
	f("user", `{"user":false}`, "false")
	f("user", `{}`, "")
	f("user", `{"User":"alice","users":"bob"}`, "")
	f("é user", `{"\u00e9 user":"alice"}`, "alice")
	f("user", `{"user":"`+strings.Repeat("k", 1024)+`"}`, strings.Repeat("k", 1024))
	f("", `{"":"alice","user":"bob"}`, "") // an empty name means no key
	f("timeout", `{"timeout":5}`, "")      // it has its own meaning
	f("priority", `{"priority":1}`, "")    // it too
	f("binary_data_output", `{"binary_data_output":true}`, "")
}

func TestDecodeRefusesStickyKeys(t *testing.T) {
	f := func(name, parameters string, code infer.Code, want string) {
		t.Helper()
		c, err := decodeSticky(t, name, parameters)
		if infer.CodeOf(err) != code || infer.Message(err) != "parameters."+want || c.StickyKey != "" && !strings.Contains(want, "twice") {
			t.Errorf("%.80s: got %v, key %.80q, want %v: %s", parameters, err, c.StickyKey, code, want)
		}
	}
	bad := infer.Invalid
	f("user", `{"user":null}`, bad, "user: must be a number, a bool or a string, not null")
	f("user", `{"user":["a"]}`, bad, "user: must be a number, a bool or a string, not an array")
	f("user", `{"user":{"a":1}}`, bad, "user: must be a number, a bool or a string, not an object")
	f("user", `{"user":"a","user":"a"}`, bad, "user: given twice")
	f("user", `{"user":"","us\u0065r":1}`, bad, "user: given twice")
	f("user", "{\"user\":\"a\xff\"}", bad, "user: invalid JSON at byte 22: a string that is not UTF-8")
	f("user", `{"user":`, bad, "user: invalid JSON at byte 22: expected a value, found ','")
	f("user", `{"user":nan}`, bad, "user: invalid JSON at byte 22: expected a value, found 'n'")
	const long = "user: longer than the limit of 1024 bytes for a sticky key"
	f("user", `{"user":"`+strings.Repeat("k", 1025)+`"}`, bad, long)
	f("user", `{"user":"`+strings.Repeat("k", 1<<20)+`"}`, bad, long)
	f("user", `{"user":"`+strings.Repeat(`\u00e9`, 513)+`"}`, bad, long)
	f("user", `{"user":`+strings.Repeat("1", 1025)+`}`, bad, long)
	f("sequence_id", `{"sequence_id":5}`, infer.Unsupported, "sequence_id: sequences are not supported")
	f("triton_user", `{"triton_user":5}`, bad, "triton_user: names that begin with 'triton_' are reserved")
}

// A pooled Call keeps nothing of the last request.
func TestStickyKeyOfTheRequestBefore(t *testing.T) {
	c := oip.NewCall()
	f := func(body, want string, raw bool) {
		t.Helper()
		var err error
		if raw {
			err = c.DecodeRaw([]byte(body), model(infer.TensorSpec{Name: "x", DType: infer.Uint8, Shape: infer.Shape{-1}}), &usual)
		} else {
			err = c.Decode([]byte(body), -1, &usual)
		}
		if err != nil || c.StickyKey != want {
			t.Errorf("%s: key %q, %v, want %q", body, c.StickyKey, err, want)
		}
	}
	const key, none = `{"inputs":[],"parameters":{"user":"alice"}}`, `{"inputs":[]}`
	f(key, "", false)
	c.StickyParameter = "user"
	f(key, "alice", false)
	f(none, "", false)
	f(key, "alice", false)
	f(key, "", true)
	f(key, "alice", false)
	c.Reset()
	if c.StickyKey != "" || c.StickyParameter != "" {
		t.Errorf("key %q, parameter %q after Reset", c.StickyKey, c.StickyParameter)
	}
	f(key, "", false)
}

func TestStickyKeyLimit(t *testing.T) {
	c, lim := oip.NewCall(), limits.Tensors()
	c.StickyParameter, lim.MaxStickyKeyBytes = "user", 4
	f := func(key string, code infer.Code) {
		t.Helper()
		err := c.Decode([]byte(`{"inputs":[],"parameters":{"other":"much longer than that","user":`+key+`}}`), -1, &lim)
		if infer.CodeOf(err) != code {
			t.Errorf("%s: %v, want %v", key, err, code)
		}
	}
	f(`"abcd"`, infer.OK)
	f(`"abcde"`, infer.Invalid)
	f("12345", infer.Invalid)
	f("true", infer.OK)
}
