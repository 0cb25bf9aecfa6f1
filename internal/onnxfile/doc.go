// Package onnxfile reads a model file before ONNX Runtime loads it. It finds the external files
// of weights, and checks that each is a plain file inside the version's folder. It finds out
// whether the time of a run follows from the shapes of its inputs, whether an operator mixes
// the rows of a run, which library wrote the file, and the labels of its classes. It can also
// change a model in memory: make first dimensions of 1 free, remove a ZipMap, and set a locale
// that every machine has.
//
// It walks the protobuf without loading it, unless it changes the model. Weights are skipped,
// so a model of 2 GB takes no longer than one of 2 MB with as many operators.
package onnxfile
