package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// sample is a profile with one of everything.
func sample(t *testing.T) *drift.Profile {
	t.Helper()
	features := append(inputs("x", "y"), drift.Feature{Name: "score", Kind: drift.KindOutput, Tensor: "probabilities", Element: 1, Datatype: "FP32"})
	b := newBuilder(features, drift.BuilderOptions{})
	for i := range 100 {
		b.Add([]float64{float64(i) / 7, nan, 3}, []bool{i%10 == 0, i%2 == 0, false})
	}
	return b.Profile(drift.Meta{Model: "m", Version: 2, Source: "rows.csv", Created: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)})
}

func text(t *testing.T, p *drift.Profile) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRoundTrip(t *testing.T) {
	p := sample(t)
	first := text(t, p)
	if lines := strings.Count(first, "\n"); lines != 5 || !json.Valid([]byte(first)) {
		t.Errorf("%d lines of\n%s", lines, first)
	}
	back, err := drift.Read(strings.NewReader(first), drift.MaxProfileBytes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	digest, err := p.Digest()
	again, errAgain := back.Digest()
	if err != nil || errAgain != nil || digest != again || !strings.HasPrefix(digest, "sha256:") || len(digest) != 71 {
		t.Errorf("digest %q, then %q; %v, %v", digest, again, err, errAgain)
	}
	back.Features[0].Reference.Bins[0]++
	if other, _ := back.Digest(); other == digest {
		t.Error("another profile has the same digest")
	}
}

func TestReadRefuses(t *testing.T) {
	whole := text(t, sample(t))
	refused := func(text, want string) {
		t.Helper()
		_, err := drift.Read(strings.NewReader(text), drift.MaxProfileBytes)
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	f := func(old, replacement, want string) {
		t.Helper()
		if !strings.Contains(whole, old) {
			t.Fatalf("no %q in %s", old, whole)
		}
		refused(strings.Replace(whole, old, replacement, 1), want)
	}
	for _, n := range []int{1, 10, 100, len(whole) / 2, len(whole) - 3} {
		refused(whole[:n], "cut short")
	}
	refused("", "empty")
	refused("{}", "format is ''; expected 'sluice.io/profile/v1'")
	refused("x,y\n1,2\n", "no profile")
	refused("[]", "expected a JSON object, got an array")
	f(`"rows":`, `"rows":"many","was":`, "rows cannot be a string")
	refused(whole+"{}", "no profile")
	f("profile/v1", "profile/v2", "format is 'sluice.io/profile/v2'; expected 'sluice.io/profile/v1'")
	f(`"rows"`, `"lines"`, `"lines"`)
	f(`"edges"`, `"borders"`, `"borders"`)
	f(`"rows":100`, `"rows":0`, "no rows")
	f(`"rows":100`, `"rows":50`, "50 rows and samples 100")
	f(`"rows":100`, `"rows":1e400`, "no profile")
	f(`"version":2`, `"version":-2`, "version is -2")
	f(`"kind":"input"`, `"kind":"label"`, "feature 1, 'x': kind 'label'")
	f(`"name":"y"`, `"name":""`, "feature 2, '': it has no name")
	f(`"name":"y"`, `"name":"x"`, "two features of kind input are named 'x'")
	f(`"tensor":"y"`, `"tensor":"x"`, "features 'x' and 'y' are both element 0 of input 'x'")
	f(`"tensor":"y"`, `"tensor":""`, "names no tensor")
	f(`"element":1`, `"element":-1`, "element -1")
	f(`"element":1`, `"element":2305843009213693952`, "element 2305843009213693952; expected 0 to 2147483647")
	f(`"FP32"`, `"BYTES"`, "datatype 'BYTES'")
	f(`"edges":[0.5`, `"edges":[9.5`, "expected them to ascend")
	f(`"edges":[]`, `"edges":[7]`, "1 bins for 1 edges; expected 2")
	f(`"edges":[`, `"edges":[-3,-2,-1,`, "34 edges; expected at most 31")
	f(`"bins":[3,`, `"bins":[4,`, "do not add up to the 100")
	f(`"bins":[3,`, `"bins":[18446744073709551615,`, "a count of 18446744073709551615")
	f(`"missing":100,"sum"`, `"missing":100,"posinf":0,"sum"`, "posinf")
	f(`"missing":100,"sum"`, `"missing":99,"sum"`, "feature 2, 'y': its counts do not add up")
	f(`"min":3`, `"min":4`, "contradict")
	f(`"variance":`, `"variance":-`, "negative")
	f(`"sum":`, `"below":1,"sum":`, "outside of its own range")

	if _, err := drift.Read(strings.NewReader(whole), 100); infer.CodeOf(err) != infer.TooLarge {
		t.Errorf("a profile above the limit: %v", err)
	}
	if err := newBuilder(inputs("x"), drift.BuilderOptions{}).Profile(drift.Meta{}).Write(&bytes.Buffer{}); err == nil {
		t.Error("a profile of no rows was written")
	}
}

func FuzzReadProfile(f *testing.F) {
	b := newBuilder(inputs("x"), drift.BuilderOptions{})
	b.Add([]float64{1}, []bool{false})
	b.Add([]float64{2}, []bool{false})
	var whole bytes.Buffer
	if err := b.Profile(drift.Meta{}).Write(&whole); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:50])
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := drift.Read(bytes.NewReader(text), 1<<20)
		if err != nil {
			if infer.CodeOf(err) != infer.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		var again bytes.Buffer
		if err := p.Write(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := drift.Read(&again, 1<<22); err != nil {
			t.Errorf("written and not read: %v", err)
		}
		drift.Compare(p, p)
	})
}

func shaped(name string, d infer.DType, dims ...int64) infer.TensorSpec {
	return infer.TensorSpec{Name: name, DType: d, Shape: dims}
}

func TestFits(t *testing.T) {
	outputs := []infer.TensorSpec{shaped("probabilities", infer.FP32, -1, 3)}
	f := func(want string, m *infer.Model) {
		t.Helper()
		err := sample(t).Fits(m)
		if want == "" && err != nil || want != "" && (infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	two := []infer.TensorSpec{shaped("x", infer.FP16, -1), shaped("y", infer.Bool, -1, -1)}
	f("", infer.NewModel("m", 2, two, outputs))
	f("it is of model 'm'; it is of version 2; feature 'y'", infer.NewModel("n", 3, two[:1], outputs[:0]))
	f("feature 'y': the model has no input 'y'; feature 'score': the model has no output 'probabilities'", infer.NewModel("m", 2, two[:1], nil))
	f("feature 'x': input 'x' has datatype BYTES", infer.NewModel("m", 2, []infer.TensorSpec{shaped("x", infer.Bytes, -1), two[1]}, outputs))
	f("element 1 of output 'probabilities', whose rows have 1", infer.NewModel("m", 2, two, []infer.TensorSpec{shaped("probabilities", infer.FP32, -1, 1)}))
}

// placesText writes features as "name=i:tensor[0]FP32".
func placesText(features []drift.Feature) string {
	texts := make([]string, len(features))
	for i, x := range features {
		texts[i] = fmt.Sprintf("%s=%s:%s[%d]%s", x.Name, x.Kind[:1], x.Tensor, x.Element, x.Datatype)
	}
	return strings.Join(texts, " ")
}

func TestFeaturesNamed(t *testing.T) {
	f := func(columns, outputs, want string) {
		t.Helper()
		features, err := drift.FeaturesNamed(strings.Fields(columns), strings.Fields(outputs))
		if err == nil && placesText(features) != want || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %s, %v; want %s", columns, placesText(features), err, want)
		}
	}
	f("a input[3] V.1 odd]", "", "a=i:a[0] input[3]=i:input[3] V.1=i:V.1[0] odd]=i:odd][0]")
	f("a y", "y", "a=i:a[0] y=o:y[0]")
	f("a y", "z", "output 'z' is no column of numbers")
	f("a a[0]", "", "columns 'a' and 'a[0]' are both element 0 of input 'a'")
	f("", "", "0 columns of numbers")
}

func TestColumnsOf(t *testing.T) {
	p := sample(t) // x, y and score, which is probabilities[1]
	f := func(columns, want string) {
		t.Helper()
		got, err := p.ColumnsOf(strings.Fields(columns))
		if err == nil && strings.Join(got, " ") != want || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, %v; want %s", columns, got, err, want)
		}
	}
	f("y score id x", "x y score")
	f("probabilities[1] x y.0", "x y.0 probabilities[1]")
	f("probabilities.1 x y", "x y probabilities.1")
	f("col1 col2 col3", "col1 col2 col3")
	f("col1 col2", "no column of numbers for feature 'x'; 'y'; 'score'")
	f("x col2 col3", "no column of numbers for feature 'y'; 'score'")
}

func TestFeaturesOf(t *testing.T) {
	iris := infer.NewModel("iris", 1,
		[]infer.TensorSpec{shaped("input", infer.FP32, -1, 4)},
		[]infer.TensorSpec{shaped("label", infer.Int64, -1), shaped("p", infer.FP32, -1, 3)})
	flat := infer.NewModel("flat", 1,
		[]infer.TensorSpec{shaped("a", infer.FP32, -1, 1), shaped("a.1", infer.FP64, -1), shaped("kind", infer.Bytes, -1)},
		[]infer.TensorSpec{shaped("y", infer.FP32, -1, -1)})
	f := func(m *infer.Model, columns string, mapping map[string]string, want string) {
		t.Helper()
		features, err := drift.FeaturesOf(m, strings.Fields(columns), mapping)
		got := placesText(features)
		for i, x := range features {
			if x.Name != strings.Fields(columns)[i] {
				t.Errorf("feature %d is named %s", i, x.Name)
			}
		}
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && (want == "" || !strings.Contains(got, want)) {
			t.Errorf("%s: %s\nwant %s", columns, got, want)
		}
	}
	f(iris, "a b c d", nil, "a=i:input[0]FP32 b=i:input[1]FP32 c=i:input[2]FP32 d=i:input[3]FP32")
	f(iris, "a b c d e f g h", nil, "a=i:input[0]FP32 b=i:input[1]FP32 c=i:input[2]FP32 d=i:input[3]FP32 "+
		"e=o:label[0]INT64 f=o:p[0]FP32 g=o:p[1]FP32 h=o:p[2]FP32")
	f(iris, "input[3] input.0 label p[2]", nil, "input[3]=i:input[3]FP32 input.0=i:input[0]FP32 label=o:label[0]INT64 p[2]=o:p[2]FP32")
	f(iris, "a b", map[string]string{"a": "input[2]", "b": "label"}, "a=i:input[2]FP32 b=o:label[0]INT64")
	f(flat, "a.1 a", nil, "a.1=i:a.1[0]FP64 a=i:a[0]FP32")
	f(flat, "y.7", nil, "y.7=o:y[7]FP32")

	f(iris, "a b c", nil, "3 columns are neither the 4 elements of its inputs nor these and the 4 of its outputs; by name: column 'a': the model has no tensor 'a'; column 'b'")
	f(flat, "u v", nil, "strings or a size that varies")
	f(iris, "input[3] id target", nil, "column 'id': the model has no tensor 'id'; column 'target': the model has no tensor 'target'")
	f(iris, "input[4] label", nil, "element 4 of input 'input', whose rows have 4")
	f(iris, "input label", nil, "input 'input' has more than one element; name one of them, 'input[0]' for example")
	f(iris, "a b c d", map[string]string{"a": "input[9]", "z": "label"}, "no column of numbers is named 'z'; column 'a': element 9")
	f(iris, "input[1] input.1", nil, "columns 'input[1]' and 'input.1' are both element 1 of input 'input'")
	f(flat, "kind a", nil, "input 'kind' has datatype BYTES")
	f(iris, "", nil, "0 columns of numbers")
	f(iris, strings.Repeat("a ", drift.MaxFeatures+1), nil, "10001 columns of numbers; expected 1 to 10000")
	f(iris, "label input[] input[x] input.-1", nil, "the model has no tensor 'input[]'")
	f(infer.NewModel("huge", 1, []infer.TensorSpec{shaped("x", infer.FP32, -1, 1<<40)}, nil), "a b", nil, "size that varies")
}
