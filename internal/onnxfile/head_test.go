package onnxfile_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/onnxfile"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// entry encodes an entry of a model's metadata.
func entry(key, value string) []byte {
	return message(14, message(1, []byte(key)), message(2, []byte(value)))
}

func TestReadHead(t *testing.T) {
	f := func(want onnxfile.Head, entries ...[]byte) {
		t.Helper()
		model := append(onnxgen.Lin().Bytes(), bytes.Join(entries, nil)...)
		got, err := onnxfile.ReadHead(holding(t, model), "model.onnx", 40_000)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
	head := func(labels map[string]string) onnxfile.Head {
		return onnxfile.Head{Producer: "onnxgen", Labels: labels}
	}
	f(head(map[string]string{}))
	f(head(map[string]string{"names": "{0: 'a'}", "classes": ""}), entry("names", "{0: 'a'}"), entry("author", "x"), entry("classes", ""))
	long := strings.Repeat("a", 40_000) // longer than the window
	f(head(map[string]string{"labels": long}), entry("labels", long))
	f(head(map[string]string{}), entry("labels", long+"a"))
	f(onnxfile.Head{Producer: strings.Repeat("p", 4096), Labels: map[string]string{}}, message(2, bytes.Repeat([]byte("p"), 5000)))
}

func TestReadHeadOfWhatIsNotAModel(t *testing.T) {
	for _, model := range []string{"\x3a\xff\x01", "\x72\x05\x0a\xff"} {
		if _, err := onnxfile.ReadHead(holding(t, []byte(model)), "model.onnx", 10); infer.CodeOf(err) != infer.Invalid {
			t.Errorf("%q: %v", model, err)
		}
	}
	if _, err := onnxfile.ReadHead(holding(t, nil), "missing.onnx", 10); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
}

func FuzzReadHead(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(onnxgen.Lin().Bytes(), entry("names", "{0: 'a'}")...))
	f.Fuzz(func(t *testing.T, model []byte) {
		head, err := onnxfile.ReadHead(holding(t, model), "model.onnx", 16)
		if err != nil && infer.CodeOf(err) != infer.Invalid {
			t.Fatalf("%v, want invalid", err)
		}
		for key, value := range head.Labels {
			if len(value) > 16 {
				t.Fatalf("%s: %d bytes", key, len(value))
			}
		}
	})
}
