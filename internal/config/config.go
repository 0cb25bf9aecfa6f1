package config

import "time"

// The choices of repository.control.
const (
	ControlNone     = "none"
	ControlExplicit = "explicit"
	ControlPoll     = "poll"
)

// The choices of server.compat and metrics.compat.
const (
	CompatNone   = "none"
	CompatTriton = "triton"
)

// ListenNone is the address that turns a listener off.
const ListenNone = "none"

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

// Config has every setting of a file, with defaults for the missing ones. It is shared and must not
// be changed.
type Config struct {
	Repository Repository `yaml:"repository" restart:"true" doc:"The folder of models, and when they are loaded."`
	Registry   Registry   `yaml:"registry" restart:"true" doc:"Versions that are pushed through the control API."`
	Server     Server     `yaml:"server" restart:"true" doc:"The data plane: the port that applications call."`
	Admin      Admin      `yaml:"admin" restart:"true" doc:"The admin port: metrics, health and the control API."`
	Metrics    Metrics    `yaml:"metrics" restart:"true" doc:"The Prometheus metrics of the admin port."`
	Runtime    Runtime    `yaml:"runtime" restart:"true" doc:"ONNX Runtime, for all models together."`
	Tracing    Tracing    `yaml:"tracing" restart:"true" doc:"Traces of requests, which are exported as OpenTelemetry spans over OTLP."`
	Log        Log        `yaml:"log" restart:"true" doc:"The log of the program, on standard error."`
	History    History    `yaml:"history" restart:"true" doc:"Rates and latencies of the last hour, every 5 seconds, for GET /api/v1/history."`
	Control    Control    `yaml:"control" restart:"true" doc:"Changes through the control API."`

	DataDir string       `yaml:"data_dir" default:"\"\"" restart:"true" doc:"The folder of the journal. Empty: the journal is in memory and is lost when the gateway stops."`
	Journal Journal      `yaml:"journal" restart:"true" doc:"When older events of the journal are moved to segments. The gateway keeps these files, and does not read them at a start."`
	Labels  LabelStore   `yaml:"labels" restart:"true" doc:"The file of the predictions that are kept for labels. The settings of a model say which ones are."`
	Capture CaptureStore `yaml:"capture" restart:"true" doc:"Where captured traffic is written. The settings of a model say what is captured. docs/capture.md explains both."`
	Retrain Retrain      `yaml:"retrain" restart:"true" doc:"Signals: retraining requests and data-quality reports."`

	Prometheus Prometheus `yaml:"prometheus" restart:"true" doc:"A Prometheus server that rollouts ask for evidence, and that is asked for the history before the last hour."`

	UnloadTimeout time.Duration `yaml:"unload_timeout" default:"30s" min:"0s" restart:"true" doc:"Time that the running calls of a retired version have before they are terminated."`

	Defaults Model             `yaml:"defaults" doc:"Settings of all models. An entry under models overrides them for one model."`
	Models   map[string]Model  `yaml:"models" doc:"Settings of one model, by its name. They override those in defaults."`
	Auth     Auth              `yaml:"auth" doc:"Who must authenticate. docs/access.md explains it together with callers and groups."`
	Callers  map[string]Caller `yaml:"callers" doc:"Who sends requests, by name: credentials, rights and limits. The caller anonymous is that without credentials. If it is not configured, it may do everything that a loopback address or an open data plane allows while there are no callers, and otherwise infer, and read metadata and statistics."`
	Groups   map[string]Group  `yaml:"groups" doc:"Rights and limits that callers share, by name."`
	Routes   map[string]Route  `yaml:"routes" doc:"Splits of the traffic over versions of a model, by the name that clients call. A name without a route serves the newest version of the model of that name."`
}

// Prometheus names the server that the queries of rollouts are asked of, and those for the history.
type Prometheus struct {
	URL     string        `yaml:"url" default:"\"\"" doc:"URL of the server, http or https, without /api/v1. Empty: rollouts have no queries."`
	Token   Secret        `yaml:"token" default:"\"\"" doc:"Bearer token for the server, if it needs one."`
	Timeout time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"Max time of one query."`
}

// Repository configures the place of the models, and when they are loaded.
type Repository struct {
	Path          string        `yaml:"path" required:"true" doc:"The folder of models: PATH/MODEL/VERSION/model.onnx."`
	Control       string        `yaml:"control" default:"none" enum:"none|explicit|poll" doc:"Which models are loaded, and when. none: all, once at the start. explicit: those in load at the start, others by the calls load and unload. poll: all, and again whenever the folder changes."`
	PollInterval  time.Duration `yaml:"poll_interval" default:"15s" min:"100ms" doc:"Time between two looks at the folder, with control poll."`
	Load          []string      `yaml:"load" default:"[]" doc:"The models that are loaded at the start, with control explicit. '*' means all."`
	ParallelLoads int           `yaml:"parallel_loads" default:"2" min:"1" max:"256" doc:"Max number of versions that load at the same time. Versions under 10 MiB have the same number of places of their own in addition."`
	LoadTimeout   time.Duration `yaml:"load_timeout" default:"10m" min:"1s" doc:"Max time for the load of one version, including its probe and warm-up. After that the load has failed, and another version can load in its place."`
}

// The choices of registry.first_version.
const (
	FirstWaits  = "waits"
	FirstServes = "serves"
)

// Registry configures which versions may be pushed.
type Registry struct {
	Writable     bool     `yaml:"writable" default:"true" doc:"Whether versions may be pushed, archived and deleted through the control API. They need a caller with the action register. One gateway at a time can write to a repository."`
	MaxUpload    Size     `yaml:"max_upload" default:"4GiB" min:"1KiB" max:"1024GiB" doc:"Max size of the files of one version."`
	MaxUploads   int      `yaml:"max_uploads" default:"4" min:"1" max:"256" doc:"Max number of uploads at the same time. Further ones are answered 429."`
	Quota        Size     `yaml:"quota" default:"100GiB" min:"1KiB" max:"1048576GiB" doc:"Max size of the whole repository, with archived versions. A push that would exceed it is refused."`
	FirstVersion string   `yaml:"first_version" default:"waits" enum:"waits|serves" doc:"Whether a model serves if all of its versions were pushed and no route or alias names one. waits: none serves. serves: the version with the lowest number serves. A later version never serves by being the newest."`
	CardRequired []string `yaml:"card_required" default:"[]" doc:"Fields that the model card of each pushed version must have."`
	ImportRoots  []string `yaml:"import_roots" default:"[]" doc:"Folders of this machine that a push may copy files from, by their path. Empty: none."`

	MLflow MLflow `yaml:"mlflow" doc:"An MLflow server whose registry versions may be imported from."`
}

// MLflow names the server that versions are imported from.
type MLflow struct {
	URL          string        `yaml:"url" default:"\"\"" doc:"URL of the tracking server, http or https, without /api. Empty: there are no imports."`
	Token        Secret        `yaml:"token" default:"\"\"" doc:"Bearer token for the server, if it needs one."`
	User         string        `yaml:"user" default:"\"\"" doc:"User for the server, if it needs a password."`
	Password     Secret        `yaml:"password" default:"\"\"" doc:"The password of user."`
	CA           string        `yaml:"ca" default:"\"\"" doc:"File of the root certificates for a URL with https, PEM. Empty: those of the system."`
	Timeout      time.Duration `yaml:"timeout" default:"30s" min:"100ms" max:"10m" doc:"Max time of one call, and max time without a byte of an artifact."`
	AllowedHosts []string      `yaml:"allowed_hosts" default:"[]" doc:"Hosts besides that of url that artifacts may be read from, as HOST or HOST:PORT. They get no token and no password."`
}

// Server configures the data plane.
type Server struct {
	Compat       string `yaml:"compat" default:"none" enum:"none|triton" doc:"triton: answers imitate Triton's, if they differ from ours."`
	DefaultModel string `yaml:"default_model" default:"\"\"" doc:"The model or route that /invocations calls. Empty: the only one that is served."`
	// StrictReadiness differs from Triton's default: there one broken model takes the whole server
	// out of rotation.
	StrictReadiness bool `yaml:"strict_readiness" default:"false" doc:"true: the server is ready only while every listed version is ready. false: it is ready once all loads of the start have ended."`

	ShutdownDelay time.Duration `yaml:"shutdown_delay" default:"0s" min:"0s" doc:"Time for which the gateway still serves after readiness is off, so that a load balancer can notice before the listener closes. It is part of drain_timeout."`
	DrainTimeout  time.Duration `yaml:"drain_timeout" default:"30s" min:"0s" doc:"Max time for a whole stop, including shutdown_delay. Accepted requests have half of the time after shutdown_delay. At three quarters of it, runs that still go on are terminated. The process ends at drain_timeout, whatever still goes on."`
	HTTP          HTTP          `yaml:"http" doc:"The HTTP listener."`
	GRPC          GRPC          `yaml:"grpc" doc:"The gRPC listener. server.http's max_body_memory, max_in_flight and max_control_in_flight count the requests of both listeners."`
	Limits        Limits        `yaml:"limits" doc:"Limits of one request and its answer. A request beyond them is refused."`
	JSON          JSON          `yaml:"json" doc:"How numbers are written in JSON answers."`
	AccessLog     AccessLog     `yaml:"access_log" doc:"One line in the log for each request."`
}

// HTTP configures the HTTP listener.
type HTTP struct {
	Address                  string        `yaml:"address" default:"\":8000\"" doc:"Address of the listener, host:port. Without a host it listens on every interface."`
	MaxBody                  Size          `yaml:"max_body" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"Max size of the body of a request, as sent. If not given, it is at most a sixteenth of max_body_memory."`
	MaxInflated              Size          `yaml:"max_inflated" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"Max size of the body of a request after zstd, gzip or deflate is undone. If not given, it is at most a sixteenth of max_body_memory."`
	MaxBodyMemory            Size          `yaml:"max_body_memory" default:"1GiB" min:"1KiB" max:"1024GiB" doc:"Max memory of all requests and their answers together: bodies as sent and inflated, decoded tensors, outputs, and answers until they are written. A request without room is answered 429, and a request that could never have room 413. The value must have room for the largest request: at least 16/15 · (2·R + max(5·B, R) + 4MiB). R is limits.max_response, and B is the larger of max_body and max_inflated."`
	MaxControlBody           Size          `yaml:"max_control_body" default:"64KiB" min:"1KiB" max:"64MiB" doc:"Max size of the body of a call that lists, loads or unloads models, as sent and inflated."`
	MaxHeader                Size          `yaml:"max_header" default:"16KiB" min:"1KiB" max:"16MiB" doc:"Max size of the request line and all headers together."`
	MaxConnections           int           `yaml:"max_connections" default:"8192" min:"1" max:"1000000" doc:"Max number of open connections. Further ones are answered 503."`
	MaxInFlight              int           `yaml:"max_in_flight" default:"4096" min:"1" max:"1000000" doc:"Max number of requests in progress. Further ones are answered 429."`
	MaxControlInFlight       int           `yaml:"max_control_in_flight" default:"64" min:"1" max:"1000000" doc:"Max number of calls in progress that list, load or unload models. Further ones are answered 429."`
	MaxRequestsPerConnection int           `yaml:"max_requests_per_connection" default:"0" min:"0" max:"2000000000" doc:"Number of requests after which a connection is closed. 0: never."`
	ReadTimeout              time.Duration `yaml:"read_timeout" default:"30s" min:"1ms" doc:"Max time to read one request."`
	WriteTimeout             time.Duration `yaml:"write_timeout" default:"30s" min:"1ms" doc:"Max time to write one answer."`
	IdleTimeout              time.Duration `yaml:"idle_timeout" default:"120s" min:"1ms" doc:"Max time that a connection may wait for its next request."`
	HandshakeTimeout         time.Duration `yaml:"handshake_timeout" default:"10s" min:"1ms" doc:"Max time for a TLS handshake."`
	Hosts                    []string      `yaml:"hosts" default:"[]" doc:"Host names and addresses that requests may have in the header Host, without ports. Others are answered 403, except for health checks. It keeps web pages of a name that was made to lead here (DNS rebinding) from reading answers that need no key. Empty: any."`
	CORS                     CORS          `yaml:"cors" doc:"Which web pages may call from a browser (cross-origin resource sharing). The answers never allow credentials such as cookies."`
	TLS                      TLS           `yaml:"tls" doc:"Encryption of this listener."`
}

// The choices of client_auth in a section tls.
const (
	ClientAuthNone    = "none"
	ClientAuthRequest = "request"
	ClientAuthRequire = "require"
)

// TLS configures the encryption of a listener. Without a certificate there is none.
type TLS struct {
	Cert       string `yaml:"cert" default:"\"\"" doc:"File of the certificate, followed by the certificates between it and its root, PEM. Empty: the listener speaks plain HTTP. The files are read again at a reload, and every 10 seconds."`
	Key        string `yaml:"key" default:"\"\"" doc:"File of the certificate's private key, PEM, not encrypted."`
	ClientCA   string `yaml:"client_ca" default:"\"\"" doc:"File of the root certificates that issue the clients' certificates, PEM."`
	ClientAuth string `yaml:"client_auth" default:"none" enum:"none|request|require" doc:"Certificates of clients. none: not asked for. request: verified if the client has one. require: a client without a valid one is refused. The last two need client_ca."`
	MinVersion string `yaml:"min_version" default:"\"1.2\"" enum:"1.2|1.3" doc:"The lowest version of TLS that is accepted."`
}

// Enabled reports whether the listener uses TLS.
func (t *TLS) Enabled() bool { return t.Cert != "" }

// GRPC configures the gRPC listener.
type GRPC struct {
	Address           string        `yaml:"address" default:"\":8001\"" doc:"Address of the listener, host:port. Without a host it listens on every interface. none: there is no gRPC listener."`
	MaxMessage        Size          `yaml:"max_message" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"Max size of the message of a request, as sent and unpacked. If not given, it is at most a sixteenth of server.http.max_body_memory."`
	MaxConnections    int           `yaml:"max_connections" default:"1024" min:"1" max:"1000000" doc:"Max number of open connections. Further ones are closed."`
	MaxStreams        int           `yaml:"max_streams" default:"1024" min:"1" max:"1000000" doc:"Max number of calls in progress on one connection. A client waits with further ones."`
	MaxStreamInFlight int           `yaml:"max_stream_in_flight" default:"128" min:"1" max:"65536" doc:"Max number of requests in progress on one ModelStreamInfer. Further ones are not read until one is answered."`
	MaxHeader         Size          `yaml:"max_header" default:"16KiB" min:"1KiB" max:"16MiB" doc:"Max size of the metadata of a call."`
	ReadTimeout       time.Duration `yaml:"read_timeout" default:"30s" min:"100ms" doc:"Max time to read a message that has begun, and the message of a call that is not a stream. After that the call ends with DEADLINE_EXCEEDED."`
	WriteTimeout      time.Duration `yaml:"write_timeout" default:"30s" min:"100ms" doc:"Max time to write one answer. After that its connection is closed, since its client does not read."`
	IdleTimeout       time.Duration `yaml:"idle_timeout" default:"10m" min:"1s" doc:"Max time that a connection stays open without a call, and a stream without a request in progress."`
	MinPingInterval   time.Duration `yaml:"min_ping_interval" default:"10s" min:"1ms" doc:"Min time between two keepalive pings of a client. The connection of a client that pings more often is closed."`
	MaxConnectionAge  time.Duration `yaml:"max_connection_age" default:"0s" min:"0s" doc:"Time after which a client is asked to make a new connection, so that load balancers can spread them. Calls in progress have one minute more. 0s: never."`
	HandshakeTimeout  time.Duration `yaml:"handshake_timeout" default:"10s" min:"1ms" doc:"Max time to set up a connection, including the TLS handshake."`
	TLS               TLS           `yaml:"tls" doc:"Encryption of this listener."`
}

// Limits bound one request and its answer.
type Limits struct {
	MaxRows       int  `yaml:"max_rows" default:"1000000" min:"1" max:"2000000000" doc:"Max rows of a data frame sent to predict or /invocations."`
	MaxColumns    int  `yaml:"max_columns" default:"16384" min:"1" max:"1000000" doc:"Max columns of a data frame."`
	MaxInputs     int  `yaml:"max_inputs" default:"1024" min:"1" doc:"Max input tensors of a request."`
	MaxOutputs    int  `yaml:"max_outputs" default:"1024" min:"1" doc:"Max outputs that a request asks for by name."`
	MaxRank       int  `yaml:"max_rank" default:"32" min:"1" max:"1024" doc:"Max dimensions of a tensor."`
	MaxNesting    int  `yaml:"max_nesting" default:"100" min:"8" max:"10000" doc:"Max depth of arrays and objects in JSON."`
	MaxParameters int  `yaml:"max_parameters" default:"128" min:"1" doc:"Max entries of one parameters object."`
	MaxID         Size `yaml:"max_id" default:"1KiB" min:"1" max:"1MiB" doc:"Max size of the request's id."`
	MaxStickyKey  Size `yaml:"max_sticky_key" default:"1KiB" min:"1" max:"16KiB" doc:"Max size of the key of a sticky route. A longer key is refused."`
	MaxName       Size `yaml:"max_name" default:"1KiB" min:"1" max:"1MiB" doc:"Max size of the name of a tensor or parameter."`
	MaxTensor     Size `yaml:"max_tensor" default:"64MiB" min:"1KiB" max:"2047MiB" doc:"Max size of one input tensor in memory, which may be larger than its JSON text. If not given, it is at most a sixteenth of max_body_memory."`
	MaxClassified int  `yaml:"max_classified" default:"1000000" min:"1" max:"100000000" doc:"Max elements of an output of which a request asks for the best classes."`
	MaxResponse   Size `yaml:"max_response" default:"256MiB" min:"1KiB" max:"2047MiB" doc:"Max size of the outputs of one answer in memory. The encoded answer may be 1 MiB larger, for names and shapes. A larger answer is refused with 413. If not given, it is at most a quarter of max_body_memory."`
}

// JSON configures numbers in JSON answers.
type JSON struct {
	NonFinite     string `yaml:"non_finite" default:"tokens" enum:"tokens|null|error" doc:"How values are written that are not numbers in JSON. tokens: as NaN, Infinity and -Infinity. null: as null, all three. error: the request is refused."`
	RowsNonFinite string `yaml:"rows_non_finite" default:"null" enum:"tokens|null|error" doc:"The same for answers in rows."`
}

// AccessLog configures the log line of each request.
type AccessLog struct {
	Enabled     bool `yaml:"enabled" restart:"false" default:"true" doc:"Whether requests are logged."`
	SampleEvery int  `yaml:"sample_every" restart:"false" default:"100" min:"1" doc:"n: every n-th successful request and every n-th answer 404 is logged. 1 logs all. All other failed requests are logged."`
	MaxErrors   int  `yaml:"max_errors" restart:"false" default:"100" min:"1" max:"1000000" doc:"Max number of failed requests that are logged in a second. The next line says how many were left out."`
}

// Admin configures the side port.
type Admin struct {
	Address        string            `yaml:"address" default:"127.0.0.1:8002" doc:"Address of the listener, host:port."`
	MaxConnections int               `yaml:"max_connections" default:"256" min:"1" max:"1000000" doc:"Max number of open connections. Further ones wait until another ends."`
	MaxWatchers    int               `yaml:"max_watchers" default:"200" min:"1" max:"100000" doc:"Max number of streams of GET /api/v1/watch, each of which has a connection. Further ones are answered 429. One of eight connections is always for other requests."`
	Sessions       Sessions          `yaml:"sessions" doc:"Sign-ins of browsers: the cookie of POST /api/v1/session stands for a key."`
	TLS            TLS               `yaml:"tls" doc:"Encryption of this listener. A handshake has 5 seconds."`
	Tokens         map[string]Secret `yaml:"tokens" restart:"false" doc:"Bearer tokens of at least 16 bytes, by the name of their holder: callers that may do everything on every listener. Without any caller, only a loopback address serves more than metrics and health."`
}

// Sessions configures the sign-ins of browsers.
type Sessions struct {
	Max    int           `yaml:"max" default:"1000" min:"1" max:"100000" doc:"Max number of sessions. Further sign-ins are answered 429. A caller has at most 16: another one ends its oldest one."`
	MaxAge time.Duration `yaml:"max_age" default:"12h" min:"1m" max:"720h" doc:"Time after which a session ends."`
	Idle   time.Duration `yaml:"idle" default:"1h" min:"1m" max:"720h" doc:"Time without a request after which a session ends. An open stream of GET /api/v1/watch counts as requests."`
}

// Metrics configures the Prometheus metrics.
type Metrics struct {
	Public     bool   `yaml:"public" restart:"false" default:"true" doc:"false: /metrics and /-/ready need the action statistics."`
	Callers    bool   `yaml:"callers" default:"false" doc:"true: requests are counted by caller, in sluice_caller_*."`
	MaxCallers int    `yaml:"max_callers" default:"100" min:"1" max:"100000" doc:"Max number of callers with a series of their own. More are counted as other."`
	Compat     string `yaml:"compat" default:"none" enum:"none|triton" doc:"triton: the series nv_inference_* of Triton are there too, for dashboards and tools that read those."`
}

// History configures what is kept of rates and latencies.
type History struct {
	MaxMemory Size `yaml:"max_memory" default:"32MiB" min:"64KiB" max:"4GiB" doc:"Max memory. A model with traffic takes 6 KiB for an hour. If there is not enough for all, the oldest samples are dropped, and models without a place have no history."`
}

// Runtime configures ONNX Runtime as a whole.
type Runtime struct {
	Library       string   `yaml:"library" default:"\"\"" doc:"The shared library of ONNX Runtime. Empty: the environment variable SLUICE_ORT_LIBRARY, then the place where set-up put it."`
	GlobalThreads int      `yaml:"global_threads" default:"0" min:"0" max:"4096" doc:"Threads of the pool that models with intra_threads above 1 share. 0: one per core."`
	CustomOps     []string `yaml:"custom_ops" default:"[]" doc:"Shared libraries of custom operators, which every session loads. They are code that runs in this process."`
}

// Log configures the program's log.
type Log struct {
	Level  string `yaml:"level" restart:"false" default:"info" enum:"debug|info|warn|error" doc:"The lowest level that is written."`
	Format string `yaml:"format" default:"json" enum:"json|console" doc:"json: one JSON object per line. console: text for people."`
}

// Journal configures when older events of the journal are moved to a segment.
type Journal struct {
	SegmentEvents int  `yaml:"segment_events" default:"50000" min:"100" max:"10000000" doc:"Max number of events in journal.db, which a start reads. If there are more, up to this number is moved to a segment."`
	SegmentSize   Size `yaml:"segment_size" default:"64MiB" min:"1MiB" max:"1024MiB" doc:"The same limit in bytes of events, before compression."`
}

// Control configures changes made through the control API.
type Control struct {
	Timeout   time.Duration `yaml:"timeout" default:"60s" min:"1ms" doc:"Max time that a call waits for versions that it loads."`
	MaxRoutes int           `yaml:"max_routes" default:"10000" min:"1" max:"1000000" doc:"Max number of declared routes. A call that would declare one more is refused."`
}
