package drift_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// textsOf makes a profile of rows with a category, a free text and a number.
func textsOf(t *testing.T, words, comments []string, bins *drift.Profile) *drift.Profile {
	t.Helper()
	b := newBuilder([]drift.Feature{
		{Name: "word", Kind: drift.KindInput, Tensor: "word", Datatype: "BYTES"},
		{Name: "comment", Kind: drift.KindInput, Tensor: "comment", Datatype: "BYTES"},
		{Name: "n", Kind: drift.KindInput, Tensor: "n", Datatype: "FP64"},
	}, drift.BuilderOptions{TextNames: true})
	if bins != nil {
		if err := b.CountIn(bins); err != nil {
			t.Fatal(err)
		}
	}
	for i := range words {
		b.AddRow([]float64{0, 0, float64(len(comments[i]) % 7)}, []string{words[i], comments[i], ""}, make([]bool, 3))
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	p := b.Profile(drift.Meta{Model: "m"})
	if err := p.Write(&bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// twoTexts makes two profiles of rows with texts, with the same bins, and returns the words and comments of both.
func twoTexts(t *testing.T) (first, second *drift.Profile, list, comments []string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(16, 9))
	list = words(rng, 4000, 60)
	list[7], list[3999] = "", "only in the second"
	comments = make([]string, len(list))
	for i := range comments {
		comments[i] = fmt.Sprintf("comment %x", rng.Uint64()>>rng.IntN(40))
	}
	const cut = 1500
	first = textsOf(t, list[:cut], comments[:cut], nil)
	return first, textsOf(t, list[cut:], comments[cut:], first), list, comments
}

// TestMergedTexts: profiles with texts merge to the profile of all rows.
func TestMergedTexts(t *testing.T) {
	first, second, list, comments := twoTexts(t)
	got, err := drift.Merge(first, second)
	if err != nil {
		t.Fatal(err)
	}
	want := textsOf(t, list, comments, first)
	sketches := cmpopts.IgnoreFields(drift.TextValues{}, "Sketch", "Names")
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 1e-9), sketches); diff != "" {
		t.Error(diff)
	}
	if err := got.Write(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
	names := got.Features[0].Text.Names
	if names[0] != "word 0" || len(names) != 31 {
		t.Errorf("%q", names)
	}

	// A category with too many values, and damaged sketches, are errors.
	b := newBuilder([]drift.Feature{{Name: "word", Kind: drift.KindInput, Tensor: "word", Datatype: "BYTES"}}, drift.BuilderOptions{})
	only := *first
	only.Features = first.Features[:1]
	if err := b.CountIn(&only); err != nil {
		t.Fatal(err)
	}
	for i := range 1001 {
		b.AddRow([]float64{0}, []string{strconv.Itoa(i)}, []bool{false})
	}
	if err := b.Err(); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "more than 1000 different values") {
		t.Errorf("%v", err)
	}
	damaged := *second.Features[0].Text
	damaged.Sketch = []byte("not a sketch")
	second.Features[0].Text = &damaged
	if _, err := drift.Merge(first, second); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "sketch") {
		t.Errorf("%v", err)
	}
}
