package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/oip"
)

// fixed answers every request with its first input.
type fixed struct {
	front.Catalog
	called infer.Called
	key    string
	keyed  int // requests with the expected sticky key
}

func (f *fixed) Predict(_ context.Context, req *infer.Request) (*infer.Response, error) {
	if req.StickyKey == f.key {
		f.keyed++
	}
	req.Served = infer.Served{Version: infer.Version{Model: f.called.Model.Name, Number: 1}, Route: "a-route-of-some-length-as-people-make-them@17", Reason: infer.ReasonDefault}
	if err := f.called.Model.Check(req); err != nil {
		return nil, err
	}
	resp := infer.NewResponse()
	copy(resp.Add("y", 0, infer.FP32, req.Inputs[0].Shape, len(req.Inputs[0].Data)), req.Inputs[0].Data)
	return resp, nil
}

func (f *fixed) Statistics(string, int64) ([]oip.ModelStatistics, error) { return nil, nil }

func (f *fixed) ModelConfig(string, int64) (oip.ModelConfig, error) { return oip.ModelConfig{}, nil }

func (f *fixed) Labels(context.Context, string, LabelBody) (api.LabelResult, error) {
	return api.LabelResult{}, nil
}

func (f *fixed) Called(string, int64) (infer.Called, error) { return f.called, nil }

// replay is a connection that repeats one request and drops the answers.
type replay struct {
	net.Conn
	request string
	rest    string
	left    int
	served  int // answers with status 200
	from    net.TCPAddr
}

func (c *replay) Read(p []byte) (int, error) {
	if c.rest == "" {
		if c.left == 0 {
			return 0, io.EOF
		}
		c.left--
		c.rest = c.request
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *replay) Write(p []byte) (int, error) {
	c.served += bytes.Count(p, []byte("HTTP/1.1 200 OK\r\n"))
	return len(p), nil
}

func (c *replay) Close() error                     { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }
func (c *replay) RemoteAddr() net.Addr             { return &c.from }
func (c *replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }

func benchServer(tb testing.TB) *Server {
	tb.Helper()
	spec := []infer.TensorSpec{{Name: "x", DType: infer.FP32, Shape: infer.Shape{-1, 16}}}
	f := &fixed{}
	f.called.Model = infer.NewModel("m", 1, spec, []infer.TensorSpec{{Name: "y", DType: infer.FP32, Shape: infer.Shape{-1, 16}}})
	s, err := New(Options{Front: newFront(tb, f, 1<<30), Describer: f, Labels: f, Logger: zap.NewNop(), Limits: UsualLimits()})
	if err != nil {
		tb.Fatal(err)
	}
	s.listener = newListener(nil, 1, s.timeouts, s.front, s.log)
	return s
}

// newFront returns a front with a memory limit in bytes. It logs each request to log, if given.
func newFront(tb testing.TB, f *fixed, memory int64, log ...*zap.Logger) *front.Front {
	tb.Helper()
	every, to := 1<<30, zap.NewNop()
	for _, l := range log {
		every, to = 1, l
	}
	shared, err := front.New(front.Options{
		Predictor: f, Catalog: f, Settings: struct{ front.Settings }{}, Log: to, Callers: access.Of(callers.Options{Callers: []callers.Member{access.Can("x", "x", callers.All, "*")}}), AccessLog: front.AccessLog{Enabled: true, SampleEvery: every, MaxErrors: 100},
		Bounds: front.Limits{MaxInFlight: 1, MaxControlInFlight: 1, MaxMemory: memory},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return shared
}

func benchRequest(head, body string) string {
	return "POST /v2/models/m/infer HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: client/1.0\r\nAccept: */*\r\nContent-Type: application/json\r\n" +
		head + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func jsonRequest() string {
	return benchRequest("X-Request-Id: 6f1c5e0e-3b2a-4c57-9d8a-0123456789ab\r\n", jsonBody())
}

func jsonBody() string {
	return `{"id":"1","inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","data":[` + strings.Repeat("0.5,", 15) + `0.5]}]}`
}

func binaryRequest() string {
	const head = `{"inputs":[{"name":"x","shape":[1,16],"datatype":"FP32","parameters":{"binary_data_size":64}}],"parameters":{"binary_data_output":true}}`
	return benchRequest("Inference-Header-Content-Length: "+strconv.Itoa(len(head))+"\r\n", head+string(make([]byte, 64)))
}
