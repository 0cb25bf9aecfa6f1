package offline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
	"sluice.io/sluice/internal/testing/pki"
)

func TestCheckCertificates(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	pair := ca.Valid(t, "server")
	pki.Write(t, dir, "cert.pem", pair.Cert)
	pki.Write(t, dir, "key.pem", pair.Key)
	soon := ca.Issue(t, "soon", time.Now().Add(10*24*time.Hour))
	pki.Write(t, dir, "soon.pem", soon.Cert)
	pki.Write(t, dir, "soon-key.pem", soon.Key)
	old := ca.Issue(t, "old", time.Now().Add(-time.Hour))
	pki.Write(t, dir, "old.pem", old.Cert)
	pki.Write(t, dir, "old-key.pem", old.Key)
	for _, c := range []struct{ cert, key, clientCA, problem, warning string }{
		{"cert.pem", "key.pem", "cert.pem", "", ""},
		{"soon.pem", "soon-key.pem", "cert.pem", "", "sluice.yaml:4: admin.tls.cert: the certificate expires on "},
		{"old.pem", "old-key.pem", "cert.pem", "sluice.yaml:4: admin.tls.cert: the certificate expired on ", ""},
		{"cert.pem", "soon-key.pem", "cert.pem", "sluice.yaml:5: admin.tls.key: tls: private key does not match", ""},
		{"nope.pem", "key.pem", "cert.pem", "sluice.yaml:4: admin.tls.cert: the file cannot be read: no such file", ""},
		{"cert.pem", "key.pem", "key.pem", "sluice.yaml:6: admin.tls.client_ca: expected a PEM file", ""},
	} {
		file := filepath.Join(t.TempDir(), "sluice.yaml")
		text := fmt.Sprintf("repository: {path: models}\nadmin:\n  tls:\n    cert: %q\n    key: %q\n    client_ca: %q\n    client_auth: require\n",
			filepath.Join(dir, c.cert), filepath.Join(dir, c.key), filepath.Join(dir, c.clientCA))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, places, err := config.LoadWithPlaces(file)
		if err != nil {
			t.Fatal(err)
		}
		problems, warnings := offline.CheckCertificates(cfg, places, time.Now())
		expect := func(what string, got config.Problems, want string) {
			t.Helper()
			if (want == "") != (len(got) == 0) || !strings.Contains(got.Error(), want) {
				t.Errorf("%s, %s: %s %v, want %q", c.cert, c.key, what, got, want)
			}
		}
		expect("problems", problems, c.problem)
		expect("warnings", warnings, c.warning)
	}
}

func TestCheckCertificatesOfEachListener(t *testing.T) {
	for _, section := range []string{"server: {http: {%s}}", "server: {grpc: {%s}}", "admin: {%s}"} {
		file := filepath.Join(t.TempDir(), "sluice.yaml")
		text := "repository: {path: models}\n" + fmt.Sprintf(section, "tls: {cert: none.pem, key: none.pem}")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, places, err := config.LoadWithPlaces(file)
		if err != nil {
			t.Fatal(err)
		}
		if problems, _ := offline.CheckCertificates(cfg, places, time.Now()); !strings.Contains(problems.Error(), "tls.cert: the file cannot be read") {
			t.Errorf("%s: %v", section, problems)
		}
	}
}
