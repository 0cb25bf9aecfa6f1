package onnxfile_test

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
)

// normalizer encodes a StringNormalizer of a graph with these attributes.
func normalizer(attributes ...[]byte) []byte {
	return message(1, message(1, []byte("x")), message(4, []byte("StringNormalizer")), slices.Concat(attributes...), message(2, []byte("y")))
}

// locale encodes the attribute of a node.
func locale(name string) []byte {
	return message(5, message(1, []byte("locale")), message(4, []byte(name)), varint(20, 3))
}

func TestAdaptNamesALocaleThatIsThere(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the locale is left as it is")
	}
	lower := message(5, message(1, []byte("case_change_action")), message(4, []byte("LOWER")), varint(20, 3))
	f := func(node, want []byte) {
		t.Helper()
		before, after := message(1, message(4, []byte("Identity"))), message(11, message(1, []byte("x")))
		got := cut(t, slices.Concat(varint(1, 8), message(7, before, node, after)))
		if want == nil {
			if got != nil {
				t.Errorf("%x was changed", node)
			}
			return
		}
		if got == nil {
			t.Fatalf("%x was not changed", node)
		}
		if model := slices.Concat(varint(1, 8), message(7, before, want, after)); !bytes.Equal(got.Model, model) {
			t.Errorf("got\n%x, want\n%x", got.Model, model)
		}
	}
	domain := func(name string) []byte { return message(7, []byte(name)) }
	f(normalizer(lower, locale("en_US.UTF-8")), normalizer(lower, locale("C.UTF-8")))
	f(normalizer(locale("en_US.UTF-8"), lower), normalizer(locale("C.UTF-8"), lower))
	f(normalizer(lower), message(1, message(1, []byte("x")), message(4, []byte("StringNormalizer")), lower, message(2, []byte("y")), locale("C.UTF-8")))
	f(normalizer(lower, locale("tr_TR.UTF-8")), nil) // it has other letters
	f(normalizer(lower, domain("example.com")), nil)
	f(normalizer(lower, message(5, make([]byte, 4<<20))), nil) // too large, so it is not read
}
