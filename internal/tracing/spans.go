package tracing

import (
	"context"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"sluice.io/sluice/internal/infer"
)

// Scope is the name of the instrumentation scope.
const Scope = "sluice.io/sluice"

// spans makes spans of records.
type spans struct{ tracer trace.Tracer }

func newSpans(p *sdk.TracerProvider) *spans { return &spans{p.Tracer(Scope)} }

// make makes and ends the spans of a record.
func (s *spans) make(record any) {
	switch r := record.(type) {
	case *Request:
		s.request(r)
	case *Run:
		s.run(r)
	}
}

// request makes the span of a request, and one below it for each stage that it reached.
func (s *spans) request(r *Request) {
	ctx := context.Background() //nolint:forbidigo // it only carries ids
	if r.Parent.Valid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, spanContext(r.Parent, r.State))
	}
	name, attributes := r.protocol()
	ctx, span := s.tracer.Start(withSpan(ctx, r.Span), name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(r.Arrived),
		trace.WithAttributes(attributes...), trace.WithAttributes(r.served()...))
	s.stages(ctx, r)
	if r.Code != infer.OK && r.serversFault() {
		span.SetAttributes(semconv.ErrorTypeKey.String(r.Code.String()))
		span.SetStatus(codes.Error, r.Error)
	}
	span.End(trace.WithTimestamp(r.Ended))
}

// protocol returns the name of a request's span and the attributes of its protocol.
func (r *Request) protocol() (name string, attributes []attribute.KeyValue) {
	if r.Route == "" {
		name = strings.TrimPrefix(r.Method, "/")
		attributes = append(attributes, semconv.RPCSystemNameKey.String("grpc"), semconv.RPCMethod(name), semconv.RPCResponseStatusCode(grpcStatus(r.GRPCStatus)))
	} else {
		name = r.Method + " " + r.Route
		attributes = append(attributes, semconv.HTTPRequestMethodKey.String(r.Method), semconv.HTTPRoute(r.Route), semconv.URLPath(r.Path),
			semconv.HTTPResponseStatusCode(r.HTTPStatus), semconv.HTTPRequestBodySize(r.BytesIn), semconv.HTTPResponseBodySize(r.BytesOut))
	}
	if r.UserAgent != "" {
		attributes = append(attributes, semconv.UserAgentOriginal(r.UserAgent))
	}
	if tcp, ok := r.Peer.(*net.TCPAddr); ok {
		attributes = append(attributes, semconv.NetworkPeerAddress(tcp.AddrPort().Addr().Unmap().String()), semconv.NetworkPeerPort(tcp.Port))
	}
	return name, attributes
}

// served returns the attributes of what was asked and who has answered.
func (r *Request) served() []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		attribute.String("sluice.model", r.Model), attribute.String("sluice.request_id", r.RequestID), attribute.Stringer("sluice.code", r.Code),
	}
	if v := r.Served; v.Reason != "" {
		attributes = append(attributes, attribute.Int64("sluice.version", v.Version.Number), attribute.String("sluice.route", v.Route), attribute.String("sluice.reason", string(v.Reason)))
	}
	return attributes
}

// stages makes the spans below that of a request. A stage that has not ended ends with the request.
func (s *spans) stages(ctx context.Context, r *Request) {
	from := r.Arrived
	stage := func(name string, until time.Time, options ...trace.SpanStartOption) {
		if until.IsZero() || until.After(r.Ended) {
			until = r.Ended
		}
		if until.After(from) {
			_, span := s.tracer.Start(ctx, name, append(options, trace.WithTimestamp(from))...)
			span.End(trace.WithTimestamp(until))
		}
		from = until
	}
	stage("read", r.Received)
	stage("decode", r.Asked)
	if r.Asked.IsZero() {
		return
	}
	if t := &r.Timing; t.Rows == 0 { // it has not run
		stage("queue", r.Answered)
	} else {
		stage("queue", earlier(r.Asked.Add(t.Queue), r.Answered))
		ran := r.Answered
		if t.Compute > 0 {
			ran = earlier(from.Add(t.Input+t.Compute+t.Output), r.Answered)
		}
		stage("run", ran, trace.WithAttributes(
			attribute.Int("sluice.run.rows", t.Rows), attribute.Float64("sluice.run.input_seconds", t.Input.Seconds()),
			attribute.Float64("sluice.run.compute_seconds", t.Compute.Seconds()), attribute.Float64("sluice.run.output_seconds", t.Output.Seconds()),
		), trace.WithLinks(links(t.Batch)...))
		from = r.Answered
	}
	stage("encode", r.Ended)
}

// earlier returns the earlier one of two times; b may be zero.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// serversFault reports whether the error is one of the server, as the semantic conventions of the
// protocol see it.
func (r *Request) serversFault() bool {
	if r.Route != "" {
		return r.HTTPStatus >= 500
	}
	switch grpcStatus(r.GRPCStatus) {
	case "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS":
		return true
	default:
		return false
	}
}

// grpcStatus returns the protocol's name of a status: DEADLINE_EXCEEDED for DeadlineExceeded.
func grpcStatus(name string) string {
	if name == "Canceled" {
		return "CANCELLED"
	}
	var b strings.Builder
	for i := range len(name) {
		if i > 0 && name[i] <= 'Z' && name[i-1] >= 'a' {
			b.WriteByte('_')
		}
		b.WriteByte(name[i])
	}
	return strings.ToUpper(b.String())
}

// run makes the span of a run that joined requests, in a trace of its own, with links to them.
func (s *spans) run(r *Run) {
	ctx := withSpan(context.Background(), r.Span) //nolint:forbidigo // it only carries ids
	_, span := s.tracer.Start(ctx, "batch", trace.WithTimestamp(r.Started), trace.WithLinks(links(r.Members...)...), trace.WithAttributes(
		attribute.String("sluice.model", r.Version.Model), attribute.Int64("sluice.version", r.Version.Number),
		attribute.Int("sluice.run.rows", r.Rows), attribute.Int("sluice.run.requests", r.Joined),
	))
	if r.Err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(infer.CodeOf(r.Err).String()))
		span.SetStatus(codes.Error, infer.Message(r.Err))
	}
	span.End(trace.WithTimestamp(r.Ended))
}

// links returns links to the spans that are valid.
func links(spans ...infer.Span) []trace.Link {
	list := make([]trace.Link, 0, len(spans))
	for _, s := range spans {
		if s.Valid() {
			list = append(list, trace.Link{SpanContext: spanContext(s, "")})
		}
	}
	return list
}

// spanContext is a sampled span of the trace. A state that is not valid is left out.
func spanContext(s infer.Span, state string) trace.SpanContext {
	parsed, err := trace.ParseTraceState(state)
	if err != nil {
		parsed = trace.TraceState{}
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: s.Trace, SpanID: s.ID, TraceFlags: trace.FlagsSampled, TraceState: parsed})
}

// ids gives a span the id that its context names, or a random one.
type ids struct{}

// spanKey is the key of the id in the context.
type spanKey struct{}

func withSpan(ctx context.Context, s infer.Span) context.Context {
	return context.WithValue(ctx, spanKey{}, &s)
}

// next returns the id that the context names, once.
func next(ctx context.Context) infer.Span {
	if s, ok := ctx.Value(spanKey{}).(*infer.Span); ok && s.Valid() {
		chosen := *s
		*s = infer.Span{} // the spans below it have their own
		return chosen
	}
	return infer.NewSpan()
}

// NewIDs implements sdk.IDGenerator.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	s := next(ctx)
	return s.Trace, s.ID
}

// NewSpanID implements sdk.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID { return next(ctx).ID }
