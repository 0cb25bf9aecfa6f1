package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// gateway gives the same answer to every request and records the last one.
type gateway struct {
	status            int
	answer            string
	sent, token, body string
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.sent, g.token, g.body = r.Method+" "+r.URL.EscapedPath(), r.Header.Get("Authorization"), string(body)
	w.Header().Set("Sluice-Version", "2")
	w.WriteHeader(g.status)
	_, _ = io.WriteString(w, g.answer)
}

func connect(t *testing.T, status int, answer string) (*gateway, *client.Client) {
	t.Helper()
	g := &gateway{status: status, answer: answer}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Admin: s.URL + "/", Data: s.Listener.Addr().String(), Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return g, c
}

func TestControl(t *testing.T) {
	f := func(answer, sent, token string, want any, call func(context.Context, *client.Client) (any, error)) {
		t.Helper()
		g, c := connect(t, http.StatusOK, answer)
		got, err := call(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if g.sent != sent || g.token != token {
			t.Errorf("sent %q with %q, want %q with %q", g.sent, g.token, sent, token)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sent, diff)
		}
	}
	const bearer = "Bearer secret"
	models := []api.ModelStatus{{Name: "iris", Version: 2, State: api.StateReady}}
	const list = `[{"name":"iris","version":2,"state":"READY"}]`
	f(`{"version":"1.0","ready":true}`, "GET /api/v1/status", bearer, api.ServerStatus{Version: "1.0", Ready: true},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Status(ctx) })
	f(list, "GET /api/v1/models", bearer, models,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Models(ctx) })
	f(list, "GET /api/v1/models/a%20b%3F%25", bearer, models,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Model(ctx, "a b?%") })
	f(list, "POST /api/v1/models/iris/load", bearer, models,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Load(ctx, "iris") })
	f(list, "POST /api/v1/models/iris/unload", bearer, models,
		func(ctx context.Context, c *client.Client) (any, error) { return c.Unload(ctx, "iris") })
	f(`{"changed":["iris version 2 loaded"]}`, "POST /-/reload", bearer, api.ReloadResult{Changed: []string{"iris version 2 loaded"}},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Reload(ctx) })
	f("ready\n", "GET /-/ready", "", nil,
		func(ctx context.Context, c *client.Client) (any, error) { return nil, c.AdminReady(ctx) })
	f("", "GET /v2/health/ready", "", nil,
		func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Ready(ctx) })
	f("", "GET /v2/health/live", "", nil,
		func(ctx context.Context, c *client.Client) (any, error) { return nil, c.Live(ctx) })
	f("", "GET /v2/models/iris/ready", bearer, nil,
		func(ctx context.Context, c *client.Client) (any, error) { return nil, c.ModelReady(ctx, "iris", 0) })
	f(`[{"name":"iris","version":"2","state":"READY"}]`, "POST /v2/repository/index", bearer,
		[]client.IndexEntry{{Name: "iris", Version: "2", State: api.StateReady}},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Index(ctx) })
	f(`{"model_stats":[{"name":"iris","version":"2","inference_count":3,"inference_stats":{"success":{"count":2,"ns":7}},"memory_usage":[{"type":"CPU","byte_size":9}]}]}`,
		"GET /v2/models/iris/versions/2/stats", bearer,
		[]client.Statistics{{
			Name: "iris", Version: "2", InferenceCount: 3,
			Inference: client.InferenceStatistics{Success: client.Total{Count: 2, Nanoseconds: 7}}, Memory: []client.MemoryUsage{{Type: "CPU", Bytes: 9}},
		}},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Statistics(ctx, "iris", 2) })
	f(`{"model_stats":[]}`, "GET /v2/models/stats", bearer, []client.Statistics{},
		func(ctx context.Context, c *client.Client) (any, error) { return c.Statistics(ctx, "", 0) })
	f(`{"name":"iris","versions":["2"],"platform":"p","inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],
		"outputs":[{"name":"p","datatype":"FP32","shape":[-1,2],"parameters":{"labels":["no","yes"]}}]}`,
		"GET /v2/models/iris/versions/2", bearer,
		client.Metadata{
			Name: "iris", Versions: []string{"2"}, Platform: "p",
			Inputs: []client.TensorMetadata{{Name: "x", Datatype: "FP32", Shape: []int64{-1, 4}}},
			Outputs: []client.TensorMetadata{{
				Name: "p", Datatype: "FP32", Shape: []int64{-1, 2}, Parameters: client.TensorParameters{Labels: []string{"no", "yes"}},
			}},
		},
		func(ctx context.Context, c *client.Client) (any, error) { return c.ModelMetadata(ctx, "iris", 2) })
}

func TestInferJSON(t *testing.T) {
	g, c := connect(t, http.StatusOK, `{"outputs":[]}`)
	p, err := c.InferJSON(t.Context(), "iris", 0, []byte(`{"inputs":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if g.sent != "POST /v2/models/iris/infer" || g.body != `{"inputs":[]}` || g.token != "Bearer secret" {
		t.Errorf("sent %s %s with token %q", g.sent, g.body, g.token)
	}
	if string(p.Body) != `{"outputs":[]}` || p.Header.Get("Sluice-Version") != "2" {
		t.Errorf("got %s, %v", p.Body, p.Header)
	}
}

func TestErrorsCarryStatusAndMessage(t *testing.T) {
	f := func(status int, answer, message string) {
		t.Helper()
		_, c := connect(t, status, answer)
		_, err := c.Models(t.Context())
		var e *client.Error
		if !errors.As(err, &e) || e.Status != status || e.Message != message {
			t.Errorf("%d %q gives %v, want message %q", status, answer, err, message)
		}
	}
	f(http.StatusNotFound, `{"error":"no such model"}`, "no such model")
	f(http.StatusBadGateway, "<html>"+strings.Repeat("x", 1000), "<html>"+strings.Repeat("x", 194))
	f(http.StatusTeapot, "", "no message")
}

func TestAnswerOfAnotherKind(t *testing.T) {
	_, c := connect(t, http.StatusOK, "<html>")
	if _, err := c.Models(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be decoded") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyListens(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	c, err := client.New(client.Options{Admin: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	err = c.AdminReady(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "no answer from "+s.Listener.Addr().String()+": ") {
		t.Errorf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		c, err := client.New(client.Options{Data: address})
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		if got := c.InferURL("m", 3); got != want+"/v2/models/m/versions/3/infer" {
			t.Errorf("%q gives %s, want %s", address, got, want)
		}
	}
	f("", "http://127.0.0.1:8000")
	f(":8000", "http://localhost:8000")
	f("gpu-1:9000", "http://gpu-1:9000")
	f("[::1]:9000", "http://[::1]:9000")
	f("https://example.com/sluice/", "https://example.com/sluice")

	bad := func(address string) {
		t.Helper()
		if _, err := client.New(client.Options{Admin: address}); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	bad("ftp://x")
	bad("http://")
	bad("a b:1")
	bad("host:port")
}

func TestAnswersAreBounded(t *testing.T) {
	f := func(limit int64, fits bool) {
		t.Helper()
		s := httptest.NewServer(&gateway{status: http.StatusOK, answer: `{"name":"iris"}`})
		defer s.Close()
		c, err := client.New(client.Options{Data: s.URL, MaxAnswerBytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.ModelMetadata(t.Context(), "iris", 0)
		if fits != (err == nil) || !fits && !strings.HasSuffix(err.Error(), " is longer than 14 bytes") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	f(15, true)
	f(14, false)
}

func TestWhatNoHeaderBears(t *testing.T) {
	f := func(o client.Options, want string) {
		t.Helper()
		if _, err := client.New(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v gives %v, want %s…", o, err, want)
		}
	}
	f(client.Options{Token: "from-a-file\n"}, "token: ")
	f(client.Options{Actor: "carol\x1b[31m"}, "actor: ")
}
