package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/drift"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// point is one thing to be measured: a gateway and the load on it.
type point struct {
	set   string // of features; else
	curve string // the growth curve, and
	x     float64

	graphs   []*onnxgen.Graph // the models, each under its own name
	versions int64            // of each model, all alike
	features int              // of the first model's inputs, that the drift tap looks at
	width    int              // numbers in a row of that model
	log      int              // every so many requests are logged; 0 for none

	// What the configuration says of models and routes.
	models, routes string

	conns   int
	targets func(base string) []loadgen.Target // sent in turn
}

// profileFile stands in a configuration for the path of the point's profile.
const profileFile = "'PROFILE'"

// id names the point.
func (p *point) id() string {
	if p.set != "" {
		return p.set
	}
	return fmt.Sprintf("%s %g", p.curve, p.x)
}

// prepare writes the models and the profile into an empty folder of the point's own.
func (p *point) prepare(dir string) error {
	for _, g := range p.graphs {
		for version := range p.versions {
			if err := g.Write(filepath.Join(dir, "models"), version+1); err != nil {
				return err
			}
		}
	}
	if p.features == 0 {
		return nil
	}
	file, err := os.Create(filepath.Join(dir, "profile.json"))
	if err != nil {
		return err
	}
	made, err := profile(p.graphs[0].Name(), p.width, p.features)
	if err == nil {
		err = made.Write(file)
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

// profile is one of the first n elements of a model's input and of its output, of
// rows as the requests have them.
func profile(model string, width, n int) (*drift.Profile, error) {
	m := infer.NewModel(model, 1,
		[]infer.TensorSpec{{Name: "input", DType: infer.FP32, Shape: infer.Shape{-1, int64(width)}}},
		[]infer.TensorSpec{{Name: "output", DType: infer.FP32, Shape: infer.Shape{-1, 1}}})
	columns := make([]string, n, n+1)
	for i := range columns {
		columns[i] = fmt.Sprintf("input[%d]", i)
	}
	columns = append(columns, "output[0]")
	mapped, err := drift.MapColumns(m, columns, drift.ColumnOptions{})
	if err != nil {
		return nil, err
	}
	features, _ := mapped.Features()
	b := drift.NewBuilder(features, drift.BuilderOptions{MaxSampleBytes: 64 << 20, MaxSampleRows: 100_000})
	rng := onnxgen.Rand(1)
	values, missing := make([]float64, len(columns)), make([]bool, len(columns))
	for range 500 {
		for i := range values {
			values[i] = rng.NormFloat64()
		}
		b.Add(values, missing)
	}
	return b.Profile(drift.Meta{Model: model}), nil
}
