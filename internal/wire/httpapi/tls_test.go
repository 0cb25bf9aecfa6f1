package httpapi_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/testing/pki"
)

// secure is the prefix of an address with TLS.
const secure = "tls:"

// overBoth runs a test over plain connections and over TLS.
func overBoth(t *testing.T, f func(t *testing.T, how func(*options))) {
	t.Helper()
	t.Run("plain", func(t *testing.T) { f(t, func(*options) {}) })
	t.Run("tls", func(t *testing.T) {
		config := selfSigned(t)
		f(t, func(o *options) { o.TLS = config })
	})
}

// selfSigned makes a TLS configuration for a server. The clients of connect accept any certificate.
func selfSigned(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{pki.New(t).Valid(t, "server").TLS(t)}}
}

// Each request on a connection has the full read timeout, even if the idle timeout is shorter.
func TestSlowRequestOnAKeptConnection(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		addr := start(t, &stub{}, func(o *options) {
			how(o)
			o.Limits.ReadTimeout, o.Limits.IdleTimeout = time.Second, time.Minute
		})
		c := dial(t, addr)
		r := bufio.NewReader(c)
		_, _ = io.WriteString(c, request("GET", "/v2", ""))
		if a := read(t, r, "GET"); a.status != 200 || a.close {
			t.Fatalf("%+v", a)
		}
		_, _ = io.WriteString(c, "GET /v2 HTTP/1.1\r\nHost")
		if a := read(t, r, "GET"); a.status != 408 || !strings.Contains(a.body, "within 1s") || !a.close {
			t.Errorf("%+v", a)
		}
	})
}

// A caller that begins no handshake is cut off at the handshake timeout.
func TestSlowHandshake(t *testing.T) {
	config := selfSigned(t)
	addr := start(t, &stub{}, func(o *options) { o.TLS, o.Limits.HandshakeTimeout = config, 50*time.Millisecond })
	c := dial(t, strings.TrimPrefix(addr, secure))
	if b, err := io.ReadAll(c); len(b) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v, want the end", b, err)
	}
}

// Connections above the limit end before their handshake, and the others still work.
func TestMaxConnectionsOverTLS(t *testing.T) {
	config := selfSigned(t)
	addr := start(t, &stub{}, func(o *options) { o.TLS, o.Limits.MaxConnections = config, 1 })
	first := dial(t, addr)
	r := bufio.NewReader(first)
	for range 3 {
		_, _ = io.WriteString(first, request("GET", "/v2", ""))
		if a := read(t, r, "GET"); a.status != 200 {
			t.Fatalf("%+v", a)
		}
		if b, err := io.ReadAll(dial(t, strings.TrimPrefix(addr, secure))); len(b) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %q, %v, want the end of the connection", b, err)
		}
	}
	_ = first.Close()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); { // its place is free when the server has seen the end
		if _, err := io.WriteString(dial(t, addr), request("GET", "/v2", "")); err == nil {
			return
		}
	}
	t.Error("the place of a closed connection stays taken")
}
