package offline_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestEvaluateTexts: a model with texts computes its outputs for a profile too.
func TestEvaluateTexts(t *testing.T) {
	withModel(t, onnxgen.Identity(infer.Bytes, "N", 1), func(e *offline.Evaluator) {
		p, notes, err := evaluated(t, e, "input\n"+strings.Repeat("red\ngreen\nred\n\"\"\n12\n", 200), true)
		if err != nil || notes != "" || len(p.Features) != 2 || p.Rows != 1000 {
			t.Fatalf("%+v, %q, %v", p, notes, err)
		}
		in, out := &p.Features[0], &p.Features[1]
		if in.Measure != "category" || out.Kind != "output" || out.Datatype != "BYTES" {
			t.Errorf("%+v, %+v", in, out)
		}
		if diff := cmp.Diff(in.Reference, out.Reference); diff != "" || in.Reference.Missing != 200 {
			t.Errorf("the answers are the inputs: %s", diff)
		}
		if diff := cmp.Diff([]string{"red", "12", "green"}, out.Text.Names); diff != "" {
			t.Error(diff)
		}
	})
	withModel(t, onnxgen.Identity(infer.Bool, "N", 1), func(e *offline.Evaluator) {
		p, _, err := evaluated(t, e, "input\n"+strings.Repeat("true\nFalse\n1\n", 100), true)
		if err != nil || len(p.Features) != 2 || p.Features[1].Mean < 0.66 || p.Features[1].Mean > 0.67 || len(p.Features[1].Values) != 2 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// TestProfileOfCapturedTraffic: a Parquet file with the names of captured traffic is a reference.
func TestProfileOfCapturedTraffic(t *testing.T) {
	type row struct {
		Time  int64  `parquet:"time"`
		Role  string `parquet:"role"`
		Input string `parquet:"in.input"`
	}
	rows := make([]row, 600)
	for i := range rows {
		rows[i] = row{int64(i), "stable", []string{"red", "green", "red"}[i%3]}
	}
	var file bytes.Buffer
	if err := parquet.Write(&file, rows); err != nil {
		t.Fatal(err)
	}
	withModel(t, onnxgen.Identity(infer.Bytes, "N", 1), func(e *offline.Evaluator) {
		p, err := offline.MakeProfile(t.Context(), bytes.NewReader(file.Bytes()), offline.ProfileOptions{Model: e.Model(), Evaluator: e, NeedOutputs: true})
		if err != nil || len(p.Features) != 2 || p.Rows != 600 || p.Features[0].Name != "input" || p.Features[1].Reference.Bins[0] != 400 {
			t.Fatalf("%+v, %v", p, err)
		}
		windows := 0
		_, err = offline.SimulateProfile(t.Context(), p, bytes.NewReader(file.Bytes()), simulation(), func(s offline.Simulated) error {
			windows++
			if s.State != drift.OK {
				t.Errorf("%+v", s)
			}
			return nil
		})
		if err != nil || windows == 0 {
			t.Errorf("%d windows, %v", windows, err)
		}
	})
}

func textRows(seed uint64, n int, euro float64) string {
	rng := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	b.WriteString("currency,comment,amount\n")
	for range n {
		currency := "USD"
		if rng.Float64() < euro {
			currency = "EUR"
		}
		fmt.Fprintf(&b, "%s,order %x,%.3f\n", currency, rng.Uint64()>>rng.IntN(40), rng.NormFloat64())
	}
	return b.String()
}

// TestSimulateTexts: texts of a file are compared with those of another one.
func TestSimulateTexts(t *testing.T) {
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(textRows(1, 5000, 0.3)), offline.ProfileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f := func(csv, want string) {
		t.Helper()
		o := simulation()
		o.Drift.Rows = 1000
		var changes []string
		rows, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), o, func(s offline.Simulated) error {
			for _, list := range [][]drift.Finding{s.Features, s.Quality} {
				for i := range list {
					if list[i].State == "DETECTED" {
						changes = append(changes, list[i].Feature+": "+list[i].Change)
					}
				}
			}
			return nil
		})
		if got := strings.Join(changes, "; "); err != nil || rows != 3000 || !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%d rows, %v: %s, want %s", rows, err, got, want)
		}
	}
	f(textRows(2, 3000, 0.3), "")
	f(textRows(3, 3000, 0.5), `of the values are "EUR", 29.6 % in the reference`)
	f(strings.ReplaceAll(textRows(4, 3000, 0.3), "EUR", "CHF"), `, for example "CHF"`)
	f(strings.ReplaceAll(textRows(5, 3000, 0.3), "order ", "an order "), "comment length: mean higher by")
}

// TestHiddenTexts: a profile without texts has none, and still knows them.
func TestHiddenTexts(t *testing.T) {
	p, err := offline.MakeProfile(t.Context(), strings.NewReader(textRows(1, 5000, 0.3)), offline.ProfileOptions{HideTexts: true})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := p.Write(&text); err != nil || strings.Contains(text.String(), "EUR") || strings.Contains(text.String(), "order") {
		t.Errorf("%v of %s", err, text.String())
	}
	if f := &p.Features[0]; len(f.Text.Hashes) != 2 || f.CategoryName(0) != "value 1" {
		t.Errorf("%+v", f)
	}
}
