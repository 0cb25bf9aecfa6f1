package estimate_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"sluice.io/sluice/internal/estimate"
	"sluice.io/sluice/internal/infer"
)

func small() *estimate.Reference {
	return &estimate.Reference{
		Form: json.RawMessage(`{"kind":"score"}`), Rows: 6, Bins: 8,
		Curves:    []estimate.Curve{{Bins: []int{1, 6}, Rows: []int64{4, 2}, Hits: []int64{1, 2}}},
		Confusion: [][]int64{{3, 1}, {0, 2}},
	}
}

func TestReference(t *testing.T) {
	text, err := small().Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := estimate.Decode(text)
	if err != nil || !reflect.DeepEqual(again, small()) {
		t.Errorf("%+v %v", again, err)
	}
	f := func(old, wrong, want string) {
		t.Helper()
		changed := strings.Replace(string(text), old, wrong, 1)
		if _, err := estimate.Decode([]byte(changed)); changed == string(text) || infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", changed, err, want)
		}
	}
	f(`"rows":6`, `"rows":7`, "not those of 7 rows")
	f(`"bins":8`, `"bins":6`, "curve 0")
	f(`"bins":8`, `"bins":1000000`, "1000000 bins")
	f(`"bins":[1,6]`, `"bins":[6,1]`, "curve 0")
	f(`"hits":[1,2]`, `"hits":[1,3]`, "curve 0")
	f(`"rows":[4,2]`, `"rows":[4,-2]`, "curve 0")
	f(`[[3,1],[0,2]]`, `[[3,1],[0,3]]`, "confusion matrix has more than 6")
	f(`[[3,1],[0,2]]`, `[[3,1],[0,1]]`, "confusion matrix has 5")
	f(`[[3,1],[0,2]]`, `[[3,1],[2]]`, "line of 1")
	f(`[[3,1],[0,2]]`, `[[6]]`, "1 classes")
	f(`"form"`, `"shape"`, "unknown field")
}

// TestMerge: two halves are the whole.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	w := world{0, 1, sigmoid, sigmoid}
	rows, hits := draw(rng, w, 500)
	more, moreHits := draw(rng, w, 700)
	half, first, other := reference(rows, hits), reference(rows, hits), reference(more, moreHits)
	for b := range rows {
		rows[b], hits[b] = rows[b]+more[b], hits[b]+moreHits[b]
	}
	if err := half.Merge(other); err != nil || !reflect.DeepEqual(half, reference(rows, hits)) {
		t.Errorf("%v", err)
	}
	if err := half.Subtract(other); err != nil || !reflect.DeepEqual(half, first) {
		t.Errorf("%v: %+v, want %+v", err, half, first)
	}
	if err := half.Subtract(reference(rows, hits)); infer.CodeOf(err) != infer.Invalid || !reflect.DeepEqual(half, first) {
		t.Errorf("%v: %+v, want it unchanged", err, half)
	}
	if err := half.Merge(small()); err == nil {
		t.Error("references of other forms are merged")
	}
}

// FuzzDecode reads any text. A value that decodes is the same after another round, and can be fitted.
func FuzzDecode(f *testing.F) {
	text, err := small().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(text))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := estimate.Decode(text)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := estimate.Decode(again); err != nil || !reflect.DeepEqual(r.Curves, same.Curves) {
			t.Errorf("%+v, then %+v, %v", r, same, err)
		}
	})
}
