package compat

// settingsOverHTTP has the differences in the settings of traces and of the log.
func settingsOverHTTP() []Difference {
	return []Difference{
		{
			Rows: `GET_trace`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "`trace_mode` of trace settings", Triton: "`triton`, which writes files", Sluice: "`opentelemetry`",
			Why: "spans go to the receiver that the other services of a trace use",
		},
		{
			Rows: `D.trace_*`,
			Kind: Deliberate, Case: "trace settings if nothing can be traced", Triton: "503", Sluice: "200; traces cannot be turned on",
			Why: "clients that read the settings work with every configuration",
		},
		{
			Rows: `D.log_format_bad D.log_wrong_type D.log_wrong_type2 D.log_neg D.log_float D.log_array D.log_bad_json`,
			Kind: Deliberate, Case: "log settings that cannot be read", Triton: "500, 503, or 200 for a body that is not an object", Sluice: "400",
			Why: "it is the caller's mistake",
		},
	}
}

func grpcSettings() []Difference {
	return []Difference{{
		Rows: "D.trace_get",
		Kind: Deliberate, Case: "trace settings if nothing can be traced", Triton: "UNAVAILABLE", Sluice: "OK; traces cannot be turned on",
		Why: "clients that read the settings work with every configuration",
	}}
}
