package drift_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
)

// mixedRows has rows of a normal value, a class, a constant, and a value that is rarely there.
func mixedRows(n int) (rows [][]float64) {
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range n {
		rare := math.NaN()
		if i%10 == 3 {
			rare = 1e6 + rng.ExpFloat64()
		}
		if i%97 == 5 {
			rare = math.Inf(1 - 2*(i%2))
		}
		rows = append(rows, []float64{100 + 3*rng.NormFloat64(), float64(rng.IntN(4)), 7, rare})
	}
	return rows
}

var mixed = []string{"normal", "class", "constant", "rare"}

// built makes a profile of rows, with the bins of another one if that is not nil.
func built(t *testing.T, rows [][]float64, bins *drift.Profile) *drift.Profile {
	t.Helper()
	b := newBuilder(inputs(mixed...), drift.BuilderOptions{})
	if bins != nil {
		if err := b.CountIn(bins); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range rows {
		b.Add(row, make([]bool, len(row)))
	}
	p := b.Profile(drift.Meta{Model: "m", Version: 3, Source: "rows.csv", Created: time.Unix(1e9, 0)})
	if err := p.Write(&bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestMergedProfilesAreThatOfAllRows: the counts are exact, the moments up to rounding.
func TestMergedProfilesAreThatOfAllRows(t *testing.T) {
	rows := mixedRows(3000)
	first := built(t, rows[:1100], nil)
	whole := built(t, rows, first)
	for _, cut := range []int{1, 1100, 2999} {
		a, b := built(t, rows[:cut], first), built(t, rows[cut:], first)
		if cut == 1100 {
			a = first // bins of its own, which are the same
		}
		for _, pair := range [][2]*drift.Profile{{a, b}, {b, a}} {
			got, err := drift.Merge(pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			near := cmpopts.EquateApprox(1e-9, 1e-6) // sums around the mean are near 0
			if diff := cmp.Diff(whole, got, near); diff != "" {
				t.Errorf("cut at %d (-whole +merged)\n%s", cut, diff)
			}
			for i := range got.Features {
				if diff := cmp.Diff(whole.Features[i].Reference.Bins, got.Features[i].Reference.Bins); diff != "" {
					t.Errorf("feature %d: %s", i, diff)
				}
			}
		}
	}
	// A class that the first file does not have: values are not listed any more.
	rows[2000][1] = 9
	more, err := drift.Merge(first, built(t, rows[1100:], first))
	if err != nil || first.Features[1].Values == nil || more.Features[1].Values != nil {
		t.Errorf("%v, %v", more, err)
	}
	if diff := cmp.Diff(built(t, rows, first), more, cmpopts.EquateApprox(1e-9, 1e-6)); diff != "" {
		t.Error(diff)
	}
}

func TestProfilesThatCannotBeMerged(t *testing.T) {
	rows := mixedRows(600)
	a := built(t, rows, nil)
	f := func(want string, change func(p *drift.Profile)) {
		t.Helper()
		b := built(t, rows, a)
		change(b)
		if _, err := drift.Merge(a, b); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	f("for 'm' version 3, and for 'other' version 3", func(p *drift.Profile) { p.Model = "other" })
	f("for 'm' version 3, and for 'm' version 4", func(p *drift.Profile) { p.Version = 4 })
	f("the outputs are those of version 0, and of version 3", func(p *drift.Profile) { p.OutputsOf = 3 })
	f("only a sample of the rows", func(p *drift.Profile) { p.Sampled-- })
	f("4 and 3 features", func(p *drift.Profile) { p.Features = p.Features[:3] })
	f("feature 'rare' is in only one", func(p *drift.Profile) { p.Features[3].Element = 1 })
	f("feature 'normal' has other bins", func(p *drift.Profile) { p.Features[0].Edges = p.Features[0].Edges[1:] })
	f("feature 'class' is 'class' of another datatype", func(p *drift.Profile) { p.Features[1].Datatype = "INT32" })
	texts := inputs(mixed...)
	texts[1].Datatype = "BYTES"
	if err := newBuilder(texts, drift.BuilderOptions{}).CountIn(a); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "does not have feature 'class' of the same datatype") {
		t.Error(err)
	}
	b := newBuilder(inputs("normal", "class"), drift.BuilderOptions{})
	if err := b.CountIn(a); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "has 4 features, the rows have 2") {
		t.Error(err)
	}
	b = newBuilder(inputs("normal", "class", "constant", "new"), drift.BuilderOptions{})
	if err := b.CountIn(a); infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), "feature 'new'") {
		t.Error(err)
	}
}
