package oip_test

import (
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/oip"
)

// The texts are what Triton 2.51 answers for such models, with the settings that Sluice has beside
// them.
func TestModelConfig(t *testing.T) {
	const (
		head   = `{"name":"m","platform":"onnxruntime_onnx","backend":"onnxruntime","runtime":"",`
		input  = `"format":"FORMAT_NONE","dims":`
		inEnd  = `,"is_shape_tensor":false,"allow_ragged_batch":false,"optional":false,"is_non_linear_format_io":false}],`
		outEnd = `"is_shape_tensor":false,"is_non_linear_format_io":false}],"batch_input":[],"batch_output":[],`
		memory = `"priority":"PRIORITY_DEFAULT","input_pinned_memory":{"enable":true},"output_pinned_memory":{"enable":true},"gather_kernel_buffer_threshold":0,"eager_batching":false},`
		tail   = `"gpus":[],"secondary_devices":[],"profile":[],"passive":false,"host_policy":""}],"default_model_filename":"model.onnx","cc_model_filenames":{},"metric_tags":{},"parameters":{},"model_warmup":[]}`
	)
	f := func(m *infer.Model, s oip.Serving, want string) {
		t.Helper()
		doc := oip.NewModelConfig("m", "onnxruntime_onnx", m, &s)
		if got := string(oip.AppendModelConfig(nil, &doc)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	spec := func(name string, d infer.DType, dims ...int64) []infer.TensorSpec {
		return []infer.TensorSpec{{Name: name, DType: d, Shape: dims}}
	}
	fixed := infer.NewModel("other", 1, spec("x", infer.FP32, 2, 3), spec("y", infer.Bytes, 2, 3))
	f(fixed, oip.Serving{Instances: 2, Latest: 1, Optimization: "all"}, head+
		`"version_policy":{"latest":{"num_versions":1}},"max_batch_size":0,`+
		`"input":[{"name":"x","data_type":"TYPE_FP32",`+input+`[2,3]`+inEnd+
		`"output":[{"name":"y","data_type":"TYPE_STRING","dims":[2,3],"label_filename":"",`+outEnd+
		`"optimization":{`+memory+
		`"instance_group":[{"name":"m","kind":"KIND_CPU","count":2,`+tail)

	batched := infer.NewModel("other", 1, spec("x", infer.FP16, -1, 3), spec("y", infer.FP16, -1))
	batched.Outputs[0].Labels = []string{"a"}
	s := oip.Serving{
		MaxBatch: 8, MaxDelay: time.Millisecond, Instances: 1, GPU: true, PriorityLevels: 2, MaxQueue: 9, Timeout: time.Second,
		Optimization: "basic", LabelsFile: "labels.txt", Versions: []int64{1, 3},
	}
	f(batched, s, head+
		`"version_policy":{"specific":{"versions":[1,3]}},"max_batch_size":8,`+
		`"input":[{"name":"x","data_type":"TYPE_FP16",`+input+`[3]`+inEnd+
		`"output":[{"name":"y","data_type":"TYPE_FP16","dims":[],"label_filename":"labels.txt",`+outEnd+
		`"optimization":{"graph":{"level":-1},`+memory+
		`"dynamic_batching":{"preferred_batch_size":[8],"max_queue_delay_microseconds":1000,"preserve_ordering":false,"priority_levels":2,"default_priority_level":2,`+
		`"default_queue_policy":{"timeout_action":"REJECT","default_timeout_microseconds":1000000,"allow_timeout_override":true,"max_queue_size":9},"priority_queue_policy":{}},`+
		`"instance_group":[{"name":"m","kind":"KIND_GPU","count":1,`+tail)
}

func TestModelConfigPolicy(t *testing.T) {
	m := infer.NewModel("m", 1, nil, nil)
	f := func(s oip.Serving, latest, specific, all bool, level int) {
		t.Helper()
		c := oip.NewModelConfig("m", "p", m, &s)
		p := c.VersionPolicy
		if (p.Latest != nil) != latest || (p.Specific != nil) != specific || (p.All != nil) != all {
			t.Errorf("%+v: got %+v", s, p)
		}
		if got := c.Optimization.Graph; got == nil && level != 0 || got != nil && got.Level != level {
			t.Errorf("%+v: got %+v", s, got)
		}
	}
	f(oip.Serving{}, false, false, true, 0)
	f(oip.Serving{Latest: 2, Optimization: "extended"}, true, false, false, 1)
	f(oip.Serving{Versions: []int64{7}, Optimization: "none"}, false, true, false, 2)
}
