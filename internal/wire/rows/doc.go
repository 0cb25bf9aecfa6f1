// Package rows decodes data frames from pandas, MLflow and SageMaker clients, and encodes answers
// with one prediction per row. It does not use the network: it decodes a body to the inputs of an
// infer.Request with a model's signature, and encodes an infer.Response to JSON.
//
// A body is CSV, or JSON in one of these forms:
//
//	{"dataframe_split": {"columns": [...], "data": [[...], ...]}}
//	{"dataframe_records": [{...}, ...]}    likewise a list of records alone
//	{"instances": [...]}                   records, or rows without names
//	{"inputs": {"column": [...], ...}}     or as instances
//
// DecodeV1 reads the last two of them in the form of TensorFlow Serving and KServe V1, with base64
// for bytes. AppendPredictions and AppendOutputs write the answers of these protocols.
//
// Decoding reads a body twice: the first pass checks the syntax and counts the rows, the second one
// writes the values to their places. So the memory of a tensor is allocated once, after the number
// of its elements was compared with the length of the body. A body costs at most a multiple of its
// length, and memory is reserved before it is allocated.
//
// Errors are Invalid (TooLarge for a limit in bytes) and name the row, counted from 0, and the
// column. The JSON is that of RFC 8259, with two extensions: a byte order mark is skipped, and NaN,
// Infinity and -Infinity are numbers, since Python writes them.
package rows
