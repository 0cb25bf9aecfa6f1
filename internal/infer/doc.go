// Package infer has the types that all other packages share: data types, shapes, tensors, a
// model's signature and the check of a request against it, requests, responses and errors. It
// imports only the standard library.
//
// Memory: a request's tensors belong to the code that built them (they may share a network
// buffer) until Predict returns. A Response owns its outputs until Release. Nothing else
// outlives a call.
package infer
