// Package oip reads and writes the documents of the Open Inference Protocol V2: infer requests and
// answers as JSON, with the binary tensor extension and raw bodies, and the documents about
// servers, models and their statistics. It does not use the network: it decodes bytes to an
// infer.Request, and encodes an infer.Response to bytes.
//
// The scanner is written by hand. It is strict (RFC 8259, no repairs) except for three things that
// clients use: a leading byte order mark, white space after the document, and the bare tokens NaN,
// Infinity and -Infinity as elements of floating point tensors, where null means NaN too. Numbers
// go directly from the text into the tensor, integers exactly and floats rounded once.
//
// The scanner and the number parser make up most of the package. They are in it because they write
// directly into its tensors.
//
// Limits bound the content of a request. Nothing is allocated for a shape before its product was
// compared with the size of the body. Errors have the code Invalid (TooLarge for a limit in bytes,
// Unsupported for unknown extensions) and begin with the place: "inputs[0].data[5]: 300 does not
// fit INT8".
package oip
