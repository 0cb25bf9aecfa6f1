package config

import "time"

// Model configures how one model is served.
type Model struct {
	Versions        Versions          `yaml:"versions" default:"{latest: 1}" doc:"Which versions are loaded: {latest: n}, all, or a list of numbers."`
	Instances       int               `yaml:"instances" default:"0" min:"0" max:"4096" doc:"Number of instances of each version. An instance has buffers of its own and runs one batch at a time. 0: one per core."`
	IntraThreads    int               `yaml:"intra_threads" default:"1" min:"1" max:"4096" doc:"Above 1, a run uses the shared pool of runtime.global_threads."`
	Timeout         time.Duration     `yaml:"timeout" default:"30s" min:"1ms" doc:"Max time of a request. A caller can only shorten it."`
	PriorityLevels  int               `yaml:"priority_levels" default:"2" min:"1" max:"64" doc:"Number of priorities that requests may ask for. 1 is the highest."`
	DefaultPriority int               `yaml:"default_priority" default:"0" min:"0" max:"64" doc:"The priority of requests that ask for none. 0: the lowest."`
	Providers       []Provider        `yaml:"providers" default:"[{name: cpu}]" doc:"Execution providers in order of preference."`
	Fallback        bool              `yaml:"fallback" default:"false" doc:"true: a provider that this machine lacks is skipped. false: the model then fails to load."`
	Optimization    string            `yaml:"optimization" default:"all" enum:"all|extended|basic|none" doc:"How much ONNX Runtime may rewrite the graph."`
	Arena           bool              `yaml:"arena" default:"false" doc:"Whether a session keeps freed memory for later runs."`
	SessionConfig   map[string]string `yaml:"session_config" doc:"Session entries that are passed to ONNX Runtime unchanged, such as session.set_denormal_as_zero: 1."`
	Batching        Batching          `yaml:"batching" doc:"Joining requests into one run."`
	Warmup          bool              `yaml:"warmup" default:"true" doc:"Whether a version runs made-up inputs before it is ready."`
	WarmupTimeout   time.Duration     `yaml:"warmup_timeout" default:"30s" min:"1ms" doc:"Max time for the batching probe and the warm-up together. After that their runs are terminated, and the version serves without them."`
	PreparedShapes  int               `yaml:"prepared_shapes" default:"64" min:"1" max:"65536" doc:"Max number of input shapes for which each instance keeps buffers."`
	ClassLabels     ClassLabels       `yaml:"class_labels" doc:"Names of the classes of an output: from labels.txt beside the model file, a ZipMap that was removed, or the model's metadata. Names beyond a limit are not used."`
	Labels          Labels            `yaml:"labels" doc:"Measuring how good predictions were. A sample of them is kept until labels, what was true, are sent to /v2/models/M/labels."`
	Capture         Capture           `yaml:"capture" doc:"Keeping a sample of the traffic as Parquet files, for training and replay."`
	Columns         Columns           `yaml:"columns" doc:"The names of the elements of an input's rows, in their order, by the name of the input. Data frames sent to predict and /invocations have columns of these names."`
	Drift           Drift             `yaml:"drift" doc:"Comparing what the model is asked and what it answers with a reference."`
	Breaker         Breaker           `yaml:"breaker" doc:"Sending no requests to a version that fails them. Mistakes of clients, cancellations and full queues do not count as failures."`
	Rollouts        Rollouts          `yaml:"rollouts" doc:"The approvals that a rollout of the model needs."`
	Retrain         Retraining        `yaml:"retrain" doc:"How the model is retrained. docs/retraining.md explains it."`
	Shadow          Shadow            `yaml:"shadow" doc:"Limits of a version that runs as a shadow."`
}

// Columns are the names of the elements of an input's rows, by the input's name.
type Columns map[string][]string

// Provider is an execution provider with its options.
type Provider struct {
	Name    string            `yaml:"name" required:"true" doc:"cpu, cuda, tensorrt or another provider that the library has."`
	Options map[string]string `yaml:"options" doc:"Options of the provider, as its documentation names them."`
}

// Batching configures how requests for one version are joined into one run.
type Batching struct {
	Enabled   string        `yaml:"enabled" default:"auto" enum:"auto|true|false" doc:"true: requests are joined. false: they are not. auto: they are joined if every input and output has a free first dimension, and the same rows have the same answers together as alone."`
	MaxSize   int           `yaml:"max_size" default:"256" min:"1" max:"1000000" doc:"Max rows of one run."`
	MaxDelay  time.Duration `yaml:"max_delay" default:"0s" min:"0s" doc:"Time that a free instance waits for more requests. 0s: it takes the requests that wait already."`
	Oversize  string        `yaml:"oversize" default:"split" enum:"split|reject" doc:"What happens to a request with more rows than max_size. split: it runs in pieces. reject: it is refused."`
	Tolerance float64       `yaml:"tolerance" default:"0.0001" min:"0" max:"1" doc:"Max difference of a float between two runs that counts as the same answer, absolute and relative to the value. Other types must be equal."`
	Relax     bool          `yaml:"relax" default:"false" doc:"Whether a first dimension that the model file fixes at 1 is made free in memory, if the same rows then have the same answers. The file does not change. A model of 2 GiB or more stays as it is."`
	Probe     Probe         `yaml:"probe" doc:"Finding out with made-up data, when a version loads, whether its requests may be joined."`
	Trial     Trial         `yaml:"trial" doc:"Finding out with copies of real requests, if made-up data does not suit the model. Until the trial is settled, callers get answers from runs of their own."`
	Queue     Queue         `yaml:"queue" doc:"Requests that wait. Beyond a limit the answer is 429."`
}

// Probe bounds the test requests when a model loads.
type Probe struct {
	Timeout  time.Duration `yaml:"timeout" default:"10s" min:"10ms" max:"10m" doc:"Max time of the probe. After that its run is terminated. After a fifth of it no further data is tried."`
	MaxBytes Size          `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"Max size of the inputs of one run, and of its outputs. Larger data is not tried."`
}

// Trial bounds the copies of requests for a trial.
type Trial struct {
	Enabled    bool          `yaml:"enabled" default:"true" doc:"true: real requests decide if made-up data cannot. false: such a model is not batched."`
	Requests   int           `yaml:"requests" default:"32" min:"32" max:"1000000" doc:"Number of requests with different inputs and answers that must have the same answers together as alone."`
	MaxBytes   Size          `yaml:"max_bytes" default:"16MiB" min:"1KiB" max:"64GiB" doc:"Max size of the copies that are held at a time, inputs and outputs."`
	CheckEvery time.Duration `yaml:"check_every" default:"10s" min:"100ms" max:"24h" doc:"Time between two later checks, each of which runs a few requests together and alone. A difference ends joining for good."`
}

// ClassLabels bounds the class labels of a version.
type ClassLabels struct {
	MaxCount int  `yaml:"max_count" default:"50000" min:"1" max:"1000000" doc:"Max number of labels of one output."`
	MaxBytes Size `yaml:"max_bytes" default:"1MiB" min:"1KiB" max:"64MiB" doc:"Max size of the text that lists them."`
}

// Queue bounds the requests that wait for one version.
type Queue struct {
	MaxRequests int  `yaml:"max_requests" default:"1024" min:"1" max:"1000000" doc:"Max number of requests that wait."`
	MaxBytes    Size `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"Max size of the inputs of all requests that wait."`
}

// Breaker configures when a failing version gets no more traffic, and for how long. Errors of
// clients, cancellations and full queues are not failures.
type Breaker struct {
	Enabled      bool          `yaml:"enabled" default:"true" doc:"Whether a version that fails its requests gets no traffic for a while."`
	Window       time.Duration `yaml:"window" default:"10s" min:"1s" doc:"The rolling window over which requests and failures are counted."`
	MinRequests  int           `yaml:"min_requests" default:"20" min:"1" max:"1000000" doc:"Min number of requests in the window before failure_ratio applies."`
	FailureRatio float64       `yaml:"failure_ratio" default:"0.5" min:"0.001" max:"1" doc:"Share of failures in the window at which the breaker opens."`
	Consecutive  int           `yaml:"consecutive" default:"5" min:"1" max:"1000000" doc:"Number of failures in a row that open the breaker, however few requests there were."`
	Open         time.Duration `yaml:"open" default:"5s" min:"100ms" doc:"Time for which a version gets no traffic after its breaker opened. Then it gets probes."`
	Probes       int           `yaml:"probes" default:"5" min:"1" max:"1000" doc:"Number of requests that are let through as probes. All must succeed for the breaker to close."`
}

// Shadow bounds a version that runs as a shadow.
type Shadow struct {
	MaxRequests int           `yaml:"max_requests" default:"100" min:"1" max:"100000" doc:"Max number of copies that wait. Further ones are dropped."`
	MaxBytes    Size          `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"Max size of all copies that wait or run: their inputs, and the outputs of the version that answered. Further ones are dropped."`
	MaxAge      time.Duration `yaml:"max_age" default:"5s" min:"1ms" doc:"Max time that a copy may wait. An older one is dropped."`
	Timeout     time.Duration `yaml:"timeout" default:"5s" min:"1ms" doc:"Max time for a copy once it has begun."`
	PauseAbove  time.Duration `yaml:"pause_above" default:"100ms" min:"0s" doc:"No copies are made while requests wait longer than this in the queue of the version that answers. 0s: copies never pause."`
	Concurrency int           `yaml:"concurrency" default:"8" min:"1" max:"256" doc:"Max number of copies that the shadow gets at the same time."`
	Tolerance   float64       `yaml:"tolerance" default:"0.001" min:"0" max:"1000" doc:"Difference up to which numbers of the shadow's answer count as equal: this times the number's size, and at least this."`
	Payloads    bool          `yaml:"payloads" default:"false" doc:"Show text outputs and inputs of the requests that the shadow answers most differently. They may contain personal data."`
}

// Model returns the settings of a model: those under its name, otherwise the defaults.
func (c *Config) Model(name string) Model {
	if m, ok := c.Models[name]; ok {
		return m
	}
	return c.Defaults
}
