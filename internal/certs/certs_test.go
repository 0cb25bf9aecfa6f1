package certs_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/certs"
	"sluice.io/sluice/internal/testing/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// files writes a pair, and the roots of clients, into a folder.
func files(t *testing.T, dir string, pair pki.Pair, clients *pki.CA) certs.Options {
	t.Helper()
	return certs.Options{
		Listener: "http", ClientAuth: certs.ClientAuthRequire, Logger: zap.NewNop(), NextProtos: []string{"http/1.1"},
		Cert:     pki.Write(t, dir, "cert.pem", pair.Cert),
		Key:      pki.Write(t, dir, "key.pem", pair.Key),
		ClientCA: pki.Write(t, dir, "ca.pem", clients.PEM),
	}
}

// shake makes a handshake, sends a byte each way and returns the client's state and the
// errors of both sides.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ended := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		s := tls.Server(c, server)
		err = s.Handshake()
		_, _ = s.Write([]byte{1})
		ended <- err
		_, _ = io.Copy(io.Discard, s)
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(raw, client)
	_, clientErr = c.Read(make([]byte, 1)) // TLS 1.3 tells a refusal of the client only here
	return c.ConnectionState(), <-ended, clientErr
}

func TestClientCertificates(t *testing.T) {
	ca, other, dir := pki.New(t), pki.New(t), t.TempDir()
	opts := files(t, dir, ca.Valid(t, "server"), ca)
	good := ca.Client(t, ca.Valid(t, "client"))
	without := ca.Client(t)
	expired := ca.Client(t, ca.Issue(t, "client", time.Now().Add(-time.Minute)))
	foreign := ca.Client(t)
	pair := other.Valid(t, "client").TLS(t)
	foreign.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	old := ca.Client(t, ca.Valid(t, "client"))
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	only12 := ca.Client(t, ca.Valid(t, "client"))
	only12.MaxVersion = tls.VersionTLS12
	weak := only12.Clone()
	weak.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	for _, c := range []struct {
		name, auth, min string
		client          *tls.Config
		ok              bool
	}{
		{"good", certs.ClientAuthRequire, "", good, true},
		{"1.2", certs.ClientAuthRequire, "1.2", only12, true},
		{"1.2 where 1.3 is wanted", certs.ClientAuthRequire, "1.3", only12, false},
		{"1.1", certs.ClientAuthRequire, "", old, false},
		{"CBC", certs.ClientAuthRequire, "", weak, false},
		{"without", certs.ClientAuthRequire, "", without, false},
		{"expired", certs.ClientAuthRequire, "", expired, false},
		{"of another authority", certs.ClientAuthRequire, "", foreign, false},
		{"without, on request", certs.ClientAuthRequest, "", without, true},
		{"of another authority, on request", certs.ClientAuthRequest, "", foreign, false},
		{"without, not asked", certs.ClientAuthNone, "", without, true},
		{"of another authority, not asked", "", "", foreign, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := opts
			opts.ClientAuth, opts.MinVersion = c.auth, c.min
			s, err := certs.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			state, serverErr, clientErr := shake(t, s.Config(), c.client)
			if (serverErr == nil) != c.ok || (clientErr == nil) != c.ok {
				t.Errorf("server: %v, client: %v, want success %v", serverErr, clientErr, c.ok)
			}
			if c.ok && state.Version < tls.VersionTLS12 {
				t.Errorf("version %x", state.Version)
			}
		})
	}
}

func TestReload(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	opts := files(t, dir, ca.Valid(t, "first"), ca)
	core, logs := observer.New(zap.InfoLevel)
	opts.Logger = zap.New(core)
	s, err := certs.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	config := s.Config()
	client := ca.Client(t, ca.Valid(t, "client"))
	expect := func(name string, valid bool, lines int) {
		t.Helper()
		s.Reload()
		s.Reload() // says nothing twice
		state, serverErr, clientErr := shake(t, config, client)
		if serverErr != nil || clientErr != nil {
			t.Fatalf("server: %v, client: %v", serverErr, clientErr)
		}
		if got := state.PeerCertificates[0].Subject.CommonName; got != name {
			t.Errorf("the certificate of %q serves, want %q", got, name)
		}
		if st := s.Status(); st.Valid != valid || !st.NotAfter.Equal(state.PeerCertificates[0].NotAfter) {
			t.Errorf("%+v, want valid %v", st, valid)
		}
		if n := logs.Len(); n != lines {
			t.Errorf("%d lines, want %d: %v", n, lines, logs.All())
		}
	}
	expect("first", true, 0)
	second := ca.Valid(t, "second")
	pki.Write(t, dir, "cert.pem", second.Cert) // its key is not there yet
	expect("first", false, 1)
	if line := logs.All()[0]; line.Level != zap.WarnLevel || strings.Contains(line.ContextMap()["error"].(string), dir) {
		t.Errorf("%v", line)
	}
	pki.Write(t, dir, "key.pem", second.Key)
	expect("second", true, 2)
	pki.Write(t, dir, "cert.pem", []byte("garbage"))
	expect("second", false, 3)
	pki.Write(t, dir, "cert.pem", second.Cert) // as before
	expect("second", true, 3)
	expired := ca.Issue(t, "expired", time.Now().Add(-time.Minute))
	pki.Write(t, dir, "cert.pem", expired.Cert)
	pki.Write(t, dir, "key.pem", expired.Key)
	expect("second", false, 4)
}

// A session of a client whose authority is no longer trusted cannot be resumed.
func TestNewClientAuthorityEndsSessions(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ca, first, second, dir := pki.New(t), pki.New(t), pki.New(t), t.TempDir()
		s, err := certs.New(files(t, dir, ca.Valid(t, "server"), first))
		if err != nil {
			t.Fatal(err)
		}
		config := s.Config()
		client := ca.Client(t)
		pair := first.Valid(t, "client").TLS(t)
		client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		client.ClientSessionCache, client.MaxVersion = tls.NewLRUClientSessionCache(1), version
		for i := range 2 {
			state, serverErr, clientErr := shake(t, config, client)
			if serverErr != nil || clientErr != nil || state.DidResume != (i > 0) {
				t.Fatalf("resumed %v, server: %v, client: %v", state.DidResume, serverErr, clientErr)
			}
		}
		renewed := ca.Valid(t, "server")
		pki.Write(t, dir, "cert.pem", renewed.Cert)
		pki.Write(t, dir, "key.pem", renewed.Key)
		s.Reload()
		if state, serverErr, _ := shake(t, config, client); serverErr != nil || !state.DidResume {
			t.Errorf("after a new certificate: resumed %v, %v", state.DidResume, serverErr)
		}
		pki.Write(t, dir, "ca.pem", second.PEM)
		s.Reload()
		if _, serverErr, _ := shake(t, config, client); serverErr == nil {
			t.Errorf("version %x: the client of a former authority is let in", version)
		}
	}
}

func TestBrokenFiles(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	good := files(t, dir, ca.Valid(t, "server"), ca)
	garbage := pki.Write(t, dir, "garbage.pem", []byte("garbage"))
	block := pki.Write(t, dir, "block.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	large := pki.Write(t, dir, "large.pem", make([]byte, 1<<20+1))
	otherKey := pki.Write(t, dir, "other.pem", ca.Valid(t, "other").Key)
	expired := pki.Write(t, dir, "expired.pem", ca.Issue(t, "old", time.Now().Add(-time.Minute)).Cert)
	for _, c := range []struct {
		change        func(*certs.Options)
		setting, want string
	}{
		{func(o *certs.Options) { o.Cert = filepath.Join(dir, "nope") }, "cert", "no such file"},
		{func(o *certs.Options) { o.Cert = dir }, "cert", "not a regular file"},
		{func(o *certs.Options) { o.Cert = garbage }, "cert", "expected a PEM file"},
		{func(o *certs.Options) { o.Cert = block }, "cert", "certificate 1"},
		{func(o *certs.Options) { o.Cert = large }, "cert", "more than"},
		{func(o *certs.Options) { o.Cert = expired }, "key", "does not match"},
		{func(o *certs.Options) { o.Key = filepath.Join(dir, "nope") }, "key", "no such file"},
		{func(o *certs.Options) { o.Key = otherKey }, "key", "does not match"},
		{func(o *certs.Options) { o.Key = good.Cert }, "key", "certificate"},
		{func(o *certs.Options) { o.ClientCA = filepath.Join(dir, "nope") }, "client_ca", "no such file"},
		{func(o *certs.Options) { o.ClientCA = garbage }, "client_ca", "expected a PEM file"},
	} {
		opts := good
		c.change(&opts)
		_, err := certs.New(opts)
		broken, ok := errors.AsType[*certs.FileError](err)
		if !ok || broken.Setting != c.setting || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), dir) {
			t.Errorf("got %v, want %q about %s", err, c.want, c.setting)
		}
		if _, checked := certs.Check(&opts, time.Now()); checked == nil || checked.Error() != err.Error() {
			t.Errorf("Check says %v, New %v", checked, err)
		}
	}
	if _, err := certs.Check(&good, time.Now()); err != nil {
		t.Error(err)
	}
	if _, err := certs.Check(&good, time.Now().Add(1000*24*time.Hour)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v", err)
	}
	if _, err := certs.Check(&good, time.Now().Add(-1000*24*time.Hour)); err == nil || !strings.Contains(err.Error(), "not valid before") {
		t.Errorf("got %v", err)
	}
}

func TestEndOfACertificateIsTold(t *testing.T) {
	ca := pki.New(t)
	for want, notAfter := range map[string]time.Time{
		"the TLS certificate ends soon":  time.Now().Add(13 * 24 * time.Hour),
		"the TLS certificate is expired": time.Now().Add(-time.Minute),
	} {
		core, logs := observer.New(zap.InfoLevel)
		opts := files(t, t.TempDir(), ca.Issue(t, "server", notAfter), ca)
		opts.Logger = zap.New(core)
		s, err := certs.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		s.Reload()
		if logs.Len() != 1 || logs.All()[0].Message != want {
			t.Errorf("%v, want %q", logs.All(), want)
		}
		if s.Status().Valid != notAfter.After(time.Now()) {
			t.Errorf("%+v", s.Status())
		}
	}
}
