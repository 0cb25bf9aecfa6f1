package main

import (
	"errors"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// The versions of the model "slow". 1 answers.
const (
	versionEqual = 2
	versionSlow  = 3
	versionHangs = 4
	versionFails = 5
)

// writeModels makes them all. What hangs is a loop that would run for hours; the
// gateway terminates it when a copy's time is over.
func writeModels(dir string, steps int64) error {
	return errors.Join(
		onnxgen.Steps(steps).Write(dir, 1),
		onnxgen.Steps(steps).Write(dir, versionEqual),
		onnxgen.Steps(100*steps).Write(dir, versionSlow),
		onnxgen.Steps(1e9).Write(dir, versionHangs),
		fails().Write(dir, versionFails),
	)
}

// fails asks for elements that its input never has.
func fails() *onnxgen.Graph {
	g := onnxgen.New("slow")
	x := g.Input("input", infer.FP32, "N", 4)
	beyond := g.Init(onnxgen.Int64s([]int64{1000, 1000, 1000, 1000}, 4))
	g.Output("output", infer.FP32, g.Op("Gather", x, beyond).Int("axis", 1), "N", 4)
	return g
}
