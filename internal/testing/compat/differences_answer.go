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
			Rows: `out_binary_mixed D.addsub D.addsub_order2`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "the order of outputs", Triton: "sorted by name", Sluice: "as asked, else the model's", Why: "the protocol says so",
		},
		{
			Rows: `binary_out_global_override_false`, Aspects: []Aspect{Body, Encoding},
			Kind: Deliberate, Case: "`binary_data_output`, with named outputs that have no `binary_data`", Triton: "JSON", Sluice: "binary",
			Why: "the request's choice holds for every output without its own",
		},
		{
			Rows: `GET_live GET_ready GET_model_ready GET_ready_version live_with_broken_model pipelined_two_gets D.server_ready D.server_ready_end E.e_ready_empty
				D.ready_[abdfilnopsw]* D.ready_cast_u8 D.ready_cache_on D.ready_ty_* D.ready_var_dims D.ready_ver_all D.ready_ver_all_[1-3] D.ready_ver_default
				D.ready_ver_[ls]*`, Aspects: []Aspect{Body, Encoding},
			Kind: Deliberate, Case: "the body of health answers", Triton: "empty, `text/plain`", Sluice: "JSON: `{\"live\":true,\"ready\":true}`, or the model's name and `ready`",
			Why: "some clients read the status, others the body",
		},
		{
			Rows: `GET_ready_unknown_model GET_ready_unknown_version broken_ready ready_unloaded D.ready_ver_all_4`, Option: true,
			Kind: Deliberate, Case: "a model that is not ready, asked for `/ready`", Triton: "400", Sluice: "503 and a JSON body that says why",
			Why: "not the caller's mistake, and it may pass",
		},
		{
			Rows: `ready_with_broken_model`,
			Kind: Deliberate, Case: "`/v2/health/ready` beside a model that cannot be loaded", Triton: "400", Sluice: "200",
			Why: "one broken model must not take the others out of service",
		},
		{
			Rows: `GET_server_meta absolute_uri D.server_meta`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "name, version and extensions of the server", Triton: "its own", Sluice: "`sluice` (`triton` under `compat: triton`), and only the extensions that work",
			Why: "a client that asks gets the real name and abilities",
		},
		{
			Rows: `GET_stats_unknown D.stats_unknown D.stats_ver_all_9`,
			Kind: Deliberate, Case: "statistics of an unknown model", Triton: "400", Sluice: "404", Why: "as on every other path",
		},
		{
			Rows: `q_overflow_concurrent_[2-5]`, Option: true,
			Kind: Deliberate, Case: "the queue is full", Triton: "503", Sluice: "429 with `Retry-After`", Why: "the server works, but gets too many requests",
		},
		{
			Rows: `load_unknown E.e_load_unknown E.e_load_star E.e_reload_fresh`,
			Kind: Deliberate, Case: "load of an unknown model", Triton: "500", Sluice: "404", Why: "as on every other path",
		},
		{
			Rows: `unload_unknown E.e_unload_unknown E.e_unload_unknown_deps E.e_unload_fresh`, Option: true,
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
			Rows: `json_inputs_empty two_missing_b in_shape_rank3 in_shape_1_1[57] in_shape_zero_inner error_with_id D.batch_no_dim D.batch_rank3 D.batch_wrong
				D.fixed_3 D.nb_rank D.nb_wrong D.opt_none D.opt_wrong_shape D.var_rank`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "texts about missing inputs and shapes", Triton: "end with advice about Triton's configuration", Sluice: "end without the advice",
			Why: "Sluice has no such configuration",
		},
		{
			Rows: `broken_infer broken_meta broken_config D.ver_specific_gap_7`, Aspects: []Aspect{Text},
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
				ce_gzip_empty load_broken load_mode_none unload_mode_none D.batch_empty_shape D.load_mode_none D.unload_mode_none D.str_bin_one D.str_bin_short D.str_bin_three
				D.ty_*_as_string_name D.ty_fp16_big D.ty_fp16_bool D.ty_fp16_str`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "other texts of errors", Triton: "its own words", Sluice: "name the field, what was expected and what was found",
			Why: "a test checks the texts that clients are known to look for; the other texts are for people",
		},
	}
}

// later has the extensions that are not implemented yet.
func later() []Difference {
	return []Difference{
		{
			Models: "ens_branch ens_fail ens_half ens_labels ens_latest ens_mixed ens_nest ens_opt ens_reshape ens_same ens_seq ens_slow ens_tap ens_two ens_version",
			Rows:   `E.e_index_after_ens E.e_index_member_gone E.e_index_members_stay E.e_index_nest E.e_index_shared_dep E.e_server_ready_without_member`, Aspects: []Aspect{Any},
			Kind: Later, Case: "ensembles", Triton: "served; a load of one loads its members", Sluice: "404",
		},
		{
			Models: "seq_acc seq_acc_out seq_acc_str seq_bool seq_c32 seq_f32 seq_i32 seq_idle seq_nb seq_oldest seq_one",
			Kind:   Later, Case: "models with `sequence_batching`", Triton: "keeps state between requests, and adds the control inputs", Sluice: "the control inputs are inputs like others",
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
			Rows: `D.decoupled D.decoupled_id`,
			Kind: Later, Case: "decoupled models", Triton: "501", Sluice: "answered; a model has one answer",
		},
		{
			Rows: `config_after_override`, Aspects: []Aspect{"max_batch_size", "dynamic_batching"},
			Kind: Later, Case: "`/config` after a load with a `config` of the caller's", Triton: "the caller's", Sluice: "the model's own",
		},
		{
			Rows:    `load_params_config load_params_bad_config E.e_cfg_* E.e_file_[abcion]* E.e_file_up E.e_file_without_config E.e_after_plain_3rows E.e_override_* E.e_ver_specific E.e_ver_index E.e_ver_infer E.e_ver_infer_3 E.e_index_after_bad_cfg`,
			Aspects: []Aspect{Any},
			Kind:    Later, Case: "load with a `config` of the caller's", Triton: "200", Sluice: "501",
		},
		{
			Rows: `param_seq_* D.seq_params_on_dyn D.seq_params_on_plain`,
			Kind: Later, Case: "sequences", Triton: "accepted", Sluice: "501",
		},
		{
			Rows: `in_input_shm_unknown out_shm_unknown D.shm_register D.shm_unknown_region`,
			Kind: Later, Case: "tensors in shared memory", Triton: "registered regions", Sluice: "501",
		},
		{
			Rows: `generate_ok[?] D.generate*`, Aspects: []Aspect{Any},
			Kind: Later, Case: "generate", Triton: "converts inputs and outputs", Sluice: "404",
		},
	}
}
