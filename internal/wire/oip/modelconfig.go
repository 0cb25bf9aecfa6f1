package oip

import (
	"cmp"
	"time"

	"sluice.io/sluice/internal/infer"
)

// ModelConfig is the answer to GET /v2/models/M/config: how a version is served, in the form of
// Triton's config.pbtxt. Triton writes every list, map and single value, and so does this. A field
// that has no meaning here has Triton's default, which may be an empty list.
type ModelConfig struct {
	Name                 string              `json:"name"`
	Platform             string              `json:"platform"` // "onnxruntime_onnx"
	Backend              string              `json:"backend"`  // "onnxruntime"
	Runtime              string              `json:"runtime"`
	VersionPolicy        ConfigVersionPolicy `json:"version_policy"`
	MaxBatchSize         int                 `json:"max_batch_size"` // rows of one run; 0 if requests are not joined
	Input                []ConfigInput       `json:"input"`
	Output               []ConfigOutput      `json:"output"`
	BatchInput           [0]struct{}         `json:"batch_input"`
	BatchOutput          [0]struct{}         `json:"batch_output"`
	Optimization         ConfigOptimization  `json:"optimization"`
	DynamicBatching      *ConfigBatching     `json:"dynamic_batching,omitempty"` // nil if requests are not joined
	InstanceGroup        []ConfigInstances   `json:"instance_group"`
	DefaultModelFilename string              `json:"default_model_filename"`
	CCModelFilenames     struct{}            `json:"cc_model_filenames"`
	MetricTags           struct{}            `json:"metric_tags"`
	Parameters           struct{}            `json:"parameters"`
	ModelWarmup          [0]struct{}         `json:"model_warmup"`
}

// ConfigVersionPolicy says which versions of a model are served: exactly one field is set.
type ConfigVersionPolicy struct {
	Latest   *ConfigLatest   `json:"latest,omitempty"`
	All      *struct{}       `json:"all,omitempty"`
	Specific *ConfigSpecific `json:"specific,omitempty"`
}

// ConfigLatest is the policy that serves the newest versions.
type ConfigLatest struct {
	NumVersions int `json:"num_versions"`
}

// ConfigSpecific is the policy that serves versions by number.
type ConfigSpecific struct {
	Versions []int64 `json:"versions"`
}

// ConfigInput describes an input.
type ConfigInput struct {
	Name              string  `json:"name"`
	DataType          string  `json:"data_type"` // "TYPE_FP32"
	Format            string  `json:"format"`
	Dims              []int64 `json:"dims"` // without the rows if MaxBatchSize is above 0; -1 varies
	IsShapeTensor     bool    `json:"is_shape_tensor"`
	AllowRaggedBatch  bool    `json:"allow_ragged_batch"`
	Optional          bool    `json:"optional"`
	IsNonLinearFormat bool    `json:"is_non_linear_format_io"`
}

// ConfigOutput describes an output.
type ConfigOutput struct {
	Name              string  `json:"name"`
	DataType          string  `json:"data_type"`
	Dims              []int64 `json:"dims"` // as an input's
	LabelFilename     string  `json:"label_filename"`
	IsShapeTensor     bool    `json:"is_shape_tensor"`
	IsNonLinearFormat bool    `json:"is_non_linear_format_io"`
}

// ConfigOptimization says how the model is prepared and run.
type ConfigOptimization struct {
	Graph               *ConfigGraph `json:"graph,omitempty"` // nil: all optimizations
	Priority            string       `json:"priority"`
	InputPinnedMemory   ConfigSwitch `json:"input_pinned_memory"`
	OutputPinnedMemory  ConfigSwitch `json:"output_pinned_memory"`
	GatherKernelBuffers int          `json:"gather_kernel_buffer_threshold"`
	EagerBatching       bool         `json:"eager_batching"`
}

// ConfigGraph is the level of ONNX Runtime's optimizations: -1 basic, 1 extended, 2 none.
type ConfigGraph struct {
	Level int `json:"level"`
}

// ConfigSwitch is on or off.
type ConfigSwitch struct {
	Enable bool `json:"enable"`
}

// ConfigBatching says how requests are queued and joined.
type ConfigBatching struct {
	PreferredBatchSize   []int             `json:"preferred_batch_size"`
	MaxQueueDelayUS      int64             `json:"max_queue_delay_microseconds"`
	PreserveOrdering     bool              `json:"preserve_ordering"`
	PriorityLevels       int               `json:"priority_levels"`
	DefaultPriorityLevel int               `json:"default_priority_level"`
	DefaultQueuePolicy   ConfigQueuePolicy `json:"default_queue_policy"`
	PriorityQueuePolicy  struct{}          `json:"priority_queue_policy"`
}

// ConfigQueuePolicy bounds how many requests wait and for how long.
type ConfigQueuePolicy struct {
	TimeoutAction        string `json:"timeout_action"`
	DefaultTimeoutUS     int64  `json:"default_timeout_microseconds"`
	AllowTimeoutOverride bool   `json:"allow_timeout_override"`
	MaxQueueSize         int    `json:"max_queue_size"`
}

// ConfigInstances is a group of instances of a version.
type ConfigInstances struct {
	Name             string      `json:"name"`
	Kind             string      `json:"kind"` // "KIND_CPU", "KIND_GPU"
	Count            int         `json:"count"`
	GPUs             [0]struct{} `json:"gpus"`
	SecondaryDevices [0]struct{} `json:"secondary_devices"`
	Profile          [0]struct{} `json:"profile"`
	Passive          bool        `json:"passive"`
	HostPolicy       string      `json:"host_policy"`
}

// Serving is how a version is served.
type Serving struct {
	MaxBatch        int // rows of one run; 0 if requests are not joined
	MaxDelay        time.Duration
	Instances       int
	GPU             bool // its first execution provider runs on one
	PriorityLevels  int
	DefaultPriority int // 0: the lowest
	MaxQueue        int // requests that wait
	Timeout         time.Duration
	Optimization    string  // of the graph: "all", "extended", "basic" or "none"
	LabelsFile      string  // its file of labels; empty if there is none
	Latest          int     // how many of the newest versions are served; 0 says that the others do
	Versions        []int64 // those that are served by number; empty: all
}

// NewModelConfig describes how a version is served under the called name, which may be a route's.
func NewModelConfig(name, platform string, m *infer.Model, s *Serving) ModelConfig {
	const modelFile = "model.onnx"
	c := ModelConfig{
		Name: name, Platform: platform, Backend: "onnxruntime", VersionPolicy: s.policy(), MaxBatchSize: s.MaxBatch,
		Input: make([]ConfigInput, len(m.Inputs)), Output: make([]ConfigOutput, len(m.Outputs)),
		Optimization: ConfigOptimization{
			Graph: s.graph(), Priority: "PRIORITY_DEFAULT", InputPinnedMemory: ConfigSwitch{true}, OutputPinnedMemory: ConfigSwitch{true},
		},
		InstanceGroup: []ConfigInstances{{Name: name, Kind: "KIND_CPU", Count: s.Instances}}, DefaultModelFilename: modelFile,
	}
	for i := range m.Inputs {
		t := &m.Inputs[i]
		c.Input[i] = ConfigInput{Name: t.Name, DataType: configType(t.DType), Format: "FORMAT_NONE", Dims: s.dims(t.Shape), Optional: t.Optional}
	}
	for i := range m.Outputs {
		t := &m.Outputs[i]
		c.Output[i] = ConfigOutput{Name: t.Name, DataType: configType(t.DType), Dims: s.dims(t.Shape)}
		if len(t.Labels) > 0 {
			c.Output[i].LabelFilename = s.LabelsFile
		}
	}
	if s.GPU {
		c.InstanceGroup[0].Kind = "KIND_GPU"
	}
	if s.MaxBatch > 0 {
		c.DynamicBatching = &ConfigBatching{
			PreferredBatchSize: []int{s.MaxBatch}, MaxQueueDelayUS: s.MaxDelay.Microseconds(),
			PriorityLevels: s.PriorityLevels, DefaultPriorityLevel: cmp.Or(s.DefaultPriority, s.PriorityLevels),
			DefaultQueuePolicy: ConfigQueuePolicy{
				TimeoutAction: "REJECT", DefaultTimeoutUS: s.Timeout.Microseconds(), AllowTimeoutOverride: true, MaxQueueSize: s.MaxQueue,
			},
		}
	}
	return c
}

func (s *Serving) policy() ConfigVersionPolicy {
	switch {
	case s.Latest > 0:
		return ConfigVersionPolicy{Latest: &ConfigLatest{s.Latest}}
	case len(s.Versions) > 0:
		return ConfigVersionPolicy{Specific: &ConfigSpecific{s.Versions}}
	default:
		return ConfigVersionPolicy{All: &struct{}{}}
	}
}

func (s *Serving) graph() *ConfigGraph {
	switch s.Optimization {
	case "basic":
		return &ConfigGraph{-1}
	case "extended":
		return &ConfigGraph{1}
	case "none":
		return &ConfigGraph{2}
	default:
		return nil
	}
}

// dims returns a shape as a configuration has it.
func (s *Serving) dims(shape infer.Shape) []int64 {
	if s.MaxBatch > 0 && len(shape) > 0 {
		shape = shape[1:]
	}
	return orEmpty(shape)
}

// configType returns what Triton's configurations call a datatype.
func configType(d infer.DType) string {
	if d == infer.Bytes {
		return "TYPE_STRING"
	}
	return "TYPE_" + d.String()
}

// AppendModelConfig appends the document to dst.
func AppendModelConfig(dst []byte, doc *ModelConfig) []byte { return appendJSON(dst, doc) }
