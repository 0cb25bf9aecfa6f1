package certs_test

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/certs"
	"sluice.io/sluice/internal/testing/pki"
)

// Whatever the files hold, they are used or refused with the name of one of them.
func FuzzFiles(f *testing.F) {
	ca := pki.New(f)
	pair := ca.Valid(f, "server")
	f.Add(pair.Cert, pair.Key, ca.PEM)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), pair.Key, []byte{})
	f.Add(pair.Key, pair.Cert, pair.Key)
	f.Fuzz(func(t *testing.T, cert, key, clientCA []byte) {
		dir := t.TempDir()
		opts := certs.Options{
			ClientAuth: certs.ClientAuthRequire, Logger: zap.NewNop(),
			Cert: pki.Write(t, dir, "cert.pem", cert), Key: pki.Write(t, dir, "key.pem", key), ClientCA: pki.Write(t, dir, "ca.pem", clientCA),
		}
		s, err := certs.New(opts)
		if broken, ok := errors.AsType[*certs.FileError](err); err != nil && (!ok || broken.Setting == "" || broken.Reason == "") {
			t.Errorf("got %v", err)
		}
		if err == nil && s.Status().NotAfter.Equal(time.Time{}) {
			t.Error("a certificate without an end is in use")
		}
	})
}
