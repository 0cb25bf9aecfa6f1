package compat

// malformed has the differences for requests that cannot be parsed.
func malformed() []Difference {
	return []Difference{
		{
			Rows: `json_ws_body json_brace json_comment json_trailing_comma json_single_quotes json_trailing_garbage
				json_two_objects json_utf16 num_5dot num_dot5 num_hex num_leading_zero num_plus typed_str_2
				gzip_body_without_header bin_hlen_too_small index_post_bad_json load_bad_json deep_nesting_100k_risky`,
			Kind: Deliberate, Case: "a body that is not JSON", Triton: "500", Sluice: "400, names the place",
			Why: "the caller's mistake; a retry does not help",
		},
		{
			Rows: `json_array json_null json_string json_number json_empty_object json_inputs_object json_inputs_null
				json_inputs_string json_deep_nesting_100 json_deep_nesting_in_id deep_nesting_100k_balanced_risky
				id_int id_null id_bool id_object in_name_missing in_name_int in_name_null in_dtype_missing in_dtype_int
				in_dtype_null in_shape_missing in_shape_null in_shape_string in_shape_float in_shape_strings in_shape_bool
				in_shape_nested in_shape_negative in_shape_both_negative in_shape_beyond_uint64 in_data_null in_data_number
				in_data_string in_data_object out_null out_object out_name_missing out_name_int out_of_strings
				out_binary_string out_binary_int out_class_neg out_class_str param_not_object param_is_null param_is_string
				param_priority_neg param_priority_str param_priority_numstr param_timeout_neg param_timeout_str
				param_timeout_float param_binary_out_str param_binary_out_1 bin_size_neg bin_size_str bin_size_float
				bin_size_null load_params_unknown D.batch_neg D.class_-1 D.class_bool D.class_float D.class_null D.class_str
				D.index_bad_ready D.priority_big D.priority_bool D.priority_float D.priority_neg D.priority_null D.priority_str
				D.timeout_big D.timeout_bool D.timeout_float D.timeout_neg D.timeout_null D.timeout_str E.e_param_bool`,
			Kind: Deliberate, Case: "a field that is missing or of the wrong type", Triton: "500", Sluice: "400, names the field",
			Why: "the caller's mistake; a retry does not help",
		},
		{
			Rows: `in_data_empty in_data_15 in_data_17 in_data_ragged_short in_data_nested_empty_lists D.st_bad`,
			Kind: Deliberate, Case: "`data` with more or fewer elements than `shape` says", Triton: "500", Sluice: "400, with both numbers",
			Why: "the caller's mistake; a retry does not help",
		},
		{
			Rows: `in_data_bools in_data_strings in_data_null_elem in_data_one_null in_data_object_elem
				typed_i8_[4-9] typed_i32_[23] typed_i64_[34] typed_u8_3 typed_u64_3 typed_bool_[1-5] typed_str_[345]
				D.ty_bool_big D.ty_bool_float D.ty_bool_neg D.ty_bool_null D.ty_bool_num D.ty_bool_str D.ty_string_big D.ty_string_bool
				D.ty_string_float D.ty_string_neg D.ty_string_null D.ty_string_num D.ty_*int*_bool D.ty_*int*_float D.ty_*int*_null
				D.ty_*int*_str D.ty_fp32_bool D.ty_fp32_str D.ty_fp64_bool D.ty_fp64_str`,
			Kind: Deliberate, Case: "an element that is not of the datatype, including `1.0` for an integer", Triton: "500", Sluice: "400, names the element",
			Why: "the caller's mistake; a retry does not help",
		},
		{
			Rows: `json_dup_key_id`,
			Kind: Deliberate, Case: "the same key twice in an object", Triton: "the first counts", Sluice: "400",
			Why: "parsers disagree on which one counts",
		},
		{
			Rows: `in_input_params_array`,
			Kind: Deliberate, Case: "`parameters` of an input is an array", Triton: "ignored", Sluice: "400", Why: "as for `parameters` of the request",
		},
		{
			Rows: `json_invalid_utf8_id`,
			Kind: Deliberate, Case: "strings that are not UTF-8", Triton: "echoed as they are", Sluice: "400",
			Why: "the answer would not be JSON",
		},
		{
			Rows: `id_1MB id_long_2000`,
			Kind: Deliberate, Case: "`id` of more than 1024 bytes", Triton: "echoed", Sluice: "400", Why: "every field has a limit",
		},
		{
			Rows: `out_dup`,
			Kind: Deliberate, Case: "the same output asked for twice", Triton: "answered once", Sluice: "400", Why: "as newer releases of Triton do",
		},
	}
}

// values has the differences for shapes and numbers.
func values() []Difference {
	return []Difference{
		{
			Rows: `in_shape_int64max in_shape_uint64max in_shape_huge_alloc deep_data_nesting_100k_risky`,
			Kind: Deliberate, Case: "a shape that needs more memory than there is; `data` nested 100,000 deep", Triton: "the process dies",
			Sluice: "400", Why: "sizes are checked before anything is allocated, and nesting has a limit",
		},
		{
			Rows: `in_shape_mul_overflow_to_16`,
			Kind: Deliberate, Case: "a shape whose product overflows to the right number of elements", Triton: "200", Sluice: "400",
			Why: "the product is checked",
		},
		{
			Rows: `in_shape_zero_batch bin_zero_batch D.batch_0`,
			Kind: Deliberate, Case: "a batch of no rows", Triton: "400 if the model batches", Sluice: "200 and empty outputs",
			Why: "the model can run it, whether it batches or not; a model with an operator that cannot take it refuses",
		},
		{
			Rows: `in_data_nested_over in_data_nested_wrong_shape in_data_ragged in_data_ragged_mixed_depth typed_str_6`,
			Kind: Deliberate, Case: "`data` is nested differently from `shape`, with the right number of elements", Triton: "200", Sluice: "400",
			Why: "`data` must be flat or nested like the shape; anything else is a mix-up of dimensions",
		},
		{
			Rows: `typed_i8_[123] typed_i16_1 typed_i32_1 typed_u8_1 typed_u16_1 typed_u32_1 D.cast_u8_256 D.ty_uint8_big D.ty_uint16_big D.ty_uint32_big`,
			Kind: Deliberate, Case: "an integer outside the range of its datatype", Triton: "wraps around: INT8 300 is 44", Sluice: "400",
			Why: "a wrong value must not be answered as if it were right",
		},
		{
			Rows: `typed_i32_4 typed_i64_[12] typed_u8_2 typed_u16_2 typed_u32_2 typed_u64_[12] num_1e400 num_-1e400 typed_fp64_1 D.ty_int*_big D.ty_uint*_neg`,
			Kind: Deliberate, Case: "a negative number for an unsigned type; a number beyond 64 bits or a double", Triton: "500", Sluice: "400",
			Why: "the caller's mistake; a retry does not help",
		},
		{
			Rows: `num_1e39 typed_fp32_[23] D.class_nan`,
			Kind: Deliberate, Case: "a number outside the range of FP32", Triton: "infinity", Sluice: "400", Why: "send `Infinity` if you mean it",
		},
		{
			Rows: `num_Inf`,
			Kind: Deliberate, Case: "`Inf` as a number", Triton: "accepted", Sluice: "400", Why: "`Infinity` and `NaN` are the tokens",
		},
		{
			Rows: `D.ty_fp32_null D.ty_fp64_null`,
			Kind: Deliberate, Case: "`null` as an element of a float", Triton: "500", Sluice: "NaN", Why: "encoders of JSON write NaN as `null`",
		},
		{
			Rows: `typed_fp16_0 binfp16_json_out D.class_fp16 D.fp16_bin D.fp16_dbl_bin D.ty_fp16_edge D.ty_fp16_float D.ty_fp16_neg D.ty_fp16_null D.ty_fp16_num D.ty_fp16_zero_rows`,
			Kind: Deliberate, Case: "FP16 and BF16 in JSON", Triton: "400", Sluice: "numbers", Why: "they are values like others",
		},
		{
			Rows: `typed_str_invalid_utf8_out binstr_invalid_utf8_json_out`,
			Kind: Deliberate, Case: "a BYTES output in JSON that is not UTF-8", Triton: "raw bytes inside the JSON", Sluice: "400, and the text suggests binary output",
			Why: "the answer would not be JSON",
		},
		{
			Rows: `typed_str_1 binstr_nul_inside_json_out D.ty_string_edge`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "NUL inside a string", Triton: "cut there", Sluice: "kept", Why: "a string has a length and any bytes",
		},
		{
			Rows: `bin_raw_request_batch2_size`,
			Kind: Deliberate, Case: "a raw body of k rows", Triton: "400: one row only", Sluice: "a batch of k", Why: "the size of the body gives the number of rows",
		},
		{
			Rows: `param_timeout_1us D.priority_on_plain`,
			Kind: Deliberate, Case: "a `timeout` that passes before the run", Triton: "counts only in the queue", Sluice: "504",
			Why: "a deadline counts from the request's arrival",
		},
	}
}
