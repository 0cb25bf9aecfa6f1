package mlflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/mlflow"
)

// tracking is a tracking server with one version, which answers as told.
type tracking struct {
	*httptest.Server

	uri       string            // of the artifacts
	artifacts map[string]string // by the path below the root of all artifacts
	answers   map[string]string // instead of the usual ones, by the end of the path

	mu    sync.Mutex
	asked []string // the headers Authorization; guarded by mu
}

const mlmodel = "flavors:\n  onnx:\n    data: model.onnx\n  python_function: {loader_module: mlflow.onnx}\n"

func newTracking(t *testing.T) *tracking {
	t.Helper()
	s := &tracking{
		uri: "mlflow-artifacts:/1/models/m-1/artifacts", answers: map[string]string{},
		artifacts: map[string]string{"1/models/m-1/artifacts/MLmodel": mlmodel, "1/models/m-1/artifacts/model.onnx": "the model"},
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP answers as MLflow's server does.
func (s *tracking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Header.Get("Authorization"))
	s.mu.Unlock()
	for path, text := range s.answers {
		if strings.HasSuffix(r.URL.Path, path) {
			_, _ = io.WriteString(w, text)
			return
		}
	}
	const version = `{"model_version": {"name": "iris", "version": "3", "status": "READY", "run_id": "r1", "description": "of flowers",
		"tags": [{"key": "team", "value": "flowers"}, {"key": "mlflow.x", "value": "y"}], "metrics": [{"key": "accuracy", "value": 0.97}]}}`
	q := r.URL.Query()
	switch path, isArtifact := strings.CutPrefix(r.URL.Path, "/api/2.0/mlflow-artifacts/artifacts/"); {
	case isArtifact && s.artifacts[path] != "":
		_, _ = io.WriteString(w, s.artifacts[path])
	case r.URL.Path == "/api/2.0/mlflow/model-versions/get" && q.Get("name") == "iris" && q.Get("version") == "3",
		r.URL.Path == "/api/2.0/mlflow/registered-models/alias" && q.Get("name") == "iris" && q.Get("alias") == "champion":
		_, _ = io.WriteString(w, version)
	case r.URL.Path == "/api/2.0/mlflow/model-versions/get-download-uri" && q.Get("version") == "3":
		_ = json.NewEncoder(w).Encode(map[string]string{"artifact_uri": s.uri})
	case r.URL.Path == "/api/2.0/mlflow/runs/get" && q.Get("run_id") == "r1":
		_, _ = io.WriteString(w, `{"run": {"data": {"metrics": [{"key": "accuracy", "value": 0.5}, {"key": "loss", "value": "NaN"}, {"key": "f1", "value": 0.9}],
			"params": [{"key": "depth", "value": "4"}], "tags": [{"key": "mlflow.source.git.commit", "value": "abc"}, {"key": "team", "value": "of the run"}]},
			"inputs": {"dataset_inputs": [{"dataset": {"name": "iris", "digest": "d1"}}, {"dataset": {"name": "more"}}]}}}`)
	case r.URL.Path == "/api/2.0/mlflow-artifacts/artifacts":
		_, _ = io.WriteString(w, `{"files": [{"path": "MLmodel", "is_dir": false}, {"path": "labels.txt", "is_dir": false}, {"path": "golden.json", "is_dir": true}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "%s is unknown"}`, r.URL.Path)
	}
}

func (s *tracking) find(t *testing.T, reference string, change func(*mlflow.Options)) (*mlflow.Model, error) {
	t.Helper()
	o := mlflow.Options{URL: s.URL, Timeout: time.Minute}
	if change != nil {
		change(&o)
	}
	c, err := mlflow.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.Find(t.Context(), reference)
}

func read(t *testing.T, m *mlflow.Model, name string) (string, error) {
	t.Helper()
	file, _, err := m.Open(t.Context(), name)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(file)
	return string(text), err
}

func TestFind(t *testing.T) {
	s := newTracking(t)
	want := api.VersionMetadata{
		Lineage: api.Lineage{
			Run: "r1", Source: s.URL + "/#/models/iris/versions/3", CodeRevision: "abc", DataSnapshot: "iris@d1, more",
			Metrics: map[string]float64{"accuracy": 0.97, "f1": 0.9}, Parameters: map[string]string{"depth": "4"},
		},
		Tags: map[string]string{"team": "flowers"}, Card: map[string]any{"description": "of flowers"},
	}
	for _, reference := range []string{"models:/iris/3", "models:/iris@champion"} {
		m, err := s.find(t, reference, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.Metadata); diff != "" || m.File != "model.onnx" || m.Reference.String() != "models:/iris/3" {
			t.Errorf("%+v %s", m, diff)
		}
		if text, err := read(t, m, ""); err != nil || text != "the model" {
			t.Errorf("%q %v", text, err)
		}
		if beside, err := m.Beside(t.Context(), []string{"labels.txt", "golden.json", "profile.json"}); err != nil || !cmp.Equal(beside, []string{"labels.txt"}) {
			t.Errorf("%v %v", beside, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The credentials are for the tracking server, and no other.
func TestCredentials(t *testing.T) {
	s, elsewhere := newTracking(t), newTracking(t)
	if _, err := s.find(t, "models:/iris/3", func(o *mlflow.Options) { o.User, o.Password = "ada", "secret" }); err != nil || !strings.HasPrefix(s.asked[0], "Basic ") {
		t.Error(err, s.asked)
	}
	host := strings.TrimPrefix(elsewhere.URL, "http://")
	for _, uri := range []string{"mlflow-artifacts://" + host + "/1/models/m-1/artifacts", elsewhere.URL + "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts"} {
		s.uri = uri
		_, err := s.find(t, "models:/iris/3", func(o *mlflow.Options) { o.Token = "secret" })
		refused(t, err, infer.Invalid, "registry.mlflow.allowed_hosts does not name")
		m, err := s.find(t, "models:/iris/3", func(o *mlflow.Options) { o.Token, o.Hosts = "secret", []string{host} })
		if err != nil {
			t.Fatal(err)
		}
		if text, err := read(t, m, ""); err != nil || text != "the model" {
			t.Errorf("%q %v", text, err)
		}
	}
	if s.asked[len(s.asked)-1] != "Bearer secret" || strings.Join(elsewhere.asked, "") != "" {
		t.Errorf("%q, and elsewhere %q", s.asked, elsewhere.asked)
	}
}

func refused(t *testing.T, err error, code infer.Code, text string) {
	t.Helper()
	if infer.CodeOf(err) != code || !strings.Contains(infer.Message(err), text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

func TestReferences(t *testing.T) {
	s := newTracking(t)
	for reference, text := range map[string]string{
		"iris/3": "not a reference", "models:/iris": "names no version", "models:/iris@": "names no version", "models:/iris/Production": "Stages of MLflow",
		"models:/iris/latest": "'latest'", "models:/iris/0": "not a number", "models:/iris/3/4": "not a number", "models:/": "no valid name", "models://iris/3": "no valid name",
		"models:/@a": "no valid name", "models:/i\nris/3": "no valid name",
	} {
		_, err := s.find(t, reference, nil)
		refused(t, err, infer.Invalid, text)
	}
	_, err := s.find(t, "models:/iris/4", nil)
	refused(t, err, infer.NotFound, "unknown")
	if len(s.asked) != 1 {
		t.Errorf("the server was asked %d times", len(s.asked))
	}
}

// Whatever the server answers, there is a clear error.
func TestLies(t *testing.T) {
	f := func(code infer.Code, text string, change func(*tracking)) {
		t.Helper()
		s := newTracking(t)
		change(s)
		m, err := s.find(t, "models:/iris/3", nil)
		if err == nil {
			_, err = m.Beside(t.Context(), []string{"labels.txt"})
		}
		refused(t, err, code, text)
	}
	answer := func(path, text string) func(*tracking) {
		return func(s *tracking) { s.answers[path] = text }
	}
	at := func(uri string) func(*tracking) { return func(s *tracking) { s.uri = uri } }
	const get = "/model-versions/get"
	f(infer.Unavailable, "not the expected JSON", answer(get, "<html>"))
	f(infer.Unavailable, "without a version", answer(get, "{}"))
	f(infer.Unavailable, `version "4" of model "iris"`, answer(get, `{"model_version": {"name": "iris", "version": "4"}}`))
	f(infer.Unavailable, `version "3" of model "other"`, answer(get, `{"model_version": {"name": "other", "version": "3"}}`))
	f(infer.Conflict, "PENDING_REGISTRATION", answer(get, `{"model_version": {"name": "iris", "version": "3", "status": "PENDING_REGISTRATION"}}`))
	f(infer.Unavailable, "more than", answer(get, strings.Repeat(" ", 9<<20)))
	f(infer.Unavailable, "not a valid address", at("mlflow-artifacts:/1/../../x"))
	f(infer.Unavailable, "not a valid address", at(""))
	f(infer.Invalid, `"s3://bucket"`, at("s3://bucket/models"))
	f(infer.Invalid, "does not read", at("https://example.test/models"))
	f(infer.Invalid, "registry.import_roots", at("/etc"))
	f(infer.Invalid, "registry.import_roots", at("file:///etc"))
	f(infer.Invalid, "does not read", at("file://host/etc"))
	f(infer.Invalid, `"python_function, sklearn", and not onnx`, answer("/MLmodel", "flavors: {sklearn: {}, python_function: {}}"))
	f(infer.Invalid, `"../../x"`, answer("/MLmodel", "flavors: {onnx: {data: ../../x}}"))
	f(infer.Invalid, `"/x"`, answer("/MLmodel", "flavors: {onnx: {data: /x}}"))
	f(infer.Invalid, `""`, answer("/MLmodel", "flavors: {onnx: {}}"))
	f(infer.Invalid, "not valid", answer("/MLmodel", "flavors: {onnx: [1]}"))
	f(infer.Invalid, "not valid YAML", answer("/MLmodel", "{"))
	f(infer.Invalid, "more than", answer("/MLmodel", strings.Repeat("#", 2<<20)))
	f(infer.NotFound, "unknown", func(s *tracking) { delete(s.artifacts, "1/models/m-1/artifacts/MLmodel") })
	f(infer.Unavailable, `"../x"`, answer("/mlflow-artifacts/artifacts", `{"files": [{"path": "../x"}]}`))
}

// A server that is down, slow, ends early, or sends elsewhere.
func TestTrouble(t *testing.T) {
	s := newTracking(t)
	down := httptest.NewServer(nil)
	down.Close()
	_, err := s.find(t, "models:/iris/3", func(o *mlflow.Options) { o.URL = down.URL })
	refused(t, err, infer.Unavailable, "cannot be reached")

	elsewhere := newTracking(t)
	for text, handler := range map[string]http.HandlerFunc{
		"redirects are not followed": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		},
		"with 401":               func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"answered 500":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"does not know the path": http.NotFound,
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
		"did not answer within": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"sent nothing for so long": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		server := httptest.NewServer(handler)
		_, err := s.find(t, "models:/iris/3", func(o *mlflow.Options) {
			o.URL = server.URL
			if strings.Contains(text, "within") || strings.Contains(text, "so long") {
				o.Timeout = 100 * time.Millisecond
			}
		})
		refused(t, err, infer.Unavailable, text)
		server.Close()
	}
	if len(elsewhere.asked) > 0 {
		t.Error("the redirect was followed")
	}
}

// Artifacts in a folder are read below the configured ones only, and never through links that lead out.
func TestFolder(t *testing.T) {
	s, dir, secret := newTracking(t), t.TempDir(), t.TempDir()
	roots := func(o *mlflow.Options) { o.Roots = []string{dir} }
	folder := filepath.Join(dir, "1", "artifacts")
	err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "MLmodel"), []byte(mlmodel), 0o600),
		os.WriteFile(filepath.Join(folder, "model.onnx"), []byte("the model"), 0o600), os.WriteFile(filepath.Join(folder, "labels.txt"), []byte("a\n"), 0o600),
		os.WriteFile(filepath.Join(secret, "MLmodel"), []byte(mlmodel), 0o600),
		os.Symlink(secret, filepath.Join(dir, "out")), os.Symlink(filepath.Join(secret, "MLmodel"), filepath.Join(folder, "golden.json")))
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{folder, "file://" + filepath.ToSlash(folder)} {
		s.uri = uri
		m, err := s.find(t, "models:/iris/3", roots)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := read(t, m, ""); err != nil || text != "the model" {
			t.Errorf("%q %v", text, err)
		}
		if beside, err := m.Beside(t.Context(), []string{"labels.txt", "golden.json"}); err != nil || !cmp.Equal(beside, []string{"labels.txt"}) {
			t.Errorf("%v %v", beside, err)
		}
		_, err = read(t, m, "golden.json")
		refused(t, err, infer.Invalid, "not a plain file")
		_, err = read(t, m, "../../x")
		refused(t, err, infer.Invalid, "not a valid path")
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	s.uri = filepath.Join(dir, "out")
	_, err = s.find(t, "models:/iris/3", roots)
	refused(t, err, infer.Invalid, "leads out")
	s.uri = secret
	_, err = s.find(t, "models:/iris/3", roots)
	refused(t, err, infer.Invalid, "registry.import_roots")
}

func FuzzReference(f *testing.F) {
	for _, seed := range []string{"models:/iris/3", "models:/iris@champion", "models:/a@b@c", "models:/a b/1", "models:/@", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := mlflow.ParseReference(text)
		if err != nil {
			if infer.CodeOf(err) != infer.Invalid {
				t.Error(err)
			}
			return
		}
		if again, err := mlflow.ParseReference(r.String()); err != nil || again != r || (r.Version == 0) == (r.Alias == "") {
			t.Errorf("%q is %+v, and again %+v %v", text, r, again, err)
		}
	})
}
