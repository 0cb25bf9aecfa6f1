package drift_test

import (
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// usesText formats the use of columns as "name=i:tensor[0]FP32", and as "name-" if a column is left
// out.
func usesText(m *drift.ColumnMap) string {
	if m == nil {
		return ""
	}
	texts := make([]string, len(m.Columns))
	for i, c := range m.Columns {
		texts[i] = c.Column + "-"
		if x := c.Feature; x != nil {
			texts[i] = fmt.Sprintf("%s=%s:%s[%d]%s", x.Name, x.Kind[:1], x.Tensor, x.Element, x.Datatype)
		}
	}
	return strings.Join(texts, " ")
}

func TestNameColumns(t *testing.T) {
	f := func(columns, outputs, targets, want string) {
		t.Helper()
		m, err := drift.NameColumns(strings.Fields(columns), drift.ColumnOptions{Outputs: strings.Fields(outputs), Targets: strings.Fields(targets)})
		if err == nil && usesText(m) != want || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %s, %v; want %s", columns, usesText(m), err, want)
		}
	}
	f("a input[3] V.1 odd]", "", "", "a=i:a[0] input[3]=i:input[3] V.1=i:V.1[0] odd]=i:odd][0]")
	f("a y", "y", "", "a=i:a[0] y=o:y[0]")
	f("a y t", "y", "t", "a=i:a[0] y=o:y[0] t-")
	f("a y", "z", "", "output 'z' is not a column")
	f("a a[0]", "", "", "columns 'a' and 'a[0]' are both element 0 of input 'a'")
	f("t", "", "t", "every column is a target")
	f("", "", "", "0 columns; expected")
}

func TestColumnsOf(t *testing.T) {
	p := sample(t) // x, y and score, which is probabilities[1]
	f := func(columns, want string) {
		t.Helper()
		got, err := p.ColumnsOf(strings.Fields(columns), map[string]bool{"words": true})
		if err == nil && strings.Join(got, " ") != want || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %v; want %s", columns, got, err, want)
		}
	}
	f("y score id x", "x y score")
	f("probabilities[1] x y.0", "x y.0 probabilities[1]")
	f("probabilities.1 x y", "x y probabilities.1")
	f("col1 col2 col3", "no column for feature 'x'; 'y'; 'score'") // outputs are never matched by order
	f("col1 col2", "no column for feature 'x'; 'y'; 'score'")
	f("x col2 col3", "no column for feature 'y'; 'score'")
	p.Features = p.Features[:2]
	f("col1 col2", "col1 col2")
	f("col1 words col2", "col1 col2")
	f("x words", "no column for feature 'y'")
	f("in.y x time", "x in.y")
}

// mappedModels returns models for mapping columns.
func mappedModels() (iris, flat, one *infer.Model) {
	iris = infer.NewModel("iris", 1,
		[]infer.TensorSpec{shaped("input", infer.FP32, -1, 4)},
		[]infer.TensorSpec{shaped("label", infer.Int64, -1), shaped("p", infer.FP32, -1, 3)})
	flat = infer.NewModel("flat", 1,
		[]infer.TensorSpec{shaped("a", infer.FP32, -1, 1), shaped("a.1", infer.FP64, -1), shaped("kind", infer.Bytes, -1)},
		[]infer.TensorSpec{shaped("y", infer.FP32, -1, -1)})
	one = infer.NewModel("one", 1, []infer.TensorSpec{shaped("input", infer.FP32, -1, 2)}, []infer.TensorSpec{shaped("prediction", infer.FP32, -1, 1)})
	return iris, flat, one
}

func TestMapColumns(t *testing.T) {
	iris, flat, one := mappedModels()
	f := func(m *infer.Model, columns string, o drift.ColumnOptions, want string, warnings ...string) {
		t.Helper()
		got, err := drift.MapColumns(m, strings.Fields(columns), o)
		text := usesText(got)
		if err != nil {
			text = err.Error()
		}
		if err == nil && text != want || err != nil && (want == "" || !strings.Contains(text, want)) {
			t.Errorf("%s: %s\nwant %s", columns, text, want)
		}
		if err != nil {
			return
		}
		if len(got.Warnings) != len(warnings) {
			t.Errorf("%s: %q, want %q", columns, got.Warnings, warnings)
			return
		}
		for i, warning := range warnings {
			if !strings.Contains(got.Warnings[i], warning) {
				t.Errorf("%s: %q, want %q", columns, got.Warnings[i], warning)
			}
		}
	}
	places := func(list ...string) (o drift.ColumnOptions) {
		o.Places = map[string]string{}
		for _, text := range list {
			column, place, _ := strings.Cut(text, "=")
			o.Places[column] = place
		}
		return o
	}
	outputs := func(list ...string) drift.ColumnOptions { return drift.ColumnOptions{Outputs: list} }
	targets := func(list ...string) drift.ColumnOptions { return drift.ColumnOptions{Targets: list} }
	var none drift.ColumnOptions
	const order, four = "matched in the order of the file", "a=i:input[0]FP32 b=i:input[1]FP32 c=i:input[2]FP32 d=i:input[3]FP32"

	// Inputs may be matched by order, with a warning; outputs never are.
	f(iris, "a b c d", none, four, order)
	f(iris, "a b c d t", targets("t"), four+" t-", order)
	f(iris, "t a b c d", targets("t"), "t- "+four, order)
	f(iris, "a b c d label", none, four+" label=o:label[0]INT64", order)
	f(iris, "a b c d label", targets("label"), four+" label-", order)
	f(iris, "a b c d t", none, "5 columns cannot be matched by order to the 4 elements of its inputs; name the target (--target)")
	f(iris, "a b c d e f g h", none, "8 columns cannot be matched by order to the 4 elements")
	f(one, "a b y", outputs("y"), "a=i:input[0]FP32 b=i:input[1]FP32 y=o:prediction[0]FP32", order)
	f(one, "a b y", none, "3 columns cannot be matched by order to the 2 elements")
	f(one, "f10 f2", none, "f10=i:input[0]FP32 f2=i:input[1]FP32", "'f10' is before 'f2'")
	f(one, "f2 f10", none, "f2=i:input[0]FP32 f10=i:input[1]FP32", order)
	f(one, "g2 f1", none, "g2=i:input[0]FP32 f1=i:input[1]FP32", order)

	// Columns with other names are left out, and elements without a column are reported.
	f(iris, "input[3] input.0 label p[2]", none, "input[3]=i:input[3]FP32 input.0=i:input[0]FP32 label=o:label[0]INT64 p[2]=o:p[2]FP32", "input[1]; input[2]")
	f(iris, "input[0] input[1] input[2] input[3] id target", none, "input[0]=i:input[0]FP32 input[1]=i:input[1]FP32 input[2]=i:input[2]FP32 input[3]=i:input[3]FP32 id- target-")
	f(iris, "a b", places("a=input[2]", "b=label"), "a=i:input[2]FP32 b=o:label[0]INT64", "input[0]; input[1]; input[3]")
	f(iris, "a b", places("a=input[2]"), "a=i:input[2]FP32 b-", "input[0]; input[1]; input[3]")
	f(flat, "a.1 a kind", none, "a.1=i:a.1[0]FP64 a=i:a[0]FP32 kind=i:kind[0]BYTES")
	f(flat, "y.7", none, "y.7=o:y[7]FP32", "a[0]")
	f(flat, "a kind label.1", none, "a=i:a[0]FP32 kind=i:kind[0]BYTES label.1-", "a.1[0]")
	f(iris, "input[0] label label.1", none, "input[0]=i:input[0]FP32 label=o:label[0]INT64 label.1-", "input[1]; input[2]; input[3]")

	exported := infer.NewModel("exported", 1, []infer.TensorSpec{shaped("hue__x_", infer.FP32, -1, 1), shaped("_9", infer.FP32, -1, 1)}, nil)
	f(exported, "hue_(x) 9", none, "hue_(x)=i:hue__x_[0]FP32 9=i:_9[0]FP32") // as skl2onnx names inputs
	f(exported, "hue_(x) hue__x_ 9", none, "columns 'hue_(x)' and 'hue__x_' are both element 0 of input 'hue__x_'")

	// Files of captured traffic say what is an input and what an output.
	f(iris, "time role in.input[0] in.input[1] in.input[2] in.input[3] out.label out.p[2]", none, "time- role- input[0]=i:input[0]FP32 input[1]=i:input[1]FP32 input[2]=i:input[2]FP32 input[3]=i:input[3]FP32 label=o:label[0]INT64 p[2]=o:p[2]FP32")
	f(flat, "in.a in.a.1 in.kind out.none", none, "a=i:a[0]FP32 a.1=i:a.1[0]FP64 kind=i:kind[0]BYTES out.none-")

	// Columns of texts are only for tensors of texts.
	texts := func(o drift.ColumnOptions, list ...string) drift.ColumnOptions {
		o.Texts = map[string]string{}
		for _, column := range list {
			o.Texts[column] = "red"
		}
		return o
	}
	f(flat, "a a.1 kind", texts(none, "kind"), "a=i:a[0]FP32 a.1=i:a.1[0]FP64 kind=i:kind[0]BYTES")
	f(flat, "u v w", texts(none, "w"), "u=i:a[0]FP32 v=i:a.1[0]FP64 w=i:kind[0]BYTES", order)
	f(flat, "u w v", texts(none, "w"), "cannot be matched by order: column 'w': it has text, for example 'red', but input 'a.1' has datatype FP64")
	f(iris, "a b name c d", texts(none, "name"), "a=i:input[0]FP32 b=i:input[1]FP32 name- c=i:input[2]FP32 d=i:input[3]FP32", order)
	f(iris, "input[0] label", texts(none, "label"), "input[0]=i:input[0]FP32 label-", "input[1]; input[2]; input[3]")
	f(iris, "input[0] name", texts(places("name=label"), "name"), "column 'name': it has text, for example 'red', but output 'label' has datatype INT64")

	// An output in the options has its own place.
	f(iris, "input[0] x", outputs("x=p[1]"), "input[0]=i:input[0]FP32 x=o:p[1]FP32", "input[1]")
	f(iris, "input[0] label", outputs("label"), "input[0]=i:input[0]FP32 label=o:label[0]INT64", "input[1]")
	f(iris, "input[0] x=p[1]", outputs("x=p[1]"), "the model has several outputs, but none with this name")
	f(iris, "input[0] x", outputs("x"), "column 'x': the model has several outputs, but none with this name; give one, for example 'x=label[0]'")
	f(iris, "input[0] x", outputs("x=input[1]"), "column 'x': the model has no tensor 'input'")
	f(iris, "input[0]", outputs("y=label"), "there is no column 'y'")

	// A wrong option is an error.
	f(flat, "u v", none, "2 columns cannot be matched by order to the 3 elements")
	f(iris, "input[4] label", none, "element 4 of input 'input' does not exist: its rows have 4")
	f(iris, "input label", none, "input 'input' has more than one element; name one of them, for example 'input[0]'")
	f(iris, "a b c d", places("a=input[9]", "z=label"), "there is no column 'z'; column 'a': element 9")
	f(iris, "input[1] input.1", none, "columns 'input[1]' and 'input.1' are both element 1 of input 'input'")
	f(iris, "", none, "0 columns; expected")
	f(iris, strings.Repeat("a ", drift.MaxFeatures+1), none, "10001 columns; expected 1 to 10000")
	f(iris, "label input[] input[x] input.-1", none, "the model has no tensor 'input[]'")
	f(infer.NewModel("huge", 1, []infer.TensorSpec{shaped("x", infer.FP32, -1, 1<<40)}, nil), "a b", none, "variable size")
}
