package main

import (
	"fmt"
	"slices"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// curve is one thing that grows while all else stays.
type curve struct {
	name  string
	of    string // what is counted
	load  string // how it is asked
	why   string // it grows, where it does
	falls bool   // it falls as well, for the same reason
	unit  string // what one more is called, where the table says what it costs
	log   bool   // drawn over the logarithm
	at    []float64
	make  func(x int) point
}

// curves are the sections of growth.md, in order.
func curves() []curve {
	return []curve{
		{
			name: "models, one asked", of: "models loaded", load: "one of them is asked, 64 requests in flight",
			log: true, at: []float64{1, 10, 100}, make: func(x int) point { return manyModels(x, 1) },
		},
		{
			name: "models, all asked", of: "models loaded", load: "all are asked, 64 requests in flight",
			why: "requests are joined into runs per model: the more models share 64 requests, the fewer are joined, and the more often a worker is woken for a single one.",
			log: true, at: []float64{1, 10, 100}, make: func(x int) point { return manyModels(x, x) },
		},
		{
			name: "routes, one asked", of: "routes of one model", load: "one of them is asked, 64 requests in flight",
			log: true, at: []float64{1, 100, 1000}, make: func(x int) point { return manyRoutes(x, 1) },
		},
		{
			name: "routes, all asked", of: "routes of one model", load: "all are asked, 64 requests in flight",
			log: true, at: []float64{1, 100, 1000}, make: func(x int) point { return manyRoutes(x, x) },
		},
		{
			name: "drift features", of: "features in the drift tap", load: "a model of 1,000 inputs, all requests looked at, 64 in flight, the default buffer",
			why: "a copied row is a copy of its features, and each of those that had room is put into its bin.",
			at:  []float64{0, 16, 256, 1000}, make: func(x int) point { return features(x, "1MiB") },
		},
		{
			name: "drift features, large buffer", of: "features in the drift tap", load: "the same with drift.max_buffer at 1GiB, so that no row is dropped",
			why:  "each feature of each row is put into its bin, beside the requests; the default buffer, or drift.sample, bounds that.",
			unit: "feature",
			at:   []float64{0, 16, 256, 1000}, make: func(x int) point { return features(x, "1GiB") },
		},
		{
			name: "payload", of: "bytes of the input tensor", load: "binary, a model that answers the shape alone, 4 requests in flight",
			why: "bytes are read from the socket into the body and copied once more into the runtime's buffer. From some MiB on neither stays in the " +
				"processor's caches.",
			unit: "byte", log: true,
			at: []float64{64, 1 << 10, 16 << 10, 256 << 10, 512 << 10, 1 << 20, 4 << 20, 16 << 20}, make: payload,
		},
		{
			name: "concurrency", of: "requests in flight", load: "the tiny model",
			falls: true,
			why: "one request alone pays for every wake-up on its way, many share runs and wake-ups; beyond some dozens each further connection only adds " +
				"a goroutine and buffers that the core's caches do not hold.",
			log: true, at: []float64{1, 4, 16, 64, 256, 1024}, make: concurrency,
		},
	}
}

func curvePoints() (list []point) {
	for _, c := range curves() {
		for _, x := range c.at {
			p := c.make(int(x))
			p.curve, p.x = c.name, x
			list = append(list, p)
		}
	}
	return list
}

// manyModels are n models alike, of which some are asked.
func manyModels(n, asked int) point {
	p := point{versions: 1, conns: 64, targets: tinies("m%04d", asked)}
	for i := range n {
		p.graphs = append(p.graphs, onnxgen.Lin().As(fmt.Sprintf("m%04d", i)))
	}
	return p
}

// manyRoutes are n routes to one model, of which some are asked.
func manyRoutes(n, asked int) point {
	p := point{graphs: []*onnxgen.Graph{onnxgen.Lin()}, versions: 1, conns: 64, targets: tinies("r%04d", asked), routes: "routes:\n"}
	for i := range n {
		p.routes += fmt.Sprintf("  r%04d: {model: lin, variants: [%s]}\n", i, one)
	}
	return p
}

// tinies are requests to the first n models or routes whose names are of that form.
func tinies(form string, n int) func(base string) []loadgen.Target {
	return func(base string) (list []loadgen.Target) {
		for i := range n {
			list = append(list, tiny(base, fmt.Sprintf(form, i)))
		}
		return list
	}
}

// features are n of 1,000 numbers that the tap looks at, with room for so much.
func features(n int, buffer string) point {
	const width = 1000
	p := point{
		graphs:   []*onnxgen.Graph{onnxgen.Linear(slices.Repeat([]float32{1e-3}, width), 0).As("wide")},
		versions: 1, features: n, width: width, conns: 64,
	}
	if n > 0 {
		p.models = fmt.Sprintf("models: {wide: {versions: [1], drift: {profile: %s, max_buffer: %s}}}", profileFile, buffer)
	}
	p.targets = func(base string) []loadgen.Target {
		return []loadgen.Target{loadgen.FP32Target(base, "wide", "input", []int64{1, width}, true)}
	}
	return p
}

// payload is a tensor of n bytes for a model that looks at nothing of it.
func payload(n int) point {
	g := onnxgen.New("shape")
	x := g.Input("input", infer.FP32, "N", "W")
	g.Output("output", infer.Int64, g.Op("Shape", x), 2)
	return point{
		graphs: []*onnxgen.Graph{g}, versions: 1, conns: 4,
		targets: func(base string) []loadgen.Target {
			return []loadgen.Target{loadgen.FP32Target(base, "shape", "input", []int64{1, int64(n) / 4}, true)}
		},
	}
}

func concurrency(n int) point {
	return point{
		graphs: []*onnxgen.Graph{onnxgen.Lin()}, versions: 1, conns: n,
		targets: func(base string) []loadgen.Target { return []loadgen.Target{tiny(base, "lin")} },
	}
}
