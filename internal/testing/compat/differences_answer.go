package compat

// answers has the differences in answers to valid requests.
func answers() []Difference {
	return []Difference{
		{
			Rows: `in_batch_above_max_9`,
			Kind: Deliberate, Case: "a batch of more rows than one run may have", Triton: "400", Sluice: "runs in pieces; 400 with `batching.oversize: reject`",
			Why: "a caller does not need to know how the server batches",
		},
		{
			Rows: `out_binary_mixed`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "the order of outputs that were asked for", Triton: "the model's", Sluice: "as asked", Why: "the protocol says so",
		},
		{
			Rows: `binary_out_global_override_false`, Aspects: []Aspect{Body, Encoding},
			Kind: Deliberate, Case: "`binary_data_output`, with named outputs that have no `binary_data`", Triton: "JSON", Sluice: "binary",
			Why: "the request's choice holds for every output without its own",
		},
		{
			Rows: `GET_live GET_ready GET_model_ready GET_ready_version live_with_broken_model pipelined_two_gets`, Aspects: []Aspect{Body, Encoding},
			Kind: Deliberate, Case: "the body of health answers", Triton: "empty, `text/plain`", Sluice: "JSON: `{\"live\":true,\"ready\":true}`, or the model's name and `ready`",
			Why: "some clients read the status, others the body",
		},
		{
			Rows: `GET_ready_unknown_model GET_ready_unknown_version broken_ready ready_unloaded`, Option: true,
			Kind: Deliberate, Case: "a model that is not ready, asked for `/ready`", Triton: "400", Sluice: "503 and a JSON body that says why",
			Why: "not the caller's mistake, and it may pass",
		},
		{
			Rows: `ready_with_broken_model`,
			Kind: Deliberate, Case: "`/v2/health/ready` beside a model that cannot be loaded", Triton: "400", Sluice: "200",
			Why: "one broken model must not take the others out of service",
		},
		{
			Rows: `GET_server_meta absolute_uri`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "name, version and extensions of the server", Triton: "its own", Sluice: "`sluice` (`triton` under `compat: triton`), and only the extensions that work",
			Why: "a client that asks gets the real name and abilities",
		},
		{
			Rows: `GET_stats q_stats cache_stats`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "`memory_usage` in statistics", Triton: "empty", Sluice: "the bytes that the model's instances hold", Why: "Sluice knows it",
		},
		{
			Rows: `GET_config`, Aspects: []Aspect{"dynamic_batching", "instance_group", "parameters"},
			Kind: Deliberate, Case: "`dynamic_batching`, `instance_group` and `parameters` in `/config`", Triton: "as in `config.pbtxt`, with defaults",
			Sluice: "priorities, timeout and length of the queue as set under `models`; the group has the model's name; no parameters", Why: "the settings are Sluice's own",
		},
		{
			Rows: `GET_stats_unknown`,
			Kind: Deliberate, Case: "statistics of an unknown model", Triton: "400", Sluice: "404", Why: "as on every other path",
		},
		{
			Rows: `q_overflow_concurrent_[2-5]`, Option: true,
			Kind: Deliberate, Case: "the queue is full", Triton: "503", Sluice: "429 with `Retry-After`", Why: "the server works, but gets too many requests",
		},
		{
			Rows: `load_unknown`,
			Kind: Deliberate, Case: "load of an unknown model", Triton: "500", Sluice: "404", Why: "as on every other path",
		},
		{
			Rows: `unload_unknown`, Option: true,
			Kind: Deliberate, Case: "unload of an unknown model", Triton: "200", Sluice: "404", Why: "a misspelt name must not look like success",
		},
		{
			Rows: `index_broken index_after_unload index_final`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "the reason of a broken model in the index", Triton: "shows a path of the host", Sluice: "says what is wrong with the file",
			Why: "callers do not need to know the host",
		},
	}
}

// texts has the differences in texts of errors with the same status.
func texts() []Difference {
	return []Difference{
		{
			Rows: `json_inputs_empty two_missing_b in_shape_rank3 in_shape_1_1[57] in_shape_zero_inner error_with_id`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "texts about missing inputs and shapes", Triton: "end with advice about Triton's configuration", Sluice: "end without the advice",
			Why: "Sluice has no such configuration",
		},
		{
			Rows: `broken_infer broken_meta broken_config`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "the text about a model that failed to load", Triton: "the same as for a model that was unloaded", Sluice: "the same text, and that the load failed",
			Why: "a caller need not ask why the model is missing",
		},
		{
			Rows: `json_inputs_of_numbers json_inputs_of_null json_dup_key_inputs json_empty_body cl_missing_post in_dtype_unknown
				in_dtype_lower in_dtype_fp16 in_dtype_bf16 typed_str_datatype_STRING in_data_missing in_input_binary_size_and_data
				in_shape_empty in_shape_rank1 in_shape_swapped in_shape_mul_overflow in_shape_zero_with_data param_null param_object
				param_array param_reserved_triton_ two_extra two_batch_mismatch bin_hlen_0_raw_with_json bin_hlen_2e31 bin_hlen_2e63
				bin_hlen_abc bin_hlen_empty bin_hlen_neg bin_hlen_too_big bin_hlen_one_more bin_no_hlen bin_raw_request_wrong_size
				bin_size_0 bin_size_60 bin_size_60_payload_60 bin_size_68_payload_68 bin_size_uint64max bin_trailing_bytes binstr_extra_elem binstr_len_ffffffff
				binstr_len_too_big binstr_missing_elem binstr_prefix_truncated ce_br ce_list ce_deflate_raw ce_gzip_broken
				ce_gzip_empty load_broken load_mode_none unload_mode_none`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "other texts of errors", Triton: "its own words", Sluice: "name the field, what was expected and what was found",
			Why: "a test checks the texts that clients are known to look for; the other texts are for people",
		},
	}
}

// later has the extensions that are not implemented yet.
func later() []Difference {
	return []Difference{
		{
			Rows: `config_after_override`, Aspects: []Aspect{"max_batch_size", "dynamic_batching"},
			Kind: Later, Case: "`/config` after a load with a `config` of the caller's", Triton: "the caller's", Sluice: "the model's own",
		},
		{
			Rows: `load_params_config load_params_bad_config`,
			Kind: Later, Case: "load with a `config` of the caller's", Triton: "200", Sluice: "501",
		},
		{
			Rows: `param_seq_*`,
			Kind: Later, Case: "sequences", Triton: "accepted", Sluice: "501",
		},
		{
			Rows: `in_input_shm_unknown out_shm_unknown`,
			Kind: Later, Case: "tensors in shared memory", Triton: "registered regions", Sluice: "501",
		},
		{
			Rows: `GET_logging GET_trace`,
			Kind: Later, Case: "log and trace settings", Triton: "200", Sluice: "404",
		},
		{
			Rows: `generate_ok[?]`,
			Kind: Later, Case: "generate", Triton: "converts inputs and outputs", Sluice: "404",
		},
	}
}
