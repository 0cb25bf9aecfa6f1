package capture_test

import (
	"bytes"
	"encoding/json"
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

// truth is a label of "credit", that became known some seconds after the hour.
func truth(id string, row int, label string, seconds int) *capture.Label {
	at := time.Now().Truncate(time.Hour).Add(time.Duration(seconds) * time.Second)
	return &capture.Label{RequestID: id, Row: row, Version: 1, Text: label, Requested: time.Now(), Time: at}
}

// labelledCredit is a store that has written the files of credit, and two of labels.
func labelledCredit(t testing.TB) (s *capture.Store, dir string) {
	t.Helper()
	s, dir = credit(t)
	asked := map[string]time.Time{"unknown": time.Now()}
	for _, r := range requests(t, dir) {
		asked[r.ID] = r.Time
	}
	label := func(l *capture.Label) {
		l.Requested = asked[l.RequestID]
		s.Label("credit", l)
	}
	label(truth("v1-0", 0, "good", 1))
	second := truth("v1-0", 1, "0.25", 2)
	second.Number, second.Numeric = 0.25, true
	label(second)
	label(truth("v2-1", 1, "bad", 3))
	label(truth("v2-1", 1, "good", 4))
	running(t, s)()
	label(truth("v1-0", 0, "bad", 5))
	label(truth("v1-0", 0, "bad", 0)) // wins, since it is the last
	label(truth("unknown", 0, "good", 1))
	running(t, s)()
	return s, dir
}

// TestHiddenLabels: nothing of a label that is redacted is in the files, and of a hashed one its hash.
func TestHiddenLabels(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.HashKey = []byte("0123456789abcdef")
	s := capture.New(o)
	for i, hidden := range []capture.Hidden{capture.Shown, capture.Redacted, capture.Hashed, capture.Hashed} {
		l := truth("v1-0", i, "4242", 1)
		l.Number, l.Numeric, l.Hidden = 4242, true, hidden
		s.Label("credit", l)
	}
	running(t, s)()
	paths := files(t, filepath.Join(dir, "labels", "model=credit", "day="+time.Now().UTC().Format(time.DateOnly)))
	if len(paths) != 1 {
		t.Fatal(files(t, dir))
	}
	type row struct {
		Row    int32    `parquet:"row"`
		Label  string   `parquet:"label"`
		Number *float64 `parquet:"label_number,optional"`
	}
	rows, err := parquet.ReadFile[row](paths[0])
	if err != nil || len(rows) != 4 || rows[0].Label != "4242" || rows[0].Number == nil {
		t.Fatalf("%+v %v", rows, err)
	}
	if rows[1].Label != "" || len(rows[2].Label) != 64 || rows[2].Label != rows[3].Label || strings.Contains(rows[2].Label, "4242") {
		t.Errorf("%+v", rows)
	}
	for _, r := range rows[1:] {
		if r.Number != nil {
			t.Errorf("%+v", r)
		}
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"sluice.redact", "sluice.hash"} {
		if value, _ := f.Lookup(key); value != "label" {
			t.Errorf("%s: %q", key, value)
		}
	}
}

func TestLabels(t *testing.T) {
	s, dir := labelledCredit(t)
	type row struct {
		ID        string    `parquet:"request_id"`
		Version   int64     `parquet:"version"`
		Row       int32     `parquet:"row"`
		Result    string    `parquet:"result"`
		Requested time.Time `parquet:"request_time,timestamp(microsecond)"`
		Time      time.Time `parquet:"label_time,timestamp(microsecond)"`
		Received  time.Time `parquet:"received,timestamp(microsecond)"`
		Label     string    `parquet:"label"`
		Number    *float64  `parquet:"label_number,optional"`
	}
	paths := files(t, filepath.Join(dir, "labels", "model=credit", "day="+time.Now().UTC().Format(time.DateOnly)))
	if len(paths) != 2 {
		t.Fatal(files(t, dir))
	}
	rows, err := parquet.ReadFile[row](paths[0])
	if err != nil || len(rows) != 4 {
		t.Fatal(err, rows)
	}
	if r := rows[1]; r.ID != "v1-0" || r.Version != 1 || r.Row != 1 || r.Result != "joined" || time.Since(r.Requested) > time.Hour || r.Time.Second() != 2 || !r.Received.After(rows[0].Received) || time.Since(r.Received) > time.Hour || r.Label != "0.25" || *r.Number != 0.25 {
		t.Errorf("%+v", r)
	}
	if rows[0].Number != nil {
		t.Errorf("%+v", rows[0])
	}
	c, err := s.Captured(t.Context())
	if err != nil || c[0].Labels != 7 || c[0].LabelsCaptured != 7 || c[0].Rows != 8 || c[0].Captured != 4 || c[0].Files != 4 {
		t.Errorf("%v %+v", err, c)
	}
	listed := 0
	for _, f := range manifestOf(t, dir, "g1").Files {
		if f.Kind != "labels" {
			continue
		}
		listed++
		if data := read(t, dir, f.Path); f.Rows < 3 || f.SHA256 != sumOf(data) || f.Version != 0 || f.Day == "" || time.Since(f.First) > time.Hour || f.First.After(f.Last) {
			t.Errorf("%+v", f)
		}
	}
	if listed != 2 {
		t.Error(listed)
	}
	if _, err := capture.OpenFile(read(t, paths[0])); err == nil {
		t.Error("labels are taken for requests")
	}
}

// Rows are joined with the label that was received last, in every format.
func TestExportLabels(t *testing.T) {
	s, dir := labelledCredit(t)
	joined := func(format string) (string, api.CaptureExport) {
		t.Helper()
		var out strings.Builder
		done, err := s.Export(t.Context(), "credit", api.CaptureRead{Format: format, Labels: true}, &out)
		if err != nil {
			t.Fatal(err)
		}
		return out.String(), done
	}
	got := map[string]any{}
	text, done := joined(api.CaptureJSONL)
	for line := range strings.Lines(text) {
		var row struct {
			ID     string    `json:"request_id"`
			Row    int       `json:"row"`
			Label  *string   `json:"label"`
			Number *float64  `json:"label_number"`
			Time   time.Time `json:"label_time"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Label != nil {
			got[fmt.Sprint(row.ID, " ", row.Row)] = fmt.Sprint(*row.Label, " ", row.Number != nil, " ", row.Time.Second())
		}
	}
	want := map[string]any{"v1-0 0": "bad false 0", "v1-0 1": "0.25 true 2", "v2-1 1": "good false 4"}
	if diff := cmp.Diff(want, got); diff != "" || done.Rows != 8 || done.Files != 2 {
		t.Error(diff, done)
	}
	if text, _ := joined(api.CaptureCSV); !strings.Contains(text, ",label,label_number,label_time,in.x,out.score\n") || strings.Count(text, "3000,,,,") != 5 || !strings.Contains(text, ",0.25,0.25,2") {
		t.Error(text)
	}
	type row struct {
		ID     string   `parquet:"request_id"`
		Label  *string  `parquet:"label,optional"`
		Number *float64 `parquet:"label_number,optional"`
	}
	text, _ = joined(api.CaptureParquet)
	rows, err := parquet.Read[row](strings.NewReader(text), int64(len(text)))
	labels := 0
	for _, r := range rows {
		if r.Label != nil {
			labels++
		}
	}
	if err != nil || len(rows) != 8 || labels != 3 {
		t.Error(err, rows)
	}
	s.JoinAtMost(600) // enough for the labels of one of the two files of requests
	if text, again := joined(api.CaptureJSONL); !cmp.Equal(again, done) || strings.Count(text, `"label":"`) != 3 {
		t.Error(again, text)
	}
	s.JoinAtMost(400)
	if _, err := s.Export(t.Context(), "credit", api.CaptureRead{Format: api.CaptureJSONL, Labels: true}, io.Discard); infer.CodeOf(err) != infer.TooLarge {
		t.Error(err)
	}
	s.JoinAtMost(1 << 20)
	damaged := files(t, filepath.Join(dir, "labels"))[0]
	if err := os.Truncate(damaged, 100); err != nil {
		t.Fatal(err)
	}
	if _, done := joined(api.CaptureJSONL); done.Rows != 8 || done.Skipped != 1 || !strings.HasSuffix(filepath.ToSlash(damaged), done.SkippedFiles[0]) {
		t.Errorf("%+v", done)
	}
}

// A deletion removes labels from memory and from files.
func TestDeleteLabels(t *testing.T) {
	s, dir := labelledCredit(t)
	s.Label("credit", truth("v1-0", 0, "good", 6))
	waiting := s.Waiting()
	done, err := s.Delete(t.Context(), "credit", "v1-0")
	if diff := cmp.Diff(api.CaptureDeletion{Model: "credit", RequestID: "v1-0", Rows: 2, Labels: 5, Files: 3}, done); diff != "" || err != nil || waiting == 0 || s.Waiting() != 0 {
		t.Error(diff, err, waiting, s.Waiting())
	}
	for _, path := range files(t, dir) {
		if text := string(read(t, path)); strings.Contains(text, "v1-0") {
			t.Error(path)
		}
	}
	var rows int64
	for _, f := range manifestOf(t, dir, "g1").Files {
		if rows += f.Rows; f.SHA256 != sumOf(read(t, dir, f.Path)) {
			t.Errorf("%+v", f)
		}
	}
	if rows != 6+3 {
		t.Error(rows)
	}
}

// Labels without room are dropped and counted.
func TestLabelsWithoutRoom(t *testing.T) {
	o := options(t, t.TempDir())
	o.MaxBuffer = 1 << 10
	s := capture.New(o)
	for i := range 100 {
		s.Label("credit", truth("a", i, "good", 1))
	}
	if c := s.Counts()[0]; c.LabelsCaptured == 0 || c.LabelsCaptured+c.LabelsDropped[api.CaptureFull] != 100 || s.Waiting() > o.MaxBuffer {
		t.Errorf("%+v, %d bytes wait", c, s.Waiting())
	}
}
