// Package otlp is a receiver of OpenTelemetry spans for tests, over gRPC and over HTTP.
package otlp

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Span is a received span, in plain types. Ids are hexadecimal; Parent is empty for a root.
type Span struct {
	Name              string
	Kind              string // SPAN_KIND_SERVER
	Trace, ID, Parent string
	State             string // tracestate
	Start, End        time.Time
	Attributes        map[string]any // string, bool, int64 or float64
	Failed            bool
	Message           string   // of the status
	Links             []string // trace and id, with a dash between
	Resource          map[string]any
	Scope             string
}

// Link is what a link to the span is in Links.
func (s Span) Link() string { return s.Trace + "-" + s.ID }

// Receiver keeps what it receives. Its fields are set before the first export.
type Receiver struct {
	// Hold, if it is not nil, holds every export until it is closed or the client gives up.
	Hold <-chan struct{}

	collector.UnimplementedTraceServiceServer

	mu      sync.Mutex
	refuse  bool
	spans   []Span
	headers []map[string][]string // of each export
}

// Refuse makes the receiver refuse exports, or take them again.
func (r *Receiver) Refuse(yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = yes
}

// Spans returns what was received so far.
func (r *Receiver) Spans() []Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Span(nil), r.spans...)
}

// Headers returns the headers, or the metadata, of each export.
func (r *Receiver) Headers() []map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]map[string][]string(nil), r.headers...)
}

// Await waits until the received spans satisfy ok, and returns them.
func (r *Receiver) Await(t testing.TB, what string, ok func([]Span) bool) []Span {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if spans := r.Spans(); ok(spans) {
			return spans
		}
	}
	t.Fatalf("%s never came; the spans are %+v", what, r.Spans())
	return nil
}

// Export implements collector.TraceServiceServer.
func (r *Receiver) Export(ctx context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	if err := r.take(ctx, in, header); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// ServeHTTP takes exports in protobuf.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	in := &collector.ExportTraceServiceRequest{}
	if err == nil {
		err = proto.Unmarshal(body, in)
	}
	if err == nil && (req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf") {
		err = errors.New("not an export of traces in protobuf")
	}
	if err == nil {
		err = r.take(req.Context(), in, req.Header)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // the empty message has no bytes
}

func (r *Receiver) take(ctx context.Context, in *collector.ExportTraceServiceRequest, header map[string][]string) error {
	if r.Hold != nil {
		select {
		case <-r.Hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return errors.New("refused")
	}
	r.headers = append(r.headers, header)
	for _, resource := range in.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := plain(s)
				span.Resource, span.Scope = attributes(resource.GetResource().GetAttributes()), scope.GetScope().GetName()
				r.spans = append(r.spans, span)
			}
		}
	}
	return nil
}

func plain(s *trace.Span) Span {
	at := func(ns uint64) time.Time { return time.Unix(0, int64(ns)) } //nolint:gosec // until 2262
	span := Span{
		Name: s.GetName(), Kind: s.GetKind().String(), State: s.GetTraceState(), Attributes: attributes(s.GetAttributes()),
		Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
		Start: at(s.GetStartTimeUnixNano()), End: at(s.GetEndTimeUnixNano()),
		Failed: s.GetStatus().GetCode() == trace.Status_STATUS_CODE_ERROR, Message: s.GetStatus().GetMessage(),
	}
	for _, l := range s.GetLinks() {
		span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId())+"-"+hex.EncodeToString(l.GetSpanId()))
	}
	return span
}

func attributes(list []*common.KeyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[kv.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[kv.GetKey()] = v.IntValue
		case *common.AnyValue_DoubleValue:
			m[kv.GetKey()] = v.DoubleValue
		case *common.AnyValue_BoolValue:
			m[kv.GetKey()] = v.BoolValue
		default:
			m[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return m
}

// ServeGRPC serves the receiver over gRPC on a free port until the test ends, and returns the
// address. Address chooses the port: empty for a free one.
func (r *Receiver) ServeGRPC(t testing.TB, address string) (at string, stop func()) {
	t.Helper()
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	l := listen(t, address)
	return l.Addr().String(), serve(t, func() { _ = s.Serve(l) }, s.Stop)
}

// ServeHTTPAt is ServeGRPC over HTTP.
func (r *Receiver) ServeHTTPAt(t testing.TB, address string) (at string, stop func()) {
	t.Helper()
	s := &http.Server{Handler: r} //nolint:gosec // of a test
	l := listen(t, address)
	return l.Addr().String(), serve(t, func() { _ = s.Serve(l) }, func() { _ = s.Close() })
}

func listen(t testing.TB, address string) net.Listener {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func serve(t testing.TB, run, end func()) (stop func()) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(run)
	stop = sync.OnceFunc(func() {
		end()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}
