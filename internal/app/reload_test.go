package app_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Tokens and settings of the log follow a reload; the addresses do not.
func TestReloadAppliesTokensAndTheLog(t *testing.T) {
	dir := doubles(t, 1)
	core, logs := observer.New(zapcore.InfoLevel)
	g := startLogging(t, zap.New(core), &fakes{}, dir, "admin.tokens: {alice: 0123456789abcdef}")
	as := func(token, method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, g.admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // only the status matters
		return resp.StatusCode
	}
	const old, renewed = "0123456789abcdef", "fedcba9876543210"
	g.configure(t, dir, "admin.tokens: {alice: "+renewed+"}", "log: {level: warn}", "server.access_log: {sample_every: 1}",
		"retrain: {cool_down: 1h, expire: 2h}")
	if status := as(old, http.MethodPost, "/-/reload"); status != http.StatusOK {
		t.Fatalf("reload: %d", status)
	}
	if a, b := as(old, http.MethodGet, "/api/v1/status"), as(renewed, http.MethodGet, "/api/v1/status"); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("the old token is answered %d, the new one %d", a, b)
	}
	if g.levels.Enabled(zapcore.InfoLevel) || !g.levels.Enabled(zapcore.WarnLevel) {
		t.Error("the level of the log is not warn")
	}
	if status := as(renewed, http.MethodGet, "/api/v1/config"); status != http.StatusOK {
		t.Errorf("config: %d", status)
	}
	const requests = 5
	for range requests {
		g.must(t, http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest)
	}
	n := 0
	for _, e := range logs.FilterMessage("request").All() {
		if path, _ := e.ContextMap()["path"].(string); strings.HasSuffix(path, "/infer") {
			n++
		}
	}
	if n != requests {
		t.Errorf("%d of %d requests are in the access log", n, requests)
	}
	g.configure(t, dir, "admin.tokens: {alice: "+renewed+"}", "log: {format: console}")
	if status := as(renewed, http.MethodPost, "/-/reload"); status != http.StatusBadRequest {
		t.Errorf("a reload of a setting that needs a restart: %d", status)
	}
}
