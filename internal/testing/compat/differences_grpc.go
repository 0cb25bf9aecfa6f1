package compat

import "slices"

// grpcDifferences returns the table for gRPC. Its rows are names, without patterns.
func grpcDifferences() []Difference {
	return slices.Concat(grpcRequests(), grpcAnswers(), grpcLater())
}

func grpcRequests() []Difference {
	return []Difference{
		{
			Rows: "version_abc version_neg version_0 model_ready_version_abc s_bad_version", Kind: Deliberate,
			Case: "a version that is not a whole number above 0", Triton: "INVALID_ARGUMENT, for 0 NOT_FOUND", Sluice: "INVALID_ARGUMENT with another text",
			Why: "the text says what a version is",
		},
		{
			Rows: "shape_neg shape_huge shape_mul_overflow_to_16", Kind: Deliberate,
			Case: "a negative shape, or one whose product overflows", Triton: "another text, INTERNAL, or OK", Sluice: "INVALID_ARGUMENT that names the shape",
			Why: "nothing is allocated before the product is checked",
		},
		{
			Rows: "shape_zero_batch", Kind: Deliberate,
			Case: "a batch of zero rows", Triton: "INVALID_ARGUMENT", Sluice: "OK, empty outputs", Why: "the model answers it",
		},
		{
			Rows: "shape_empty", Kind: Deliberate,
			Case: "no shape", Triton: "a text about batching", Sluice: "a text about the size", Why: "a shape without dimensions is a scalar",
		},
		{
			Rows: "dtype_unknown dtype_empty dtype_lower", Kind: Deliberate,
			Case: "an unknown datatype", Triton: "text about `<invalid>`", Sluice: "text with the name that was given", Why: "the caller sees the mistake",
		},
		{
			Rows: "dup_output", Kind: Deliberate,
			Case: "the same output twice", Triton: "answered once", Sluice: "INVALID_ARGUMENT", Why: "newer releases of Triton refuse it too",
		},
		{
			Rows: "two_raw_count_3", Kind: Deliberate,
			Case: "more `raw_input_contents` than inputs", Triton: "ignored", Sluice: "INVALID_ARGUMENT", Why: "the data belongs to no input",
		},
		{
			Rows: "two_extra", Kind: Deliberate,
			Case: "one input too many", Triton: "a text about the number of inputs", Sluice: "`unexpected inference input 'c'`", Why: "the text names the mistake",
		},
		{
			Rows: "two_outputs_reversed", Kind: Deliberate,
			Case: "order of outputs", Triton: "sorted by name", Sluice: "as asked, else as in the model", Why: "it is the protocol's text",
		},
		{
			Rows: "param_uint64", Kind: Deliberate,
			Case: "an unknown parameter in `uint64_param`", Triton: "INVALID_ARGUMENT", Sluice: "ignored", Why: "as in every other field",
		},
		{
			Rows: "param_no_choice priority_str priority_neg reserved_triton_", Kind: Deliberate,
			Case: "a parameter with a wrong value or a reserved name", Triton: "its own text", Sluice: "the text of HTTP, which names the place", Why: "one text over both protocols",
		},
		{
			Rows: "timeout_neg", Kind: Deliberate,
			Case: "a negative `timeout`", Triton: "ignored", Sluice: "INVALID_ARGUMENT", Why: "it is a mistake",
		},
		{
			Rows: "i8_contents_300 u8_contents_256", Kind: Deliberate,
			Case: "integers out of the datatype's range", Triton: "wraps silently", Sluice: "INVALID_ARGUMENT", Why: "another number would be predicted on",
		},
	}
}

func grpcAnswers() []Difference {
	return []Difference{
		{
			Rows: "server_meta", Kind: Deliberate,
			Case: "name, version and extensions of the server", Triton: "its own", Sluice: "`sluice` (`triton` under `compat: triton`), and only the extensions that work",
			Why: "a client that asks gets the real name and abilities",
		},
		{
			Rows: "stats_unknown", Kind: Deliberate,
			Case: "statistics of an unknown model", Triton: "INVALID_ARGUMENT", Sluice: "NOT_FOUND", Why: "as every other call",
		},
		{
			Rows: "load_mode_none unload_mode_none", Kind: Deliberate,
			Case: "load and unload without explicit control", Triton: "a text about polling", Sluice: "a text that names the flag", Why: "it says what to do",
		},
		{
			Rows: "s_queue_full", Kind: Deliberate,
			Case: "the queue is full, on a stream", Triton: "`Exceeds maximum queue size`", Sluice: "the text of HTTP", Why: "one text over both protocols",
		},
		{
			Rows: "s_model_fails x_strict_false", Kind: Deliberate,
			Case: "the model refuses the values", Triton: "an error of its runtime with paths of the host", Sluice: "`model 'M' refused the values of the request`, without paths",
			Why: "as over HTTP",
		},
		{
			Rows: "s_classification", Kind: Deliberate,
			Case: "fewer labels than classes", Triton: "the labels that there are", Sluice: "none", Why: "the file belongs to another output, or is cut off",
		},
	}
}

func grpcLater() []Difference {
	return []Difference{
		{
			Rows: "s_sequence s_sequence_two s_sequence_no_start s_sequence_no_id s_sequence_end_twice s_sequence_oldest s_sequence_over_two_streams_1 s_sequence_over_two_streams_2 x_sequence_restart x_sequence_left_open x_sequence_resumed",
			Kind: Later, Case: "sequences", Triton: "state between requests", Sluice: "UNIMPLEMENTED",
		},
		{
			Rows: "s_ensemble s_ensemble_final", Kind: Later,
			Case: "ensembles", Triton: "served", Sluice: "NOT_FOUND",
		},
		{
			Rows: "x_strict_model_fails x_strict_ensemble x_strict_queue_timeout_1 x_strict_queue_timeout_2", Kind: Later,
			Case: "metadata `triton_grpc_error`", Triton: "an error ends the stream with its status", Sluice: "an error is an answer on the stream",
		},
		{
			Rows: "x_plain_timeout", Kind: Later,
			Case: "queue policies of `config.pbtxt`", Triton: "obeyed", Sluice: "not read; the settings under `models` are",
		},
	}
}
