package onnxfile_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
)

func TestParseLabels(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		got, err := onnxfile.ParseLabels(text, 4)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got)\n%s", text, err, diff)
		}
	}
	f(`["cat", "dog"]`, "cat", "dog")
	f(`[]`)
	f(` ( 'cat' , 'dog', ) `, "cat", "dog")
	f(`[0, -1, "x"]`, "0", "-1", "x")
	f(`{0: 'person', 1: "child's bike", 2: 'it\'s'}`, "person", "child's bike", "it's") // ultralytics
	f(`{"1": "dog", "0": "cat"}`, "cat", "dog")                                         // id2label
	f(`{"dog": 1, "cat": 0}`, "cat", "dog")                                             // class_to_idx
	f(`{"0": 5, "1": 7}`, "5", "7")
	f("cat, dog ,a b", "cat", "dog", "a b")
	f("cat\ndog, the\r\n", "cat", "dog, the")
	f("cat", "cat")
	f(`["\u00e9\n\\", "\ud83d\ude00", 'é\x41\U0001F600']`, "é\n\\", "😀", "éA😀")
	f(`["\ud83d"]`, "\uFFFD")
}

func TestParseLabelsRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		got, err := onnxfile.ParseLabels(text, 4)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%q: %q, %v; want invalid with %q", text, got, err, want)
		}
	}
	f("", "the text is empty")
	f(" \n", "the text is empty")
	f("a\xff", "not valid UTF-8")
	f("a,b,c,d,e", "there are more than 4 labels")
	f("[1,2,3,4,5]", "there are more than 4 labels")
	f(`{0:'a',1:'b',2:'c',3:'d',4:'e'}`, "there are more than 4 labels")
	f(`["a" "b"]`, "expected a comma at byte 5")
	f(`["a"`, "expected a comma at byte 4")
	f(`["a"] x`, "expected the end of the text at byte 6")
	f(`["a`, "expected the quote that ends the label")
	f(`['a\`, "expected the rest of an escape")
	f(`["\N{DASH}"]`, "expected an escape of JSON or Python at byte 2")
	f(`["\u00`, "expected an escape")
	f(`["\u00zz"]`, "expected hexadecimal digits")
	f(`[None]`, "expected a label in quotes or an integer at byte 1")
	f(`[[1]]`, "expected a label in quotes")
	f(`[99999999999999999999]`, "expected a label in quotes")
	f(`{"a"}`, "expected a colon at byte 4")
	f(`{0: "a", 2: "c"}`, "the class 1 of 2 has no label")
	f(`{0: "a", 0: "c"}`, "the class 0 has two labels")
	f(`{"a": "b"}`, "'a' is not an index of a class below 4")
	f(`{4: "b"}`, "'4' is not an index of a class below 4")
	f(`{-1: "b"}`, "'-1' is not an index")
}

func FuzzParseLabels(f *testing.F) {
	for _, seed := range []string{`["cat",1]`, `{0: 'a', 1: "b"}`, `{"a": 0}`, "a,b", "('a',)", `["\ud83d\ude00\x41"]`, `{0:`, "[\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		labels, err := onnxfile.ParseLabels(text, 8)
		switch {
		case err != nil && infer.CodeOf(err) != infer.Invalid:
			t.Fatalf("%v, want invalid", err)
		case err == nil && len(labels) > 8:
			t.Fatalf("%d labels", len(labels))
		}
		for _, label := range labels {
			if !utf8.ValidString(label) {
				t.Fatalf("%q is not valid UTF-8", label)
			}
		}
	})
}

func FuzzReadLabels(f *testing.F) {
	f.Add([]byte("cat\ndog\r\n\n"))
	f.Add([]byte("\ufeffcat"))
	f.Add([]byte{'a', 0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		root := holding(t, nil)
		if err := root.WriteFile(onnxfile.LabelsFile, text, 0o600); err != nil {
			t.Fatal(err)
		}
		labels, err := onnxfile.ReadLabels(root, 4, 64)
		if err != nil && infer.CodeOf(err) != infer.Invalid || len(labels) > 4 || len(strings.Join(labels, "")) > 64 {
			t.Fatalf("%q, %v", labels, err)
		}
		for _, label := range labels {
			if !utf8.ValidString(label) || strings.ContainsAny(label, "\n") {
				t.Fatalf("%q", labels)
			}
		}
	})
}
