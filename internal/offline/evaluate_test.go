package offline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/golden"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// evaluated makes a profile of a table and of the outputs of a model.
func evaluated(t *testing.T, e *offline.Evaluator, csv string, need bool) (p *offline.Profile, notes string, err error) {
	t.Helper()
	var list []string
	p, err = offline.MakeProfile(t.Context(), strings.NewReader(csv), offline.ProfileOptions{
		Model: e.Model(), Evaluator: e, NeedOutputs: need,
		TableOptions: offline.TableOptions{Note: func(text string) {
			if !strings.HasPrefix(text, "the columns are matched in the order of the file") { // other tests check it
				list = append(list, text)
			}
		}},
	})
	return p, strings.Join(list, "; "), err
}

// withModel loads a generated model for do, and closes it: there is only one runtime at a time.
func withModel(t *testing.T, g *onnxgen.Graph, do func(e *offline.Evaluator)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(file, g.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := offline.FileEvaluator(config.Default(), file, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	do(e)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// TestEvaluateGolden makes profiles of held-out rows, repeated so that there are several runs and a
// last one that is not full. It compares the outputs with those of Python's onnxruntime.
func TestEvaluateGolden(t *testing.T) {
	f := func(model string, version int64, times int, names ...string) {
		t.Helper()
		file := golden.Read(t, filepath.Join("..", "..", "testdata", "golden", fmt.Sprintf("%s-%d.json", model, version)))
		var request struct{ Inputs []golden.Tensor }
		if err := json.Unmarshal(file.Cases[0].Request, &request); err != nil {
			t.Fatal(err)
		}
		in := request.Inputs[0]
		rows, width := int(in.Shape[0]), int(in.Shape[1])
		var csv strings.Builder
		for range times {
			for i, x := range in.Data {
				csv.WriteString(x.String())
				if (i+1)%width == 0 {
					csv.WriteByte('\n')
				} else {
					csv.WriteByte(',')
				}
			}
		}
		cfg := config.Default()
		cfg.Repository.Path = filepath.Join("..", "..", "models")
		e, err := offline.RepositoryEvaluator(cfg, infer.Version{Model: model, Number: version}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		p, notes, err := evaluated(t, e, csv.String(), true)
		if err := errors.Join(err, e.Close()); err != nil || notes != "" {
			t.Fatal(err, notes)
		}
		if err := p.Fits(e.Model()); err != nil {
			t.Error(err)
		}
		if int(p.Rows) != times*rows || len(p.Features) != width+len(names) {
			t.Fatalf("%s: %d rows, %d features", model, p.Rows, len(p.Features))
		}
		at := width
		for _, want := range file.Cases[0].Outputs {
			values := want.Floats(t)
			elements := len(values) / rows
			for k := range elements {
				low, high, sum := math.Inf(1), math.Inf(-1), 0.0
				for r := range rows {
					x := values[r*elements+k]
					low, high, sum = min(low, x), max(high, x), sum+x
				}
				got := p.Features[at]
				near := func(what string, got, want float64) {
					t.Helper()
					if math.Abs(got-want) > file.Tolerance.Absolute+2*file.Tolerance.Relative*math.Abs(want) {
						t.Errorf("%s %s: %s is %v, want %v", model, names[at-width], what, got, want)
					}
				}
				near("the least", got.Min, low)
				near("the largest", got.Max, high)
				near("the mean", got.Mean, sum/float64(rows))
				if got.Name != names[at-width] || got.Kind != "output" || got.Tensor != want.Name || got.Element != k || got.Datatype != want.Datatype || got.Read.Missing != 0 {
					t.Errorf("feature %d is %+v", at, got)
				}
				at++
			}
		}
	}
	f("diabetes", 1, 40, "prediction")
	f("breast_cancer", 1, 1, "label", "probabilities[0]", "probabilities[1]")
	f("iris", 2, 33, "label", "probabilities[0]", "probabilities[1]", "probabilities[2]")
}

func TestEvaluate(t *testing.T) {
	f := func(g *onnxgen.Graph, csv, want string) {
		t.Helper()
		var (
			p     *offline.Profile
			notes string
			err   error
		)
		withModel(t, g, func(e *offline.Evaluator) { p, notes, err = evaluated(t, e, csv, false) })
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			return
		}
		var got []string
		for _, f := range p.Features {
			if f.Kind == "output" {
				got = append(got, fmt.Sprintf("%s %g..%g missing %d inf %d", f.Name, f.Min, f.Max, f.Read.Missing, f.Read.PosInf))
			}
		}
		if notes != "" {
			got = append(got, notes)
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
	const four = "a,b,c,d\n1,2,3,4\n5,6,7,8\n9,8,7,6\n"
	f(onnxgen.Two(), "a[0],a[1],a[2],a[3],b[3],b[2],b[1],b[0]\n1,2,3,4,40,30,20,10\n", "sum[0] 11..11 missing 0 inf 0; sum[1] 22..22 missing 0 inf 0; "+
		"sum[2] 33..33 missing 0 inf 0; sum[3] 44..44 missing 0 inf 0; diff[0] -9..-9 missing 0 inf 0; diff[1] -18..-18 missing 0 inf 0; "+
		"diff[2] -27..-27 missing 0 inf 0; diff[3] -36..-36 missing 0 inf 0")

	// Rows that cannot be joined run one by one.
	f(onnxgen.RowSum(), four, "output[0] 1..9 missing 0 inf 0; output[1] 2..8 missing 0 inf 0; output[2] 3..7 missing 0 inf 0; output[3] 4..8 missing 0 inf 0")
	f(onnxgen.Centered(), four, "output[0] 0..0 missing 0 inf 0; output[1] 0..0 missing 0 inf 0; output[2] 0..0 missing 0 inf 0; output[3] 0..0 missing 0 inf 0")
	f(onnxgen.Scalar(), "input\n3\n-4\n", "output -3..4 missing 0 inf 0")

	// An optional input takes its default, or does not count rows.
	f(onnxgen.Scaled(), "input[0],input[1],input[2],input[3]\n1,2,3,4\n", "output[0] 2..2 missing 0 inf 0; output[1] 4..4 missing 0 inf 0; output[2] 6..6 missing 0 inf 0; output[3] 8..8 missing 0 inf 0")
	f(onnxgen.Scaled(), "input[0],input[1],input[2],input[3],scale\n1,2,3,4,3\n1,2,3,4,10\n", "output[0] 3..10 missing 0 inf 0; output[1] 6..20 missing 0 inf 0; output[2] 9..30 missing 0 inf 0; output[3] 12..40 missing 0 inf 0")

	// Values are rounded to the datatype, and a missing float is NaN.
	f(onnxgen.Identity(infer.FP16, "N", 1), "x\n0.1\nNA\n1e9\n2049\n", "output 0.0999755859375..2048 missing 1 inf 1")
	f(onnxgen.Identity(infer.FP64, "N", 1), "x\n0.1\nNA\n", "output 0.1..0.1 missing 1 inf 0")
	f(onnxgen.Identity(infer.Uint8, "N", 2), "x,y\n255,0\n,7\n3,nan\n4,1\n", "output[0] 4..255 missing 2 inf 0; output[1] 0..1 missing 2 inf 0; the outputs of 2 rows are missing, since an integer input is missing there")
	f(onnxgen.Identity(infer.Int64, "N", 1), "x\nNA\nNA\n", "output 0..0 missing 2 inf 0; the outputs of 2 rows are missing, since an integer input is missing there")
	f(onnxgen.Identity(infer.Int64, "N", 1), "x\n-9007199254740992\n9007199254740992\n", "output -9.007199254740992e+15..9.007199254740992e+15 missing 0 inf 0")
	f(onnxgen.Identity(infer.Uint8, "N", 1), "x\n1\n256\n", "line 3: 256 in column 'x' is not a valid UINT8")
	f(onnxgen.Identity(infer.Int64, "N", 1), "x\n1.5\n", "1.5 in column 'x' is not a valid INT64")
	f(onnxgen.Identity(infer.Int64, "N", 1), "x\n9223372036854775808\n", "is not a valid INT64")
	f(onnxgen.Identity(infer.Bool, "N", 1), "x\n0\n1\n2\n", "2 in column 'x' is not a valid BOOL")

	// Outputs that cannot be computed are left out, with a note.
	f(onnxgen.Two(), "a[0],a[1]\n1,2\n", "elements of inputs without a column are not compared: a[2]; a[3]; b[0]; b[1]; b[2]; b[3]; "+
		"outputs are left out: the file has columns for 2 of the 4 elements of input 'a'")
	f(onnxgen.NonZero(), "x\n1\n", "outputs left out: the rows of 'output' have a variable size; outputs are left out: the model has no output with a fixed size")
	withModel(t, onnxgen.Two(), func(e *offline.Evaluator) {
		if _, _, err := evaluated(t, e, "a[0],a[1]\n1,2\n", true); err == nil || !strings.Contains(err.Error(), "2 of the 4 elements") {
			t.Errorf("outputs that are asked for: %v", err)
		}
	})

	// Only outputs that are not in the file are computed.
	f(onnxgen.Two(), "a[0],a[1],a[2],a[3],b[3],b[2],b[1],b[0],sum[1],diff[0],diff[1],diff[2],diff[3]\n1,2,3,4,40,30,20,10,7,1,2,3,4\n",
		"sum[1] 7..7 missing 0 inf 0; diff[0] 1..1 missing 0 inf 0; diff[1] 2..2 missing 0 inf 0; diff[2] 3..3 missing 0 inf 0; diff[3] 4..4 missing 0 inf 0; "+
			"sum[0] 11..11 missing 0 inf 0; sum[2] 33..33 missing 0 inf 0; sum[3] 44..44 missing 0 inf 0")

	// Outputs in the file are used.
	withModel(t, onnxgen.Scalar(), func(e *offline.Evaluator) {
		p, _, err := evaluated(t, e, "input,output\n3,5\n", true)
		if err != nil || len(p.Features) != 2 || p.Features[1].Mean != 5 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func TestEvaluateInterrupted(t *testing.T) {
	withModel(t, onnxgen.Scalar(), func(e *offline.Evaluator) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := offline.MakeProfile(ctx, strings.NewReader("input\n"+strings.Repeat("1\n", 10_000)), offline.ProfileOptions{
			Model: e.Model(), Evaluator: e, TableOptions: offline.TableOptions{Progress: func(int64, int64) { cancel() }},
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	withModel(t, onnxgen.Steps(100_000_000), func(e *offline.Evaluator) { // within one run
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := offline.MakeProfile(ctx, strings.NewReader("1,2,3,4\n"), offline.ProfileOptions{Model: e.Model(), Evaluator: e, TableOptions: offline.TableOptions{Header: "no"}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}
