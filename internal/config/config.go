package config

import "time"

// The choices of repository.control.
const (
	ControlNone     = "none"
	ControlExplicit = "explicit"
	ControlPoll     = "poll"
)

// The choices of server.compat.
const (
	CompatNone   = "none"
	CompatTriton = "triton"
)

// The choices of server.json.non_finite and rows_non_finite.
const (
	NonFiniteTokens = "tokens"
	NonFiniteNull   = "null"
	NonFiniteError  = "error"
)

// The choices of a model's batching.enabled.
const (
	BatchingAuto = "auto"
	BatchingOn   = "true"
	BatchingOff  = "false"
)

// The choices of a model's batching.oversize.
const (
	OversizeReject = "reject"
	OversizeSplit  = "split"
)

// Config is everything that a file can say, with defaults for what it leaves
// out. It is shared and must not be changed.
type Config struct {
	Repository Repository `yaml:"repository" restart:"true" doc:"Where the models are and when they are loaded."`
	Server     Server     `yaml:"server" restart:"true" doc:"The data plane: what applications call."`
	Admin      Admin      `yaml:"admin" restart:"true" doc:"The side port: metrics, health, control API."`
	Runtime    Runtime    `yaml:"runtime" restart:"true" doc:"ONNX Runtime as a whole."`
	Log        Log        `yaml:"log" restart:"true" doc:"The program's log, on standard error."`
	Control    Control    `yaml:"control" restart:"true" doc:"Changes made through the control API."`

	DataDir string  `yaml:"data_dir" default:"\"\"" restart:"true" doc:"The folder of the journal; empty: it is kept in memory and lost at the end."`
	Journal Journal `yaml:"journal" restart:"true" doc:"When older events of the journal are moved to segments: files that are kept and that a start does not read."`
	Retrain Retrain `yaml:"retrain" restart:"true" doc:"Asking for a model to be trained anew."`

	UnloadTimeout time.Duration `yaml:"unload_timeout" default:"30s" min:"0s" restart:"true" doc:"How long the running calls of a retired version may take before they are terminated."`

	Defaults Model            `yaml:"defaults" doc:"Settings of every model that does not say otherwise."`
	Models   map[string]Model `yaml:"models" doc:"Settings by the model's name, over those in defaults."`
	Routes   map[string]Route `yaml:"routes" doc:"Splits of the traffic over versions, by the name that clients call. A name without a route serves the newest version of the model."`
}

// Repository says where the models are and when they are loaded.
type Repository struct {
	Path          string        `yaml:"path" required:"true" doc:"The folder of models: PATH/MODEL/VERSION/model.onnx."`
	Control       string        `yaml:"control" default:"none" enum:"none|explicit|poll" doc:"What loads models: none: all, once at the start; explicit: those in load, and the load and unload calls; poll: all, and again whenever the folder changes."`
	PollInterval  time.Duration `yaml:"poll_interval" default:"15s" min:"100ms" doc:"How often poll looks at the folder."`
	Load          []string      `yaml:"load" default:"[]" doc:"The models to load at the start with explicit control; '*' for all."`
	ParallelLoads int           `yaml:"parallel_loads" default:"2" min:"1" max:"256" doc:"How many versions load at the same time. Versions of less than 10 MiB have as many places of their own beside these."`
	LoadTimeout   time.Duration `yaml:"load_timeout" default:"10m" min:"1s" doc:"How long one version may take to load, with its probe and warm-up; then it has failed, and its place is free for another."`
}

// Server configures the data plane.
type Server struct {
	Compat       string `yaml:"compat" default:"none" enum:"none|triton" doc:"Whose answers to imitate where they differ from ours."`
	DefaultModel string `yaml:"default_model" default:"\"\"" doc:"The model or route that /invocations calls; empty: the only one that is served."`
	// StrictReadiness is not what Triton defaults to: there one broken model takes
	// the whole server out of rotation.
	StrictReadiness bool `yaml:"strict_readiness" default:"false" doc:"Whether the server is ready only while every listed version is; else once all loads have ended."`

	ShutdownDelay time.Duration `yaml:"shutdown_delay" default:"0s" min:"0s" doc:"How long a stop goes on serving once readiness is off, so that a load balancer can notice before the listener closes. It is part of drain_timeout."`
	DrainTimeout  time.Duration `yaml:"drain_timeout" default:"30s" min:"0s" doc:"How long a stop may take as a whole, shutdown_delay included. Of what is left after that, accepted requests have half; after three quarters, runs that still go on are terminated. What then does not end is cut off by the end of the process."`
	HTTP          HTTP          `yaml:"http" doc:"The HTTP listener."`
	Limits        Limits        `yaml:"limits" doc:"Limits on one request and its answer; beyond them it is refused."`
	JSON          JSON          `yaml:"json" doc:"How numbers are written in JSON answers."`
	AccessLog     AccessLog     `yaml:"access_log" doc:"One log line per request."`
}

// HTTP configures the HTTP listener.
type HTTP struct {
	Address                  string        `yaml:"address" default:"\":8000\"" doc:"Where to listen, host:port; without a host on every interface."`
	MaxBody                  Size          `yaml:"max_body" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"The largest body of a request, as sent. Unless given, at most a sixteenth of max_body_memory."`
	MaxInflated              Size          `yaml:"max_inflated" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"The largest body of a request after gzip or deflate is undone. Unless given, at most a sixteenth of max_body_memory."`
	MaxBodyMemory            Size          `yaml:"max_body_memory" default:"1GiB" min:"1KiB" max:"1024GiB" doc:"What all requests and their answers may hold together: bodies as sent and inflated, decoded tensors, outputs, answers until they are written. A request that finds no room is answered 429, one that could never have it 413. At least 16/15 · (2·R + max(5·B, R) + 4MiB), where R is limits.max_response and B the larger of max_body and max_inflated: so much the largest request can need."`
	MaxControlBody           Size          `yaml:"max_control_body" default:"64KiB" min:"1KiB" max:"64MiB" doc:"The largest body of a call that lists, loads or unloads models, as sent and inflated."`
	MaxHeader                Size          `yaml:"max_header" default:"16KiB" min:"1KiB" max:"16MiB" doc:"The request line and all headers together."`
	MaxConnections           int           `yaml:"max_connections" default:"8192" min:"1" max:"1000000" doc:"Connections open at the same time; further ones are answered 503."`
	MaxInFlight              int           `yaml:"max_in_flight" default:"4096" min:"1" max:"1000000" doc:"Requests in progress at the same time; further ones are answered 429."`
	MaxControlInFlight       int           `yaml:"max_control_in_flight" default:"64" min:"1" max:"1000000" doc:"Calls that list, load or unload models in progress at the same time; further ones are answered 429."`
	MaxRequestsPerConnection int           `yaml:"max_requests_per_connection" default:"0" min:"0" max:"2000000000" doc:"After this many the connection is closed; 0: never."`
	ReadTimeout              time.Duration `yaml:"read_timeout" default:"30s" min:"1ms" doc:"How long reading one request may take."`
	WriteTimeout             time.Duration `yaml:"write_timeout" default:"30s" min:"1ms" doc:"How long writing one answer may take."`
	IdleTimeout              time.Duration `yaml:"idle_timeout" default:"120s" min:"1ms" doc:"How long a connection may wait for its next request."`
}

// Limits bounds one request and its answer.
type Limits struct {
	MaxRows       int  `yaml:"max_rows" default:"1000000" min:"1" max:"2000000000" doc:"Rows of a data frame sent to predict or /invocations."`
	MaxColumns    int  `yaml:"max_columns" default:"16384" min:"1" max:"1000000" doc:"Columns of a data frame."`
	MaxInputs     int  `yaml:"max_inputs" default:"1024" min:"1" doc:"Input tensors of a request."`
	MaxOutputs    int  `yaml:"max_outputs" default:"1024" min:"1" doc:"Outputs that a request asks for by name."`
	MaxRank       int  `yaml:"max_rank" default:"32" min:"1" max:"1024" doc:"Dimensions of a tensor."`
	MaxNesting    int  `yaml:"max_nesting" default:"100" min:"8" max:"10000" doc:"Depth of arrays and objects in JSON."`
	MaxParameters int  `yaml:"max_parameters" default:"128" min:"1" doc:"Entries of one parameters object."`
	MaxID         Size `yaml:"max_id" default:"1KiB" min:"1" max:"1MiB" doc:"The request's id."`
	MaxStickyKey  Size `yaml:"max_sticky_key" default:"1KiB" min:"1" max:"16KiB" doc:"The key of a sticky route; a longer one is refused."`
	MaxName       Size `yaml:"max_name" default:"1KiB" min:"1" max:"1MiB" doc:"The name of a tensor or parameter."`
	MaxTensor     Size `yaml:"max_tensor" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"The data of one input tensor in memory; JSON text may grow on its way there. Unless given, at most a sixteenth of max_body_memory."`
	MaxClassified int  `yaml:"max_classified" default:"1000000" min:"1" max:"100000000" doc:"Elements of an output of which a request asks for the best classes."`
	MaxResponse   Size `yaml:"max_response" default:"256MiB" min:"1KiB" max:"2047MiB" doc:"The outputs of one answer in memory, and, with 1 MiB for names and shapes, the answer as it is encoded; beyond it 413. Unless given, at most a quarter of max_body_memory."`
}

// JSON says how numbers are written in JSON answers.
type JSON struct {
	NonFinite     string `yaml:"non_finite" default:"tokens" enum:"tokens|null|error" doc:"Outputs that JSON has no number for: tokens writes NaN, Infinity and -Infinity; null writes null for all three; error refuses to answer."`
	RowsNonFinite string `yaml:"rows_non_finite" default:"null" enum:"tokens|null|error" doc:"The same for answers in rows."`
}

// AccessLog configures the log line of each request.
type AccessLog struct {
	Enabled     bool `yaml:"enabled" restart:"false" default:"true" doc:"Whether requests are logged."`
	SampleEvery int  `yaml:"sample_every" restart:"false" default:"100" min:"1" doc:"Log every n-th request that succeeded, and every n-th for what is not there (404); 1 logs all. All others that failed are logged."`
	MaxErrors   int  `yaml:"max_errors" restart:"false" default:"100" min:"1" max:"1000000" doc:"Failed requests that are logged in a second at the most; the next line says how many more there were."`
}

// Admin configures the side port.
type Admin struct {
	Address string            `yaml:"address" default:"127.0.0.1:8002" doc:"Where to listen, host:port."`
	Tokens  map[string]Secret `yaml:"tokens" restart:"false" doc:"Bearer tokens of 16 bytes or more, by the name of who holds them. Without any, only a loopback address serves more than metrics and health."`
}

// Runtime configures ONNX Runtime as a whole.
type Runtime struct {
	Library       string   `yaml:"library" default:"\"\"" doc:"The shared library; empty: the environment variable SLUICE_ORT_LIBRARY, then where set-up put it."`
	GlobalThreads int      `yaml:"global_threads" default:"0" min:"0" max:"4096" doc:"Threads of the pool that models with intra_threads above 1 share; 0: one per core."`
	CustomOps     []string `yaml:"custom_ops" default:"[]" doc:"Shared libraries of custom operators, loaded into every session. They are code that runs in this process."`
}

// Log configures the program's log.
type Log struct {
	Level  string `yaml:"level" restart:"false" default:"info" enum:"debug|info|warn|error" doc:"The least level that is written."`
	Format string `yaml:"format" default:"json" enum:"json|console" doc:"One JSON object per line, or text for people."`
}

// Journal says when older events of the journal are moved to a segment.
type Journal struct {
	SegmentEvents int  `yaml:"segment_events" default:"50000" min:"100" max:"10000000" doc:"Once more events are in journal.db, so many at most are moved. A start reads those that are not."`
	SegmentSize   Size `yaml:"segment_size" default:"64MiB" min:"1MiB" max:"1024MiB" doc:"Likewise in bytes of events, before they are compressed."`
}

// Control configures changes made through the control API.
type Control struct {
	Timeout   time.Duration `yaml:"timeout" default:"60s" min:"1ms" doc:"How long a call that loads versions waits for them."`
	MaxRoutes int           `yaml:"max_routes" default:"10000" min:"1" max:"1000000" doc:"Routes declared at the same time; a call that would declare one more is refused."`
}
