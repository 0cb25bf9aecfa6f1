package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
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

	rollout bool // one runs meanwhile

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
	file, err := os.Create(filepath.Join(dir, "profile.json")) //nolint:gosec // our own
	if err != nil {
		return err
	}
	made, err := profile(p.graphs[0].Name(), p.width, p.features)
	if err == nil {
		err = made.Write(file)
	}
	return errors.Join(err, file.Close())
}

// config is the gateway's file.
func (p *point) config(dir string) string {
	access, level := "{enabled: false}", "warn"
	if p.log > 0 {
		access, level = fmt.Sprintf("{enabled: true, sample_every: %d}", p.log), "info"
	}
	data := ""
	if p.rollout {
		data = fmt.Sprintf("data_dir: %q\n", filepath.Join(dir, "data"))
	}
	text := data + fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %s}, grpc: {address: none}, drain_timeout: 2s, access_log: %s}\nadmin: {address: %s}\nlog: {level: %s}\n%s\n%s\n",
		filepath.Join(dir, "models"), process.HTTPAddress, access, process.AdminAddress, level, p.models, p.routes)
	return strings.ReplaceAll(text, profileFile, strconv.Quote(filepath.Join(dir, "profile.json")))
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

// The sets of features, as the tables name them.
const (
	setBare      = "bare"
	setBareAgain = "bare, once more"
	setLog       = "access log, 1 in 100"
	setLogAll    = "access log, every request"
	setRoute     = "route, sticky"
	setSplit     = "route, split 90:10"
	setDrift     = "drift tap"
	setShadow    = "route and shadow 10 %"
	setAll       = "everything"
)

const (
	sticky   = "sticky: {header: X-User-Id}"
	one      = "{version: 1, weight: 100%}"
	split    = "{version: 1, weight: 90%}, {version: 2, weight: 10%, role: canary}"
	shadowed = ", shadows: [{version: 3, sample: 10%}]"
	tap      = ", drift: {profile: " + profileFile + "}"
)

// sets are the rows of cost.md, all of the tiny model with 64 requests in flight.
// Everything has the same bytes to read: the header of the key is sent to all.
func sets() []point {
	model := func(more string) string { return fmt.Sprintf("models: {lin: {versions: [1]%s}}", more) }
	models := func(more string) string { return fmt.Sprintf("models: {lin: {versions: [1, 2]%s}}", more) }
	route := func(variants, more string) string {
		return fmt.Sprintf("routes: {lin: {variants: [%s], %s%s}}", variants, sticky, more)
	}
	list := []point{
		{set: setBare, models: model("")},
		{set: setBareAgain, models: model("")},
		{set: setLog, log: 100, models: model("")},
		{set: setLogAll, log: 1, models: model("")},
		{set: setRoute, models: model(""), routes: route(one, "")},
		{set: setSplit, models: models(""), routes: route(split, "")},
		{set: setDrift, models: model(tap), features: 16, width: 16},
		{set: setShadow, models: model(""), routes: route(one, shadowed)},
		{set: setAll, log: 100, models: models(tap), routes: route(split, shadowed), features: 16, width: 16},
	}
	for i := range list {
		list[i].graphs, list[i].versions, list[i].conns = []*onnxgen.Graph{onnxgen.Lin()}, 3, 64
		list[i].targets = func(base string) []loadgen.Target { return users(tiny(base, "lin")) }
	}
	return list
}

// tiny is the request of the tiny model, to a model or route of that name.
func tiny(base, name string) loadgen.Target {
	return loadgen.FP32Target(base, name, "input", []int64{1, 16}, true)
}

// users are 64 callers who send the same.
func users(t loadgen.Target) []loadgen.Target {
	list := make([]loadgen.Target, 64)
	for i := range list {
		list[i] = t
		list[i].Headers = map[string]string{"X-User-Id": fmt.Sprintf("user-%d", i)}
		maps.Copy(list[i].Headers, t.Headers)
	}
	return list
}
