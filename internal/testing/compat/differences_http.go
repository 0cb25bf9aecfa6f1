package compat

// paths has the differences in methods and paths.
func paths() []Difference {
	return []Difference{
		{
			Rows: `HEAD_server_meta HEAD_model_meta HEAD_live HEAD_ready HEAD_model_ready HEAD_stats HEAD_config`,
			Kind: Deliberate, Case: "HEAD", Triton: "405", Sluice: "as GET, without the body", Why: "HTTP requires it, and probes use it",
		},
		{
			Rows: `HEAD_infer`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "errors to HEAD", Triton: "have a body", Sluice: "have none", Why: "HTTP forbids it",
		},
		{
			Rows: `OPTIONS_infer`,
			Kind: Deliberate, Case: "OPTIONS", Triton: "405", Sluice: "204 with `Allow`", Why: "browsers ask before they call",
		},
		{
			Rows: `lower_method`,
			Kind: Deliberate, Case: "a method in lower case", Triton: "closes the connection", Sluice: "405", Why: "an answer says what is wrong",
		},
		{
			Rows: `GET_server_meta_slash`,
			Kind: Deliberate, Case: "`/v2/`", Triton: "404", Sluice: "as `/v2`", Why: "the protocol's OpenAPI document has it",
		},
		{
			Rows: `GET_root`,
			Kind: Deliberate, Case: "`/`", Triton: "404", Sluice: "`{\"status\":\"alive\"}`", Why: "KServe V1 has it",
		},
		{
			Rows: `GET_empty_v1`,
			Kind: Deliberate, Case: "`/v1/models`", Triton: "404", Sluice: "the list of models", Why: "KServe V1 has it",
		},
		{
			Rows: `pct_encoded_model pct_encoded_infer version_%31`,
			Kind: Deliberate, Case: "percent-encoding in paths", Triton: "not decoded", Sluice: "decoded once", Why: "HTTP requires it",
		},
		{
			Rows: `pct_unicode html_in_model`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "percent-encoded names in texts", Triton: "as sent", Sluice: "decoded", Why: "HTTP requires it",
		},
		{
			Rows: `pct_bad pct_nul pct_newline fragment`,
			Kind: Deliberate, Case: "`%` without two digits, control characters or a fragment in a path", Triton: "404", Sluice: "400", Why: "it cannot be a name",
		},
		{
			Rows: `version_01 D.meta_ver_all_01 D.config_ver_all_01 D.ready_ver_all_01`,
			Kind: Deliberate, Case: "version `01`", Triton: "is 1", Sluice: "404", Why: "one version has one path",
		},
		{
			Rows: `version_99999999999999999999`,
			Kind: Deliberate, Case: "a version beyond 64 bits", Triton: "400", Sluice: "404", Why: "no such version can exist",
		},
		{
			Rows: `version_0 D.config_ver_all_0 D.meta_ver_all_0 D.ready_ver_all_0`, Aspects: []Aspect{Any},
			Kind: Deliberate, Case: "version `0`", Triton: "`… version 0 is not found`", Sluice: "`Not Found`", Why: "versions begin at 1",
		},
	}
}

// framing has the differences in HTTP itself.
func framing() []Difference {
	return []Difference{
		{
			Rows: `te_chunked_and_cl cl_dup_same`,
			Kind: Deliberate, Case: "`Content-Length` together with chunks, or twice", Triton: "reads the request in some way", Sluice: "400 and closes",
			Why: "if two readers disagree about the end of a request, an attacker can use that",
		},
		{
			Rows: `cl_dup_diff`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "two different `Content-Length`", Triton: "400 from the JSON parser", Sluice: "400 and closes", Why: "as above",
		},
		{
			Rows: `te_chunked_bad cl_neg cl_abc garbage_line`,
			Kind: Deliberate, Case: "broken chunks, a negative or non-numeric length, a bad request line", Triton: "closes the connection", Sluice: "400 and closes",
			Why: "an answer says what is wrong",
		},
		{
			Rows: `no_host`,
			Kind: Deliberate, Case: "HTTP/1.1 without `Host`", Triton: "200", Sluice: "400", Why: "HTTP requires it",
		},
		{
			Rows: `pipelined_two_gets`, Aspects: []Aspect{Answers},
			Kind: Deliberate, Case: "pipelined requests", Triton: "the second is never answered", Sluice: "answered in order", Why: "HTTP requires it",
		},
		{
			Rows: `ce_gzip_upper ce_empty`,
			Kind: Deliberate, Case: "`Content-Encoding` in upper case, or empty", Triton: "501", Sluice: "accepted", Why: "HTTP requires it",
		},
		{
			Rows: `ce_gzip_truncated`,
			Kind: Deliberate, Case: "a compressed body that is cut off", Triton: "500, or the part that arrived is read", Sluice: "400", Why: "it is not what was sent",
		},
		{
			Rows: `ce_gzip_body_as_deflate`,
			Kind: Deliberate, Case: "gzip that is declared as deflate", Triton: "200", Sluice: "400", Why: "it is not what the header says",
		},
		{
			Rows: `bin_hlen_float`,
			Kind: Deliberate, Case: "`Inference-Header-Content-Length` that is not a number", Triton: "its leading digits are read", Sluice: "400", Why: "the caller meant something else",
		},
		{
			Rows: `bin_hlen_plus`,
			Kind: Deliberate, Case: "`Inference-Header-Content-Length: +99`", Triton: "is 99", Sluice: "400", Why: "HTTP writes lengths with digits only",
		},
	}
}
