package compat

import "slices"

// grpcDifferences returns the table for gRPC. A row without aspects may differ in any.
func grpcDifferences() []Difference {
	return slices.Concat(grpcRequests(), grpcParameters(), grpcAnswers(), grpcConfigs(), grpcSettings(), grpcLater())
}

func grpcRequests() []Difference {
	return []Difference{
		{
			Rows: `version_abc version_neg version_0 model_ready_version_abc D.s_bad_version D.stats_word_version D.infer_version_[^91] D.infer_version_?1 D.infer_version_1.0
				D.ready_version_[^91] D.ready_version_?1 D.ready_version_1.0 D.config_version_[^91] D.config_version_?1 D.config_version_1.0`, Kind: Deliberate,
			Case: "a version that is not a whole number above 0, without zeros before it", Triton: "INVALID_ARGUMENT, NOT_FOUND, or OK for ` 1`, `01` and `1.0`",
			Sluice: "INVALID_ARGUMENT with another text", Why: "the text says what a version is",
		},
		{
			Rows: "shape_neg D.shape_neg shape_huge shape_mul_overflow_to_16", Kind: Deliberate,
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
			Rows: "dtype_unknown dtype_empty dtype_lower D.dtype_*", Kind: Deliberate,
			Case: "an unknown datatype", Triton: "text about `<invalid>`", Sluice: "text with the name that was given", Why: "the caller sees the mistake",
		},
		{
			Rows: "dup_output D.out_twice", Kind: Deliberate,
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
			Rows: "two_outputs_reversed D.in_order D.out_order", Kind: Deliberate,
			Case: "order of outputs", Triton: "sorted by name", Sluice: "as asked, else as in the model", Why: "it is the protocol's text",
		},
	}
}

func grpcParameters() []Difference {
	return []Difference{
		{
			Rows: "param_uint64 D.param_uint64", Kind: Deliberate,
			Case: "an unknown parameter in `uint64_param`", Triton: "INVALID_ARGUMENT", Sluice: "ignored", Why: "as in every other field",
		},
		{
			Rows: "D.param_final_str", Kind: Deliberate,
			Case: "`triton_enable_empty_final_response` that is not a boolean", Triton: "INVALID_ARGUMENT", Sluice: "ignored", Why: "it has no meaning here: every request has one answer",
		},
		{
			Rows: "D.param_timeout_uint64 D.out_param_classification_uint64", Kind: Deliberate,
			Case: "a whole number in `uint64_param` in place of `int64_param`", Triton: "INVALID_ARGUMENT", Sluice: "accepted", Why: "the value is clear",
		},
		{
			Rows: `param_no_choice priority_str priority_neg reserved_triton_ D.param_none D.param_triton_ D.param_priority_double D.param_priority_neg D.param_priority_string
				D.param_timeout_string D.out_param_classification_neg D.out_param_classification_string E.e_param_unknown`, Kind: Deliberate,
			Case: "a parameter with a wrong value, or an unknown or reserved name", Triton: "its own text", Sluice: "the text of HTTP, which names the place", Why: "one text over both protocols",
		},
		{
			Rows: "D.out_param_classification_0", Kind: Deliberate,
			Case: "`classification` of 0", Triton: "INVALID_ARGUMENT; accepted over HTTP", Sluice: "the output itself", Why: "as over HTTP",
		},
		{
			Rows: "timeout_neg D.param_timeout_neg", Kind: Deliberate,
			Case: "a negative `timeout`", Triton: "ignored", Sluice: "INVALID_ARGUMENT", Why: "it is a mistake",
		},
		{
			Rows: "i8_contents_300 u8_contents_256 D.range_INT8_128_-129 D.range_INT8_300_-300 D.range_INT16_32768_-32769 D.range_UINT8_255_256 D.range_UINT16_65535_65536", Kind: Deliberate,
			Case: "integers out of the datatype's range", Triton: "wraps silently", Sluice: "INVALID_ARGUMENT", Why: "another number would be predicted on",
		},
		{
			Rows: "D.raw_bool_2", Kind: Deliberate,
			Case: "a byte of a BOOL other than 0 and 1", Triton: "passed on", Sluice: "is true, and 1 in the answer", Why: "ONNX Runtime knows only 0 and 1",
		},
	}
}

func grpcAnswers() []Difference {
	return []Difference{
		{
			Rows: "server_meta D.server_metadata", Kind: Deliberate,
			Case: "name, version and extensions of the server", Triton: "its own", Sluice: "`sluice` (`triton` under `compat: triton`), and only the extensions that work",
			Why: "a client that asks gets the real name and abilities",
		},
		{
			Rows: "stats_unknown D.stats_unknown D.stats_bad_version", Kind: Deliberate,
			Case: "statistics of an unknown model or version", Triton: "INVALID_ARGUMENT", Sluice: "NOT_FOUND", Why: "as every other call",
		},
		{
			Rows: "D.stats_warm D.stats_slow_after_deadline", Kind: Deliberate,
			Case: "statistics of warm-ups, and of a run whose caller has left", Triton: "counted", Sluice: "not counted", Why: "the counts are those of answered requests",
		},
		{
			Rows: "D.stats_version_only", Kind: Deliberate,
			Case: "statistics of a version without a model", Triton: "all versions of all models", Sluice: "that version of all models", Why: "it was asked for",
		},
		{
			Rows: "D.index", Kind: Deliberate,
			Case: "a version that the settings name and the repository does not have", Triton: "not in the index", Sluice: "UNAVAILABLE in the index, with the reason", Why: "the operator sees the mistake",
		},
		{
			Rows: "load_mode_none unload_mode_none D.load_mode_none D.unload_mode_none", Kind: Deliberate,
			Case: "load and unload without explicit control", Triton: "a text about polling", Sluice: "a text that names the flag", Why: "it says what to do",
		},
		{
			Rows: "E.e_load_unknown E.e_load_empty", Kind: Deliberate,
			Case: "load of an unknown model, or of none", Triton: "INTERNAL", Sluice: "NOT_FOUND, INVALID_ARGUMENT", Why: "as every other call",
		},
		{
			Rows: "E.e_unload_unknown", Option: true, Kind: Deliberate,
			Case: "unload of an unknown model", Triton: "OK", Sluice: "NOT_FOUND", Why: "a misspelt name must not look like success",
		},
		{
			Rows: "E.e_unload_unknown_param", Kind: Deliberate,
			Case: "an unknown parameter of an unload", Triton: "ignored", Sluice: "INVALID_ARGUMENT", Why: "nothing reads it",
		},
		{
			Rows: "E.e_unload_deps_string E.e_unload_deps_int", Kind: Deliberate,
			Case: "`unload_dependents` that is not a boolean", Triton: "INVALID_ARGUMENT", Sluice: "ignored", Why: "no model depends on another",
		},
		{
			Rows: "D.s_queue_full D.queue_third", Kind: Deliberate,
			Case: "the queue is full", Triton: "UNAVAILABLE, `Exceeds maximum queue size`", Sluice: "RESOURCE_EXHAUSTED (UNAVAILABLE under `compat: triton`) and the text of HTTP", Why: "one text over both protocols",
		},
		{
			Rows: "D.s_model_fails X.x_strict_false", Kind: Deliberate,
			Case: "the model refuses the values", Triton: "an error of its runtime with paths of the host", Sluice: "`model 'M' refused the values of the request`, without paths",
			Why: "as over HTTP",
		},
		{
			Rows: "D.s_classification D.out_param_classification", Kind: Deliberate,
			Case: "fewer labels than classes", Triton: "the labels that there are", Sluice: "none", Why: "the file belongs to another output, or is cut off",
		},
		{
			Rows: "D.class_string_crash", Kind: Deliberate,
			Case: "classification of a BYTES output", Triton: "dies", Sluice: "INVALID_ARGUMENT", Why: "strings have no order of size",
		},
	}
}

func grpcConfigs() []Difference {
	return []Difference{
		{
			Rows: configsJoined + " D.config_ver_* D.config_version_1", Aspects: []Aspect{"dynamic_batching"}, Kind: Deliberate,
			Case: "`dynamic_batching` in `ModelConfig`", Triton: "as in `config.pbtxt`", Sluice: "for every model whose requests are joined, with priorities, timeout and length of the queue",
			Why: "it says how the model is served",
		},
		{
			Rows: configsGrouped, Aspects: []Aspect{"instance_group"}, Kind: Deliberate,
			Case: "`instance_group` in `ModelConfig`", Triton: "groups with the names of `config.pbtxt`, else `MODEL_0`", Sluice: "one group with the model's name", Why: "a model has one group",
		},
		{
			Rows: configsLabelled, Aspects: []Aspect{"output"}, Kind: Deliberate,
			Case: "`label_filename` in `ModelConfig`", Triton: "the file's name, even if it has too few labels", Sluice: "`labels.txt`, if its labels are used", Why: "labels are in that file of the version's folder",
		},
		{
			Rows: "D.config_settings", Aspects: []Aspect{"input", "optimization", "default_model_filename", "metric_tags", "parameters"}, Kind: Deliberate,
			Case: "fields of `config.pbtxt` that have no meaning here", Triton: "as in the file", Sluice: "Triton's defaults", Why: "the file is not read",
		},
	}
}

func grpcLater() []Difference {
	return []Difference{
		{
			Models: "seq_acc seq_acc_out seq_acc_str seq_bool seq_c32 seq_f32 seq_i32 seq_idle seq_nb seq_oldest seq_one",
			Rows:   "D.param_sequence_*",
			Kind:   Later, Case: "sequences: models with `sequence_batching`", Triton: "keeps state between requests, and adds the control inputs", Sluice: "UNIMPLEMENTED; the control inputs are inputs like others",
		},
		{
			Models: "ens_branch ens_fail ens_half ens_labels ens_latest ens_mixed ens_nest ens_opt ens_reshape ens_same ens_seq ens_slow ens_tap ens_two ens_version",
			Rows:   "E.e_index_ens E.e_index_kept E.e_stream_unloaded",
			Kind:   Later, Case: "ensembles", Triton: "served; a load of one loads its members", Sluice: "NOT_FOUND",
		},
		{
			Models: "reshape_b reshape_nb reshape_scalar reshape_var",
			Kind:   Later, Case: "`reshape` in `config.pbtxt`", Triton: "callers see another shape than the model has", Sluice: "callers see the model's shape",
		},
		{
			Models: "ragged",
			Kind:   Later, Case: "ragged batches", Triton: "`batch_input` is made from the requests", Sluice: "an input like others",
		},
		{
			Rows: "D.decoupled_unary",
			Kind: Later, Case: "decoupled models", Triton: "UNIMPLEMENTED for a call that is not a stream", Sluice: "answered; a model has one answer",
		},
		{
			Rows: "E.e_config E.e_config_get E.e_config_3rows E.e_config_bad E.e_config_int E.e_config_unknown_field E.e_file E.e_file_infer E.e_file_no_config E.e_file_string",
			Kind: Later, Case: "load with a `config` or files of the caller's", Triton: "OK, or what is wrong with them", Sluice: "UNIMPLEMENTED",
		},
		{
			Rows: "X.x_strict_model_fails X.x_strict_queue_timeout_1 X.x_strict_queue_timeout_2",
			Kind: Later, Case: "metadata `triton_grpc_error`", Triton: "an error ends the stream with its status", Sluice: "an error is an answer on the stream",
		},
		{
			Rows: "X.x_plain_timeout D.timeout_second",
			Kind: Later, Case: "queue policies of `config.pbtxt` with a timeout", Triton: "a request that waits longer is refused", Sluice: "`timeout` is that of the whole request",
		},
		{
			Rows: "D.in_param_shm D.out_param_shm",
			Kind: Later, Case: "shared memory", Triton: "registered regions", Sluice: "UNIMPLEMENTED",
		},
	}
}
