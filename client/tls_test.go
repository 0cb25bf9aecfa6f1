package client_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/testing/pki"
)

func TestTLS(t *testing.T) {
	ca := pki.New(t)
	s := httptest.NewUnstartedServer(&gateway{status: http.StatusOK, answer: "{}"})
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Valid(t, "server").TLS(t)},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Client(t).RootCAs,
	}
	s.StartTLS()
	defer s.Close()
	ask := func(config *tls.Config) error {
		t.Helper()
		c, err := client.New(client.Options{Data: s.URL, Admin: s.URL, TLS: config, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.AdminReady(t.Context()); err != nil {
			return err
		}
		return c.Ready(t.Context())
	}
	if err := ask(ca.Client(t, ca.Valid(t, "client"))); err != nil {
		t.Error(err)
	}
	if err := ask(ca.Client(t)); err == nil {
		t.Errorf("without a certificate: %v", err)
	}
	if err := ask(nil); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the root: %v", err)
	}
	if _, err := client.New(client.Options{TLS: &tls.Config{}, HTTP: http.DefaultClient}); err == nil {
		t.Error("TLS beside an HTTP client is accepted")
	}
}
