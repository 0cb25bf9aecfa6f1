package main

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/api"
)

func TestCaptureCommands(t *testing.T) {
	admin, bucket := capturedTraffic(t)
	ask := func(code int, args ...string) result {
		t.Helper()
		got := command(t, "", append([]string{"capture"}, append(args, "--admin", admin)...))
		if got.code != code {
			t.Errorf("%v: %+v", args, got)
		}
		return got
	}
	expectLines(t, ask(exitOK, "list"), "scale  100%", "MODEL  SAMPLE  FILES")
	if got := ask(exitOK, "list", "scale"); !strings.Contains(got.out, "requests  1        ") || strings.Contains(got.out, bucket) {
		t.Error(got.out)
	}
	if got := ask(exitOK, "export", "scale"); strings.Count(got.out, "\n") != 40 || !strings.HasPrefix(got.errOut, "40 rows of ") {
		t.Errorf("%+v", got)
	}
	if got := ask(exitOK, "export", "scale", "--until", "1h"); got.out != "" || !strings.HasPrefix(got.errOut, "0 rows") {
		t.Errorf("%+v", got)
	}
	got := ask(exitOK, "export", "scale", "--format", "csv", "--labels", "--version", "1", "--since", "1h")
	rows, err := csv.NewReader(strings.NewReader(got.out)).ReadAll()
	if err != nil || len(rows) != 41 || !strings.Contains(strings.Join(rows[0], ","), "label,label_number,label_time") {
		t.Error(err, rows)
	}
	file := filepath.Join(t.TempDir(), "out.parquet")
	ask(exitOK, "export", "scale", "--format", "parquet", "--file", file)
	type row struct {
		ID string `parquet:"request_id"`
	}
	if rows, err := parquet.ReadFile[row](file); err != nil || len(rows) != 40 {
		t.Error(err, rows)
	}
	if got := ask(exitOK, "delete", "scale", "r3", "--reason", "asked by the customer"); !strings.HasPrefix(got.out, "2 rows and 0 labels removed, 1 files changed") {
		t.Errorf("%+v", got)
	}
	if got := ask(exitOK, "export", "scale"); strings.Count(got.out, "\n") != 38 || strings.Contains(got.out, `"r3"`) {
		t.Errorf("%+v", got)
	}
	if got := ask(exitOK, "delete", "scale", "r3", "-o", "json"); !strings.Contains(got.out, `"rows": 0`) {
		t.Errorf("%+v", got)
	}
	if got := command(t, "", []string{"journal", "--subject", "capture/scale", "-o", "json", "--admin", admin}); !strings.Contains(got.out, "asked by the customer") || strings.Count(got.out, api.EventCaptureRead) != 5 {
		t.Errorf("%+v", got)
	}
	ask(exitFailed, "export", "other")
	ask(exitFailed, "delete", "other", "r3")
	// A file that cannot be read is left out and named, and the command fails.
	path := ""
	for name := range captureNames(t, bucket) {
		path = name
	}
	if err := os.Truncate(filepath.Join(bucket, path), 50); err != nil {
		t.Fatal(err)
	}
	if got := ask(exitFailed, "export", "scale", "--file", file); !strings.Contains(got.errOut, "1 files could not be read") || !strings.Contains(got.errOut, path) {
		t.Errorf("%+v", got)
	}
	if got := ask(exitFailed, "delete", "scale", "r4"); !strings.Contains(got.errOut, "1 files could not be read") {
		t.Errorf("%+v", got)
	}
}

// captureNames returns the paths of the Parquet files of a bucket in it.
func captureNames(t *testing.T, bucket string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(bucket, "*", "*", "*", "*.parquet"))
	if err != nil || len(paths) == 0 {
		t.Fatal(err, paths)
	}
	names := map[string]bool{}
	for _, path := range paths {
		name, err := filepath.Rel(bucket, path)
		if err != nil {
			t.Fatal(err)
		}
		names[filepath.ToSlash(name)] = true
	}
	return names
}

func TestCaptureUsage(t *testing.T) {
	f := func(args ...string) {
		t.Helper()
		if got := command(t, "", append([]string{"capture"}, args...)); got.code != exitUsage {
			t.Errorf("%v: %+v", args, got)
		}
	}
	f("export")
	f("export", "a", "b")
	f("export", "a", "--format", "xml")
	f("export", "a", "--since", "yesterday")
	f("delete", "a")
	f("delete", "a", "")
	f("list", "a", "b")
	f("lists")
}

// An answer that ends early leaves no file.
func TestCaptureExportIsWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	url := gateway(t, map[string]http.HandlerFunc{
		"GET /api/v1/capture/cut/export": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintln(w, "{}")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"GET /api/v1/capture/bare/export": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "{}") },
	})
	for _, model := range []string{"cut", "bare"} {
		got := command(t, "", []string{"capture", "export", model, "--file", file, "--admin", url})
		left, err := os.ReadDir(filepath.Dir(file))
		if got.code != exitFailed || !strings.Contains(got.errOut, "incomplete") || err != nil || len(left) != 0 {
			t.Errorf("%s: %+v %v %v", model, got, left, err)
		}
	}
}
