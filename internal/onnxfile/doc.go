// Package onnxfile looks into a model file before ONNX Runtime is given it: it
// finds the files that the model names for its weights, and checks that each is
// a plain file inside the version's folder; and whether the operators let the time of a
// run follow from the shapes of its inputs.
//
// It walks the protobuf without loading it. Weights are skipped, never read, so
// a model of 2 GB costs no more than one of 2 MB with as many operators.
package onnxfile
