// Package rows reads data frames as pandas, MLflow and SageMaker clients send them, and writes
// answers with one prediction per row. It knows no network: it turns a body and a model's
// signature into the inputs of an infer.Request, and an infer.Response into JSON.
//
// A body is CSV, or JSON in one of these forms:
//
//	{"dataframe_split": {"columns": [...], "data": [[...], ...]}}
//	{"dataframe_records": [{...}, ...]}    likewise a list of records alone
//	{"instances": [...]}                   records, or rows without names
//	{"inputs": {"column": [...], ...}}     or as instances
//
// DecodeV1 reads the last two of them as TensorFlow Serving and KServe V1 do, with base64 for bytes,
// and AppendPredictions and AppendOutputs write the answers of these protocols.
//
// Decode reads a body twice: the first pass checks the syntax and counts the rows, the
// second one writes the values to where they belong. So the room for a tensor is taken
// once, after the number of its elements was compared with the length of the body. A body
// costs at most a multiple of its length, and memory is reserved before it is allocated.
//
// Errors are Invalid (TooLarge for a limit in bytes) and name the row, counted from 0, and
// the column. The JSON is that of RFC 8259; beside it a byte order mark is passed over, and
// NaN, Infinity and -Infinity are numbers, since Python writes them.
package rows
