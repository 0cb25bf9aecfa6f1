package offline_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// TestTargetIsNoOutput: training data has the target as its last column, and the model has one
// output with other values. The data must not drift from its own profile.
func TestTargetIsNoOutput(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 1))
	var training, asked strings.Builder
	training.WriteString("first,target\n")
	asked.WriteString("input,output\n")
	for range 3000 {
		x := float32(rng.NormFloat64())
		fmt.Fprintf(&training, "%v,%d\n", x, rng.IntN(2))
		fmt.Fprintf(&asked, "%v,%v\n", x, -x) // the model's answer
	}
	withModel(t, onnxgen.Scalar(), func(e *offline.Evaluator) {
		if _, _, err := evaluated(t, e, training.String(), true); err == nil || !strings.Contains(err.Error(), "2 columns cannot be matched by order to the 1 elements of its inputs; name the target (--target)") {
			t.Errorf("a column too many: %v", err)
		}
		var uses []string
		p, err := offline.MakeProfile(t.Context(), strings.NewReader(training.String()), offline.ProfileOptions{
			Model: e.Model(), Evaluator: e, NeedOutputs: true, Targets: []string{"target"},
			Mapped: func(list []offline.ColumnUse) {
				for _, u := range list {
					text := u.Column + "="
					if u.Feature != nil {
						text += fmt.Sprintf("%s[%d]", u.Feature.Tensor, u.Feature.Element)
					}
					uses = append(uses, text+" "+u.How)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(uses, ", "); got != "first=input[0] by order, target= left out: the target, =output[0] computed by the model" {
			t.Errorf("%s", got)
		}
		p.Features[0].Name = "input"
		windows := 0
		_, err = offline.SimulateProfile(t.Context(), p, strings.NewReader(asked.String()), simulation(), func(s offline.Simulated) error {
			if windows++; s.State != drift.OK {
				t.Errorf("the training data drifts from its own profile: %+v", s)
			}
			return nil
		})
		if err != nil || windows != 6 {
			t.Errorf("%d windows, %v", windows, err)
		}
	})
}

// TestSimulateOutputsByName: outputs are not matched by order in a simulation either.
func TestSimulateOutputsByName(t *testing.T) {
	p := normalProfile(t) // of a, b and out
	var notes []string
	o := simulation()
	o.Note = func(text string) { notes = append(notes, text) }
	csv := strings.Replace(normalRows(2, 600, 601, 0), "a,b,out", "u,v,w", 1)
	_, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), o, func(offline.Simulated) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "no column for feature 'a'; 'b'; 'out'") {
		t.Errorf("%v", err)
	}
	csv = strings.Replace(normalRows(2, 600, 601, 0), "a,b,out", "a,b,target", 1)
	if _, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv), o, func(offline.Simulated) error { return nil }); err != nil {
		t.Error(err)
	}
	want := "the file does not have all outputs of the profile; only the inputs are judged|columns left out, since they are not features of the profile: target"
	if got := strings.Join(notes, "|"); got != want {
		t.Errorf("%s", got)
	}
}

// TestSimulateInputsByOrder: with a warning, and with the limits of the whole profile, as in a
// gateway for requests without outputs.
func TestSimulateInputsByOrder(t *testing.T) {
	p := normalProfile(t)
	var notes []string
	o := simulation()
	o.Note = func(text string) { notes = append(notes, text) }
	var csv strings.Builder
	rng := rand.New(rand.NewPCG(52, 1))
	csv.WriteString("u,v\n")
	for range 500 {
		fmt.Fprintf(&csv, "%.4f,%.4f\n", rng.NormFloat64(), 1+rng.NormFloat64())
	}
	windows := 0
	_, err := offline.SimulateProfile(t.Context(), p, strings.NewReader(csv.String()), o, func(s offline.Simulated) error {
		windows++
		if s.State != drift.Detected || len(s.Features) != 3 || s.Features[0].Feature != "b" {
			t.Errorf("%+v", s)
		}
		for _, f := range s.Features {
			if f.Kind == drift.KindOutput && (f.Rows != 0 || f.State != drift.OK) {
				t.Errorf("an output that the file lacks: %+v", f)
			}
		}
		for _, f := range s.Quality {
			if f.Kind == drift.KindOutput {
				t.Errorf("an output that the file lacks: %+v", f)
			}
		}
		return nil
	})
	want := "the file does not have all outputs of the profile; only the inputs are judged|the columns are matched in the order of the profile's features, since no name is that of a feature"
	if got := strings.Join(notes, "|"); err != nil || windows != 1 || got != want {
		t.Errorf("%d windows, %v, %s", windows, err, got)
	}
}
