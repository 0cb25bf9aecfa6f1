package drift_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// sample is a profile with all kinds of content.
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
		refused(whole[:n], "incomplete")
	}
	refused("", "empty")
	refused("{}", "format is ''; expected 'sluice.io/profile/v1'")
	refused("x,y\n1,2\n", "not a profile")
	refused("[]", "expected a JSON object, got an array")
	f(`"rows":`, `"rows":"many","was":`, "rows cannot be a string")
	refused(whole+"{}", "not a profile")
	f("profile/v1", "profile/v2", "format is 'sluice.io/profile/v2'; expected 'sluice.io/profile/v1'")
	f(`"rows"`, `"lines"`, `"lines"`)
	f(`"edges"`, `"borders"`, `"borders"`)
	f(`"rows":100`, `"rows":0`, "no rows")
	f(`"rows":100`, `"rows":50`, "50 rows but 100 sampled rows")
	f(`"rows":100`, `"rows":1e400`, "not a profile")
	f(`"version":2`, `"version":-2`, "version is -2")
	f(`"kind":"input"`, `"kind":"label"`, "feature 1, 'x': kind 'label'")
	f(`"name":"y"`, `"name":""`, "feature 2, '': the name is missing")
	f(`"name":"y"`, `"name":"x"`, "two features of kind input are named 'x'")
	f(`"tensor":"y"`, `"tensor":"x"`, "features 'x' and 'y' are both element 0 of input 'x'")
	f(`"tensor":"y"`, `"tensor":""`, "the tensor is missing")
	f(`"element":1`, `"element":-1`, "element -1")
	f(`"element":1`, `"element":2305843009213693952`, "element 2305843009213693952; expected 0 to 2147483647")
	f(`"FP32"`, `"BYTES"`, "datatype 'BYTES'")
	f(`"edges":[0.5`, `"edges":[9.5`, "expected them to ascend")
	f(`"edges":[]`, `"edges":[7]`, "1 bins for 1 edges; expected 2")
	f(`"edges":[`, `"edges":[-3,-2,-1,`, "34 edges; expected at most 31")
	f(`"bins":[3,`, `"bins":[4,`, "do not add up to the 100")
	f(`"bins":[3,`, `"bins":[18446744073709551615,`, "a count is 18446744073709551615")
	f(`"missing":100,"sum"`, `"missing":100,"posinf":0,"sum"`, "posinf")
	f(`"missing":100,"sum"`, `"missing":99,"sum"`, "feature 2, 'y': its counts do not add up")
	f(`"min":3`, `"min":4`, "contradict")
	f(`"variance":`, `"variance":-`, "negative")
	f(`"sum":`, `"below":1,"sum":`, "are outside its own range")

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
		if _, err := drift.Compare(p, p, compareOptions()); err != nil {
			t.Error(err)
		}
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
	f("it is for model 'm'; it is for version 2; feature 'y'", infer.NewModel("n", 3, two[:1], outputs[:0]))
	f("feature 'y': the model has no input 'y'; feature 'score': the model has no output 'probabilities'", infer.NewModel("m", 2, two[:1], nil))
	f("feature 'x': input 'x' has datatype BYTES", infer.NewModel("m", 2, []infer.TensorSpec{shaped("x", infer.Bytes, -1), two[1]}, outputs))
	f("element 1 of output 'probabilities' does not exist: its rows have 1", infer.NewModel("m", 2, two, []infer.TensorSpec{shaped("probabilities", infer.FP32, -1, 1)}))
}
