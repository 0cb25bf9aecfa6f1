package ort_test

import (
	"cmp"
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
)

// options returns options with all that Load needs.
func options() ort.LoadOptions { return complete(ort.LoadOptions{}) }

// complete sets the fields that Load needs and o lacks.
func complete(o ort.LoadOptions) ort.LoadOptions {
	o.OptimizationLevel = cmp.Or(o.OptimizationLevel, "all")
	o.PreparedShapes = cmp.Or(o.PreparedShapes, 64)
	o.KeepBytes = cmp.Or(o.KeepBytes, 64<<20)
	o.MaxOutputBytes = cmp.Or(o.MaxOutputBytes, 1<<30)
	return o
}

func TestIncompleteOptions(t *testing.T) {
	path := write(t, double("incomplete"))
	f := func(want string, remove func(*ort.LoadOptions)) {
		t.Helper()
		o := options()
		remove(&o)
		s, err := env.Load(path, o)
		if err == nil {
			err = s.Close()
			t.Errorf("loaded, %v; want %q", err, want)
			return
		}
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("OptimizationLevel is ''; expected disable, basic, extended or all", func(o *ort.LoadOptions) { o.OptimizationLevel = "" })
	f("PreparedShapes is 0; expected at least 1", func(o *ort.LoadOptions) { o.PreparedShapes = 0 })
	f("KeepBytes is 0; expected at least 1", func(o *ort.LoadOptions) { o.KeepBytes = 0 })
	f("MaxOutputBytes is -1; expected at least 1", func(o *ort.LoadOptions) { o.MaxOutputBytes = -1 })
}
