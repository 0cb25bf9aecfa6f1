package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/golden"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(trainerVariable); kind != "" && os.Getenv("SLUICE_RETRAIN_ID") != "" { // a gateway has started this program
		os.Exit(trainer(kind))
	}
	// Idle connections of the default client live as long as the process. fasthttp's pool of
	// workers notices its end only after up to ten seconds.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}), goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// gateway is a whole gateway that runs in this process.
type gateway struct {
	url, admin string // "http://127.0.0.1:…"
	http       string // "127.0.0.1:…"
	grpc       string // "127.0.0.1:…"
	file       string // its configuration
	stop       func() error
	levels     app.LogLevels
	unclean    bool // the test itself has checked the error of stop
}

// start runs a gateway over a repository until the test ends. yaml has further settings; the
// addresses are chosen here.
func start(t testing.TB, repository string, yaml ...string) *gateway {
	t.Helper()
	return startOn(t, nil, repository, yaml...)
}

// startOn is start on a runtime other than ONNX Runtime.
func startOn(t testing.TB, runtime serving.Runtime, repository string, yaml ...string) *gateway {
	t.Helper()
	return startLogging(t, zaptest.NewLogger(t, zaptest.Level(logLevel)), runtime, repository, yaml...)
}

// startLogging is startOn with a given log.
func startLogging(t testing.TB, log *zap.Logger, runtime serving.Runtime, repository string, yaml ...string) *gateway {
	t.Helper()
	g := launch(t, log, runtime, repository, yaml...)
	g.await(t)
	return g
}

// launch is startLogging that does not wait until the gateway is ready.
func launch(t testing.TB, log *zap.Logger, runtime serving.Runtime, repository string, yaml ...string) *gateway {
	t.Helper()
	g := &gateway{file: filepath.Join(t.TempDir(), "sluice.yaml")}
	g.configure(t, repository, yaml...)
	load := func() (*config.Config, error) { return config.Load(g.file) }
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	listening := make(chan app.Addresses, 1)
	options := app.Options{
		Config: cfg, Reload: load, Logger: log,
		LogLevels: &g.levels,
		Listening: func(at app.Addresses) { listening <- at },
	}
	if runtime != nil {
		options.OpenRuntime = func(*config.Config, *zap.Logger) (serving.Runtime, error) { return runtime, nil }
	}
	a, err := app.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	g.stop = func() error {
		http.DefaultClient.CloseIdleConnections() // the gateway would wait until they are closed
		cancel()
		err := <-ended
		ended <- err // for the next call
		return err
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil && !g.unclean {
			t.Errorf("stop: %v", err)
		}
	})
	select {
	case at := <-listening:
		g.grpc = at.GRPC.String()
		g.http, g.url, g.admin = at.HTTP.String(), "http://"+at.HTTP.String(), "http://"+at.Admin.String()
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return g
}

const logLevel = zapcore.ErrorLevel

// configure writes the gateway's file; a reload reads it.
func (g *gateway) configure(t testing.TB, repository string, yaml ...string) {
	t.Helper()
	text := fmt.Sprintf("repository: {path: %q%s}\nserver: {http: {address: '127.0.0.1:0'%s}, grpc: {address: '127.0.0.1:0'%s}%s}\nadmin: {address: '127.0.0.1:0'%s}\n",
		repository, extra("repository.", &yaml), extra("http.", &yaml), extra("grpc.", &yaml), extra("server.", &yaml), extra("admin.", &yaml))
	if err := os.WriteFile(g.file, []byte(text+strings.Join(yaml, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

// extra removes the entries that begin with prefix from yaml and returns them as further keys
// of that section.
func extra(prefix string, yaml *[]string) string {
	var keys strings.Builder
	var rest []string
	for _, y := range *yaml {
		if key, ok := strings.CutPrefix(y, prefix); ok {
			keys.WriteString(", " + key)
			continue
		}
		rest = append(rest, y)
	}
	*yaml = rest
	return keys.String()
}

// await waits until the gateway is ready.
func (g *gateway) await(t testing.TB) {
	t.Helper()
	for range 3000 {
		if status, _ := g.call(t, http.MethodGet, g.url+"/v2/health/ready", ""); status == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the gateway did not become ready")
}

// call sends a request and returns status and body.
func (g *gateway) call(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// must is call if only 200 is right.
func (g *gateway) must(t testing.TB, method, url, body string) string {
	t.Helper()
	status, text := g.call(t, method, url, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, url, status, text)
	}
	return text
}

// outputs returns the outputs of a V2 JSON answer.
func outputs(t *testing.T, body string) []golden.Tensor {
	t.Helper()
	var answer struct{ Outputs []golden.Tensor }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return answer.Outputs
}
