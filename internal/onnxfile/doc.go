// Package onnxfile looks into a model file before ONNX Runtime is given it: it
// finds the files that the model names for its weights, and checks that each is
// a plain file inside the version's folder; whether the operators let the time of a
// run follow from the shapes of its inputs; whether one of them mixes the rows of a
// run; who wrote the file; and what it calls its classes. It can also change a model in
// memory: make first dimensions of 1 free, cut off a ZipMap, and name a locale
// that every machine has.
//
// It walks the protobuf without loading it, unless it changes the model. Weights are
// skipped, never read, so a model of 2 GB costs no more than one of 2 MB with as many
// operators.
package onnxfile
