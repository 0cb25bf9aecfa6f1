// Package onnxfile looks into a model file before ONNX Runtime is given it: it
// finds the files that the model names for its weights, and checks that each is
// a plain file inside the version's folder; whether the operators let the time of a
// run follow from the shapes of its inputs; and whether one of them mixes the rows of a
// run. It can also make first dimensions of 1 free, in memory.
//
// It walks the protobuf without loading it, but for the last. Weights are skipped, never
// read, so a model of 2 GB costs no more than one of 2 MB with as many operators.
package onnxfile
