package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/certs"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/metrics"
)

// certificates are the TLS files of the listeners. A listener without TLS has none.
type certificates struct {
	http, grpc, admin *certs.Source
}

// openCertificates reads the files of all listeners.
func openCertificates(cfg *config.Config, log *zap.Logger) (c certificates, err error) {
	if c.http, err = openCertificate("http", &cfg.Server.HTTP.TLS, "http/1.1", log); err != nil {
		return c, err
	}
	if cfg.Server.GRPC.Address != config.ListenNone {
		if c.grpc, err = openCertificate("grpc", &cfg.Server.GRPC.TLS, "h2", log); err != nil {
			return c, err
		}
	}
	c.admin, err = openCertificate("admin", &cfg.Admin.TLS, "http/1.1", log)
	return c, err
}

func openCertificate(listener string, t *config.TLS, protocol string, log *zap.Logger) (*certs.Source, error) {
	if !t.Enabled() {
		return nil, nil //nolint:nilnil // no TLS is not an error
	}
	s, err := certs.New(certs.Options{
		Listener: listener, Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, ClientAuth: t.ClientAuth, MinVersion: t.MinVersion,
		NextProtos: []string{protocol}, Logger: log.Named("tls"),
	})
	if err != nil {
		return nil, fmt.Errorf("%s listener: %w", listener, err)
	}
	return s, nil
}

// tlsConfig returns the configuration for a listener, nil without TLS.
func tlsConfig(s *certs.Source) *tls.Config {
	if s == nil {
		return nil
	}
	return s.Config()
}

func (c certificates) sources() (list []*certs.Source) {
	for _, s := range []*certs.Source{c.http, c.grpc, c.admin} {
		if s != nil {
			list = append(list, s)
		}
	}
	return list
}

// reload reads the files again.
func (c certificates) reload() {
	for _, s := range c.sources() {
		s.Reload()
	}
}

// run takes over changed files until ctx ends.
func (c certificates) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, s := range c.sources() {
		wg.Go(func() { _ = s.Run(ctx) }) // it returns nil
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// certificates returns the state of the certificates for the metrics.
func (a *App) certificates() map[string]metrics.Certificate {
	list := map[string]metrics.Certificate{}
	add := func(name string, s *certs.Source, failed int64) {
		if s != nil {
			status := s.Status()
			list[name] = metrics.Certificate{Valid: status.Valid, NotAfter: status.NotAfter, FailedHandshakes: failed}
		}
	}
	add("http", a.certs.http, a.http.FailedHandshakes())
	if a.grpc != nil {
		add("grpc", a.certs.grpc, a.grpc.FailedHandshakes())
	}
	add("admin", a.certs.admin, a.admin.FailedHandshakes())
	return list
}
