package admin_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/infer"
)

// versions is a repository that keeps the last push.
type versions struct {
	admin.VersionControl
	admin.AliasControl

	pushed admin.Push
	body   string
	exists bool
}

func (v *versions) Push(_ context.Context, p admin.Push) (api.VersionInfo, bool, error) {
	v.pushed = p
	if p.Body != nil {
		text, err := io.ReadAll(p.Body)
		if err != nil {
			return api.VersionInfo{}, false, infer.Errorf(infer.Invalid, "cut off")
		}
		v.body = string(text)
	}
	return api.VersionInfo{Model: p.Model, Version: max(p.Number, 7), State: api.StateRegistered, Record: &api.VersionRecord{Revision: 1}}, !v.exists, nil
}

func TestPush(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	long := strings.Repeat("x", 300<<10) // longer than the other endpoints accept
	got := s.ask("POST", "/api/v1/models/a%20b/versions?parent=2&run=r1&metric=accuracy=0.97&metric=loss=1e-3&tag=team=x%3Dy&card=owner=me&digest=sha256:0", strings.NewReader(long), "Sluice-Actor", "ada")
	if got.status != http.StatusCreated || got.header.Get("Location") != "/api/v1/models/a%20b/versions/7" || got.header.Get("ETag") != `"1"` {
		t.Errorf("%d %v %s", got.status, got.header, got.body)
	}
	want := api.VersionMetadata{
		Lineage: api.Lineage{Parent: 2, Run: "r1", Metrics: map[string]float64{"accuracy": 0.97, "loss": 1e-3}},
		Card:    map[string]any{"owner": "me"}, Tags: map[string]string{"team": "x=y"},
	}
	p := s.versions.pushed
	if diff := cmp.Diff(want, p.Metadata); diff != "" || p.Number != 0 || p.Digest != "sha256:0" || p.Size != int64(len(long)) || s.versions.body != long || p.By.Actor != "ada" {
		t.Errorf("%+v %s", p, diff)
	}
	s.versions.exists = true
	if got := s.ask("PUT", "/api/v1/models/m/versions/8?from=/x/y", nil); got.status != http.StatusOK || s.versions.pushed.Number != 8 || s.versions.pushed.Body != nil || s.versions.pushed.From != "/x/y" {
		t.Errorf("%d %s %+v", got.status, got.body, s.versions.pushed)
	}
}

func TestPushRefuses(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	for _, c := range []struct{ method, path, text string }{
		{"PUT", "/api/v1/models/m/versions/0", "not a valid version"},
		{"PUT", "/api/v1/models/m/versions/x", "not a valid version"},
		{"PUT", "/api/v1/models/m/versions/1?metrics=a=1", "unknown parameter"},
		{"PUT", "/api/v1/models/m/versions/1?metric=a", "NAME=VALUE"},
		{"PUT", "/api/v1/models/m/versions/1?metric=a=b", "NAME=NUMBER"},
		{"PUT", "/api/v1/models/m/versions/1?run=a&run=b", "given 2 times"},
		{"PUT", "/api/v1/models/m/versions/1?parent=-1", "parent"},
		{"PUT", "/api/v1/models/m/versions/1?from=/x", "has a body too"},
	} {
		s.expectError(s.ask(c.method, c.path, strings.NewReader("body")), http.StatusBadRequest, c.text)
	}
}

// A body that ends before its Content-Length is not taken for a whole one.
func TestPushCutOff(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	r, w := io.Pipe()
	req := s.request(http.MethodPut, "/api/v1/models/m/versions/1", r)
	req.ContentLength = 10
	go func() { // ends with the request
		_, _ = io.WriteString(w, "half")
		_ = w.Close()
	}()
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		defer resp.Body.Close() //nolint:errcheck // only read
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if s.versions.body != "" {
		t.Errorf("the push got %q as a whole", s.versions.body)
	}
}
