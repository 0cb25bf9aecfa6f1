// Package infer is the vocabulary that every other package shares: data types,
// shapes, tensors, a model's signature and the check of a request against it,
// requests, responses and errors. It imports the standard library only.
//
// Memory: a request's tensors belong to whoever built them (they may alias a
// network buffer) until Predict returns. A Response owns its outputs until
// Release. Nothing else outlives a call.
package infer
