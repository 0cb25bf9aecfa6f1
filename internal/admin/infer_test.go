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

// Infer answers with the body of a request and the headers that it was given. Its errors come after a pick.
func (noInfer) Infer(_ context.Context, in admin.Inference, answer func(admin.InferenceAnswer) error) (infer.Served, error) {
	served := infer.Served{Version: infer.Version{Model: in.Model, Number: 4}, Route: in.Model + "@7", Reason: infer.ReasonSticky}
	body, err := io.ReadAll(in.Body)
	switch {
	case err != nil:
		return infer.Served{}, err
	case in.Header.Get("X-Fail") != "":
		return served, infer.Errorf(infer.Invalid, "the values were refused")
	case in.Version != 0 || in.Path == "" || in.Remote == nil:
		return infer.Served{}, infer.Errorf(infer.Internal, "%+v", in)
	}
	return served, answer(admin.InferenceAnswer{Body: body, JSONLength: in.JSONLength, Took: 7 * time.Microsecond, Served: served, RequestID: "id-" + in.RequestID})
}

func TestInferARoute(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	f := func(want int, text string, header ...string) answer {
		t.Helper()
		a := s.ask(http.MethodPost, "/api/v1/models/iris/infer", strings.NewReader(strings.Repeat("x", 1<<20)), header...)
		if a.status != want || !strings.Contains(a.body, text) {
			t.Errorf("%v: %d %.200s", header, a.status, a.body)
		}
		return a
	}
	picked := func(a answer, want string) {
		t.Helper()
		if got := strings.Join([]string{a.header.Get("Sluice-Version"), a.header.Get("Sluice-Route"), a.header.Get("Sluice-Reason")}, " "); strings.TrimSpace(got) != want {
			t.Errorf("picked %q, want %q", got, want)
		}
	}
	a := f(200, "xxx", "X-Request-Id", "7")
	picked(a, "4 iris@7 sticky")
	if len(a.body) != 1<<20 || a.header.Get("X-Request-Id") != "id-7" || a.header.Get("Sluice-Duration-Us") != "7" {
		t.Errorf("%d bytes, %v", len(a.body), a.header)
	}
	picked(f(400, "refused", "X-Fail", "yes"), "4 iris@7 sticky")
	picked(f(501, "Content-Encoding", "Content-Encoding", "gzip"), "")
	if a := s.ask(http.MethodPost, "/api/v1/models/a%2Fb/infer", nil); a.status != http.StatusBadRequest {
		t.Errorf("%+v", a)
	}
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
