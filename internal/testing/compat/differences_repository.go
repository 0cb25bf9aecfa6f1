package compat

// repository has the differences in answers about the configured repository and its models.
func repository() []Difference {
	return []Difference{
		{
			Rows: `E.e_index_empty E.e_index_end_fresh E.e_index_member_gone_all E.e_index_after_bad_cfg_all E.e_ver_index_after E.e_busy_index_after`, Aspects: []Aspect{Any},
			Kind: Deliberate, Case: "a model that was never loaded, in the index", Triton: "its name only", Sluice: "its versions, UNAVAILABLE, `unloaded`", Why: "a caller sees what can be loaded",
		},
		{
			Rows: `D.index D.index_unknown_key D.index_not_ready_flag`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "a version that the settings name and the repository does not have", Triton: "not in the index", Sluice: "UNAVAILABLE in the index, with the reason",
			Why: "the operator sees the mistake",
		},
		{
			Rows: `E.e_infer_not_loaded E.e_meta_not_loaded`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "the text about a model that was never loaded", Triton: "as for an unknown model", Sluice: "`… has no available versions`", Why: "the model is there",
		},
		{
			Rows: `D.index_array E.e_body_array E.e_unload_bad E.e_unload_unknown_param E.e_param_null`,
			Kind: Deliberate, Case: "the body of an index, load or unload", Triton: "an array, JSON that is cut off and unknown parameters are ignored; `parameters` null is 500",
			Sluice: "400 for what it cannot read; null is none", Why: "nothing is ignored that may be a mistake",
		},
		{
			Rows: `D.index_named E.e_load_repo`,
			Kind: Deliberate, Case: "the name of a repository in the path", Triton: "ignored in an index, 501 in a load", Sluice: "404", Why: "there is one repository",
		},
		{
			Rows: `D.stats_fresh_warm`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "warm-ups in statistics", Triton: "counted", Sluice: "not counted", Why: "the counts are those of callers' requests",
		},
		{
			Rows: `D.opt_only`,
			Kind: Deliberate, Case: "only optional inputs", Triton: "500 from its runtime", Sluice: "400, and the inputs that are missing", Why: "the caller's mistake",
		},
		{
			Rows: `D.fail_reshape`,
			Kind: Deliberate, Case: "the model refuses the values", Triton: "500 and a path of the host", Sluice: "400, without paths", Why: "the version still answers other values",
		},
		{
			Rows: `D.class_[12349] D.class_batch D.class_binary D.class_binary_false D.class_binary_output D.class_mixed D.class_nb`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "another number of labels than the last dimension of the output has", Triton: "the labels that there are", Sluice: "none, and a warning in the log",
			Why: "the file belongs to another output, or is cut off",
		},
		{
			Rows: `D.meta_labels_i32`, Aspects: []Aspect{Body},
			Kind: Deliberate, Case: "labels of an output in the metadata", Triton: "none", Sluice: "`parameters.labels`", Why: "clients need not know the file",
		},
		{
			Rows: `D.auto_batch_5 D.auto_mb8_9 D.batch_5 D.st_too_big`, Aspects: []Aspect{Text},
			Kind: Deliberate, Case: "the text about a batch that is too large", Triton: "the limit", Sluice: "the limit and its setting", Why: "it says what to do",
		},
	}
}

// configs has the differences in model configurations, by their fields.
func configs() []Difference {
	return []Difference{
		{
			Rows: configsJoined + " D.config_ver_all D.config_ver_all_[1-3] D.config_ver_default D.config_ver_l* D.config_ver_s* GET_config", Aspects: []Aspect{"dynamic_batching"},
			Kind: Deliberate, Case: "`dynamic_batching` in `/config`", Triton: "as in `config.pbtxt`",
			Sluice: "for every model whose requests are joined, with priorities, timeout and length of the queue", Why: "it says how the model is served",
		},
		{
			Rows: configsGrouped + " GET_config", Aspects: []Aspect{"instance_group"},
			Kind: Deliberate, Case: "`instance_group` in `/config`", Triton: "groups with the names of `config.pbtxt`, else `MODEL_0`", Sluice: "one group with the model's name", Why: "a model has one group",
		},
		{
			Rows: configsLabelled, Aspects: []Aspect{"output"},
			Kind: Deliberate, Case: "`label_filename` in `/config`", Triton: "the file's name, even if it has too few labels", Sluice: "`labels.txt`, if its labels are used",
			Why: "labels are in that file of the version's folder",
		},
		{
			Rows: `D.config_settings`, Aspects: []Aspect{"input", "optimization", "default_model_filename", "metric_tags", "parameters", "model_transaction_policy"},
			Kind: Deliberate, Case: "fields of `config.pbtxt` that have no meaning here", Triton: "as in the file", Sluice: "Triton's defaults", Why: "the file is not read",
		},
		{
			Rows: `GET_config`, Aspects: []Aspect{"parameters"},
			Kind: Deliberate, Case: "numbers of threads in `/config`", Triton: "as in `config.pbtxt`", Sluice: "absent", Why: "Sluice has its own settings for them",
		},
		{
			Rows: `D.config_warm`, Aspects: []Aspect{"model_warmup"},
			Kind: Deliberate, Case: "`model_warmup` in `/config`", Triton: "as in `config.pbtxt`", Sluice: "empty; every model is warmed up with made-up inputs", Why: "there is nothing to set",
		},
		{
			Rows: `D.config_cache_on`, Aspects: []Aspect{"response_cache"},
			Kind: Later, Case: "`response_cache`", Triton: "answers again without a run", Sluice: "runs",
		},
		{
			Rows: `D.config_decoupled`, Aspects: []Aspect{"model_transaction_policy"},
			Kind: Later, Case: "`model_transaction_policy` in `/config`", Triton: "as in `config.pbtxt`", Sluice: "absent; a model has one answer",
		},
	}
}

// The rows with the configuration of models whose requests are joined, of models with an instance
// group, and of models with labels.
const (
	configsJoined = `D.config_addsub D.config_auto_batch D.config_auto_mb? D.config_auto_out D.config_auto_platform D.config_batch4 D.config_bool_not D.config_cache_on
		D.config_cast_u8 D.config_decoupled D.config_dyn_* D.config_fp16_dbl D.config_inst2 D.config_labels D.config_labels_i32 D.config_plus10 D.config_settings
		D.config_slow* D.config_str_b D.config_warm`
	configsGrouped  = "D.config_dyn_order D.config_dyn_pref D.config_inst2 D.config_slow*"
	configsLabelled = "D.config_labels D.config_labels_i32 D.config_labels_nb"
)
