package certs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/internal/certs"
	"sluice.io/sluice/internal/testing/pki"
)

func TestRunTakesNewFiles(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := pki.New(t)
		s, err := certs.New(files(t, dir, ca.Valid(t, "first"), ca))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		second := ca.Issue(t, "second", time.Now().Add(50*24*time.Hour))
		pki.Write(t, dir, "cert.pem", second.Cert)
		pki.Write(t, dir, "key.pem", second.Key)
		time.Sleep(time.Minute)
		synctest.Wait()
		if left := time.Until(s.Status().NotAfter); left > 50*24*time.Hour || !s.Status().Valid {
			t.Errorf("the new certificate is not in use: %v left", left)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
