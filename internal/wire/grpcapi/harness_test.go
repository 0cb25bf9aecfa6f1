package grpcapi_test

import (
	"context"
	"encoding/binary"
	"iter"
	"math"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
	"sluice.io/sluice/internal/wire/oip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a gateway of one model, "double": y = 2 x for x of FP32 [-1,4], and of the models
// "id_T", which answer an input x [-1] of datatype T as it is. The fields change what it
// does; zero values mean that all is well.
type stub struct {
	mu       sync.Mutex
	predict  func(ctx context.Context, req *infer.Request) (*infer.Response, error)
	notReady bool
	explicit bool
	loaded   []string
	by       []api.Actor // of each of loaded
	sticky   infer.Called
	asked    infer.Request // the last one, without its tensors
	settings settings
	labels   []api.LabelRow
}

// settings are those of a gateway without a receiver of traces.
type settings struct {
	mu   sync.Mutex
	done []string // what was set, and by whom
}

func (s *settings) CurrentTraces(string) front.TraceSettings {
	return front.TraceSettings{Rate: 1000, Count: -1}
}

func (s *settings) SetTraces(model string, _ front.TraceChange, by api.Actor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, "traces of "+model+" by "+by.Actor)
	return nil
}

func (s *settings) CurrentLogs() front.LogSettings {
	return front.LogSettings{Info: true, Warning: true, Error: true, Format: front.LogDefault}
}

func (s *settings) SetLogs(_ front.LogChange, by api.Actor) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, "logs by "+by.Actor)
	return nil
}

func (s *stub) Model(name string, version int64) (*infer.Model, error) {
	dtype, identity := infer.ParseDType(after(name, "id_"))
	switch {
	case name == "double" && version <= 2:
		spec := func(name string) infer.TensorSpec {
			return infer.TensorSpec{Name: name, DType: infer.FP32, Shape: infer.Shape{-1, 4}, Symbols: []string{"n", ""}}
		}
		return infer.NewModel(name, max(1, version), []infer.TensorSpec{spec("x")}, []infer.TensorSpec{spec("y")}), nil
	case identity && version <= 1:
		spec := func(name string) infer.TensorSpec {
			return infer.TensorSpec{Name: name, DType: dtype, Shape: infer.Shape{-1}}
		}
		return infer.NewModel(name, 1, []infer.TensorSpec{spec("x")}, []infer.TensorSpec{spec("y")}), nil
	case version != 0:
		return nil, infer.Errorf(infer.NotFound, "Request for unknown model: '%s' version %d is not found", name, version)
	default:
		return nil, infer.Errorf(infer.NotFound, "Request for unknown model: '%s' is not found", name)
	}
}

func after(s, prefix string) string {
	if len(s) < len(prefix) || s[:len(prefix)] != prefix {
		return ""
	}
	return s[len(prefix):]
}

func (s *stub) Called(name string, version int64) (infer.Called, error) {
	m, err := s.Model(name, version)
	return infer.Called{Model: m, StickyHeader: s.sticky.StickyHeader, StickyParameter: s.sticky.StickyParameter, DriftParameter: s.sticky.DriftParameter}, err
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
	if err := m.Check(req); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.asked = *req
	s.asked.Inputs, s.asked.Outputs = nil, nil
	s.mu.Unlock()
	if s.predict != nil {
		return s.predict(ctx, req)
	}
	return answer(req), nil
}

// answer is what the stub's models answer.
func answer(req *infer.Request) *infer.Response {
	in := &req.Inputs[0]
	resp := infer.NewResponse()
	resp.ReserveFrom(req.Memory)
	out := resp.Add("y", 0, in.DType, in.Shape, len(in.Data))
	copy(out, in.Data)
	for i := 0; req.Model == "double" && i+4 <= len(out); i += 4 {
		x := math.Float32frombits(binary.LittleEndian.Uint32(in.Data[i:]))
		binary.LittleEndian.PutUint32(out[i:], math.Float32bits(2*x))
	}
	return resp
}

// LabelRows has a result for each label, but takes none of the model "echo". Text "late" is late.
func (s *stub) LabelRows(_ context.Context, name string, rows iter.Seq2[api.LabelRow, error]) (r api.LabelResult, err error) {
	if name == "echo" {
		return r, infer.Errorf(infer.Conflict, "no predictions of model 'echo' are kept")
	}
	r.Model = name
	for row, problem := range rows {
		status := api.LabelJoined
		switch {
		case problem != nil:
			status = api.LabelInvalid
			r.Problems = append(r.Problems, api.LabelProblem{Index: int(r.Rows), Error: infer.Message(problem)})
		case row.Label == "late":
			status = api.LabelLate
		}
		r.Rows++
		r.Results = append(r.Results, status)
		s.labels = append(s.labels, row)
	}
	return r, nil
}

func (s *stub) Ready() bool { return !s.notReady }

func (s *stub) Versions(string) []int64 { return []int64{1, 2} }

func (s *stub) DefaultModel() (string, error) { return "double", nil }

func (s *stub) Index(readyOnly bool) []api.ModelStatus {
	list := []api.ModelStatus{{Name: "double", Version: 1, State: api.StateReady}}
	if !readyOnly {
		list = append(list, api.ModelStatus{Name: "broken", State: api.StateUnavailable, Reason: "no version folder"})
	}
	return list
}

func (s *stub) Statistics(name string, version int64) ([]oip.ModelStatistics, error) {
	_, err := s.Model(name, version)
	return []oip.ModelStatistics{{
		Name: "double", Version: "1", InferenceCount: 7, BatchStats: []oip.BatchStatistics{{BatchSize: 2}}, MemoryUsage: []oip.MemoryUsage{{Type: "CPU", ByteSize: 5}},
	}}, err
}

func (s *stub) ModelConfig(name string, version int64) (oip.ModelConfig, error) {
	m, err := s.Model(name, version)
	if err != nil {
		return oip.ModelConfig{}, err
	}
	return oip.NewModelConfig(name, "onnxruntime_onnx", m, &oip.Serving{
		MaxBatch: 8, MaxDelay: time.Millisecond, Instances: 2, MaxQueue: 9, PriorityLevels: 3, Timeout: time.Second, Optimization: "basic", Versions: []int64{1, 2},
	}), nil
}

func (s *stub) Load(_ context.Context, name string, by api.Actor) error {
	return s.control("load "+name, by)
}

func (s *stub) Unload(_ context.Context, name string, by api.Actor) error {
	return s.control("unload "+name, by)
}

func (s *stub) control(action string, by api.Actor) error {
	if !s.explicit {
		return infer.Errorf(infer.Unavailable, "models are loaded and unloaded by request only under --model-control explicit")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded, s.by = append(s.loaded, action), append(s.by, by)
	return nil
}

// options are those of a server and of its front.
type options struct {
	grpcapi.Options

	front front.Options
}

// running is a server that runs until the test ends.
type running struct {
	*grpcapi.Server

	front *front.Front
	at    string
	stop  func() error // Shutdown with a time limit, and the end of Run
}

// start runs a server until the test ends.
func start(t testing.TB, s *stub, change func(*options)) *running {
	t.Helper()
	o := options{
		Options: grpcapi.Options{
			Address: "127.0.0.1:0", Describer: s, Labels: s, Logger: zap.NewNop(), Version: "1.2.3",
			Limits: grpcapi.Limits{
				MaxMessageBytes: 1 << 20, MaxResponseBytes: 8 << 20, MaxConnections: 64, MaxStreams: 2048, MaxHeaderBytes: 16 << 10, MaxStreamed: 16,
				ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Minute, MinPing: time.Second, HandshakeTimeout: time.Minute, Tensors: limits.Tensors(),
			},
		},
		front: front.Options{
			Predictor: s, Catalog: s, Settings: &s.settings, Log: zap.NewNop(), Callers: access.Open(),
			Bounds: front.Limits{MaxInFlight: 4096, MaxControlInFlight: 64, MaxMemory: 1 << 30},
		},
	}
	if change != nil {
		change(&o)
	}
	f, err := front.New(o.front)
	if err != nil {
		t.Fatal(err)
	}
	o.Front = f
	srv, err := grpcapi.New(o.Options)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	r := &running{Server: srv, front: f, at: srv.Addr().String()}
	var once sync.Once
	r.stop = func() (err error) {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err = srv.Shutdown(ctx); err == nil {
				err = <-ended
			}
		})
		return err
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if held := f.Memory(); held != 0 {
			t.Errorf("%d bytes are never given back", held)
		}
		if n := f.InFlight(); n != 0 {
			t.Errorf("%d requests are still in progress", n)
		}
	})
	return r
}

// dial returns a client of a server.
func (r *running) dial(t testing.TB, more ...grpc.DialOption) pb.GRPCInferenceServiceClient {
	t.Helper()
	return pb.NewGRPCInferenceServiceClient(r.connect(t, more...))
}

func (r *running) connect(t testing.TB, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.at, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// floats are values in the binary form.
func floats(values ...float32) (data []byte) {
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	return data
}

// raw is a request of rows of four for "double".
func raw(id string, values ...float32) *pb.ModelInferRequest {
	return &pb.ModelInferRequest{
		ModelName: "double", Id: id,
		Inputs:           []*pb.ModelInferRequest_InferInputTensor{{Name: "x", Datatype: "FP32", Shape: []int64{int64(len(values) / 4), 4}}},
		RawInputContents: [][]byte{floats(values...)},
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("got %v, want %v: %v", got, want, err)
	}
}
