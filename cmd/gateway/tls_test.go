package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
	"sluice.io/sluice/internal/testing/pki"
)

// The commands reach a gateway over TLS, with and without a certificate of their own.
func TestCommandsOverTLS(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	server, own := ca.Valid(t, "server"), ca.Valid(t, "command")
	root := pki.Write(t, dir, "ca.pem", ca.PEM)
	cert, key := pki.Write(t, dir, "own.pem", own.Cert), pki.Write(t, dir, "own-key.pem", own.Key)
	section := fmt.Sprintf("cert: %q, key: %q", pki.Write(t, dir, "server.pem", server.Cert), pki.Write(t, dir, "server-key.pem", server.Key))
	g := onnxgen.New("m")
	g.Output("y", infer.FP32, g.Op("Identity", g.Input("x", infer.FP32, "N", 2)), "N", 2)
	models := filepath.Join(dir, "models")
	if err := os.MkdirAll(filepath.Join(models, "m", "1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(models, "m", "1", "model.onnx"), g.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: '127.0.0.1:0', tls: {%s}}}\n"+
		"admin: {address: '127.0.0.1:0', tls: {%s, client_ca: %q, client_auth: require}}\n", models, section, section, root)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t, "", []string{"check", "-c", file}); got.code != exitOK || got.errOut != "" {
		t.Errorf("check: %+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, outWriter := io.Pipe()
	code := make(chan int, 1)
	go func() { // the test receives the result
		code <- run(ctx, []string{"serve", "-c", file}, nil, outWriter, io.Discard, watched)
		_ = outWriter.Close()
	}()
	data, admin := welcomed(t, out)
	if !strings.HasPrefix(data, "https://") || !strings.HasPrefix(admin, "https://") {
		t.Fatalf("the welcome names %s and %s", data, admin)
	}

	f := func(code int, part string, args []string, env ...string) {
		t.Helper()
		got := command(t, "", args, env...)
		if got.code != code || !strings.Contains(got.out+got.errOut, part) {
			t.Errorf("%v: %+v, want code %d and %q", args, got, code, part)
		}
	}
	health := []string{"healthcheck", "--admin", admin}
	f(exitOK, "ready", append(health, "--ca", root, "--cert", cert, "--key", key))
	f(exitOK, "ready", health, "SLUICE_CA", root, "SLUICE_CERT", cert, "SLUICE_KEY", key)
	f(exitFailed, "no answer from", append(health, "--ca", root))
	f(exitFailed, "unknown authority", append(health, "--cert", cert, "--key", key))
	f(exitFailed, "HTTPS", []string{"healthcheck", "--admin", strings.TrimPrefix(admin, "https://")})
	f(exitOK, "ready", []string{"healthcheck", "--data", data, "--ca", root})
	f(exitFailed, "use https://", []string{"healthcheck", "--data", strings.TrimPrefix(data, "https://")})
	f(exitOK, `"y"`, []string{"infer", "m", "--example", "--data", data, "--ca", root})
	f(exitOK, "m", []string{"models", "list", "--admin", admin, "--ca", root, "--cert", cert, "--key", key})

	f(exitUsage, "both --cert and --key", append(health, "--cert", cert))
	f(exitFailed, "--ca", append(health, "--ca", filepath.Join(dir, "none")))
	f(exitFailed, "has no certificate", append(health, "--ca", key))
	f(exitFailed, "--cert", append(health, "--cert", cert, "--key", root))
	cancel()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
}

func TestCheckOfCertificates(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	soon, other := ca.Issue(t, "soon", time.Now().Add(24*time.Hour)), ca.Valid(t, "other")
	cert, key := pki.Write(t, dir, "cert.pem", soon.Cert), pki.Write(t, dir, "key.pem", soon.Key)
	file := filepath.Join(dir, "sluice.yaml")
	text := fmt.Sprintf("repository: {path: none}\nadmin: {tls: {cert: %q, key: %q}}\n", cert, key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t, "", []string{"check", "-c", file}); got.code != exitOK ||
		!strings.Contains(got.errOut, "warning: "+file+":2: admin.tls.cert: the certificate expires on ") {
		t.Errorf("%+v", got)
	}
	pki.Write(t, dir, "key.pem", other.Key)
	if got := command(t, "", []string{"check", "-c", file}); got.code != exitFailed ||
		!strings.Contains(got.errOut, file+":2: admin.tls.key: tls: private key does not match public key") {
		t.Errorf("%+v", got)
	}
}
