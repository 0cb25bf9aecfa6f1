//go:build linux

package httpapi

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"sluice.io/sluice/internal/testing/pki"
)

// A caller that has closed its connection is seen, whatever it has sent before.
func TestGone(t *testing.T) {
	ca := pki.New(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.Valid(t, "server").TLS(t)}}
	client := ca.Client(t)
	client.ServerName = "127.0.0.1"
	f := func(name string, secure bool, leave func(t *testing.T, raw *net.TCPConn, c net.Conn)) {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() //nolint:errcheck // of a test
			raw, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close() //nolint:errcheck // of a test
			accepted, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close() //nolint:errcheck // of a test
			c := newConn(accepted, newTimeouts(new(UsualLimits())))
			near, far := net.Conn(c), raw
			if secure {
				near, far = tls.Server(c, server), tls.Client(raw, client)
			}
			sent := make(chan error, 1)
			go func() { // it is awaited below
				_, err := far.Write([]byte("GET / HTTP/1.1\r\n"))
				sent <- err
			}()
			if _, err := io.ReadFull(near, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if c.presence.Gone() {
				t.Error("the caller has gone before it went")
			}
			leave(t, raw.(*net.TCPConn), far)
			for end := time.Now().Add(10 * time.Second); !c.presence.Gone(); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the caller has gone, but it is not seen")
				}
			}
		})
	}
	closes := func(_ *testing.T, _ *net.TCPConn, c net.Conn) { _ = c.Close() }
	f("close", false, closes)
	f("close TLS", true, closes)
	f("reset", false, func(t *testing.T, raw *net.TCPConn, _ net.Conn) {
		if err := raw.SetLinger(0); err != nil {
			t.Error(err)
		}
		_ = raw.Close()
	})
	f("more, then close", false, func(t *testing.T, _ *net.TCPConn, c net.Conn) {
		if _, err := c.Write([]byte("another request")); err != nil {
			t.Error(err)
		}
		_ = c.Close()
	})
}
