package admin_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// noCapture has captured nothing.
type noCapture struct{}

func (noCapture) Captured(context.Context) ([]api.Captured, error) {
	return []api.Captured{{Model: "iris"}}, nil
}

func (noCapture) ExportCapture(_ context.Context, model string, of api.CaptureRead, w io.Writer, by api.Actor) (api.CaptureExport, error) {
	switch {
	case model == "none":
		return api.CaptureExport{}, infer.Errorf(infer.NotFound, "no model")
	case of.Format == api.CaptureJSONL:
		text := by.Actor
		if of.Labels {
			text += " with labels"
		}
		_, err := fmt.Fprintln(w, text)
		return api.CaptureExport{Rows: 1, Files: 2, Skipped: 2, SkippedFiles: []string{"a.parquet", "b.parquet"}}, err
	case of.Format == api.CaptureCSV: // nothing is selected
		return api.CaptureExport{}, nil
	default:
		_, err := fmt.Fprintln(w, "a row")
		return api.CaptureExport{Rows: 1}, cmp.Or(err, errors.New("the bucket is down"))
	}
}

func (noCapture) DeleteCaptured(_ context.Context, model, id string, _ api.Actor) (api.CaptureDeletion, error) {
	return api.CaptureDeletion{Model: model, RequestID: id, Rows: 3, Files: 1}, nil
}

func (noCapture) CaptureFiles(context.Context, string, api.CaptureRange) ([]api.CaptureFile, error) {
	return nil, nil
}

func TestExportCapture(t *testing.T) {
	s := serve(t, "127.0.0.1:0", map[string]string{"ops": "ops-key-of-sixteen"})
	f := func(path string, status int, body, trailers string, cut bool) {
		t.Helper()
		req := s.request(http.MethodGet, "/api/v1/capture/"+path, nil)
		req.Header.Set("Authorization", "Bearer ops-key-of-sixteen")
		resp, err := http.DefaultClient.Do(req)
		if err != nil && cut { // even before the head
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if cerr := resp.Body.Close(); cerr != nil || (err != nil) != cut {
			t.Errorf("%s: %v %v", path, err, cerr)
		}
		h := resp.Trailer
		got := fmt.Sprintf("%s;%s;%s;%s;", h.Get(api.CaptureRowsHeader), h.Get(api.CaptureReadHeader), h.Get(api.CaptureSkippedHeader), h.Get(api.CaptureSkippedFilesHeader))
		if resp.StatusCode != status || status == http.StatusOK && string(text) != body || !strings.Contains(string(text), body) || got != trailers {
			t.Errorf("%s: %d %s %s", path, resp.StatusCode, text, got)
		}
	}
	f("iris/export", 200, "ops\n", "1;2;2;a.parquet, b.parquet;", false) // the actor is the caller
	f("iris/export?format=csv", 200, "", "0;0;0;;", false)
	f("iris/export?format=parquet", 200, "a row\n", ";;;;", true)
	f("none/export", 404, "no model", ";;;;", false)
	f("iris/export?format=xml", 400, "expected jsonl, csv, parquet, tar", ";;;;", false)
	f("iris/export?labels=true", 200, "ops with labels\n", "1;2;2;a.parquet, b.parquet;", false)
	f("iris/export?labels=yes", 400, "labels: expected true or false", ";;;;", false)
	f("iris/export?limit=1", 400, "unknown parameter", ";;;;", false)
	f("iris/export?since=now", 400, "since", ";;;;", false)
}

func TestDeleteCaptured(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	if got := s.ask("DELETE", "/api/v1/capture/iris?request_id=a%2Fb", nil); got.status != 200 || !strings.Contains(got.body, `"request_id":"a/b","rows":3,"labels":0,"files":1,"skipped":0`) {
		t.Errorf("%+v", got)
	}
	s.expectError(s.ask("DELETE", "/api/v1/capture/iris", nil), 400, "request_id")
	s.expectError(s.ask("DELETE", "/api/v1/capture/iris?request_id=", nil), 400, "request_id")
}
