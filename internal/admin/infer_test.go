package admin_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
)

// noInfer answers with the body of a request.
type noInfer struct{}

func (noInfer) InferVersion(_ context.Context, in admin.Inference, answer func(admin.InferenceAnswer) error) error {
	if in.Version == 9 {
		return infer.Errorf(infer.Conflict, "version 9 is not loaded")
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return err
	}
	return answer(admin.InferenceAnswer{Body: body, JSONLength: in.JSONLength, Took: 7 * time.Microsecond})
}

func TestInferVersion(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(path string, want int, text string, header ...string) answer {
		t.Helper()
		a := s.ask(http.MethodPost, "/api/v1/models/iris/versions/"+path+"/infer", strings.NewReader(strings.Repeat("x", 1<<20)), header...)
		if a.status != want || !strings.Contains(a.body, text) {
			t.Errorf("%s %v: %d %.200s", path, header, a.status, a.body)
		}
		return a
	}
	a := f("3", 200, "xxx", "Inference-Header-Content-Length", "17")
	if len(a.body) != 1<<20 || a.header.Get("Inference-Header-Content-Length") != "17" || a.header.Get("Sluice-Version") != "3" ||
		a.header.Get("Sluice-Duration-Us") != "7" || a.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%d bytes, %v", len(a.body), a.header)
	}
	if a := f("3", 200, "xxx"); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.header)
	}
	f("0", 400, "not a valid version")
	f("9", 409, "not loaded")
	f("3", 400, "Inference-Header-Content-Length", "Inference-Header-Content-Length", "-1")
	f("3", 501, "Content-Encoding", "Content-Encoding", "gzip")
	if a := s.ask(http.MethodGet, "/api/v1/models/iris/versions/3/infer", nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("%+v", a)
	}
}
