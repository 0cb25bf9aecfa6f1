package config

import "time"

// Model is how one model is served.
type Model struct {
	Versions        Versions          `yaml:"versions" default:"{latest: 1}" doc:"Which versions to load: {latest: n}, all, or a list of numbers."`
	Instances       int               `yaml:"instances" default:"0" min:"0" max:"4096" doc:"Instances of each version; an instance has buffers of its own and runs one batch at a time; 0: one per core."`
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
	WarmupTimeout   time.Duration     `yaml:"warmup_timeout" default:"30s" min:"1ms" doc:"How long the probe for batching and the warm-up may take together; runs that still go on are then terminated, and the version serves without."`
	PreparedShapes  int               `yaml:"prepared_shapes" default:"64" min:"1" max:"65536" doc:"Input shapes for which each instance keeps its buffers."`
	Labels          Labels            `yaml:"labels" doc:"Labels of the classes of an output: from labels.txt beside the model file, a ZipMap that was cut off, or the model's metadata. Beyond either limit they are not used."`
	Columns         Columns           `yaml:"columns" doc:"By the name of an input, the names of the elements of its rows, in their order. Data frames sent to predict and /invocations have columns of these names."`
	Drift           Drift             `yaml:"drift" doc:"Noticing that what the model is asked, or what it answers, is no longer what it was."`
	Breaker         Breaker           `yaml:"breaker" doc:"Sparing a version that fails its requests."`
	Shadow          Shadow            `yaml:"shadow" doc:"Limits of a version that runs as a shadow."`
}

// Columns are the names of the elements of an input's rows, by the input's name.
type Columns map[string][]string

// Provider is an execution provider and its options, which are passed on.
type Provider struct {
	Name    string            `yaml:"name" required:"true" doc:"cpu, cuda, tensorrt or another that the library has."`
	Options map[string]string `yaml:"options" doc:"Options as that provider documents them."`
}

// Batching says how requests for one version are joined into one run.
type Batching struct {
	Enabled   string        `yaml:"enabled" default:"auto" enum:"auto|true|false" doc:"auto asks the model: every input and output has a free first dimension, whatever its name, and the same rows give the same answers together as alone."`
	MaxSize   int           `yaml:"max_size" default:"256" min:"1" max:"1000000" doc:"Rows of one run."`
	MaxDelay  time.Duration `yaml:"max_delay" default:"0s" min:"0s" doc:"How long a free instance waits for more requests; 0s takes what is there."`
	Oversize  string        `yaml:"oversize" default:"split" enum:"split|reject" doc:"What becomes of a request with more rows than max_size: it runs in pieces, or it is refused."`
	Tolerance float64       `yaml:"tolerance" default:"0.0001" min:"0" max:"1" doc:"How far floats may differ from one run to another, absolute and relative to the value; other types must be equal."`
	Relax     bool          `yaml:"relax" default:"false" doc:"Whether a first dimension that the model file fixes at 1 is made free in memory, if the same rows then give the same answers. The file is not changed; a model of 2 GiB or more is left as it is."`
	Probe     Probe         `yaml:"probe" doc:"Asking the model with made-up data when it loads."`
	Trial     Trial         `yaml:"trial" doc:"Asking the model with copies of real requests, if made-up data does not suit it. Callers are answered by runs of their own until it is settled."`
	Queue     Queue         `yaml:"queue" doc:"Requests that wait; beyond either limit the answer is 429."`
}

// Probe bounds what a model is asked when it loads.
type Probe struct {
	Timeout  time.Duration `yaml:"timeout" default:"10s" min:"10ms" max:"10m" doc:"The longest that it takes; what runs then is terminated. After a fifth of it nothing further is tried."`
	MaxBytes Size          `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"The inputs of one run, and its outputs; larger data is not tried."`
}

// Trial bounds what copies of requests may take.
type Trial struct {
	Enabled    bool          `yaml:"enabled" default:"true" doc:"Whether real requests decide where made-up data cannot; else such a model is not batched."`
	Requests   int           `yaml:"requests" default:"32" min:"32" max:"1000000" doc:"Requests with different inputs and answers that must give the same together as alone."`
	MaxBytes   Size          `yaml:"max_bytes" default:"16MiB" min:"1KiB" max:"64GiB" doc:"The copies that are held at a time, inputs and outputs."`
	CheckEvery time.Duration `yaml:"check_every" default:"10s" min:"100ms" max:"24h" doc:"How often a few requests are run together and alone once more after requests are joined. A difference ends joining for good."`
}

// Labels bounds the class labels of a version.
type Labels struct {
	MaxCount int  `yaml:"max_count" default:"50000" min:"1" max:"1000000" doc:"Labels of one output."`
	MaxBytes Size `yaml:"max_bytes" default:"1MiB" min:"1KiB" max:"64MiB" doc:"The text that lists them."`
}

// Queue bounds the requests that wait for one version.
type Queue struct {
	MaxRequests int  `yaml:"max_requests" default:"1024" min:"1" max:"1000000" doc:"Requests that wait."`
	MaxBytes    Size `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"The inputs of all requests that wait."`
}

// Breaker says when a version that fails gets no more traffic, and for how long.
// Mistakes of clients, cancellations and full queues are no failures.
type Breaker struct {
	Enabled      bool          `yaml:"enabled" default:"true" doc:"Whether a version that fails its requests gets no traffic for a while. Mistakes of clients, cancellations and full queues are no failures."`
	Window       time.Duration `yaml:"window" default:"10s" min:"1s" doc:"The rolling window over which requests and failures are counted."`
	MinRequests  int           `yaml:"min_requests" default:"20" min:"1" max:"1000000" doc:"Requests within the window before their failures count as a ratio."`
	FailureRatio float64       `yaml:"failure_ratio" default:"0.5" min:"0.001" max:"1" doc:"The share of failures within the window from which on the breaker opens."`
	Consecutive  int           `yaml:"consecutive" default:"5" min:"1" max:"1000000" doc:"Failures in a row that open the breaker, however few requests there were."`
	Open         time.Duration `yaml:"open" default:"5s" min:"100ms" doc:"How long a version whose breaker opened gets no traffic but probes afterwards."`
	Probes       int           `yaml:"probes" default:"5" min:"1" max:"1000" doc:"Probes that are let through, and must all succeed for the breaker to close."`
}

// Shadow bounds what a version may take while it runs as a shadow.
type Shadow struct {
	MaxRequests int           `yaml:"max_requests" default:"100" min:"1" max:"100000" doc:"Copies that wait; further ones are dropped."`
	MaxBytes    Size          `yaml:"max_bytes" default:"64MiB" min:"1KiB" max:"64GiB" doc:"The inputs, and the outputs of the version that answered, of all copies that wait or run; further ones are dropped."`
	MaxAge      time.Duration `yaml:"max_age" default:"5s" min:"1ms" doc:"How long a copy may wait; an older one is dropped."`
	Timeout     time.Duration `yaml:"timeout" default:"5s" min:"1ms" doc:"The longest a copy may take once it was begun."`
	PauseAbove  time.Duration `yaml:"pause_above" default:"100ms" min:"0s" doc:"No copies are made while requests wait longer than this in the queue of the version that answers; 0s: copies never pause."`
	Concurrency int           `yaml:"concurrency" default:"8" min:"1" max:"256" doc:"Copies handed to the shadow at the same time."`
	KeepPairs   int           `yaml:"keep_pairs" default:"128" min:"0" max:"100000" doc:"Pairs of an answer and the shadow's that are kept to be compared; 0: none."`
	KeepBytes   Size          `yaml:"keep_bytes" default:"8MiB" min:"1KiB" max:"64GiB" doc:"The outputs of all kept pairs; the oldest go first."`
	KeepFor     time.Duration `yaml:"keep_for" default:"1m" min:"1s" doc:"How long a pair is kept."`
}

// Model returns the settings of a model: those under its name, else the defaults.
func (c *Config) Model(name string) Model {
	if m, ok := c.Models[name]; ok {
		return m
	}
	return c.Defaults
}
