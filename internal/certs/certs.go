// Package certs makes the TLS configuration of a listener from files, and takes over new
// files without a restart and without the end of a connection.
//
// A new certificate is used from the next handshake on. Files that cannot be used change
// nothing: the former ones serve on, and Status tells it.
package certs

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
)

// The values of Options.ClientAuth.
const (
	ClientAuthNone    = "none"    // no certificate is asked for
	ClientAuthRequest = "request" // a certificate is verified if the client has one
	ClientAuthRequire = "require" // a client without a valid certificate is refused
)

const (
	// Soon is the time before the end of a certificate from which on warnings are given.
	Soon = 14 * 24 * time.Hour

	pollEvery   = 10 * time.Second
	remindEvery = 24 * time.Hour
)

// Options are the inputs of a Source. Cert, Key and Logger are required.
type Options struct {
	Listener   string // its name in the log
	Cert       string // file of the certificate and those between it and its root, PEM
	Key        string // file of its private key, PEM
	ClientCA   string // file of the roots of client certificates, PEM
	ClientAuth string // "" is ClientAuthNone; the others need ClientCA
	MinVersion string // "1.2" or "1.3"; "" is "1.2"
	NextProtos []string
	Logger     *zap.Logger
}

// Status tells about the certificate of a listener.
type Status struct {
	// Valid is false if the files cannot be used, so that former ones serve, or if the
	// certificate that serves is expired or not valid yet.
	Valid    bool
	NotAfter time.Time // the end of the certificate that serves
}

// Source is the TLS configuration of one listener. Its methods are safe for concurrent use.
type Source struct {
	opts    Options
	log     *zap.Logger
	current atomic.Pointer[material]
	broken  atomic.Bool // the files cannot be used

	mu       sync.Mutex // held while the files are read
	trouble  string     // the last failure that was logged; "" after a success
	reminded time.Time  // when the log last said that the certificate ends soon
}

// New reads the files. An expired certificate is taken, with a warning: a gateway that does
// not start would be worse. Errors: a *FileError.
func New(opts Options) (*Source, error) {
	m, err := read(&opts)
	if err != nil {
		return nil, err
	}
	s := &Source{opts: opts, log: opts.Logger.With(zap.String("listener", opts.Listener))}
	s.current.Store(m)
	s.remind(time.Now())
	return s, nil
}

// Config returns the configuration for the listener. It stays valid when files are taken over.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion: minVersion(s.opts.MinVersion),
		NextProtos: s.opts.NextProtos,
		// The session tickets are those of the outer configuration, so that sessions go on
		// after a reload.
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().config, nil },
	}
}

// Status returns the state of the certificate.
func (s *Source) Status() Status {
	m, now := s.current.Load(), time.Now()
	return Status{
		Valid:    !s.broken.Load() && !now.Before(m.notBefore) && now.Before(m.notAfter),
		NotAfter: m.notAfter,
	}
}

// Run reads the files again every few seconds until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.Reload()
			s.remind(time.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// Reload reads the files now. If they cannot be used, it logs that once and keeps the former
// ones.
func (s *Source) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := read(&s.opts)
	current := s.current.Load()
	if err == nil && m.digest != current.digest {
		err = m.usable(time.Now())
	}
	s.broken.Store(err != nil)
	switch {
	case err != nil:
		if text := infer.Message(err); text != s.trouble {
			s.trouble = text
			s.log.Warn("the new TLS files cannot be used, the former ones serve on", zap.String("error", text))
		}
		return
	case m.digest != current.digest:
		s.current.Store(m)
		s.reminded = time.Time{}
		s.log.Info("new TLS files are in use", zap.Time("not_after", m.notAfter))
	}
	s.trouble = ""
}

// remind warns once a day of the end of the certificate.
func (s *Source) remind(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	notAfter := s.current.Load().notAfter
	if now.Add(Soon).Before(notAfter) || now.Sub(s.reminded) < remindEvery {
		return
	}
	s.reminded = now
	text := "the TLS certificate ends soon"
	if !now.Before(notAfter) {
		text = "the TLS certificate is expired"
	}
	s.log.Warn(text, zap.Time("not_after", notAfter))
}
