// Package oip reads and writes the documents of the Open Inference Protocol V2:
// infer requests and answers as JSON, with the binary tensor extension and raw
// bodies, and the documents about servers, models and their statistics. It knows
// no network: it turns bytes into an infer.Request and an infer.Response into
// bytes.
//
// The scanner is written by hand. It is strict (RFC 8259, no repairs) but for
// three things that clients rely on: a leading byte order mark, white space
// after the document, and the bare tokens NaN, Infinity and -Infinity as
// elements of floating point tensors, where null means NaN as well. Numbers go straight from the text into the
// tensor, integers exactly and floats rounded once.
//
// That scanner and the numbers are what makes the package a large one; they are of no
// use without the tensors that they write into.
//
// What a request may hold is bounded by Limits, and nothing is allocated from a
// shape before its product was compared with what the body can hold. Errors are
// of code Invalid (TooLarge for a byte limit, Unsupported for extensions that
// are not there) and begin with the place: "inputs[0].data[5]: 300 does not fit INT8".
package oip
