package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
)

var update = flag.Bool("update", false, "rewrite golden files and docs/config.md")

func noEnv(string) (string, bool) { return "", false }

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func mustParse(t *testing.T, text string, overrides ...config.Override) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text), noEnv, overrides...)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	cfg := mustParse(t, "repository: {path: m}")
	want := config.Default()
	want.Repository.Path = "m"
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Error(diff)
	}
	if cfg.Server.HTTP.Address != ":8000" || cfg.Admin.Address != "127.0.0.1:8002" {
		t.Errorf("addresses %q and %q", cfg.Server.HTTP.Address, cfg.Admin.Address)
	}
	if cfg.Server.HTTP.MaxBody != 64<<20 || cfg.Defaults.Timeout != 30*time.Second {
		t.Errorf("max_body %v, timeout %v", cfg.Server.HTTP.MaxBody, cfg.Defaults.Timeout)
	}
	if diff := cmp.Diff(config.Versions{Latest: 1}, cfg.Model("any").Versions); diff != "" {
		t.Error(diff)
	}
}

func TestModelsStartFromDefaults(t *testing.T) {
	cfg := mustParse(t, `
repository: {path: m}
models:
  iris:
    versions: [2, 1]
    session_config: {b: 0x2, c: 3}
    providers: [{name: cuda, options: {device_id: 0}}, {name: cpu}]
  "a.b": {batching: {max_size: 8, queue: {max_bytes: 1KiB}}}
  1:
defaults: # stands after the models, and counts all the same
  timeout: 5s
  versions: all
  session_config: {a: 1, b: 1}
  batching: {enabled: false, max_size: 16}
`)
	iris := cfg.Model("iris")
	if iris.Timeout != 5*time.Second || iris.Batching.MaxSize != 16 || iris.Batching.Enabled != config.BatchingOff {
		t.Errorf("iris took nothing from the defaults: %+v", iris)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "0x2", "c": "3"}, iris.SessionConfig); diff != "" {
		t.Errorf("mappings merge: %s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "1"}, cfg.Defaults.SessionConfig); diff != "" {
		t.Errorf("a model wrote into the defaults: %s", diff)
	}
	wantProviders := []config.Provider{{Name: "cuda", Options: map[string]string{"device_id": "0"}}, {Name: "cpu"}}
	if diff := cmp.Diff(wantProviders, iris.Providers); diff != "" {
		t.Errorf("lists replace: %s", diff)
	}
	if diff := cmp.Diff(config.Versions{Numbers: []int64{2, 1}}, iris.Versions); diff != "" {
		t.Error(diff)
	}
	dotted := cfg.Model("a.b")
	if dotted.Batching.MaxSize != 8 || dotted.Batching.Queue.MaxBytes != 1024 || dotted.Batching.Queue.MaxRequests != 1024 {
		t.Errorf("sections merge: %+v", dotted.Batching)
	}
	if diff := cmp.Diff(cfg.Defaults, cfg.Model("1")); diff != "" {
		t.Errorf("a model with nothing said: %s", diff)
	}
	if diff := cmp.Diff(cfg.Defaults, cfg.Model("unnamed")); diff != "" {
		t.Error(diff)
	}
}

func TestColumns(t *testing.T) {
	cfg := mustParse(t, `
repository: {path: m}
models: {iris: {columns: {input: [sepal length, 1.0], other: [b]}}}
`)
	if diff := cmp.Diff(config.Columns{"input": {"sepal length", "1.0"}, "other": {"b"}}, cfg.Model("iris").Columns); diff != "" {
		t.Error(diff)
	}
}

// null is a word of YAML, and the value of a setting.
func TestNullAsAChoice(t *testing.T) {
	for _, text := range []string{"null", `"null"`} {
		cfg := mustParse(t, "repository: {path: m}\nserver: {json: {non_finite: "+text+"}}")
		if cfg.Server.JSON.NonFinite != config.NonFiniteNull {
			t.Errorf("%s: %q", text, cfg.Server.JSON.NonFinite)
		}
	}
}

func TestOverridesWin(t *testing.T) {
	cfg := mustParse(
		t, "repository: {path: m, control: poll}\nserver: {http: {address: ':1', max_body: 2MiB}}",
		config.Set("--http-address", "server.http.address", ":9000"),
		config.Set("--model-control", "repository.control", "explicit"),
		config.SetList("--load-model", "repository.load", []string{"iris", "1"}),
		config.Set("--timeout", "defaults.timeout", "2s"),
		config.Set("--x", "models.iris.batching.max_size", "3"),
	)
	if cfg.Server.HTTP.Address != ":9000" || cfg.Server.HTTP.MaxBody != 2<<20 {
		t.Errorf("%+v", cfg.Server.HTTP)
	}
	if diff := cmp.Diff([]string{"iris", "1"}, cfg.Repository.Load); diff != "" {
		t.Error(diff)
	}
	if m := cfg.Model("iris"); m.Timeout != 2*time.Second || m.Batching.MaxSize != 3 {
		t.Errorf("%+v", m)
	}
	_, err := config.Parse(
		"test.yaml", []byte("repository: {load: [a]}\nserver: {drain_timeout: x}"), noEnv,
		config.Set("--http-address", "server.http.address", "8000"),
		config.Set("--model-control", "repository.control", "sometimes"),
		config.Set("--no-such", "repository.no_such", "1"),
	)
	want := `test.yaml:1: repository.path: must be given
test.yaml:1: repository.load: only explicit control loads models by name; repository.control is none
test.yaml:2: server.drain_timeout: expected a duration such as 30s or 1m30s, got "x"
--http-address: server.http.address: expected host:port such as "127.0.0.1:8000" or ":8000", got "8000"
--model-control: repository.control: expected none, explicit or poll, got "sometimes"
--no-such: repository.no_such: unknown key; known here: path, control, poll_interval, load, parallel_loads, load_timeout`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestSecrets(t *testing.T) {
	parse := func(token string, pairs ...string) (*config.Config, error) {
		text := fmt.Sprintf("repository: {path: m}\nadmin: {tokens: {alice: %q}}", token)
		return config.Parse("test.yaml", []byte(text), env(pairs...))
	}
	cfg, err := parse("a-${ONE}.${TWO_2}$", "ONE", "0123456789", "TWO_2", "abcdef")
	if err != nil {
		t.Fatal(err)
	}
	token := cfg.Admin.Tokens["alice"]
	if token.Reveal() != "a-0123456789.abcdef$" {
		t.Errorf("got %q", token.Reveal())
	}
	if shown := fmt.Sprintf("%v %s %q %+v %#v", token, token, token, cfg.Admin, cfg.Admin); strings.Contains(shown, "012345") {
		t.Errorf("shown: %s", shown)
	}

	f := func(want, token string, pairs ...string) {
		t.Helper()
		_, err := parse(token, pairs...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", token, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the message shows the secret: %v", token, err)
		}
	}
	f("test.yaml:2: admin.tokens.alice: the environment variable NO_SUCH is not set", "${NO_SUCH}")
	f("16 or more visible ASCII characters", "${EMPTY}", "EMPTY", "")
	f("16 or more visible ASCII characters", "hunter2 hunter2 hunter2")
	f("16 or more visible ASCII characters", "hunter2")
	f("expected ${NAME}", "${hunter2-hunter2-hunter2")
	f("expected ${NAME}", "${}")
	f("expected ${NAME}", "${2X}")
	f("expected ${NAME}", "${A B}")
}

func TestSize(t *testing.T) {
	f := func(text string, want config.Size, shown string) {
		t.Helper()
		cfg := mustParse(t, "repository: {path: m}\nserver: {limits: {max_tensor: "+text+"}}")
		if got := cfg.Server.Limits.MaxTensor; got != want || got.String() != shown {
			t.Errorf("%s: got %d %v, want %d %s", text, got, got, want, shown)
		}
	}
	f("1024", 1024, "1KiB")
	f("1025", 1025, "1025")
	f("'2048'", 2048, "2KiB")
	f("1536KiB", 1536<<10, "1536KiB")
	f("64MiB", 64<<20, "64MiB")
	f("1 GiB", 1<<30, "1GiB")
	f("5000B", 5000, "5000")
}

func TestRestartOnly(t *testing.T) {
	base := "repository: {path: m}\n"
	f := func(before, after string, want ...string) {
		t.Helper()
		got := config.RestartOnly(mustParse(t, base+before), mustParse(t, base+after))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q to %q: %s", before, after, diff)
		}
	}
	f("", "")
	f("", "defaults: {timeout: 1s}\nmodels: {a: {instances: 1}}")
	f("", "routes: {a: {variants: [{version: 1, weight: 100%}]}}\ndefaults: {breaker: {enabled: false}}")
	f("", "data_dir: d", "data_dir")
	f(
		"server: {http: {address: ':1'}}", "server: {http: {address: ':2'}, compat: triton}\nruntime: {custom_ops: [x]}",
		"server.compat", "server.http.address", "runtime.custom_ops",
	)
	f("", "unload_timeout: 1s", "unload_timeout")
	f("", "log: {level: debug}\nadmin: {tokens: {a: 0123456789abcdef}}\nretrain: {cool_down: 1h, expire: 1h}\nserver: {access_log: {enabled: false, sample_every: 2, max_errors: 3}}")
	f("", "log: {level: debug, format: console}", "log.format")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "c.yaml")
	if _, err := config.Load(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(name, []byte("repository:\n  pth: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(name)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("got %v", err)
	}
	if p := problems[1]; p.Line != 2 || p.Path != "repository.pth" || p.Message != "unknown key; did you mean path?" || p.Source != name {
		t.Errorf("got %+v", p)
	}
	cfg, err := config.Load("", config.Set("--model-repository", "repository.path", "m"))
	if err != nil || cfg.Repository.Path != "m" {
		t.Errorf("no file: %v %v", cfg, err)
	}
	if _, err := config.Load(""); err == nil || err.Error() != "repository.path: must be given" {
		t.Errorf("nothing at all: %v", err)
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("# long\n", 200_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(name); err == nil || !strings.Contains(err.Error(), "larger than 1MiB") {
		t.Errorf("large file: %v", err)
	}
}

// TestShippedFiles: the configuration files of this repository, and the example of the reference,
// are valid.
func TestShippedFiles(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse(file, text, noEnv); err != nil {
			t.Error(err)
		}
	}
	_, example, _ := strings.Cut(config.Reference(), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	cfg, err := config.Parse("example", []byte(example), env("ALICE_TOKEN", "0123456789abcdef", "IRIS_TOKEN", "fedcba9876543210", "BILLING_KEY", "billing-billing-"))
	if err != nil || cfg.Model("iris").Batching.MaxSize != 32 || len(cfg.Routes["iris"].Variants) != 2 {
		t.Errorf("the reference's example: %v", err)
	}
}

// TestBad compares each testdata/NAME.bad.yaml with the message it must give.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = config.Parse(filepath.Base(file), text, noEnv)
			if err == nil {
				t.Fatal("no error")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", err.Error()+"\n")
		})
	}
}

// TestManyProblems: all problems of a file are reported if there are few, but not thousands.
func TestManyProblems(t *testing.T) {
	text := "repository: {path: m}\nmodels:\n" + strings.Repeat("  ? x\n  : {}\n", 1000)
	_, err := config.Parse("test.yaml", []byte(text), noEnv)
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 101 {
		t.Fatalf("got %d problems", len(problems))
	}
	if got := problems[100].Message; got != "and 899 more problems" {
		t.Errorf("got %q", got)
	}
}

// TestAliases: a small file cannot expand to a huge one.
func TestAliases(t *testing.T) {
	cfg := mustParse(t, "repository: {path: m}\ndefaults: {batching: &b {max_size: 7}}\nmodels: {a: {batching: *b}}")
	if cfg.Model("a").Batching.MaxSize != 7 {
		t.Error("an alias was not followed")
	}
	var b strings.Builder
	b.WriteString("repository: {path: m}\ndefaults: {providers: &p [{name: cpu}")
	for i := range 1000 {
		fmt.Fprintf(&b, ", {name: p%d}", i)
	}
	b.WriteString("]}\nmodels:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "  m%d: {providers: *p}\n", i)
	}
	_, err := config.Parse("test.yaml", []byte(b.String()), noEnv)
	if err == nil || !strings.Contains(err.Error(), "more than 200000 values once aliases are followed") {
		t.Errorf("got %.200v", err)
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	golden(t, "../../docs/config.md", config.Reference())
}

// TestReferenceListsEveryKey walks the structs itself, and checks that each setting is documented.
func TestReferenceListsEveryKey(t *testing.T) {
	text := config.Reference()
	section := func(f reflect.StructField) bool {
		return f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[config.Versions]() && f.Type != reflect.TypeFor[config.VersionRef]() && f.Type != reflect.TypeFor[api.Fallback]()
	}
	var walk func(typ reflect.Type, prefix string)
	walk = func(typ reflect.Type, prefix string) {
		for f := range typ.Fields() {
			name, doc := prefix+f.Tag.Get("yaml"), f.Tag.Get("doc")
			if name == prefix || strings.ToLower(name) != name {
				t.Errorf("%v.%s: yaml name %q", typ, f.Name, name)
			}
			if !strings.HasSuffix(doc, ".") || strings.Contains(doc, "|") {
				t.Errorf("%v.%s: doc %q is not a sentence that fits into a table", typ, f.Name, doc)
			}
			heading := typ == reflect.TypeFor[config.Config]() && (section(f) || f.Type.Kind() == reflect.Map)
			switch {
			case heading && !strings.Contains(text, "\n## "+name+"\n"):
				t.Errorf("no section %s", name)
			case heading && section(f):
				walk(f.Type, "")
			case f.Type == reflect.TypeFor[map[string]config.Model](): // has the keys of defaults
			case heading:
				walk(f.Type.Elem(), "")
			case section(f):
				walk(f.Type, name+".")
			case !strings.Contains(text, "| `"+name+"` |"):
				t.Errorf("%s is not in the reference", name)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(f.Type.Elem(), name+"[].")
			}
		}
	}
	walk(reflect.TypeFor[config.Config](), "")
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not current; run go test ./internal/config -update\n%s", file, diff)
	}
}
