package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"sluice.io/sluice/internal/infer"
)

// maxFileBytes is the max size of a file. A bundle of all public roots has 250 KiB.
const maxFileBytes = 1 << 20

// FileError says which file cannot be used, by its setting, and why. It does not tell the path.
type FileError struct {
	Setting string // "cert", "key" or "client_ca"
	Reason  string
}

func (e *FileError) Error() string { return "tls." + e.Setting + ": " + e.Reason }

// Unwrap returns the same as an *infer.Error.
func (e *FileError) Unwrap() error {
	return &infer.Error{Code: infer.Invalid, Op: "tls", Msg: e.Error()}
}

func fileError(setting, format string, args ...any) error {
	return &FileError{Setting: setting, Reason: fmt.Sprintf(format, args...)}
}

// material is what the files of one time hold.
type material struct {
	config              *tls.Config
	digest              [sha256.Size]byte // of all files
	notBefore, notAfter time.Time         // of the certificate
}

// usable returns an error if a certificate is outside its time.
func (m *material) usable(now time.Time) error {
	switch {
	case !now.Before(m.notAfter):
		return fileError("cert", "the certificate expired on %s", m.notAfter.UTC().Format(time.RFC3339))
	case now.Before(m.notBefore):
		return fileError("cert", "the certificate is not valid before %s", m.notBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

// Check reads the files and returns the end of the certificate. Errors: a *FileError, also if
// the certificate is outside its time.
func Check(opts *Options, now time.Time) (notAfter time.Time, err error) {
	m, err := read(opts)
	if err != nil {
		return time.Time{}, err
	}
	return m.notAfter, m.usable(now)
}

// read reads and checks the files.
func read(opts *Options) (*material, error) {
	certPEM, err := readFile("cert", opts.Cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readFile("key", opts.Key)
	if err != nil {
		return nil, err
	}
	chain, err := certificates("cert", certPEM)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fileError("key", "%v", err)
	}
	m := &material{notBefore: chain[0].NotBefore, notAfter: chain[0].NotAfter, config: newConfig(opts, pair)}
	hash := sha256.New()
	for _, text := range [][]byte{certPEM, keyPEM} {
		_, _ = fmt.Fprintf(hash, "%d\n%s", len(text), text)
	}
	if m.config.ClientAuth != tls.NoClientCert {
		caPEM, err := readFile("client_ca", opts.ClientCA)
		if err != nil {
			return nil, err
		}
		roots, err := certificates("client_ca", caPEM)
		if err != nil {
			return nil, err
		}
		m.config.ClientCAs = x509.NewCertPool()
		for _, root := range roots {
			m.config.ClientCAs.AddCert(root)
		}
		_, _ = hash.Write(caPEM)
	}
	m.digest = [sha256.Size]byte(hash.Sum(nil))
	return m, nil
}

// readFile returns the content of a regular file of a sensible size.
func readFile(setting, path string) ([]byte, error) {
	info, err := os.Stat(path) // first, since opening a pipe would wait
	if err != nil {
		return nil, fileError(setting, "the file cannot be read: %v", withoutPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fileError(setting, "not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fileError(setting, "the file cannot be read: %v", withoutPath(err))
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fileError(setting, "the file cannot be read: %v", withoutPath(err))
	case len(text) > maxFileBytes:
		return nil, fileError(setting, "the file has more than %d bytes", maxFileBytes)
	}
	return text, nil
}

func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// certificates returns the certificates of a PEM file, at least one.
func certificates(setting string, text []byte) (list []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fileError(setting, "certificate %d of the file: %v", len(list)+1, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fileError(setting, "expected a PEM file with a certificate")
	}
	return list, nil
}

// newConfig returns the configuration without the roots of the clients.
func newConfig(opts *Options, pair tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   minVersion(opts.MinVersion),
		NextProtos:   opts.NextProtos,
		ClientAuth:   clientAuth(opts.ClientAuth),
		// For TLS 1.2: key exchange with forward secrecy, and encryption that authenticates.
		// Those of TLS 1.3 cannot be chosen.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
}

func minVersion(text string) uint16 {
	if text == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

func clientAuth(text string) tls.ClientAuthType {
	switch text {
	case ClientAuthRequire:
		return tls.RequireAndVerifyClientCert
	case ClientAuthRequest:
		return tls.VerifyClientCertIfGiven
	case ClientAuthNone, "":
		return tls.NoClientCert
	default:
		panic("BUG: unknown kind of client authentication " + text)
	}
}
