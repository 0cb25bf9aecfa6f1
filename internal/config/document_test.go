package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sluice.io/sluice/internal/config"
)

// The document is a valid file: parsing it gives the same configuration.
func TestConfigDocument(t *testing.T) {
	const token = "0123456789abcdef"
	cfg := mustParse(t, `repository: {path: m}
server: {http: {max_body: 3MiB}, drain_timeout: 90s}
admin: {tokens: {alice: `+token+`}}
models:
  a: {versions: [1, 2], drift: {profile: p.json}}
  b: {versions: all, providers: [{name: cpu, options: {x: "1"}}]}
routes:
  a: {variants: [{version: 1, weight: 99.5%}, {version: 2, weight: 0.5%, role: canary}], fallback: stable}
  b: {variants: [{version: 1, weight: 100%}], fallback: 2, override: {token: `+token+`}}
`)
	text, err := json.Marshal(cfg.Document())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), token) || strings.Count(string(text), "[secret]") != 2 {
		t.Errorf("secrets: %s", text)
	}
	file := filepath.Join(t.TempDir(), "c.yaml")
	again := strings.ReplaceAll(strings.ReplaceAll(string(text), "[secret]", token), `"fallback":null,`, "")
	again = strings.ReplaceAll(again, `,"sticky":{"header":"","parameter":""}`, "")
	again = strings.ReplaceAll(again, `"override":{"token":""},`, "")
	if err := os.WriteFile(file, []byte(again), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := config.Load(file)
	if err != nil {
		t.Fatalf("%v in %s", err, again)
	}
	if diff := cmp.Diff(cfg, read, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
