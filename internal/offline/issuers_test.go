package offline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

func TestCheckIssuers(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ keys, problem string }{
		{`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`, ""},
		{`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, "sluice.yaml:6: auth.jwt[1].jwks_file: none of the 1 keys of the set can be used"},
		{`{`, "sluice.yaml:6: auth.jwt[1].jwks_file: expected a JSON Web Key Set"},
		{"", "sluice.yaml:6: auth.jwt[1].jwks_file: no such file or directory"},
	} {
		file, keys := filepath.Join(dir, "sluice.yaml"), filepath.Join(t.TempDir(), "keys.json")
		if c.keys != "" {
			if err := os.WriteFile(keys, []byte(c.keys), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text := fmt.Sprintf("repository: {path: models}\nauth:\n  jwt:\n    - {issuer: a, audience: b, jwks_url: 'https://a/'}\n    - issuer: c\n      jwks_file: %q\n      audience: d\n", keys)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, places, err := config.LoadWithPlaces(file)
		if err != nil {
			t.Fatal(err)
		}
		problems := offline.CheckIssuers(cfg, places)
		if (c.problem == "") != (len(problems) == 0) || !strings.Contains(problems.Error(), c.problem) {
			t.Errorf("%s: %v, want %q", c.keys, problems, c.problem)
		}
	}
}
