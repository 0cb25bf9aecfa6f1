package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tls returns the configuration for https addresses: the root certificates and the client's
// certificate. It is nil if neither is given.
func (c *connection) tls() (*tls.Config, error) {
	ca, cert, key := cmp.Or(c.ca, os.Getenv("SLUICE_CA")), cmp.Or(c.cert, os.Getenv("SLUICE_CERT")), cmp.Or(c.key, os.Getenv("SLUICE_KEY"))
	if ca == "" && cert == "" && key == "" {
		return nil, nil //nolint:nilnil // the default of the client
	}
	if (cert == "") != (key == "") {
		return nil, usageError{"a client's certificate needs its key: expected both --cert and --key"}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s has no certificate: expected a PEM file", ca)
		}
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
