package offline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/offline"
)

// demoConfig is the configuration of a repository with two versions of the demo's iris.
func demoConfig(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.Repository.Path = t.TempDir()
	for _, version := range []string{"1", "2"} {
		from := os.DirFS(filepath.Join("..", "..", "models", "iris", version))
		if err := os.CopyFS(filepath.Join(cfg.Repository.Path, "iris", version), from); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// signature closes an evaluator and returns its model's signature.
func signature(e *offline.Evaluator, err error) (*infer.Model, error) {
	if err != nil {
		return nil, err
	}
	return e.Model(), e.Close()
}

func TestEvaluators(t *testing.T) {
	cfg := demoConfig(t)
	f := func(model string, number, want int64) *infer.Model {
		t.Helper()
		m, err := signature(offline.RepositoryEvaluator(cfg, infer.Version{Model: model, Number: number}, zap.NewNop()))
		if err != nil || m.Name != model || m.Version != want || len(m.Inputs) == 0 {
			t.Fatalf("%s/%d: %+v, %v", model, number, m, err)
		}
		return m
	}
	newest := f("iris", 0, 2)
	f("iris", 1, 1)
	fromFile, err := signature(offline.FileEvaluator(config.Default(), filepath.Join(cfg.Repository.Path, "iris", "2", "model.onnx"), zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(newest.Inputs, fromFile.Inputs); diff != "" || fromFile.Name != "" {
		t.Errorf("the file's model '%s': %s", fromFile.Name, diff)
	}

	fails := func(model string, number int64, code infer.Code, want string) {
		t.Helper()
		_, err := signature(offline.RepositoryEvaluator(cfg, infer.Version{Model: model, Number: number}, zap.NewNop()))
		if infer.CodeOf(err) != code || !strings.Contains(err.Error(), want) {
			t.Errorf("%s/%d: %v, want %v %q", model, number, err, code, want)
		}
	}
	fails("lotus", 0, infer.NotFound, "no model 'lotus'")
	fails("../models/iris", 0, infer.NotFound, "no model")
	fails("iris", 9, infer.NotFound, "no version 9 of model 'iris'")
	if _, err := signature(offline.FileEvaluator(config.Default(), "profile_test.go", zap.NewNop())); infer.CodeOf(err) != infer.Invalid {
		t.Errorf("a file that is not a model: %v", err)
	}
}

func TestProfileOfModel(t *testing.T) {
	iris, err := signature(offline.RepositoryEvaluator(demoConfig(t), infer.Version{Model: "iris"}, zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	f := func(csv string, o offline.ProfileOptions, want string) {
		t.Helper()
		var notes []string
		o.Model, o.Note = iris, func(text string) { notes = append(notes, text) }
		o.Mapped = func(uses []offline.ColumnUse) {
			for _, u := range uses {
				if u.Feature == nil {
					notes = append(notes, "column "+u.Column+" is "+u.How)
				}
			}
		}
		p, err := offline.MakeProfile(t.Context(), strings.NewReader(csv), o)
		if err != nil {
			if want == "" || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", csv, err, want)
			}
			return
		}
		if err := p.Fits(iris); err != nil || p.Model != "iris" {
			t.Errorf("%q: model '%s', %v", csv, p.Model, err)
		}
		var got []string
		for _, f := range p.Features {
			got = append(got, fmt.Sprintf("%s=%s[%d]:%s", f.Name, f.Tensor, f.Element, f.Datatype))
		}
		if text := strings.Join(append(got, notes...), " "); text != want {
			t.Errorf("%q: %s\nwant %s", csv, text, want)
		}
	}
	const header, row = "a,b,c,d\n", "5.1,3.5,1.4,0.2\n"
	const order = "the columns are matched in the order of the file, since no name is that of an element of the model's inputs; if the model has another order, use --map"
	in := iris.Inputs[0].Name
	f(header+row, offline.ProfileOptions{}, fmt.Sprintf("a=%[1]s[0]:FP32 b=%[1]s[1]:FP32 c=%[1]s[2]:FP32 d=%[1]s[3]:FP32 %[2]s", in, order))
	f(row+row, offline.ProfileOptions{}, fmt.Sprintf("%[1]s[0]=%[1]s[0]:FP32 %[1]s[1]=%[1]s[1]:FP32 %[1]s[2]=%[1]s[2]:FP32 %[1]s[3]=%[1]s[3]:FP32 %[2]s", in, order))
	f("species,"+header+"setosa,"+row, offline.ProfileOptions{},
		fmt.Sprintf("a=%[1]s[0]:FP32 b=%[1]s[1]:FP32 c=%[1]s[2]:FP32 d=%[1]s[3]:FP32 %[2]s column species is left out: it has text, for example 'setosa'", in, order))
	f(header+row, offline.ProfileOptions{Columns: []string{"d"}, Mapping: map[string]string{"d": in + "[0]"}}, fmt.Sprintf("d=%s[0]:FP32 elements of inputs without a column are not compared: input[1]; input[2]; input[3] "+
		"column a is left out: not among the requested columns column b is left out: not among the requested columns "+
		"column c is left out: not among the requested columns", in))
	f("id,"+header+"7,"+row, offline.ProfileOptions{Targets: []string{"id"}}, fmt.Sprintf("a=%[1]s[0]:FP32 b=%[1]s[1]:FP32 c=%[1]s[2]:FP32 d=%[1]s[3]:FP32 %[2]s column id is left out: the target", in, order))
	f("species,"+header+"setosa,"+row, offline.ProfileOptions{Targets: []string{"species"}},
		fmt.Sprintf("a=%[1]s[0]:FP32 b=%[1]s[1]:FP32 c=%[1]s[2]:FP32 d=%[1]s[3]:FP32 %[2]s column species is left out: the target", in, order))
	f(header+row, offline.ProfileOptions{Targets: []string{"species"}}, "the file has no column 'species' for the target")
	f("id,"+header+"7,"+row, offline.ProfileOptions{}, "5 columns cannot be matched by order to the 4 elements")
	f(header, offline.ProfileOptions{}, "no rows")
	f(header+row+"1,2,3\n", offline.ProfileOptions{}, "line 3 has 3 fields")
	f(header+row, offline.ProfileOptions{Columns: []string{"e"}}, "no column 'e'")
}

// generated is a CSV file that is generated while it is read.
type generated struct {
	rng  *rand.Rand
	rows int
	line []byte
	rest []byte
}

func newGenerated(rows int) *generated {
	g := &generated{rng: rand.New(rand.NewPCG(1, 2)), rows: rows}
	g.rest = []byte("normal,zero_or_more,class,sometimes\n")
	return g
}

// Read implements io.Reader.
func (g *generated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(g.rest) == 0 {
			if g.rows == 0 {
				break
			}
			g.rows--
			sometimes := "1.5"
			if g.rng.IntN(5) == 0 {
				sometimes = ""
			}
			g.line = fmt.Appendf(g.line[:0], "%.4f,%.3f,%d,%s\n", g.rng.NormFloat64(), max(0, g.rng.NormFloat64()), g.rng.IntN(3), sometimes)
			g.rest = g.line
		}
		c := copy(p[n:], g.rest)
		n, g.rest = n+c, g.rest[c:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// TestProfileOfManyRows reads a million rows: statistics of all rows are exact, and the memory does
// not grow with them.
func TestProfileOfManyRows(t *testing.T) {
	const rows = 1_000_000
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	reports := 0
	p, err := offline.MakeProfile(t.Context(), newGenerated(rows), offline.ProfileOptions{Seed: 3, TableOptions: offline.TableOptions{Progress: func(_, at int64) {
		if reports++; reports%100 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 { // the sample of 4 columns takes 3 MiB
				t.Errorf("after %d rows the heap has grown by %d bytes", at, grown)
			}
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != rows || p.Sampled != 100_000 || reports < 200 {
		t.Errorf("%d rows, %d sampled, %d reports", p.Rows, p.Sampled, reports)
	}
	normal, zero, class, sometimes := p.Features[0], p.Features[1], p.Features[2], p.Features[3]
	if math.Abs(normal.Mean) > .005 || math.Abs(normal.Variance-1) > .01 || normal.Min > -4 || normal.Max < 4 || len(normal.Edges) != 31 {
		t.Errorf("normal: mean %v, variance %v, %v to %v, %d edges", normal.Mean, normal.Variance, normal.Min, normal.Max, len(normal.Edges))
	}
	if share := float64(zero.Reference.Bins[0]) / 100_000; math.Abs(share-.5) > .01 || zero.Edges[0] > .001 {
		t.Errorf("zero: a share of %v up to %v", share, zero.Edges[0])
	}
	if diff := cmp.Diff([]float64{.5, 1.5}, class.Edges); diff != "" {
		t.Errorf("class: %s", diff)
	}
	if share := float64(sometimes.Read.Missing) / rows; math.Abs(share-.2) > .005 {
		t.Errorf("sometimes: %v is missing", share)
	}
}

func TestProfileAgain(t *testing.T) {
	f := func() []byte {
		p, err := offline.MakeProfile(t.Context(), newGenerated(20_000), offline.ProfileOptions{Seed: 4})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		back, err := offline.ReadProfile(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := offline.CompareProfiles(p, back, offline.CompareOptions{Tolerance: .02, QualityTolerance: .01, RangeTolerance: .05, MinRows: 50, FalseAlarm: .001})
		if err != nil || c.Verdict != offline.ProfilesSame || c.Features[0].PSIHigh != 0 {
			t.Errorf("a profile differs from itself: %+v, %v", c, err)
		}
		return b.Bytes()
	}
	if !bytes.Equal(f(), f()) {
		t.Error("the same file and seed give different profiles")
	}
}

func TestProfileInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := offline.MakeProfile(ctx, newGenerated(1e9), offline.ProfileOptions{TableOptions: offline.TableOptions{Progress: func(int64, int64) { cancel() }}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
