package ort

import (
	"testing"

	binding "github.com/yalue/onnxruntime_go"
)

// The shim must see through the handle the options that the binding has set.
func TestHandleIsTheBindingsPointer(t *testing.T) {
	if err := checkHandles(); err != nil {
		t.Fatal(err)
	}
	options, err := binding.NewSessionOptions()
	if err != nil {
		t.Fatal(err)
	}
	defer options.Destroy() //nolint:errcheck // it fails only when destroyed twice
	f := func(want bool) {
		t.Helper()
		if got, err := hasConfig(handle(options), "sluice.probe"); err != nil || got != want {
			t.Errorf("got %t %v, want %t", got, err, want)
		}
	}
	f(false)
	if err := options.AddSessionConfigEntry("sluice.probe", "1"); err != nil {
		t.Fatal(err)
	}
	f(true)
}

func TestPathsAreTakenOut(t *testing.T) {
	f := func(text, want string, paths ...string) {
		t.Helper()
		if got := withoutPaths(text, paths); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("Load model from /srv/models/a/1/model.onnx failed", "Load model from model.onnx failed", "/srv/models/a/1/model.onnx")
	f("no /srv/models/a/1/w.bin in /srv/models/a/1", "no w.bin in ", "/srv/models/a/1/model.onnx")
	f("node /layer1/conv failed", "node /layer1/conv failed", "/model.onnx")
}
