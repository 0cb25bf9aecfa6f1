package main

import (
	"fmt"
	"maps"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/testing/onnxgen"
)

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
		list[i].targets = func(base string) []loadgen.Target { return users(tiny(base, "lin"), 64) }
	}
	return list
}

// tiny is the request of the tiny model, to a model or route of that name.
func tiny(base, name string) loadgen.Target {
	return loadgen.FP32Target(base, name, "input", []int64{1, 16}, true)
}

// users are so many callers who send the same.
func users(t loadgen.Target, n int) []loadgen.Target {
	list := make([]loadgen.Target, n)
	for i := range list {
		list[i] = t
		list[i].Headers = map[string]string{"X-User-Id": fmt.Sprintf("user-%d", i)}
		maps.Copy(list[i].Headers, t.Headers)
	}
	return list
}
