package offline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// numbersModel has an input of one element for each datatype, with the datatype's name.
func numbersModel(types ...infer.DType) *infer.Model {
	var inputs []infer.TensorSpec
	for _, d := range types {
		inputs = append(inputs, infer.TensorSpec{Name: d.String(), DType: d, Shape: infer.Shape{-1, 1}})
	}
	return infer.NewModel("numbers", 1, inputs, nil)
}

// TestGapsOfTrainingData: a model that was trained with missing values gets the same data without
// an alarm, however the file marks a missing value. More missing values raise one.
func TestGapsOfTrainingData(t *testing.T) {
	m := numbersModel(infer.FP32, infer.Int64)
	table := func(seed uint64, share float64, gaps ...string) string {
		rng := rand.New(rand.NewPCG(seed, 8))
		var b strings.Builder
		b.WriteString("FP32,INT64\n")
		for i := range 4000 {
			float, integer := fmt.Sprintf("%.4f", rng.NormFloat64()), fmt.Sprintf("%d.0", rng.IntN(5))
			if rng.Float64() < share {
				float, integer = gaps[i%len(gaps)], gaps[(i+1)%len(gaps)]
			}
			fmt.Fprintf(&b, "%s,%s\n", float, integer)
		}
		return b.String()
	}
	f := func(state string, share float64, reference, live []string) {
		t.Helper()
		p, err := offline.MakeProfile(t.Context(), strings.NewReader(table(1, .1, reference...)), offline.ProfileOptions{Model: m})
		if err != nil {
			t.Fatal(err)
		}
		_, err = offline.SimulateProfile(t.Context(), p, strings.NewReader(table(2, share, live...)), simulation(), func(s offline.Simulated) error {
			if s.State != state {
				t.Errorf("%v, then %v in %v of the rows: %s, want %s: %+v", reference, live, share, s.State, state, s.Quality)
			}
			if state == drift.Detected && (len(s.Quality) < 2 || s.Quality[0].Statistic != "missing" || s.Quality[1].Statistic != "missing") {
				t.Errorf("%+v", s.Quality)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	every := []string{"", "NaN", "NA", "null", "nan", "None"}
	f(drift.OK, .1, []string{""}, []string{"NaN"})
	f(drift.OK, .1, []string{"NaN"}, []string{""})
	f(drift.OK, .1, every, every)
	f(drift.Detected, .25, []string{""}, []string{"NaN"})
	f(drift.Detected, .25, every, every)
}

// TestNumbersOfIntegers: a number that no request could have is an error with its place.
func TestNumbersOfIntegers(t *testing.T) {
	p, err := offline.MakeProfile(t.Context(), strings.NewReader("UINT8\n1\n200\n"), offline.ProfileOptions{Model: numbersModel(infer.Uint8)})
	if err != nil {
		t.Fatal(err)
	}
	f := func(csv, want string) {
		t.Helper()
		_, err := offline.MakeProfile(t.Context(), strings.NewReader(csv), offline.ProfileOptions{Model: numbersModel(infer.Uint8)})
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("profile of %q: %v, want %q", csv, err, want)
		}
		_, err = offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), simulation(), func(offline.Simulated) error { return nil })
		if infer.CodeOf(err) != infer.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("simulation of %q: %v, want %q", csv, err, want)
		}
	}
	f("UINT8\n1\n1.5\n", "line 3: 1.5 in column 'UINT8' is not a valid UINT8")
	f("UINT8\n256\n", "line 2: 256 in column 'UINT8' is not a valid UINT8")
	f("UINT8\n1\n\n-inf\n", "line 4: -Inf in column 'UINT8' is not a valid UINT8")
}
