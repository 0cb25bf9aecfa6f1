// Package ort runs ONNX models with ONNX Runtime. It is the only package with C.
//
// The Go binding loads the library and fills session options. A thin shim in C (ort_shim.c)
// makes sessions and runs them, each run in one call. An Environment loads Sessions, a Session
// gives Instances, and an Instance runs one batch at a time: Gather, Run, Scatter. Close them
// in the opposite order.
//
// Memory: an instance owns two blocks of C memory, one that all inputs of a run are copied to
// and one that its outputs are written to. The instance counts and frees both. C keeps no
// pointer to Go memory after a call.
package ort
