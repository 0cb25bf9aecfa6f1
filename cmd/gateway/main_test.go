package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
)

// result is the result of a command line.
type result struct {
	code        int
	out, errOut string
}

// command runs a command line. Its environment has only env, a list of names and values.
func command(t *testing.T, in string, args []string, env ...string) result {
	t.Helper()
	for _, name := range []string{"SLUICE_ADMIN", "SLUICE_DATA", "SLUICE_GRPC", "SLUICE_TOKEN", "SLUICE_CA", "SLUICE_CERT", "SLUICE_KEY"} {
		t.Setenv(name, "")
	}
	for i := 0; i < len(env); i += 2 {
		t.Setenv(env[i], env[i+1])
	}
	var out, errOut strings.Builder
	code := run(t.Context(), args, strings.NewReader(in), &out, &errOut, terminal)
	return result{code, out.String(), errOut.String()}
}

// expectLines holds that a command succeeded and printed lines that begin so.
func expectLines(t *testing.T, got result, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got.code != exitOK || !strings.Contains("\n"+got.out, "\n"+want) {
			t.Errorf("no line %q in %+v", want, got)
		}
	}
}

// watched says that any stream is a terminal.
func watched(any) bool { return true }

// gateway answers by "METHOD path", and anything else with 404.
func gateway(t *testing.T, routes map[string]http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle := routes[r.Method+" "+r.URL.Path]; handle != nil {
			handle(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(api.Error{Error: "nothing at " + r.URL.Path})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func says(doc any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(doc) }
}

func fails(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(api.Error{Error: message})
	}
}

func TestUsageErrors(t *testing.T) {
	f := func(part string, args ...string) {
		t.Helper()
		got := command(t, "", args)
		if got.code != exitUsage || got.out != "" || !strings.Contains(got.errOut, part) || strings.Count(got.errOut, "\n") != 1 {
			t.Errorf("%v = %+v, want code 2 and one line with %q", args, got, part)
		}
	}
	f(`unknown command "bogus" for "gateway"`, "bogus")
	f(`unknown command "modles" for "gateway"; did you mean models?`, "modles")
	f(`unknown command "lst" for "gateway routes"; did you mean list`, "routes", "lst")
	f("bogus", "models", "bogus")
	f("--nope", "models", "list", "--nope")
	f("--canari; did you mean --canary?", "routes", "set", "iris", "--canari", "2=5%")
	f("models describe MODEL", "models", "describe")
	f("models load MODEL", "models", "load", "a", "b")
	f("table, wide, json, yaml or name", "models", "list", "-o", "xml")
	f("http://", "models", "list", "--admin", "ftp://x")
	f("--timeout", "models", "list", "--timeout", "0s")
	f("-c FILE", "check")
	f("infer MODEL", "infer")
	f("one of --example", "infer", "iris")
	f("one of --example", "infer", "iris", "--example", "--json", "{}")
	f("--rows", "infer", "iris", "--example", "--rows", "0")
	f("--version", "infer", "iris", "--example", "--version", "-1")
}

func TestHelpAndCompletion(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help", "infer"}, {"completion", "bash"}, {"version"}, {"--version"}} {
		if got := command(t, "", args); got.code != exitOK || got.out == "" || got.errOut != "" {
			t.Errorf("%v = %+v", args, got)
		}
	}
}

func TestModelsListSaysWhatIsNotServed(t *testing.T) {
	at := gateway(t, map[string]http.HandlerFunc{
		"GET /api/v1/models": says([]api.ModelStatus{}),
		"GET /api/v1/status": says(api.ServerStatus{RepositoryWarnings: []api.RepositoryWarning{{Path: ".", Problem: "the repository is empty", Advice: "fill it"}}}),
	})
	got := command(t, "", []string{"models", "list", "--admin", at})
	if got.code != exitOK || got.errOut != "not served: model repository: the repository is empty; fill it\n" {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "sluice.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("repository: {path: models}\n")
	if got := command(t, "", []string{"check", "-c", good}); got.code != exitOK || got.out != good+": ok\n" || !strings.Contains(got.errOut, "there is no folder models here") {
		t.Errorf("a good file: %+v", got)
	}
	bad := file("repository: {path: models, parallel_loads: 0}\nservr: {}\n")
	got := command(t, "", []string{"check", "-c", bad, "--model-control", "sometimes"})
	lines := strings.Split(strings.TrimSpace(got.errOut), "\n")
	if got.code != exitFailed || len(lines) != 3 {
		t.Fatalf("a bad file: %+v, want code 1 and 3 problems", got)
	}
	for i, want := range []string{bad + ":1: repository.parallel_loads: ", bad + ":2: servr: ", "--model-control: repository.control: "} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("problem %d is %q, want %q", i, lines[i], want)
		}
	}
	// Flags complete a file as for serve.
	if got := command(t, "", []string{"check", "-c", file(""), "--model-repository", "models"}); got.code != exitOK {
		t.Errorf("an empty file with a flag: %+v", got)
	}
	if got := command(t, "", []string{"check", "-c", "none.yaml"}); got.code != exitFailed {
		t.Errorf("no file: %+v", got)
	}
	// The other files that the file names are checked too.
	profile := file("{\"format\":\"sluice.io/profile/v0\"}")
	watched := file("repository: {path: models}\nmodels: {a: {drift: {profile: none.json}}, b: {drift: {profile: " + profile + "}}}\n")
	got = command(t, "", []string{"check", "-c", watched})
	if got.code != exitFailed || !strings.Contains(got.errOut, "models.a.drift.profile: there is no such file") || !strings.Contains(got.errOut, "models.b.drift.profile: ") {
		t.Errorf("profiles: %+v", got)
	}
}

// Names in a file that are not in the repository are reported with their line.
func TestCheckLooksAtTheRepository(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"iris/1", "iris/2", "wine/1"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		place(t, filepath.Join(dir, name, "model.onnx"), "x")
	}
	if err := os.Remove(filepath.Join(dir, "wine/1/model.onnx")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	check := func(text string) result {
		t.Helper()
		place(t, file, "repository: {path: "+dir+"}\n"+text)
		return command(t, "", []string{"check", "-c", file})
	}
	expect(t, result{exitOK, file + ": ok\n", ""}, check("models: {iris: {versions: [1, 2]}}\nroutes: {iris: {variants: [{version: 1, weight: 100%}]}}\n"))
	got := check(`models:
  irsi: {timeout: 1s}
  iris:
    versions:
      - 1
      - 7
    drift: {profile: none.json}
  wine: {versions: [1]}
routes:
  iris:
    variants: [{version: 9, weight: 100%}]
    shadows: [{version: 8, sample: 1%}]
    fallback: 6
  other: {variants: [{version: 1, weight: 100%}]}
`)
	want := file + strings.ReplaceAll(`:3: models.irsi: the repository has no model 'irsi'; did you mean iris?
:7: models.iris.versions[1]: the repository has no version 7 of model 'iris'
:8: models.iris.drift.profile: there is no such file
:9: models.wine.versions[0]: version 1 of model 'wine' cannot be loaded: the version's folder has no model.onnx
:12: routes.iris.variants[0].version: the repository has no version 9 of model 'iris'
:13: routes.iris.shadows[0].version: the repository has no version 8 of model 'iris'
:14: routes.iris.fallback: the repository has no version 6 of model 'iris'
:15: routes.other.model: the repository has no model 'other'
`, "\n:", "\n"+file+":")
	expect(t, result{exitFailed, "", want}, got)
	place(t, filepath.Join(dir, "stray.onnx"), "x")
	if got := check(""); got.code != exitFailed || !strings.Contains(got.errOut, ":1: repository.path: stray.onnx: a model file is not used in this folder") {
		t.Errorf("%+v", got)
	}
}

func TestHealthcheck(t *testing.T) {
	up := gateway(t, map[string]http.HandlerFunc{"GET /-/ready": says(nil), "GET /v2/health/ready": says(nil)})
	down := gateway(t, map[string]http.HandlerFunc{
		"GET /-/ready": fails(http.StatusServiceUnavailable, "models are still loading"),
	})
	f := func(code int, part string, args []string, env ...string) {
		t.Helper()
		got := command(t, "", append([]string{"healthcheck"}, args...), env...)
		if got.code != code || !strings.Contains(got.out+got.errOut, part) {
			t.Errorf("%v = %+v, want %d and %q", args, got, code, part)
		}
	}
	f(exitOK, "ready\n", []string{"--admin", up})
	f(exitOK, "ready\n", []string{"--data", up})
	f(exitOK, "ready\n", nil, "SLUICE_ADMIN", up)
	f(exitOK, "ready\n", []string{"--admin", up}, "SLUICE_ADMIN", down)
	f(exitFailed, "gateway: models are still loading (503 Service Unavailable)\n", []string{"--admin", down})
	f(exitFailed, "gateway: nothing at /v2/health/ready (404 Not Found)\n", []string{"--data", down})
}

var (
	loadedAt = time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	versions = []api.ModelStatus{
		{Name: "broken", State: api.StateUnavailable, Reason: "the file is not an ONNX model"},
		{Name: "face", Version: 1, State: api.StateReady, Detail: &api.ModelDetail{Instances: 2, Warmup: "ok", Batching: api.BatchingStatus{
			Summary: "no, fixed rows", Reason: "input 'x' has no free first dimension (it is fixed at 1)", Advice: "set batching.relax to let requests be joined",
		}}},
		{
			Name: "iris", Version: 2, State: api.StateReady, Digest: "sha256:abc", LoadedAt: &loadedAt,
			Detail: &api.ModelDetail{
				Inputs: []api.Tensor{{Name: "x", Datatype: "FP32", Shape: []int64{-1, 4}, Symbols: []string{"batch", ""}}, {Name: "bias", Datatype: "FP32", Shape: []int64{}, Optional: true}},
				Outputs: []api.Tensor{
					{Name: "label", Datatype: "INT64", Shape: []int64{-1}},
					{Name: "scores", Datatype: "FP32", Shape: []int64{-1, 2}, Labels: []string{"cat", "dog"}},
					{Name: "digits", Datatype: "FP32", Shape: []int64{-1, 11}, Labels: strings.Split("0 1 2 3 4 5 6 7 8 9 none", " ")},
				},
				Instances: 2, Warmup: "ok", Ignored: []string{"config.pbtxt"}, ZipMaps: []string{"scores"}, LabelsFrom: []string{"ZipMap"}, Profile: &api.ModelProfile{From: api.ProfileFromVersion, Digest: "sha256:77"},
				Providers: []api.Provider{{Name: "cuda", Options: map[string]string{"device_id": "0", "arena": "1"}}, {Name: "cpu"}},
				Batching: api.BatchingStatus{Enabled: true, MaxSize: 32, Summary: "yes, probed", Reason: "rows are equal alone and together", RunTimes: []api.RunTime{
					{Shape: "x[-1,4]", Runs: 1000, MinRows: 1, MaxRows: 32, Fixed: 4000, PerRow: 850, RunRows: 32, Gain: 4.96, Joined: true},
					{Shape: "x[-1,9]", Runs: 7, MinRows: 2, MaxRows: 2, Fixed: 135000},
				}},
			},
			Memory: &api.ModelMemory{InstanceBytes: 4096},
		},
	}
)

func TestModels(t *testing.T) {
	url := gateway(t, map[string]http.HandlerFunc{
		"GET /api/v1/models":              says(versions),
		"GET /api/v1/models/iris":         says(versions[2:]),
		"GET /api/v1/models/face":         says(versions[1:2]),
		"POST /api/v1/models/iris/load":   says(versions[2:]),
		"POST /api/v1/models/iris/unload": fails(http.StatusServiceUnavailable, "only under --model-control explicit"),
	})
	f := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"models", "--admin", url}, args...))
		if diff := cmp.Diff(result{exitOK, want, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", args, diff)
		}
	}
	f(`MODEL   VERSION  ROLE  STATE        LOADED               BATCHING        INSTANCES  REASON
broken  -        -     UNAVAILABLE  -                    -               -          the file is not an ONNX model
face    1        -     READY        -                    no, fixed rows  2          
iris    2        -     READY        2026-05-04 03:02:01  yes, probed     2          
`, "list")
	f(`Model:      face
Version:    1
State:      READY
Instances:  2
Batching:   no, fixed rows: input 'x' has no free first dimension (it is fixed at 1); set batching.relax to let requests be joined
Warm-up:    ok
`, "describe", "face")
	f(`MODEL  VERSION  ROLE  STATE  LOADED               BATCHING     INSTANCES  REASON
iris   2        -     READY  2026-05-04 03:02:01  yes, probed  2          
`, "load", "iris")
	f(`Model:          iris
Version:        2
State:          READY
Digest:         sha256:abc
Loaded:         2026-05-04 03:02:01
Instances:      2
Batching:       yes, probed, up to 32 rows: rows are equal alone and together
Run time:       x[-1,4] 4µs + 850ns a row, in 1000 runs of 1 to 32 rows; 5.0 times the rows in runs of 32; joined
Run time:       x[-1,9] 135µs, in 7 runs of 2 rows; one by one
Warm-up:        ok
Provider:       cuda arena=1 device_id=0
Provider:       cpu
Ignored files:  config.pbtxt
ZipMap:         removed, so that these outputs are tensors: scores
Labels from:    ZipMap
Profile:        from the version folder, sha256:77
Input:          x FP32[-1,4] (batch)
Input:          bias FP32[] optional
Output:         label INT64[-1]
Output:         scores FP32[-1,2] labels cat, dog
Output:         digits FP32[-1,11] labels 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … (11)
Memory:         4096 bytes
`, "describe", "iris")

	got := command(t, "", []string{"models", "list", "-o", "json"}, "SLUICE_ADMIN", url)
	var decoded []api.ModelStatus
	if err := json.Unmarshal([]byte(got.out), &decoded); err != nil {
		t.Fatalf("%v in %+v", err, got)
	}
	if diff := cmp.Diff(versions, decoded, cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("-o json (-want +got):\n%s", diff)
	}

	failed := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"models", "--admin", url}, args...))
		if got.code != exitFailed || got.out != "" || got.errOut != want {
			t.Errorf("%v = %+v, want %q", args, got, want)
		}
	}
	failed("gateway: only under --model-control explicit (503 Service Unavailable)\n", "unload", "iris")
	failed("gateway: nothing at /api/v1/models/none (404 Not Found)\n", "describe", "none")
}

func TestTokenComesFromTheEnvironment(t *testing.T) {
	url := gateway(t, map[string]http.HandlerFunc{"GET /api/v1/models": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			fails(http.StatusUnauthorized, "a token is needed")(w, r)
			return
		}
		says(versions)(w, r)
	}})
	args := []string{"models", "list", "--admin", url}
	if got := command(t, "", args); got.code != exitFailed || !strings.Contains(got.errOut, "SLUICE_TOKEN") {
		t.Errorf("without: %+v", got)
	}
	if got := command(t, "", args, "SLUICE_TOKEN", "s3cret"); got.code != exitOK {
		t.Errorf("with: %+v", got)
	}
}

func TestChangesBearTheirActor(t *testing.T) {
	var sent string
	url := gateway(t, map[string]http.HandlerFunc{"POST /api/v1/models/iris/load": func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Sluice-Actor")
		says(versions)(w, r)
	}})
	if got := command(t, "", []string{"models", "load", "iris", "--admin", url}, "SLUICE_ACTOR", "carol"); got.code != exitOK || sent != "carol" {
		t.Errorf("%+v as %q", got, sent)
	}
	u, err := user.Current()
	if err != nil {
		t.Skip("this user has no name")
	}
	if got := command(t, "", []string{"models", "load", "iris", "--admin", url}, "SLUICE_ACTOR", ""); got.code != exitOK || sent != u.Username {
		t.Errorf("%+v as %q, want %q", got, sent, u.Username)
	}
}

func TestModelNamesComplete(t *testing.T) {
	url := gateway(t, map[string]http.HandlerFunc{"GET /api/v1/models": says(append(versions, versions[2]))})
	f := func(want string, args ...string) {
		t.Helper()
		got := command(t, "", append([]string{"__complete"}, args...), "SLUICE_ADMIN", url)
		if got.out != want {
			t.Errorf("%v = %+v, want %q", args, got, want)
		}
	}
	f("broken\nface\niris\n:4\n", "models", "describe", "")
	f("broken\nface\niris\n:4\n", "infer", "")
	f(":4\n", "infer", "iris", "")
	f(":4\n", "infer", "--admin", "ftp://x", "")
}

// place writes a file.
func place(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
