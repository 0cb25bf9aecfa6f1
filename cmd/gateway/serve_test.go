package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(asGateway); args != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := run(ctx, strings.Split(args, "\n"), nil, os.Stdout, os.Stderr, watched)
		stop()
		os.Exit(code)
	}
	if os.Getenv("SLUICE_RETRAIN_ID") != "" { // a gateway of a test has started this program
		os.Exit(train())
	}
	// fasthttp's worker pool sleeps for a while after its server has stopped.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

func TestServeRefuses(t *testing.T) {
	f := func(code int, part string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"serve"}, args...))
		if got.code != code || !strings.Contains(got.errOut, part) {
			t.Errorf("%v = %+v, want code %d and %q", args, got, code, part)
		}
	}
	f(exitUsage, "--model-repository DIR")
	f(exitUsage, "one model", "a.onnx", "b.onnx")
	f(exitUsage, "not both", "a.onnx", "--model-repository", "models")
	f(exitFailed, "no such file", filepath.Join(t.TempDir(), "a.onnx"))
	f(exitFailed, "none.yaml", "-c", "none.yaml")
	f(exitFailed, "--log-level: log.level: ", "--model-repository", t.TempDir(), "--log-level", "loud")
	f(exitFailed, "gateway: ", "--model-repository", filepath.Join(t.TempDir(), "none"))
}

// The whole program: it serves the demo models and prints its addresses, and the other commands
// reach it. A hang-up makes it reload, and the end of its context stops it.
func TestServe(t *testing.T) {
	models, err := filepath.Abs(filepath.Join("..", "..", "models"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\nadmin: {address: '127.0.0.1:0'}\n", models)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, outWriter := io.Pipe()
	log, logWriter := io.Pipe()
	code := make(chan int, 1)
	go func() { // the test receives the result
		code <- run(ctx, []string{"serve", "-c", file}, nil, outWriter, logWriter, watched)
		_ = outWriter.Close()
		_ = logWriter.Close()
	}()
	reloaded := make(chan bool, 1)
	go func() { // ends when the program has ended
		seen := false
		for s := bufio.NewScanner(log); s.Scan(); {
			t.Log(s.Text())
			if !seen && strings.Contains(s.Text(), `"reloaded"`) {
				seen = true
				reloaded <- true
			}
		}
		close(reloaded)
	}()
	data, admin := welcomed(t, out)

	if got := command(t, "", []string{"healthcheck", "--admin", admin}); got.code != exitOK {
		t.Errorf("healthcheck: %+v", got)
	}
	if got := command(t, "", []string{"models", "list", "--admin", admin}); got.code != exitOK || !strings.Contains(got.out, "iris") {
		t.Errorf("models list: %+v", got)
	}
	got := command(t, "", []string{"infer", "iris", "--example", "--rows", "3", "--data", data})
	var answer struct {
		Outputs []struct{ Shape []int64 }
	}
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || len(answer.Outputs) == 0 || answer.Outputs[0].Shape[0] != 3 {
		t.Errorf("infer: %+v", got)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if !<-reloaded {
		t.Error("SIGHUP did not reload")
	}
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
	<-reloaded // closed: the log was read to its end
}

// One model file is served without other settings, and each command of the welcome works.
func TestServeOneModel(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	f := func(width int64, more ...int64) {
		t.Helper()
		g := onnxgen.New("m")
		x := g.Input("x", infer.FP32, "N", width)
		for i, w := range more {
			other := g.Op("Cast", g.Input(fmt.Sprintf("it's %d", i), infer.Int64, "N", w)).Int("to", 1)
			x = g.Op("Concat", x, other).Int("axis", 1)
			width += w
		}
		g.Output("y", infer.FP32, g.Op("Identity", x), "N", width)
		file := filepath.Join(t.TempDir(), "my model.onnx")
		if err := os.WriteFile(file, g.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		out, outWriter := io.Pipe()
		code := make(chan int, 1)
		go func() { // the test receives the result
			code <- run(ctx, []string{"serve", file, "--http-address", "127.0.0.1:0", "--grpc-address", "none", "--admin-address", "127.0.0.1:0"}, nil, outWriter, io.Discard, watched)
			_ = outWriter.Close()
		}()
		commands := 0
		for s := bufio.NewScanner(out); s.Scan(); {
			line := strings.TrimSpace(s.Text())
			if !strings.Contains(line, "curl ") {
				continue
			}
			got, err := exec.CommandContext(t.Context(), "sh", "-c", line).Output()
			if err != nil || strings.Contains(line, "/infer") != strings.Contains(string(got), `"model_name":"my model","model_version":"1","outputs"`) {
				t.Errorf("%s: %.300s, %v", line, got, err)
			}
			if commands++; strings.HasSuffix(line, "/metrics") { // the last command
				break
			}
		}
		if commands != 3 {
			t.Errorf("%d commands, want 3", commands)
		}
		cancel()
		if c := <-code; c != exitOK {
			t.Errorf("exit code %d", c)
		}
	}
	f(4)
	f(2000)
	f(1500, 700, 30)
}

// Without a terminal there is only the log.
func TestServeWithoutATerminalHasNoWelcome(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log, logWriter := io.Pipe()
	var out strings.Builder
	code := make(chan int, 1)
	go func() { // the test receives the result
		code <- run(ctx, []string{"serve", "--model-repository", t.TempDir(), "--http-address", "127.0.0.1:0", "--grpc-address", "none", "--admin-address", "127.0.0.1:0"}, nil, &out, logWriter, terminal)
		_ = logWriter.Close()
	}()
	for s := bufio.NewScanner(log); s.Scan(); {
		if strings.Contains(s.Text(), `"an entry of the model repository is not served"`) {
			cancel() // the gateway is up
		}
	}
	if c := <-code; c != exitOK || out.String() != "" {
		t.Errorf("exit code %d, %q", c, out.String())
	}
}

// welcomed reads the welcome and returns the addresses in it.
func welcomed(t *testing.T, out io.Reader) (data, admin string) {
	t.Helper()
	for s := bufio.NewScanner(out); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		switch {
		case strings.HasPrefix(line, "HTTP "):
			data = strings.TrimSpace(line[len("HTTP "):])
		case strings.HasPrefix(line, "admin "):
			admin = strings.TrimSpace(line[len("admin "):])
		case strings.HasSuffix(line, "/metrics"): // the last line
			return data, admin
		}
	}
	t.Fatal("the program ended before its welcome")
	return "", ""
}

func TestLogger(t *testing.T) {
	f := func(level, format string, check func(text string) bool) {
		t.Helper()
		var b bytes.Buffer
		log, _ := newLogger(config.Log{Level: level, Format: format}, &b)
		log.Info("loaded", zap.String("model", "iris"))
		if !check(b.String()) {
			t.Errorf("%s %s writes %q", level, format, b.String())
		}
	}
	f("info", "json", func(text string) bool {
		var entry struct{ Level, Msg, Model, Time string }
		return json.Unmarshal([]byte(text), &entry) == nil && entry.Level == "info" && entry.Msg == "loaded" && entry.Model == "iris" && entry.Time != ""
	})
	f("info", "console", func(text string) bool { return strings.Contains(text, "INFO\tloaded") })
	f("warn", "json", func(text string) bool { return text == "" })
}
