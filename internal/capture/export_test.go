package capture_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

// credit is a store that has written a file of each of two versions.
func credit(t testing.TB) (s *capture.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s = capture.New(options(t, dir))
	for version := range int64(2) {
		tap, err := s.Tap(tabular(version+1), "d", all())
		if err != nil {
			t.Fatal(err)
		}
		send(tap, fmt.Sprintf("v%d", version+1), 2, 2)
	}
	running(t, s)()
	return s, dir
}

// exported exports captured requests of "credit".
func exported(t testing.TB, s *capture.Store, of api.CaptureRange, format string) (string, api.CaptureExport) {
	t.Helper()
	var out bytes.Buffer
	done, err := s.Export(t.Context(), "credit", api.CaptureRead{CaptureRange: of, Format: format}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), done
}

func TestExport(t *testing.T) {
	s, _ := credit(t)
	text, done := exported(t, s, api.CaptureRange{}, api.CaptureJSONL)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if diff := cmp.Diff(api.CaptureExport{Rows: 8, Files: 2}, done); diff != "" || len(lines) != 8 {
		t.Fatal(diff, text)
	}
	var row map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &row); err != nil {
		t.Fatal(err)
	}
	if at, err := time.Parse(time.RFC3339, row["time"].(string)); err != nil || time.Since(at) > time.Hour {
		t.Error(row["time"], err)
	}
	delete(row, "time")
	version := row["version"].(float64)
	want := map[string]any{
		"version": version, "request_id": fmt.Sprintf("v%v-0", version), "id": nil, "row": 1.0, "rows": 2.0, "role": "default", "reason": "default",
		"caller": "alice", "parameters": map[string]any{"tier": "gold"}, "duration_us": 3000.0, "in.x": []any{2.0, 3.0}, "out.score": 0.5,
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Error(diff)
	}
	text, _ = exported(t, s, api.CaptureRange{Version: 2}, api.CaptureCSV)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatal(err, text)
	}
	rows[2][5] = "T"
	if diff := cmp.Diff([][]string{
		{"version", "request_id", "id", "row", "rows", "time", "role", "reason", "caller", "parameters", "duration_us", "in.x", "out.score"},
		{"2", "v2-0", "", "1", "2", "T", "default", "default", "alice", `{"tier":"gold"}`, "3000", "[2,3]", "0.5"},
	}, [][]string{rows[0], rows[2]}); diff != "" {
		t.Error(diff)
	}
	if text, done := exported(t, s, api.CaptureRange{Until: time.Now().Add(-time.Hour)}, api.CaptureCSV); done.Rows != 0 || strings.Count(text, "\n") != 1 {
		t.Errorf("nothing is selected, but the head: %+v %s", done, text)
	}
	if _, err := s.Export(t.Context(), "credit", api.CaptureRead{Format: "xml"}, io.Discard); infer.CodeOf(err) != infer.Invalid {
		t.Error(err)
	}
}

// Rows are selected by their time, not only by that of their file.
func TestExportRange(t *testing.T) {
	s, _ := credit(t)
	var times []time.Time
	text, _ := exported(t, s, api.CaptureRange{}, api.CaptureJSONL)
	for line := range strings.Lines(text) {
		var row struct{ Time time.Time }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		times = append(times, row.Time)
	}
	f := func(of api.CaptureRange) {
		t.Helper()
		want := int64(0)
		for _, at := range times {
			if !at.Before(of.Since) && (of.Until.IsZero() || at.Before(of.Until)) {
				want++
			}
		}
		if _, done := exported(t, s, of, api.CaptureJSONL); done.Rows != want {
			t.Errorf("%+v: %d rows, want %d", of, done.Rows, want)
		}
	}
	f(api.CaptureRange{Since: times[2]})
	f(api.CaptureRange{Until: times[2]})
	f(api.CaptureRange{Since: times[2], Until: times[6]})
}

// A Parquet export has the rows of all versions, with the columns of each.
func TestExportParquet(t *testing.T) {
	s, _ := credit(t)
	more := infer.NewModel("credit", 3, []infer.TensorSpec{{Name: "y", DType: infer.Int64, Shape: infer.Shape{-1}}}, tabular(3).Outputs)
	tap, err := s.Tap(more, "d", all())
	if err != nil {
		t.Fatal(err)
	}
	req, resp := asked("v3-0", 1)
	req.Inputs = []infer.Tensor{{Name: "y", DType: infer.Int64, Shape: infer.Shape{1}, Data: make([]byte, 8)}}
	tap.Capture(req, resp, "default", time.Second)
	running(t, s)()
	text, done := exported(t, s, api.CaptureRange{}, api.CaptureParquet)
	type row struct {
		Version int64     `parquet:"version"`
		ID      string    `parquet:"request_id"`
		X       []float32 `parquet:"in.x,list,optional"`
		Y       *int64    `parquet:"in.y,optional"`
		Score   *float32  `parquet:"out.score,optional"`
	}
	rows, err := parquet.Read[row](strings.NewReader(text), int64(len(text)))
	if err != nil || done.Rows != 9 || len(rows) != 9 {
		t.Fatal(err, done, rows)
	}
	last := rows[8]
	if last.Version != 3 || last.ID != "v3-0" || last.X != nil || last.Y == nil || *last.Y != 0 || last.Score == nil || rows[0].Y != nil || len(rows[0].X) != 2 {
		t.Errorf("%+v %+v", rows[0], last)
	}
}

// A file that is cut off, changed or gone is left out as a whole, counted and named.
func TestExportDamaged(t *testing.T) {
	f := func(damage func(path string) error) {
		t.Helper()
		s, dir := credit(t)
		path := files(t, dir)[0]
		if err := damage(path); err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{api.CaptureJSONL, api.CaptureCSV, api.CaptureParquet} {
			_, done := exported(t, s, api.CaptureRange{}, format)
			if diff := cmp.Diff(api.CaptureExport{Rows: 4, Files: 1, Skipped: 1, SkippedFiles: []string{filepath.ToSlash(name)}}, done); diff != "" {
				t.Error(format, diff)
			}
		}
		if n := s.Counts()[0].Damaged; n != 3 {
			t.Errorf("%d are counted", n)
		}
	}
	f(func(path string) error { return os.Truncate(path, 1000) })
	f(func(path string) error { return os.Truncate(path, 0) })
	f(os.Remove)
	f(func(path string) error { // in the middle of the data
		data := read(t, path)
		for i := range 100 {
			data[len(data)/4+i] ^= 0xff
		}
		return os.WriteFile(path, data, 0o600)
	})
}

// Every element is in the text formats.
func TestExportEveryType(t *testing.T) {
	s := capture.New(options(t, t.TempDir()))
	model, req, resp := everyType(true)
	tap, err := s.Tap(model, "d", all())
	if err != nil {
		t.Fatal(err)
	}
	tap.Capture(req, resp, "default", time.Second)
	running(t, s)()
	var out bytes.Buffer
	if _, err := s.Export(t.Context(), "every type", api.CaptureRead{Format: api.CaptureJSONL}, &out); err != nil {
		t.Fatal(err)
	}
	var row map[string]any
	dec := json.NewDecoder(&out)
	dec.UseNumber()
	if err := errors.Join(dec.Decode(&row), dec.Decode(&row)); err != nil { // the second row
		t.Fatal(err)
	}
	f := func(column string, want ...string) {
		t.Helper()
		if got := fmt.Sprint(row["in."+column]); got != fmt.Sprint(want) {
			t.Errorf("%s: %s, want %v", column, got, want)
		}
	}
	f("UINT8 list", "127", "255")
	f("INT8 list", "127", "-1")
	f("UINT64 list", "9223372036854775807", "18446744073709551615")
	f("INT64 list", "9223372036854775807", "-1")
	f("UINT32 list", "4294967295", "4294967295")
	f("FP32 list", "NaN", "-0")
	f("FP64 list", "NaN", "-0")
	f("BYTES list", "base64:/wA=", "base64:YmFzZTY0OkFBPT0=")
	f("BOOL list", "true", "false")
	f("BOOL free", "true", "false")
	f("BOOL free.shape", "2", "1")
}
