package httpapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/httpapi"
	"sluice.io/sluice/internal/wire/oip"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp's worker pool checks its stop flag only every 10 s.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// stub is a gateway with one model, "double": y = 2 x for x of FP32 [-1,4]. The fields change its
// behaviour; zero values mean no errors.
type stub struct {
	mu       sync.Mutex
	predict  func(ctx context.Context, req *infer.Request) (*infer.Response, error)
	notReady bool
	explicit bool
	loaded   []string
	names    []string // further models
	sticky   infer.Called
	columns  map[string][]string // names of the values of "x"
	labels   []string            // of the classes of "y"
	only     string              // the default model
	broken   bool                // the index has a version that failed to load
	by       []api.Actor         // of each entry of loaded
}

func spec(name string) infer.TensorSpec {
	return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 4}, Symbols: []string{"n", ""}}
}

func (s *stub) Model(name string, version int64) (*infer.Model, error) {
	known := name == "double"
	for _, n := range s.names {
		known = known || n == name
	}
	switch {
	case known && (version == 0 || version == 1 || version == 2):
		y := spec("y")
		y.Labels = s.labels
		return infer.NewModel(name, max(1, version), []infer.TensorSpec{spec("x")}, []infer.TensorSpec{y}), nil
	case version != 0:
		return nil, infer.Errorf(infer.NotFound, "Request for unknown model: '%s' version %d is not found", name, version)
	default:
		return nil, infer.Errorf(infer.NotFound, "Request for unknown model: '%s' is not found", name)
	}
}

func (s *stub) Called(name string, version int64) (infer.Called, error) {
	m, err := s.Model(name, version)
	if err != nil {
		return infer.Called{}, err
	}
	columns, err := infer.NewColumns(m, s.columns)
	return infer.Called{Model: m, Columns: columns, StickyHeader: s.sticky.StickyHeader, StickyParameter: s.sticky.StickyParameter}, err
}

func (s *stub) Labelled(name, label string) (int64, error) {
	if label == "stable" {
		return 1, nil
	}
	return 0, infer.Errorf(infer.NotFound, "model '%s' has no alias '%s'", name, label)
}

func (s *stub) ModelReady(name string, version int64) error {
	_, err := s.Model(name, version)
	return err
}

func (s *stub) Predict(ctx context.Context, req *infer.Request) (*infer.Response, error) {
	m, err := s.Model(req.Model, req.Version)
	if err != nil {
		return nil, err
	}
	req.Served = infer.Served{Version: infer.Version{Model: m.Name, Number: m.Version}, Route: req.Model + "@0", Reason: infer.ReasonDefault}
	if req.Version != 0 {
		req.Served.Reason = infer.ReasonPinned
	}
	if err := m.Check(req); err != nil {
		return nil, err
	}
	if s.predict != nil {
		return s.predict(ctx, req)
	}
	return double(req), nil
}

func double(req *infer.Request) *infer.Response {
	in := &req.Inputs[0]
	resp := infer.NewResponse()
	out := resp.Add("y", 0, infer.FP32, in.Shape, len(in.Data))
	for i := 0; i+4 <= len(out); i += 4 {
		x := math.Float32frombits(binary.LittleEndian.Uint32(in.Data[i:]))
		binary.LittleEndian.PutUint32(out[i:], math.Float32bits(2*x))
	}
	return resp
}

func (s *stub) Ready() bool { return !s.notReady }

func (s *stub) Versions(name string) []int64 {
	if _, err := s.Model(name, 0); err != nil {
		return nil
	}
	return []int64{1, 2}
}

func (s *stub) DefaultModel() (string, error) {
	if s.only == "" {
		return "", infer.Errorf(infer.NotFound, "there is no default model")
	}
	return s.only, nil
}

func (s *stub) Index(readyOnly bool) []api.ModelStatus {
	list := []api.ModelStatus{{Name: "double", Version: 1, State: api.StateReady}, {Name: "double", Version: 2, State: api.StateReady}}
	if !readyOnly {
		list = append(list, api.ModelStatus{Name: "broken", State: api.StateUnavailable, Reason: "no version folder"})
	}
	if s.broken && !readyOnly {
		list = append(list, api.ModelStatus{Name: "broken", Version: 3, State: api.StateUnavailable, Reason: "not a model"})
	}
	return list
}

func (s *stub) Statistics(name string, version int64) ([]oip.ModelStatistics, error) {
	if name != "" {
		if _, err := s.Model(name, version); err != nil {
			return nil, err
		}
	}
	return []oip.ModelStatistics{{Name: "double", Version: "1"}}, nil
}

func (s *stub) ModelConfig(name string, version int64) (oip.ModelConfig, error) {
	m, err := s.Model(name, version)
	if err != nil {
		return oip.ModelConfig{}, err
	}
	return oip.NewModelConfig(name, "onnxruntime_onnx", m, &oip.Serving{MaxBatch: 8, Instances: 2, Latest: 1}), nil
}

func (s *stub) Load(_ context.Context, name string, by api.Actor) error {
	return s.control("load "+name, by)
}

func (s *stub) Unload(_ context.Context, name string, by api.Actor) error {
	return s.control("unload "+name, by)
}

// Labels has a result for each byte of a body, but takes none of the model "echo".
func (s *stub) Labels(_ context.Context, name string, body httpapi.LabelBody) (api.LabelResult, error) {
	if name == "echo" {
		return api.LabelResult{}, infer.Errorf(infer.Conflict, "no predictions of model '%s' are kept", name)
	}
	r := api.LabelResult{Model: name, LabelCounts: api.LabelCounts{Rows: uint64(len(body.Data))}, Results: []string{}}
	if body.Format != httpapi.LabelsJSON {
		r.Model += " " + string(body.Format)
	}
	return r, nil
}

func (s *stub) control(action string, by api.Actor) error {
	if !s.explicit {
		return infer.Errorf(infer.Unavailable, "models can be loaded and unloaded by request only with --model-control explicit")
	}
	if strings.HasSuffix(action, " nope") {
		return infer.Errorf(infer.NotFound, "failed to %s: the repository has no such model", action)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded, s.by = append(s.loaded, action), append(s.by, by)
	return nil
}

// options are the options of a server and of its front.
type options struct {
	httpapi.Options
	shared
}

type shared = front.Options

func newOptions(s *stub, address string) *options {
	return &options{
		Options: httpapi.Options{Address: address, Describer: s, Labels: s, Logger: zap.NewNop(), Version: "1.2.3", Limits: httpapi.UsualLimits()},
		shared: shared{
			Predictor: s, Catalog: s, Settings: struct{ front.Settings }{}, Callers: access.Open(),
			Bounds: front.Limits{MaxInFlight: 4096, MaxControlInFlight: 64, MaxMemory: 1 << 30},
		},
	}
}

// server returns a server with its own front.
func (o *options) server() (*httpapi.Server, error) {
	o.Log = o.Logger
	f, err := front.New(o.shared)
	if err != nil {
		return nil, err
	}
	o.Front = f
	return httpapi.New(o.Options)
}

// start runs a front until the test ends and returns its address.
func start(t *testing.T, s *stub, change func(*options)) string {
	t.Helper()
	addr, stop := run(t, s, change)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return addr
}

// run runs a front. stop shuts it down and returns the errors of Shutdown and Run.
func run(t *testing.T, s *stub, change func(*options)) (addr string, stop func(context.Context) error) {
	t.Helper()
	scheme := ""
	srv, _, stop := serve(t, s, func(o *options) {
		if change != nil {
			change(o)
		}
		if o.TLS != nil {
			scheme = secure
		}
	})
	return scheme + srv.Addr().String(), stop
}

// serve is run that also returns the server, and the bytes that its requests hold.
func serve(t *testing.T, s *stub, change func(*options)) (srv *httpapi.Server, held func() int64, stop func(context.Context) error) {
	t.Helper()
	opts := newOptions(s, "127.0.0.1:0")
	if change != nil {
		change(opts)
	}
	srv, err := opts.server()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	return srv, opts.Front.Memory, func(ctx context.Context) error {
		return errors.Join(srv.Shutdown(ctx), <-ended)
	}
}

// answer is an answer as received.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool // the server closed the connection after it
}

// dial connects, with a deadline that passes only if the server is broken.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := connect(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// connect connects to an address of run. Over TLS, the first write makes the handshake.
func connect(ctx context.Context, addr string) (net.Conn, error) {
	addr, encrypted := strings.CutPrefix(addr, secure)
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil && encrypted {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c, err
}

// read reads an answer to a request of the method.
func read(t *testing.T, r *bufio.Reader, method string) answer {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read answer's body: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(body), resp.Close}
}

// send sends raw bytes on a new connection and returns the first answer.
func send(t *testing.T, addr, raw string) answer {
	t.Helper()
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, raw) }() // ends with the connection
	method, _, _ := strings.Cut(raw, " ")
	return read(t, bufio.NewReader(c), method)
}

// get sends a GET request.
func get(t *testing.T, addr, path string, fields ...string) answer {
	t.Helper()
	return send(t, addr, request("GET", path, "", fields...))
}

// post sends a POST request.
func post(t *testing.T, addr, path, body string, fields ...string) answer {
	t.Helper()
	return send(t, addr, request("POST", path, body, fields...))
}

// request is the text of a valid request.
func request(method, path, body string, fields ...string) string {
	var b strings.Builder
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: test\r\n")
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if method == "POST" {
		b.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

const good = `{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}`

const goodAnswer = `{"model_name":"double","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,4],"data":[2,4,6,8]}]}`

const inferPath = "/v2/models/double/infer"
