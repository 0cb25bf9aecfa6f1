package ort_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/onnxgen"
)

func TestBadFiles(t *testing.T) {
	good := double("good").Bytes()
	dir := t.TempDir()
	f := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if content != nil {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := env.Load(path, options())
		if err == nil {
			t.Error(name, "was loaded", s.Close())
			return
		}
		if infer.CodeOf(err) != infer.Invalid || strings.Contains(infer.Message(err), filepath.Base(dir)) {
			t.Errorf("%s: %v %q", name, infer.CodeOf(err), infer.Message(err))
		}
	}
	f("missing.onnx", nil)
	f("empty.onnx", []byte{})
	f("text.onnx", []byte("<!DOCTYPE html><title>404</title>"))
	f("garbage.onnx", slices.Repeat([]byte{0xff}, 1000))
	for _, n := range []int{1, len(good) / 3, len(good) / 2, len(good) - 1} {
		f("truncated.onnx", good[:n])
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.onnx"), 0o700); err != nil {
		t.Fatal(err)
	}
	f("folder.onnx", nil)
	g := onnxgen.New("unknown")
	g.Output("y", infer.FP32, g.Op("NoSuchOperator", g.Input("x", infer.FP32, 1)), 1)
	f("unknown.onnx", g.Bytes())
	g = onnxgen.New("external")
	g.Output("y", infer.FP32, g.Op("Add", g.Input("x", infer.FP32, 1), g.ExternalRef(onnxgen.Float32s([]float32{1}, 1), "location", "weights.bin")), 1)
	f("external.onnx", g.Bytes()) // its data is missing
}

func TestProviders(t *testing.T) {
	path := write(t, double("providers"))
	f := func(o ort.LoadOptions, wantError string, want ...string) {
		t.Helper()
		s, err := env.Load(path, o)
		if err != nil {
			if wantError == "" || infer.CodeOf(err) != infer.Invalid || !strings.Contains(infer.Message(err), wantError) {
				t.Errorf("got %v, want %q", err, wantError)
			}
			return
		}
		var got []string
		for _, p := range s.Providers() {
			got = append(got, p.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" || wantError != "" {
			t.Errorf("want error %q; %s", wantError, diff)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	provider := func(names ...string) (list []ort.Provider) {
		for _, name := range names {
			list = append(list, ort.Provider{Name: name})
		}
		return list
	}
	const cpu = "CPUExecutionProvider"
	f(options(), "", cpu)
	f(complete(ort.LoadOptions{Providers: provider("cpu")}), "", cpu)
	f(complete(ort.LoadOptions{Providers: provider("CPUExecutionProvider")}), "", cpu)
	f(complete(ort.LoadOptions{Providers: provider("nonsense")}), "execution provider 'nonsense' is not in this build of ONNX Runtime, which has")
	_ = logs.TakeAll()
	f(complete(ort.LoadOptions{Providers: provider("nonsense", "cpu"), Fallback: true}), "", cpu)
	if lines := logs.TakeAll(); len(lines) != 1 || lines[0].ContextMap()["provider"] != "nonsense" {
		t.Errorf("logged %v, want one line that names the provider", lines)
	}
	f(complete(ort.LoadOptions{Providers: provider("cpu", "cuda")}), "always the last")
	f(complete(ort.LoadOptions{Providers: []ort.Provider{{Name: "cpu", Options: map[string]string{"a": "b"}}}}), "takes no options")
	if !slices.Contains(env.AvailableProviders(), "CUDAExecutionProvider") {
		f(complete(ort.LoadOptions{Providers: provider("cuda")}), "execution provider 'cuda' is not in this build of ONNX Runtime")
		f(complete(ort.LoadOptions{Providers: provider("tensorrt", "cuda"), Fallback: true}), "", cpu)
	}
	if slices.Contains(env.AvailableProviders(), "AzureExecutionProvider") {
		f(complete(ort.LoadOptions{Providers: provider("azure")}), "", "AzureExecutionProvider", cpu) // by the general call
	}
}

func TestOptions(t *testing.T) {
	path := write(t, double("options"))
	f := func(o ort.LoadOptions, wantError string) {
		t.Helper()
		s, err := env.Load(path, o)
		if err == nil {
			instance, serr := s.NewInstance()
			if serr != nil {
				t.Fatal(serr)
			}
			same(t, mustPredict(t, instance, request(t, s, []string{"y"}, floats("x", infer.Shape{1, 2}, 1, 2))), floats("y", infer.Shape{1, 2}, 2, 4))
			err = errors.Join(instance.Close(), s.Close())
		}
		if wantError == "" && err != nil || !strings.Contains(infer.Message(err), wantError) || strings.Contains(infer.Message(err), "/") {
			t.Errorf("got %v, want %q", err, wantError)
		}
	}
	for _, level := range []string{"disable", "basic", "extended", "all"} {
		f(complete(ort.LoadOptions{OptimizationLevel: level}), "")
	}
	f(complete(ort.LoadOptions{OptimizationLevel: "fast"}), "OptimizationLevel is 'fast'")
	f(complete(ort.LoadOptions{IntraThreads: 2, CPUArena: true}), "")
	f(complete(ort.LoadOptions{ConfigEntries: map[string]string{"session.set_denormal_as_zero": "1"}}), "")
	f(complete(ort.LoadOptions{CustomOps: []string{filepath.Join(t.TempDir(), "libmissing.so")}}), "a library of custom operators cannot be loaded")
	f(complete(ort.LoadOptions{CustomOps: []string{ort.FindLibrary()}}), "a library of custom operators cannot be loaded")
}

// Sessions on the global pool add no threads of their own.
func TestGlobalThreads(t *testing.T) {
	threads := func() int {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Skip("no /proc here")
		}
		return len(list)
	}
	path := write(t, double("threads"))
	const n = 20
	before := threads()
	sessions := make([]*ort.Session, 0, n)
	for range n {
		s, err := env.Load(path, complete(ort.LoadOptions{IntraThreads: 4}))
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	// Go may start some threads meanwhile; pools of their own would be three for each session.
	if got := threads(); got > before+n {
		t.Errorf("%d threads with %d sessions, %d before", got, n, before)
	}
	for _, s := range sessions {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpen(t *testing.T) {
	if v := env.Version(); v != "1.24.1" && os.Getenv(ort.LibraryVariable) == "" {
		t.Errorf("version %q", v)
	}
	if _, err := ort.Open(ort.Options{GlobalThreads: 1}); err == nil {
		t.Error("opened twice")
	}
	if _, err := ort.Open(ort.Options{}); err == nil || !strings.Contains(err.Error(), "GlobalThreads is 0") {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"} {
		if os.Getenv(name) != "1" {
			t.Errorf("%s is not set", name)
		}
	}
}

// The memory of an unloaded model is given back: a server that reloads for months does not
// grow.
func TestMemoryReturnsAfterUnload(t *testing.T) {
	g := onnxgen.New("large")
	w := g.Init(onnxgen.Normal(onnxgen.Rand(1), 0.1, 2, 1<<19)) // 4 MiB
	g.Output("y", infer.FP32, g.Op("ReduceMax", g.Op("MatMul", g.Input("x", infer.FP32, "N", 2), w)).Ints("axes", 1).Int("keepdims", 0), "N")
	g.Opset("", 17)
	path := write(t, g)
	cycle := func() {
		s, err := env.Load(path, options())
		if err != nil {
			t.Fatal(err)
		}
		instance, err := s.NewInstance()
		if err != nil {
			t.Fatal(err)
		}
		mustPredict(t, instance, request(t, s, nil, floats("x", infer.Shape{4, 2}, 1, 2, 3, 4, 5, 6, 7, 8)))
		if err := errors.Join(instance.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		cycle()
	}
	before := residentBytes(t)
	for range 40 {
		cycle()
	}
	if after := residentBytes(t); after > before+32<<20 {
		t.Errorf("40 cycles of a model of 4 MiB: from %d to %d MiB", before>>20, after>>20)
	}
}

func residentBytes(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
