package tracing_test

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/otlp"
	"sluice.io/sluice/internal/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a tracer until the test ends.
func start(t *testing.T, endpoint string, change func(*tracing.Options)) *tracing.Tracer {
	t.Helper()
	o := tracing.Options{
		Protocol: tracing.GRPC, Endpoint: endpoint, Insecure: true, Sample: 1, Service: "sluice-test", Version: "1.2.3",
		MaxQueue: 64, Timeout: 10 * time.Second, Logger: zap.NewNop(),
	}
	if change != nil {
		change(&o)
	}
	tracer, err := tracing.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- tracer.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = tracer.Shutdown(ctx)
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return tracer
}

// began is when the requests of this file began; their stages take a millisecond each.
var began = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func ms(n int) time.Time { return began.Add(time.Duration(n) * time.Millisecond) }

// request is one that went well over HTTP, in 8 ms.
func request() *tracing.Request {
	return &tracing.Request{
		Span: infer.NewSpan(), Arrived: ms(0), Received: ms(1), Asked: ms(2), Answered: ms(7), Ended: ms(8),
		Model: "iris", RequestID: "r1", Served: infer.Served{Version: infer.Version{Model: "iris", Number: 2}, Route: "iris@7", Reason: infer.ReasonSticky},
		Timing: infer.Timing{Queue: time.Millisecond, Input: time.Millisecond, Compute: time.Millisecond, Output: time.Millisecond, Rows: 3},
		Method: "POST", Route: "/v2/models/{model}/infer", Path: "/v2/models/iris/infer", HTTPStatus: 200,
		Peer: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 4242}, UserAgent: "curl/8", BytesIn: 100, BytesOut: 50,
	}
}

func hexOf(s infer.Span) (trace, id string) {
	return hex.EncodeToString(s.Trace[:]), hex.EncodeToString(s.ID[:])
}

// exported records r and returns the spans that came of it.
func exported(t *testing.T, r *tracing.Request) []otlp.Span {
	t.Helper()
	var to otlp.Receiver
	endpoint, _ := to.ServeGRPC(t, "")
	tracer := start(t, endpoint, nil)
	tracer.Record(r)
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := to.Spans()
	if len(spans) == 0 {
		t.Fatal("nothing was exported")
	}
	return spans
}

func TestRequestOverHTTP(t *testing.T) {
	r := request()
	parent := infer.NewSpan()
	r.Span, r.Parent, r.State = infer.NewChild(parent), parent, "vendor=x"
	r.Timing.Batch = infer.NewSpan()
	spans := exported(t, r)
	trace, id := hexOf(r.Span)
	_, parentID := hexOf(parent)
	batchTrace, batchID := hexOf(r.Timing.Batch)

	type stage struct {
		Name       string
		Start, End time.Time
		Links      []string
	}
	var stages []stage
	for _, s := range spans[:len(spans)-1] {
		stages = append(stages, stage{s.Name, s.Start.UTC(), s.End.UTC(), s.Links})
		if s.Parent != id || s.Trace != trace || s.Kind != "SPAN_KIND_INTERNAL" {
			t.Errorf("%+v is not below the request", s)
		}
	}
	want := []stage{
		{"read", ms(0), ms(1), nil},
		{"decode", ms(1), ms(2), nil},
		{"queue", ms(2), ms(3), nil},
		{"run", ms(3), ms(6), []string{batchTrace + "-" + batchID}},
		{"encode", ms(7), ms(8), nil},
	}
	if diff := cmp.Diff(want, stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	s := spans[len(spans)-1]
	if s.Name != "POST /v2/models/{model}/infer" || s.Kind != "SPAN_KIND_SERVER" || s.ID != id || s.Parent != parentID || s.State != "vendor=x" ||
		!s.Start.Equal(ms(0)) || !s.End.Equal(ms(8)) || s.Failed || s.Scope != tracing.Scope {
		t.Errorf("the request is %+v", s)
	}
	attributes := map[string]any{
		"http.request.method": "POST", "http.route": "/v2/models/{model}/infer", "url.path": "/v2/models/iris/infer", "http.response.status_code": int64(200),
		"http.request.body.size": int64(100), "http.response.body.size": int64(50), "user_agent.original": "curl/8",
		"network.peer.address": "10.1.2.3", "network.peer.port": int64(4242),
		"sluice.model": "iris", "sluice.version": int64(2), "sluice.route": "iris@7", "sluice.reason": "sticky", "sluice.request_id": "r1", "sluice.code": "ok",
	}
	if diff := cmp.Diff(attributes, s.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if s.Resource["service.name"] != "sluice-test" || s.Resource["service.version"] != "1.2.3" || s.Resource["service.instance.id"] == "" {
		t.Errorf("the resource is %v", s.Resource)
	}
}

// A request that did not reach a stage has no span of it, and only errors of the server are marked.
func TestRequestsThatFail(t *testing.T) {
	f := func(name string, change func(r *tracing.Request), failed bool, stages string) {
		t.Helper()
		r := request()
		change(r)
		spans := exported(t, r)
		var got []string
		for _, s := range spans[:len(spans)-1] {
			got = append(got, s.Name)
		}
		s := spans[len(spans)-1]
		if s.Failed != failed || failed && (s.Message != "no" || s.Attributes["error.type"] != r.Code.String()) || strings.Join(got, " ") != stages {
			t.Errorf("%s: failed is %t, %q, stages %v", name, s.Failed, s.Message, got)
		}
	}
	fail := func(r *tracing.Request, code infer.Code, status int) {
		r.Code, r.Error, r.HTTPStatus = code, "no", status
	}
	f("a body that cannot be read", func(r *tracing.Request) {
		fail(r, infer.Invalid, 400)
		r.Asked, r.Answered, r.Timing = time.Time{}, time.Time{}, infer.Timing{}
	}, false, "read decode")
	f("too late in the queue", func(r *tracing.Request) {
		fail(r, infer.Deadline, 504)
		r.Timing = infer.Timing{}
	}, true, "read decode queue encode")
	f("left while it ran", func(r *tracing.Request) {
		fail(r, infer.Canceled, 499)
		r.Timing.Compute, r.Timing.Output = 0, 0
	}, false, "read decode queue run encode")
	f("gRPC, refused", func(r *tracing.Request) {
		fail(r, infer.Overloaded, 0)
		r.Method, r.Route, r.GRPCStatus = "/inference.GRPCInferenceService/ModelInfer", "", "ResourceExhausted"
	}, false, "read decode queue run encode")
	f("gRPC, an internal error", func(r *tracing.Request) {
		fail(r, infer.Internal, 0)
		r.Method, r.Route, r.GRPCStatus = "/inference.GRPCInferenceService/ModelInfer", "", "Internal"
	}, true, "read decode queue run encode")
}

func TestRequestOverGRPC(t *testing.T) {
	r := request()
	r.Method, r.Route, r.Path, r.GRPCStatus = "/inference.GRPCInferenceService/ModelInfer", "", "", "DeadlineExceeded"
	spans := exported(t, r)
	s := spans[len(spans)-1]
	if s.Name != "inference.GRPCInferenceService/ModelInfer" || s.Attributes["rpc.system.name"] != "grpc" || s.Attributes["rpc.method"] != s.Name ||
		s.Attributes["rpc.response.status_code"] != "DEADLINE_EXCEEDED" || s.Parent != "" {
		t.Errorf("the request is %+v", s)
	}
}

// A run that joined requests has a trace of its own, and links its members.
func TestRun(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeHTTPAt(t, "")
	tracer := start(t, endpoint, func(o *tracing.Options) {
		o.Protocol, o.Headers = tracing.HTTP, map[string]string{"X-Key": "secret"}
	})
	run := &tracing.Run{
		Span: infer.NewSpan(), Members: []infer.Span{infer.NewSpan(), infer.NewSpan()}, Version: infer.Version{Model: "iris", Number: 2},
		Started: ms(0), Ended: ms(5), Joined: 3, Rows: 4, Err: infer.Errorf(infer.Invalid, "a value is refused"),
	}
	tracer.RecordRun(run)
	s := to.Await(t, "the run", func(spans []otlp.Span) bool { return len(spans) == 1 })[0]
	trace, id := hexOf(run.Span)
	var links []string
	for _, m := range run.Members {
		trace, id := hexOf(m)
		links = append(links, trace+"-"+id)
	}
	if s.Name != "batch" || s.Trace != trace || s.ID != id || s.Parent != "" || !cmp.Equal(s.Links, links) || !s.Failed || s.Message != "a value is refused" {
		t.Errorf("the run is %+v", s)
	}
	if s.Attributes["sluice.run.requests"] != int64(3) || s.Attributes["sluice.run.rows"] != int64(4) || s.Attributes["sluice.version"] != int64(2) {
		t.Errorf("attributes %v", s.Attributes)
	}
	if h := to.Headers()[0]; !cmp.Equal(h["X-Key"], []string{"secret"}) {
		t.Errorf("headers %v", h)
	}
}

// A receiver that hangs costs records, and no time of who records.
func TestAReceiverThatHangs(t *testing.T) {
	hold := make(chan struct{})
	to := otlp.Receiver{Hold: hold}
	endpoint, _ := to.ServeGRPC(t, "")
	t.Cleanup(sync.OnceFunc(func() { close(hold) })) // before the receiver stops
	tracer := start(t, endpoint, func(o *tracing.Options) { o.MaxQueue = 8 })
	counts := func(ok func(exported, failed, dropped int64) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(tracer.Counts()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(tracer.Counts())
			}
			tracer.Record(request())
		}
	}
	counts(func(_, _, dropped int64) bool { return dropped > 10 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := tracer.Shutdown(ctx); err == nil {
		t.Error("the stop did not say that records are lost")
	}
	if exported, failed, dropped := tracer.Counts(); exported != 0 || failed == 0 || dropped < 8 {
		t.Errorf("%d exported, %d failed, %d dropped", exported, failed, dropped)
	}
}

// A receiver that is gone for a while gets what is recorded after it has come back.
func TestAReceiverThatRestarts(t *testing.T) {
	var to otlp.Receiver
	endpoint, stop := to.ServeGRPC(t, "")
	tracer := start(t, endpoint, func(o *tracing.Options) { o.Timeout = 200 * time.Millisecond })
	await := func(what string, ok func(exported, failed, dropped int64) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(tracer.Counts()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never", what)
			}
			tracer.Record(request())
		}
	}
	await("the first export", func(exported, _, _ int64) bool { return exported > 0 })
	stop()
	await("a failed export", func(_, failed, _ int64) bool { return failed > 0 })
	before := len(to.Spans())
	to.ServeGRPC(t, endpoint)
	await("an export after the restart", func(int64, int64, int64) bool { return len(to.Spans()) > before })
}

// The stop exports the traces that were recorded before it.
func TestShutdownExports(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeGRPC(t, "")
	tracer := start(t, endpoint, nil)
	for range 20 {
		tracer.Record(request())
	}
	if err := tracer.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(to.Spans()); n != 20*6 {
		t.Errorf("%d spans, want 120", n)
	}
	tracer.Record(request()) // changes nothing any more
}

func TestNewRefusesAProtocol(t *testing.T) {
	_, err := tracing.New(tracing.Options{Protocol: "udp", Sample: 1, Service: "s", MaxQueue: 1, Timeout: time.Second, Logger: zap.NewNop()})
	if err == nil || !strings.Contains(err.Error(), `"udp"`) {
		t.Error(err)
	}
}
