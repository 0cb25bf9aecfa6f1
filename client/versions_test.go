package client_test

import (
	"net/http"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func TestVersions(t *testing.T) {
	last, c := record(t, http.StatusOK, `{"model":"a b","version":3,"state":"REGISTERED"}`)
	f := func(want string, call func() (api.VersionInfo, error)) {
		t.Helper()
		if info, err := call(); err != nil || info.Version != 3 || last.Target != want || last.Token != "Bearer secret" {
			t.Errorf("%+v %v %+v, want %s", info, err, last, want)
		}
	}
	const path = "/api/v1/models/a%20b/versions/3"
	f("POST /api/v1/models/a%20b/versions?metric=accuracy%3D0.97&parent=2&run=r+1&tag=team%3Dx", func() (api.VersionInfo, error) {
		return c.PushVersion(t.Context(), "a b", strings.NewReader("file"), client.PushOptions{
			Metadata: api.VersionMetadata{Lineage: api.Lineage{Parent: 2, Run: "r 1", Metrics: map[string]float64{"accuracy": 0.97}}, Tags: map[string]string{"team": "x"}},
		})
	})
	if last.Body != "file" {
		t.Errorf("%+v", last)
	}
	f("PUT "+path+"?digest=sha256%3A0&from=%2Fx", func() (api.VersionInfo, error) {
		return c.PushVersion(t.Context(), "a b", strings.NewReader("file"), client.PushOptions{Version: 3, From: "/x", Digest: "sha256:0"})
	})
	if last.Body != "" {
		t.Errorf("a push from a path has a body: %+v", last)
	}
	text := "x"
	f("PATCH "+path, func() (api.VersionInfo, error) {
		return c.DescribeVersion(t.Context(), "a b", 3, api.VersionPatch{Tags: map[string]*string{"team": &text, "old": nil}}, client.EditOptions{Revision: 7})
	})
	if last.Body != `{"tags":{"old":null,"team":"x"}}` || last.Match != `"7"` {
		t.Errorf("%+v", last)
	}
	f("GET "+path, func() (api.VersionInfo, error) { return c.Version(t.Context(), "a b", 3) })
	f("POST "+path+"/archive", func() (api.VersionInfo, error) { return c.ArchiveVersion(t.Context(), "a b", 3) })
	f("POST "+path+"/restore", func() (api.VersionInfo, error) { return c.RestoreVersion(t.Context(), "a b", 3) })
	if err := c.DeleteVersion(t.Context(), "a b", 3); err != nil || last.Target != "DELETE "+path {
		t.Errorf("%v %+v", err, last)
	}
	last, c = record(t, http.StatusOK, `[{"version":3}]`)
	if list, err := c.Versions(t.Context(), "a b"); err != nil || len(list) != 1 || last.Target != "GET /api/v1/models/a%20b/versions" {
		t.Errorf("%+v %v %+v", list, err, last)
	}
}

func TestAliases(t *testing.T) {
	last, c := record(t, http.StatusOK, `{"model":"a b","name":"champion","version":3,"revision":8,"routes":["r"]}`)
	const path = "/api/v1/models/a%20b/aliases/champion"
	if a, err := c.Alias(t.Context(), "a b", "champion"); err != nil || a.Version != 3 || last.Target != "GET "+path {
		t.Errorf("%+v %v %+v", a, err, last)
	}
	r, err := c.SetAlias(t.Context(), "a b", "champion", 3, client.EditOptions{Revision: 7, DryRun: true})
	if err != nil || r.Revision != 8 || r.Routes[0] != "r" || last.Target != "PUT "+path+"?dry_run=true" || last.Body != `{"version":3}` || last.Match != `"7"` {
		t.Errorf("%+v %v %+v", r, err, last)
	}
	if _, err := c.DeleteAlias(t.Context(), "a b", "champion", client.EditOptions{Revision: client.AnyRevision}); err != nil || last.Target != "DELETE "+path || last.Match != "*" || last.Body != "" {
		t.Errorf("%v %+v", err, last)
	}
	last, c = record(t, http.StatusOK, `[{"name":"champion"}]`)
	if list, err := c.Aliases(t.Context(), "a b"); err != nil || len(list) != 1 || last.Target != "GET /api/v1/models/a%20b/aliases" {
		t.Errorf("%+v %v %+v", list, err, last)
	}
}
