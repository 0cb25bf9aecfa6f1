package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

// gateway answers as a model of one input does, and tells of the last request.
func gateway(t *testing.T) (base string, last func() (header http.Header, body string), requests *atomic.Int64) {
	t.Helper()
	type request struct {
		header http.Header
		body   string
	}
	var seen atomic.Pointer[request]
	requests = &atomic.Int64{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/models/m", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"name":"m","inputs":[{"name":"x","datatype":"INT64","shape":[-1,2,-1]}]}`)
	})
	mux.HandleFunc("POST /v2/models/m/infer", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen.Store(&request{r.Header, string(body)})
		requests.Add(1)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, func() (http.Header, string) { return seen.Load().header, seen.Load().body }, requests
}

func TestCommandReports(t *testing.T) {
	base, last, requests := gateway(t)
	var out, errOut bytes.Buffer
	args := []string{"-url", base, "-model", "m", "-json", "-rows", "2", "-dim", "1", "-header", "X-Key: a b", "-warmup", "0s", "-d", "100ms", "-c", "3"}
	if err := command(t.Context(), append(args, "-o", "json"), &out, &errOut); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Requests != requests.Load() || r.PerSecond <= 0 || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P99 || len(r.Timeline) == 0 || r.Lag != nil {
		t.Errorf("%+v; the server saw %d", r, requests.Load())
	}
	header, body := last()
	if header.Get("X-Key") != "a b" || header.Get("Content-Type") != "application/json" || !strings.Contains(body, `"shape":[2,2,1]`) {
		t.Errorf("%v with %s", header, body)
	}
	out.Reset()
	if err := command(t.Context(), append(args, "-rate", "300", "-arrival", "constant", "-burst", "2,10ms,20ms"), &out, &errOut); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"open loop, 300 requests/s (constant), up to 3 connections", "requests/s, 3", "p99.9", "lag", "threads at work"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if errOut.Len() > 0 { // it is no terminal
		t.Errorf("said %q", errOut.String())
	}
}

func TestCommandSendsAFile(t *testing.T) {
	base, last, _ := gateway(t)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("as it is"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-url", base, "-model", "m"}, {"-url", base + "/v2/models/m/infer"}} {
		args = append(args, "-body", file, "-header", "content-type: text/x", "-warmup", "0s", "-d", "20ms")
		if err := command(t.Context(), args, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		if header, body := last(); body != "as it is" || len(header["Content-Type"]) != 1 || header.Get("Content-Type") != "text/x" {
			t.Errorf("%v with %q", header, body)
		}
	}
}

func TestCommandSaysWhatIsWrong(t *testing.T) {
	base, _, _ := gateway(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for want, args := range map[string][]string{
		"-model is missing":        {},
		"refused":                  {"-url", gone.URL, "-model", "m"},
		"404":                      {"-url", base, "-model", "other"},
		"Say x:2=N":                {"-url", base, "-model", "m"},
		"exclude each other":       {"-model", "m", "-json", "-binary"},
		"sent as it is":            {"-body", "x", "-rows", "2"},
		"no such file":             {"-body", "/no/such/file"},
		"want poisson or constant": {"-model", "m", "-arrival", "uniform"},
		"want factor,at,for":       {"-model", "m", "-rate", "1", "-burst", "10,5s"},
		"want text or json":        {"-model", "m", "-o", "yaml"},
		"want N or input:axis=N":   {"-model", "m", "-dim", "x:1"},
		"want 'name: value'":       {"-model", "m", "-header", "x"},
		`"m" is no flag`:           {"-model", "m", "m"},
		"not defined":              {"-models", "m"},
		"no request was answered":  {"-url", base + "/v2/models/m", "-body", os.Args[0], "-d", "20ms", "-warmup", "0s"},
		"ended early":              {"-url", base, "-model", "m", "-dim", "1", "-d", "1h"},
	} {
		limit := time.Minute
		if want == "ended early" {
			limit = 2 * time.Second
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := command(ctx, args, io.Discard, io.Discard)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

func TestCommandHelps(t *testing.T) {
	var out bytes.Buffer
	if err := command(t.Context(), []string{"-h"}, io.Discard, &out); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
	for _, want := range []string{"open loop", "-burst factor,at,for"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in the help", want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	say := progressLine(&out, &loadgen.Plan{Warmup: time.Second, Duration: 5 * time.Second})
	say(loadgen.Progress{Phase: "counted", Since: 2 * time.Second, Rate: 1234, Answered: 5678, Failed: 9})
	if got := out.String(); !strings.Contains(got, "counted 2 of 6 s: 1234/s answered, 5678 in all, 9 failed") || strings.Contains(got, "\n") {
		t.Errorf("%q", got)
	}
}
