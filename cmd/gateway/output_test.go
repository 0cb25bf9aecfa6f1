package main

import (
	"net/http"
	"testing"

	"sluice.io/sluice/api"
)

func TestForms(t *testing.T) {
	detail := &api.ModelDetail{Instances: 2, Providers: []api.Provider{{Name: "CPU"}}, Batching: api.BatchingStatus{Summary: "yes"}}
	url := gateway(t, map[string]http.HandlerFunc{
		"GET /api/v1/models": says([]api.ModelStatus{
			{Name: "iris", Version: 1, State: api.StateReady, Role: api.RoleShadow, Digest: "sha256:abc", Detail: detail, Memory: &api.ModelMemory{InstanceBytes: 7}},
			{Name: "true", State: api.StateUnavailable, Reason: "yes: no"},
		}),
		"GET /api/v1/status": says(api.ServerStatus{}),
		"POST /-/reload":     says(api.ReloadResult{Changed: []string{"iris version 1 loaded"}, Differing: []string{"route a differs"}}),
	})
	f := func(want string, args ...string) {
		t.Helper()
		expect(t, result{exitOK, want, ""}, command(t, "", append(args, "--admin", url)))
	}
	const table = `MODEL  VERSION  ROLE    STATE        LOADED  BATCHING  INSTANCES  REASON
iris   1        shadow  READY        -       yes       2          
true   -        -       UNAVAILABLE  -       -         -          yes: no
`
	f(table, "models")
	f(table, "models", "list")
	f(`MODEL  VERSION  ROLE    STATE        LOADED  BATCHING  INSTANCES  DIGEST      MEMORY  PROVIDERS  REASON
iris   1        shadow  READY        -       yes       2          sha256:abc  7       CPU        
true   -        -       UNAVAILABLE  -       -         -          -           -       -          yes: no
`, "models", "-o", "wide")
	f("iris/1\ntrue/-\n", "models", "-o", "name")
	f(`- name: iris
  version: 1
  state: READY
  role: shadow
  digest: sha256:abc
  detail:
    inputs: null
    outputs: null
    instances: 2
    providers:
      - name: CPU
    batching:
      enabled: false
      summary: "yes"
      reason: ""
    warmup: ""
  memory:
    instance_bytes: 7
    slot_bytes: 0
- name: "true"
  version: 0
  state: UNAVAILABLE
  reason: 'yes: no'
`, "models", "-o", "yaml")
	f("iris version 1 loaded\nroute a differs\n", "reload")
	got := command(t, "", []string{"reload", "-o", "name", "--admin", url})
	expect(t, result{exitUsage, "", "gateway: -o name: the output of this command has no names\n"}, got)
}

func TestConfig(t *testing.T) {
	url := gateway(t, map[string]http.HandlerFunc{"GET /api/v1/config": says(map[string]any{"data_dir": "d", "log": map[string]any{"level": "warn"}})})
	expect(t, result{exitOK, "data_dir: d\nlog:\n  level: warn\n", ""}, command(t, "", []string{"config", "--admin", url}))
	file := t.TempDir() + "/sluice.yaml"
	place(t, file, "repository: {path: m}\nadmin: {tokens: {alice: 0123456789abcdef}}\n")
	got := command(t, "", []string{"config", "-c", file, "--log-level", "error"})
	expectLines(t, got, "admin:", "  address: 127.0.0.1:8002", "    alice: '[secret]'", "  level: error")
	if got := command(t, "", []string{"config", "-c", file, "-o", "json"}); got.code != exitOK || got.out[0] != '{' {
		t.Errorf("%+v", got)
	}
}

func TestStatus(t *testing.T) {
	url := gateway(t, map[string]http.HandlerFunc{
		"GET /-/ready": fails(http.StatusServiceUnavailable, "0 models"),
		"GET /api/v1/status": says(api.ServerStatus{
			Version: "v1", Runtime: "ORT", GoVersion: "go1", ModelControl: "none", StartedAt: foldAt,
			RepositoryWarnings: []api.RepositoryWarning{{Path: "m/v1/", Problem: "not a number", Advice: "rename it"}},
		}),
		"GET /api/v1/models":  says([]api.ModelStatus{{State: api.StateReady}, {State: api.StateReady}, {State: api.StateUnavailable}}),
		"GET /api/v1/routes":  says([]api.Route{{Revision: 1}, {}, {}}),
		"GET /api/v1/drift":   says([]api.DriftStatus{{State: "DETECTED"}}),
		"GET /api/v1/signals": says([]api.Signal{{}}),
	})
	got := command(t, "", []string{"status", "--admin", url})
	expectLines(t, got, "Ready:          no: 0 models (503 Service Unavailable)", "Version:        v1, ORT, go1", "Versions:       2 READY, 1 UNAVAILABLE",
		"Routes:         1 declared, 2 implied", "Drift:          1 DETECTED", "Open signals:   1", "Not served:     m/v1/: not a number; rename it")
	if got := command(t, "", []string{"status", "--admin", url, "-o", "json"}); got.code != exitOK || got.out[0] != '{' {
		t.Errorf("%+v", got)
	}
}
