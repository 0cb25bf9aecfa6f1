package config

import "time"

// Model is how one model is served.
type Model struct {
	Versions        Versions          `yaml:"versions" default:"{latest: 1}" doc:"Which versions to load: {latest: n}, all, or a list of numbers."`
	Instances       int               `yaml:"instances" default:"0" min:"0" max:"4096" doc:"Worker slots per version, each runs one batch at a time; 0: one per core."`
	IntraThreads    int               `yaml:"intra_threads" default:"1" min:"1" max:"4096" doc:"Above 1, a run is spread over the shared pool of runtime.global_threads."`
	Timeout         time.Duration     `yaml:"timeout" default:"30s" min:"1ms" doc:"The longest a request may take; a caller can only shorten it."`
	PriorityLevels  int               `yaml:"priority_levels" default:"2" min:"1" max:"64" doc:"Priorities that requests may ask for; 1 is the highest."`
	DefaultPriority int               `yaml:"default_priority" default:"0" min:"0" max:"64" doc:"The priority of requests that ask for none; 0: the lowest."`
	Providers       []Provider        `yaml:"providers" default:"[{name: cpu}]" doc:"Execution providers in order of preference."`
	Fallback        bool              `yaml:"fallback" default:"false" doc:"Whether a provider that is missing here is passed over; else the model fails to load."`
	Optimization    string            `yaml:"optimization" default:"all" enum:"all|extended|basic|none" doc:"How much ONNX Runtime may rewrite the graph."`
	Arena           bool              `yaml:"arena" default:"false" doc:"Whether a session keeps freed memory for later runs."`
	SessionConfig   map[string]string `yaml:"session_config" doc:"Session entries passed to ONNX Runtime as they are, such as session.set_denormal_as_zero: 1."`
	Batching        Batching          `yaml:"batching" doc:"Joining requests into one run."`
	Warmup          bool              `yaml:"warmup" default:"true" doc:"Whether a version runs made-up inputs before it is ready."`
	PreparedShapes  int               `yaml:"prepared_shapes" default:"64" min:"1" max:"65536" doc:"Input shapes for which each slot keeps its buffers."`
}

// Provider is an execution provider and its options, which are passed on.
type Provider struct {
	Name    string            `yaml:"name" required:"true" doc:"cpu, cuda, tensorrt or another that the library has."`
	Options map[string]string `yaml:"options" doc:"Options as that provider documents them."`
}

// Batching says how requests for one version are joined into one run.
type Batching struct {
	Enabled   string        `yaml:"enabled" default:"auto" enum:"auto|true|false" doc:"auto asks the model: every input and output shares a symbolic first dimension, and a probe at load gives the same rows together as alone."`
	MaxSize   int           `yaml:"max_size" default:"256" min:"1" max:"1000000" doc:"Rows of one run."`
	MaxDelay  time.Duration `yaml:"max_delay" default:"0s" min:"0s" doc:"How long a free slot waits for more requests; 0s takes what is there."`
	Oversize  string        `yaml:"oversize" default:"reject" enum:"reject|split" doc:"What becomes of a request with more rows than max_size."`
	Tolerance float64       `yaml:"tolerance" default:"0.0001" min:"0" max:"1" doc:"How far floats may differ in the probe, absolute and relative to the value; other types must be equal."`
	Queue     Queue         `yaml:"queue" doc:"Requests that wait; beyond either limit the answer is 429."`
}

// Queue bounds the requests that wait for one version.
type Queue struct {
	MaxRequests int  `yaml:"max_requests" default:"1024" min:"1" max:"1000000" doc:"Requests that wait."`
	MaxBytes    Size `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"The inputs of all requests that wait."`
}

// Model returns the settings of a model: those under its name, else the defaults.
func (c *Config) Model(name string) Model {
	if m, ok := c.Models[name]; ok {
		return m
	}
	return c.Defaults
}
