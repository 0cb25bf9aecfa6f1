package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/internal/testing/otlp"
)

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	sampled      = "00-" + callersTrace + "-00f067aa0ba902b7-01"
	unsampled    = "00-" + callersTrace + "-00f067aa0ba902b7-00"
)

// tracingTo are the settings that export to a receiver.
func tracingTo(endpoint, more string) string {
	return fmt.Sprintf("tracing: {exporter: otlp, endpoint: %q, insecure: true%s}", endpoint, more)
}

// servers returns the spans of requests.
func servers(spans []otlp.Span) []otlp.Span {
	return slices.DeleteFunc(slices.Clone(spans), func(s otlp.Span) bool { return s.Kind != "SPAN_KIND_SERVER" })
}

// below returns the names of the spans below one, in their order.
func below(spans []otlp.Span, parent otlp.Span) string {
	var names []string
	for _, s := range spans {
		if s.Trace == parent.Trace && s.Parent == parent.ID {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, " ")
}

// A request continues its caller's trace over every endpoint and protocol, and the log line names it.
func TestTraces(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeGRPC(t, "")
	core, logs := observer.New(zapcore.InfoLevel)
	g := startLogging(t, zap.New(core), nil, tritonModels(t), tracingTo(endpoint, ", sample: 0, service_name: shop"), "server.access_log: {sample_every: 1}")
	body := `{"inputs":[{"name":"input","shape":[1,16],"datatype":"FP32","data":[` + strings.Repeat("1,", 15) + `1]}]}`
	const rows = `{"instances":[[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]]}`
	f := func(route, path, body, traceparent string, status int) {
		t.Helper()
		before := len(servers(to.Spans()))
		if got := g.status(t, path, body, "traceparent", traceparent, "tracestate", "vendor=1", "X-Request-Id", "my-id"); got != status {
			t.Errorf("%s: %d", path, got)
		}
		if traceparent != sampled {
			return
		}
		spans := to.Await(t, path, func(spans []otlp.Span) bool { return len(servers(spans)) > before })
		s := servers(spans)[before]
		if s.Name != "POST "+route || s.Trace != callersTrace || s.Parent != "00f067aa0ba902b7" || s.State != "vendor=1" || s.Attributes["http.response.status_code"] != int64(status) ||
			s.Attributes["sluice.request_id"] != "my-id" || s.Resource["service.name"] != "shop" || s.Attributes["url.path"] != path {
			t.Errorf("%s: %+v", path, s)
		}
		stages := below(spans, s)
		if status == http.StatusOK && stages != "read decode queue run encode" || status != http.StatusOK && strings.Contains(stages, "run") {
			t.Errorf("%s: the stages are %s", path, stages)
		}
	}
	f("/v2/models/{model}/infer", "/v2/models/lin/infer", body, sampled, 200)
	f("/v2/models/{model}/infer", "/v2/models/lin/infer", body, unsampled, 200)
	f("/v2/models/{model}/infer", "/v2/models/lin/infer", body, "", 200)
	f("/v2/models/{model}/versions/{version}/infer", "/v2/models/lin/versions/1/infer", body, sampled, 200)
	f("/v1/models/{model}:predict", "/v1/models/lin:predict", rows, sampled, 200)
	f("/v2/models/{model}/infer", "/v2/models/lin/infer", "{", sampled, 400)
	f("/v2/models/{model}/infer", "/v2/models/nope/infer", body, sampled, 404)

	c := dialGRPC(t, g)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", sampled)
	if _, err := c.ModelInfer(ctx, linRequest()); err != nil {
		t.Fatal(err)
	}
	stream, err := c.ModelStreamInfer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const streamed = 3
	for range streamed {
		if err := stream.Send(linRequest()); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	_ = stream.CloseSend()
	of := func(spans []otlp.Span, method string) []otlp.Span {
		return slices.DeleteFunc(servers(spans), func(s otlp.Span) bool { return s.Name != "inference.GRPCInferenceService/"+method })
	}
	spans := to.Await(t, "calls", func(spans []otlp.Span) bool {
		return len(of(spans, "ModelInfer")) == 1 && len(of(spans, "ModelStreamInfer")) == streamed
	})
	for _, s := range append(of(spans, "ModelInfer"), of(spans, "ModelStreamInfer")...) {
		if s.Trace != callersTrace || s.Attributes["rpc.response.status_code"] != "OK" || !strings.HasSuffix(below(spans, s), "decode queue run encode") || s.Attributes["sluice.version"] != int64(1) {
			t.Errorf("%+v with %s", s, below(spans, s))
		}
	}
	if n := len(servers(spans)); n != 5+1+streamed {
		t.Errorf("%d requests are traced: also some whose callers have not asked for it", n)
	}
	for _, line := range logs.FilterField(zap.String("request_id", "my-id")).All() {
		if m := line.ContextMap(); m["traceparent"] != nil && m["trace_id"] != callersTrace {
			t.Errorf("a log line has %v", m)
		}
	}
	eventually(t, func() bool { // they are counted when the receiver has answered
		return strings.Contains(g.must(t, http.MethodGet, g.admin+"/metrics", ""), `sluice_traces_total{result="exported"} 9`)
	})
}

// status sends a POST with headers, whose values may be empty, and returns the status.
func (g *gateway) status(t testing.TB, path, body string, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// A run that joined requests links them, and they link the run. Each request has a trace of its
// own, whose id is in its log line.
func TestTracesOfBatches(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeHTTPAt(t, "")
	core, logs := observer.New(zapcore.InfoLevel)
	g := startLogging(t, zap.New(core), &fakes{}, doubles(t, 1), tracingTo(endpoint, ", protocol: http, sample: 1, headers: {X-Key: abc}"),
		"server.access_log: {sample_every: 1}", "models: {double: {instances: 2, batching: {enabled: 'true', max_size: 2, max_delay: 20s}, warmup: false}}")
	var callers sync.WaitGroup
	for n := range 2 { // the run waits for the second
		callers.Go(func() {
			if err := g.ask("double", n); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	spans := to.Await(t, "the batch", func(spans []otlp.Span) bool {
		return len(servers(spans)) == 2 && slices.ContainsFunc(spans, func(s otlp.Span) bool { return s.Name == "batch" })
	})
	batch := spans[slices.IndexFunc(spans, func(s otlp.Span) bool { return s.Name == "batch" })]
	var members, ids []string
	for _, s := range servers(spans) {
		members, ids = append(members, s.Link()), append(ids, s.Trace)
		run := spans[slices.IndexFunc(spans, func(c otlp.Span) bool { return c.Name == "run" && c.Parent == s.ID })]
		if s.Parent != "" || !slices.Equal(run.Links, []string{batch.Link()}) {
			t.Errorf("%+v has the run %+v", s, run)
		}
		if run.Start.Before(batch.Start.Add(-time.Second)) || run.End.Before(batch.Start) {
			t.Errorf("the run from %v to %v is not in the batch, which began at %v", run.Start, run.End, batch.Start)
		}
	}
	slices.Sort(members)
	slices.Sort(batch.Links)
	if !slices.Equal(batch.Links, members) || batch.Parent != "" || batch.Attributes["sluice.run.requests"] != int64(2) || slices.Contains(ids, batch.Trace) || ids[0] == ids[1] {
		t.Errorf("the batch is %+v, the requests are %v", batch, members)
	}
	for _, line := range logs.FilterMessage("request").All() {
		if m := line.ContextMap(); m["path"] == "/v2/models/double/infer" && !slices.Contains(ids, fmt.Sprint(m["trace_id"])) {
			t.Errorf("a log line has the trace %v, the traces are %v", m["trace_id"], ids)
		}
	}
	if h := to.Headers()[0]; !slices.Equal(h["X-Key"], []string{"abc"}) {
		t.Errorf("the headers are %v", h)
	}
}

// A receiver that hangs delays no request, and the stop by the time for the last traces only.
func TestStopWithAReceiverThatHangs(t *testing.T) {
	hold := make(chan struct{})
	to := otlp.Receiver{Hold: hold}
	endpoint, _ := to.ServeGRPC(t, "")
	t.Cleanup(func() { close(hold) })
	g := startOn(t, &fakes{}, doubles(t, 1), tracingTo(endpoint, ", sample: 1, max_queue: 1"), "server.drain_timeout: 1h", "models: {double: {"+fakeModels+"}}")
	for n := range 50 {
		if err := g.ask("double", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.stop(); err != nil {
		t.Error(err)
	}
}

// A reload changes the share that is traced.
func TestReloadOfSample(t *testing.T) {
	var to otlp.Receiver
	endpoint, _ := to.ServeGRPC(t, "")
	dir, models := doubles(t, 1), "models: {double: {"+fakeModels+"}}"
	g := startOn(t, &fakes{}, dir, tracingTo(endpoint, ", sample: 0"), models)
	if err := g.ask("double", 1); err != nil {
		t.Fatal(err)
	}
	g.configure(t, dir, tracingTo(endpoint, ", sample: 1"), models)
	g.must(t, http.MethodPost, g.admin+"/-/reload", "")
	if err := g.ask("double", 2); err != nil {
		t.Fatal(err)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if n := len(servers(to.Spans())); n != 1 {
		t.Errorf("%d requests are traced, want the one after the reload", n)
	}
}
