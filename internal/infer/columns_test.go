package infer_test

import (
	"strings"
	"testing"

	"sluice.io/sluice/internal/infer"
)

func tabular() *infer.Model {
	spec := func(name string, dims ...int64) infer.TensorSpec {
		return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: dims}
	}
	return infer.NewModel("m", 1, []infer.TensorSpec{spec("x", -1, 2), spec("age", -1), spec("wide", -1, -1, 2), spec("scalar")}, nil)
}

func TestColumns(t *testing.T) {
	f := func(names map[string][]string, name string, want infer.Column) {
		t.Helper()
		c, err := infer.NewColumns(tabular(), names)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Find([]byte(name)); !ok || got != want {
			t.Errorf("%v: %s is %v, %v, want %v", names, name, got, ok, want)
		}
		if _, ok := c.Find([]byte("none")); ok {
			t.Errorf("%v: an unknown column was found", names)
		}
	}
	f(nil, "x", infer.Column{Input: 0, Element: infer.WholeRow})
	f(nil, "age", infer.Column{Input: 1, Element: infer.WholeRow})
	named := map[string][]string{"x": {"a", "x"}, "age": {"age"}, "wide": {"p", "q", "r", "s"}}
	f(named, "a", infer.Column{Input: 0, Element: 0})
	f(named, "x", infer.Column{Input: 0, Element: 1}) // an element's name takes precedence over its input's
	f(named, "age", infer.Column{Input: 1, Element: 0})
	f(named, "s", infer.Column{Input: 2, Element: 3})
}

func TestColumnsThatDoNotFit(t *testing.T) {
	f := func(names map[string][]string, want string) {
		t.Helper()
		if _, err := infer.NewColumns(tabular(), names); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v: %v, want %q", names, err, want)
		}
	}
	f(map[string][]string{"y": {"a"}}, "has no input 'y'")
	f(map[string][]string{"x": {"a"}}, "1 columns do not match a row of input 'x' of shape [-1,2]")
	f(map[string][]string{"wide": {"a", "b", "c"}}, "3 columns do not match")
	f(map[string][]string{"scalar": {"a"}}, "do not match")
	f(map[string][]string{"x": {"a", "a"}}, "column 'a' of input 'x' is a duplicate")
	f(map[string][]string{"x": {"a", "age"}}, "is also the name of an input")
}

func TestRowElements(t *testing.T) {
	f := func(n int64, free bool, dims ...int64) {
		t.Helper()
		s := infer.TensorSpec{Shape: dims}
		if got, gotFree := s.RowElements(); got != n || gotFree != free {
			t.Errorf("%v: %d, %v", dims, got, gotFree)
		}
	}
	f(-1, false)
	f(1, false, -1)
	f(12, false, -1, 3, 4)
	f(3, true, -1, -1, 3)
	f(0, false, -1, 0)
	f(-1, false, -1, 1<<16, 1<<16)
	f(-1, false, 1, 1<<62)
}

// Names as skl2onnx 1.19 exports them.
func TestExportedName(t *testing.T) {
	for column, want := range map[string]string{
		"sepal length (cm)": "sepal_length__cm_", "9x": "_9x", "a/b": "a_b", "é t": "é_t", "__q": "__q", "A%": "A_", "a+b": "a+b", "": "",
	} {
		if got := infer.ExportedName(column); got != want {
			t.Errorf("%q: got %q, want %q", column, got, want)
		}
	}
}
