package loadgen_test

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

func TestClosedCountsAnswersAndErrors(t *testing.T) {
	var served, failed atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "hello" || r.Header.Get("X-Test") != "1" {
			t.Errorf("body %q %v, headers %v", body, err, r.Header)
		}
		if served.Add(1)%10 == 0 {
			failed.Add(1)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	target := loadgen.Target{URL: server.URL + "/x", Body: []byte("hello"), Headers: map[string]string{"X-Test": "1"}}
	r, err := loadgen.Closed(t.Context(), target, 4, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests+failed.Load() != served.Load() || r.Errors[http.StatusTooManyRequests] != failed.Load() || failed.Load() == 0 {
		t.Errorf("%d requests, errors %v; the server saw %d and failed %d", r.Requests, r.Errors, served.Load(), failed.Load())
	}
	if n := r.Latency.TotalCount(); n != r.Requests {
		t.Errorf("%d latencies of %d requests", n, r.Requests)
	}
}

// Requests come at the same times however slow the answers are, and a latency
// counts from when its request was due.
func TestOpenDoesNotWaitForAnswers(t *testing.T) {
	const answer, rate, conns = 50 * time.Millisecond, 400, 8
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(answer) }))
	defer server.Close()
	plan := loadgen.Plan{Targets: []loadgen.Target{{URL: server.URL}}, Rate: rate, Conns: conns, Duration: 500 * time.Millisecond}
	r, err := loadgen.Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	// 8 connections carry 160 a second, so the last of some 200 waits most of a second.
	if r.Requests < 100 || r.Requests > 300 || len(r.Errors) > 0 {
		t.Errorf("%d requests, errors %v; want some 200", r.Requests, r.Errors)
	}
	if low, high := r.Latency.Min(), r.Latency.Max(); low < answer.Microseconds() || high < 5*answer.Microseconds() {
		t.Errorf("latencies of %d to %d µs", low, high)
	}
	again, err := loadgen.Run(t.Context(), plan)
	if err != nil || again.Requests != r.Requests {
		t.Errorf("%v; %d requests, %d before", err, again.Requests, r.Requests)
	}
}

func TestClosedSaysThatNobodyAnswers(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if r, err := loadgen.Closed(t.Context(), loadgen.Target{URL: server.URL}, 1, 50*time.Millisecond); err == nil {
		t.Errorf("no error for %+v", r)
	}
}

// The two forms of a body must hold the same request.
func TestFP32Target(t *testing.T) {
	type tensor struct {
		Name       string
		Shape      []int64
		Data       []float32
		Parameters struct {
			Size int `json:"binary_data_size"`
		}
	}
	decode := func(text []byte) tensor {
		t.Helper()
		var doc struct{ Inputs []tensor }
		if err := json.Unmarshal(text, &doc); err != nil || len(doc.Inputs) != 1 {
			t.Fatalf("%v in %s", err, text)
		}
		return doc.Inputs[0]
	}
	asJSON := loadgen.FP32Target("http://x", "m", "input", []int64{2, 3}, false)
	if got := decode(asJSON.Body); got.Name != "input" || len(got.Data) != 6 || asJSON.URL != "http://x/v2/models/m/infer" {
		t.Errorf("%+v to %s", got, asJSON.URL)
	}
	asBinary := loadgen.FP32Target("http://x", "m", "input", []int64{2, 3}, true)
	n, err := strconv.Atoi(asBinary.Headers["Inference-Header-Content-Length"])
	if err != nil {
		t.Fatal(err)
	}
	head, blob := decode(asBinary.Body[:n]), asBinary.Body[n:]
	values := make([]float32, 6)
	if size, err := binary.Decode(blob, binary.LittleEndian, values); err != nil || size != len(blob) || head.Parameters.Size != len(blob) {
		t.Errorf("%d bytes of data, %d decoded, %d announced, %v", len(blob), size, head.Parameters.Size, err)
	}
}
