package app_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/app"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/serving"
	"sluice.io/sluice/internal/testing/pki"
)

// secured is a gateway that asks for certificates of clients on both ports.
type secured struct {
	*gateway
	ca     *pki.CA
	dir    string // of its files
	client *http.Client
}

// startSecured runs a secured gateway until the test ends.
func startSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{ca: pki.New(t), dir: t.TempDir()}
	s.write(t, s.ca.Valid(t, "first"))
	pki.Write(t, s.dir, "ca.pem", s.ca.PEM)
	section := fmt.Sprintf("tls: {cert: %q, key: %q, client_ca: %q, client_auth: require}",
		filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem"), filepath.Join(s.dir, "ca.pem"))
	s.gateway = launch(t, zap.NewNop(), &fakes{}, doubles(t, 1), "http."+section, "admin."+section)
	s.url, s.admin = strings.Replace(s.url, "http:", "https:", 1), strings.Replace(s.admin, "http:", "https:", 1)
	s.client = s.newClient(t, s.ca.Valid(t, "client"))
	for range 3000 {
		if status, _, _ := s.ask(s.client, http.MethodGet, s.url+"/v2/health/ready", ""); status == http.StatusOK {
			return s
		}
	}
	t.Fatal("the gateway did not become ready")
	return nil
}

func (s *secured) write(t *testing.T, pair pki.Pair) {
	t.Helper()
	pki.Write(t, s.dir, "cert.pem", pair.Cert)
	pki.Write(t, s.dir, "key.pem", pair.Key)
}

// newClient returns a client that keeps its connections.
func (s *secured) newClient(t *testing.T, pairs ...pki.Pair) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.ca.Client(t, pairs...), MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask sends a request, and returns the answer's status and the name of the server's certificate.
func (s *secured) ask(client *http.Client, method, url, body string) (status int, name string, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.TLS.PeerCertificates[0].Subject.CommonName, err
}

func (s *secured) reload(t *testing.T) {
	t.Helper()
	if status, _, err := s.ask(s.client, http.MethodPost, s.admin+"/-/reload", ""); status != http.StatusOK {
		t.Fatalf("reload: %d, %v", status, err)
	}
}

// metrics returns the text of a scrape.
func (s *secured) metrics(t *testing.T) string {
	t.Helper()
	resp, err := s.client.Get(s.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// New certificates lose no request: neither on kept connections nor on new ones.
func TestCertificatesReloadUnderLoad(t *testing.T) {
	s := startSecured(t)
	var load sync.WaitGroup
	var sent, lost atomic.Int64
	over := make(chan struct{})
	for i := range 6 {
		client := s.newClient(t, s.ca.Valid(t, "client"))
		if i >= 4 { // a handshake for each request
			client.Transport.(*http.Transport).DisableKeepAlives = true
		}
		load.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				sent.Add(1)
				if status, _, err := s.ask(client, http.MethodPost, s.url+"/v2/models/double/infer", doubleRequest); status != http.StatusOK {
					lost.Add(1)
					t.Errorf("%d, %v", status, err)
					return
				}
			}
		})
	}
	for i := range 20 {
		for want := sent.Load() + 10; sent.Load() < want && lost.Load() == 0; { // the load goes on between two reloads
			_, _, _ = s.ask(s.client, http.MethodGet, s.url+"/v2", "")
		}
		name := fmt.Sprint("certificate ", i)
		s.write(t, s.ca.Valid(t, name))
		s.reload(t)
		for _, url := range []string{s.url + "/v2", s.admin + "/-/healthy"} {
			if _, got, err := s.ask(s.newClient(t, s.ca.Valid(t, "client")), http.MethodGet, url, ""); got != name || err != nil {
				t.Errorf("%s has the certificate of %q, %v, want %q", url, got, err, name)
			}
		}
	}
	close(over)
	load.Wait()
	if _, got, err := s.ask(s.client, http.MethodGet, s.url+"/v2", ""); got != "first" || err != nil {
		t.Errorf("the first connection has the certificate of %q, %v: it was not kept", got, err)
	}
}

func TestBrokenCertificatesKeepTheFormerOnes(t *testing.T) {
	s := startSecured(t)
	const valid, notValid = `sluice_tls_certificate_valid{listener="http"} 1`, `sluice_tls_certificate_valid{listener="http"} 0`
	if text := s.metrics(t); !strings.Contains(text, valid) || !strings.Contains(text, `sluice_tls_certificate_not_after_seconds{listener="admin"}`) {
		t.Errorf("no metrics of the certificates in %s", text)
	}
	pki.Write(t, s.dir, "key.pem", s.ca.Valid(t, "other").Key)
	s.reload(t)
	if text := s.metrics(t); !strings.Contains(text, notValid) {
		t.Error("the metrics do not tell that the files are broken")
	}
	if _, got, err := s.ask(s.newClient(t, s.ca.Valid(t, "client")), http.MethodGet, s.url+"/v2", ""); got != "first" || err != nil {
		t.Errorf("the certificate of %q serves, %v", got, err)
	}
	s.write(t, s.ca.Valid(t, "second"))
	s.reload(t)
	if text := s.metrics(t); !strings.Contains(text, valid) {
		t.Error("the metrics do not tell that the files are well again")
	}
}

func TestClientsWithoutCertificatesAreRefused(t *testing.T) {
	s := startSecured(t)
	for _, url := range []string{s.url + "/v2", s.admin + "/metrics"} {
		if status, _, err := s.ask(s.newClient(t), http.MethodGet, url, ""); err == nil {
			t.Errorf("%s answers %d to a client without a certificate", url, status)
		}
		if status, _, err := s.ask(s.newClient(t, pki.New(t).Valid(t, "stranger")), http.MethodGet, url, ""); err == nil {
			t.Errorf("%s answers %d to the client of another authority", url, status)
		}
		if status, _ := s.call(t, http.MethodGet, strings.Replace(url, "https:", "http:", 1), ""); status != http.StatusBadRequest {
			t.Errorf("plain HTTP to %s is answered %d", url, status)
		}
		old := s.newClient(t, s.ca.Valid(t, "client"))
		c := old.Transport.(*http.Transport).TLSClientConfig
		c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		if _, _, err := s.ask(old, http.MethodGet, url, ""); err == nil {
			t.Errorf("%s speaks TLS 1.1", url)
		}
	}
	var text string
	for range 1000 { // a failure is counted after the client has noticed it
		text = s.metrics(t)
		if strings.Contains(text, `sluice_tls_handshake_errors_total{listener="http"} 4`) &&
			strings.Contains(text, `sluice_tls_handshake_errors_total{listener="admin"} 4`) {
			return
		}
	}
	t.Errorf("failed handshakes are not counted: %s", text)
}

func TestBrokenCertificateStopsTheStart(t *testing.T) {
	g := &gateway{file: filepath.Join(t.TempDir(), "sluice.yaml")}
	g.configure(t, doubles(t, 1), "admin.tls: {cert: nope.pem, key: nope.pem}")
	cfg, err := config.Load(g.file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = app.New(app.Options{
		Config: cfg, Logger: zap.NewNop(),
		OpenRuntime: func(*config.Config, *zap.Logger) (serving.Runtime, error) { return &fakes{}, nil },
	})
	if err == nil || !strings.Contains(err.Error(), "admin listener: tls.cert: the file cannot be read: no such file") {
		t.Errorf("got %v", err)
	}
}
