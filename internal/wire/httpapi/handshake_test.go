package httpapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
	"sluice.io/sluice/internal/wire/httpapi"
)

// hello returns the first bytes that a client sends.
func hello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	go func() {
		defer func() { _ = ours.Close() }()
		_ = tls.Client(ours, &tls.Config{InsecureSkipVerify: true}).Handshake()
	}()
	first := make([]byte, 100)
	if _, err := io.ReadFull(theirs, first); err != nil {
		t.Fatal(err)
	}
	return first
}

// secureServer is serve over TLS; it returns what was logged as well.
func secureServer(t *testing.T, s *stub, change func(*options)) (*httpapi.Server, *observer.ObservedLogs, func(context.Context) error) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	srv, _, stop := serve(t, s, func(o *options) {
		o.TLS, o.Logger, o.AccessLog = selfSigned(t), zap.New(core), front.AccessLog{Enabled: true, SampleEvery: 1, MaxErrors: 1000}
		if change != nil {
			change(o)
		}
	})
	return srv, logs, stop
}

// Handshakes that hang, whether nothing was sent, half of a hello, or a byte from time to
// time, do not keep a good caller waiting, and end.
func TestHalfOpenHandshakes(t *testing.T) {
	const n = 200
	srv, logs, stop := secureServer(t, &stub{}, func(o *options) {
		o.Limits.HandshakeTimeout, o.Limits.ReadTimeout = 4*time.Second, time.Minute
	})
	addr, first := srv.Addr().String(), hello(t)
	var dribble sync.WaitGroup
	defer dribble.Wait()
	hanging := make([]net.Conn, n)
	for i := range hanging {
		c := dial(t, addr)
		hanging[i] = c
		switch i % 3 {
		case 1:
			_, _ = c.Write(first[:60])
		case 2:
			dribble.Go(func() {
				for _, b := range first {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(100 * time.Millisecond) // its whole hello would take ten seconds
				}
			})
		}
	}
	good := dial(t, secure+addr)
	r := bufio.NewReader(good)
	for range 20 {
		_, _ = io.WriteString(good, request("GET", "/v2", ""))
		if a := read(t, r, "GET"); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	for i, c := range hanging {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("connection %d is still open", i)
		}
	}
	_ = good.Close()
	if err := stop(t.Context()); err != nil { // after which all is counted and logged
		t.Error(err)
	}
	if got := srv.FailedHandshakes(); got != n {
		t.Errorf("%d handshakes failed, want %d", got, n)
	}
	if got := logs.FilterMessage("request").Len(); got != 20 {
		t.Errorf("%d requests are logged, want the 20 good ones", got)
	}
	if got := logs.FilterMessage("TLS handshake failed").Len(); got == 0 || got > n/4 {
		t.Errorf("%d failed handshakes are logged, want a sample", got)
	}
}

func TestHTTPOnATLSPort(t *testing.T) {
	srv, logs, stop := secureServer(t, &stub{}, nil)
	addr := srv.Addr().String()
	for _, text := range []string{request("GET", "/v2", ""), request("POST", inferPath, good), request("OPTIONS", "/", "")} {
		a := send(t, addr, text)
		if a.status != 400 || a.body != `{"error":"this port takes only TLS: use https://"}` || !a.close {
			t.Errorf("%+v", a)
		}
	}
	for _, text := range []string{"garbage garbage", "\x16\x03\x01\x00\x05hello", "\x00\x00\x00\x00\x00", ""} {
		c := dial(t, addr)
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
		if got, _ := io.ReadAll(c); strings.Contains(string(got), "HTTP") {
			t.Errorf("%q is answered %q", text, got)
		}
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
	if n := srv.FailedHandshakes(); n != 7 {
		t.Errorf("%d failed handshakes, want 7", n)
	}
	if n := logs.FilterMessage("request").Len(); n != 0 {
		t.Errorf("%d lines for what was no request", n)
	}
}

// A stop answers the request in progress, closes idle connections with an alert that tells
// it, and does not wait for a handshake.
func TestStopOverTLS(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	s := &stub{}
	s.predict = func(ctx context.Context, req *infer.Request) (*infer.Response, error) {
		close(begun)
		<-finish
		s.predict = nil
		return s.Predict(ctx, req)
	}
	srv, _, stop := secureServer(t, s, func(o *options) {
		o.Limits.HandshakeTimeout, o.Limits.ReadTimeout = time.Hour, time.Hour
	})
	addr := srv.Addr().String()
	idle := dial(t, secure+addr)
	r := bufio.NewReader(idle)
	_, _ = io.WriteString(idle, request("GET", "/v2", ""))
	if a := read(t, r, "GET"); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	busy := dial(t, secure+addr)
	_, _ = io.WriteString(busy, request("POST", inferPath, good))
	<-begun
	silent := dial(t, addr)
	half := dial(t, addr)
	_, _ = half.Write(hello(t))
	stopped := make(chan error, 1)
	go func() { stopped <- stop(t.Context()) }()
	for _, c := range []net.Conn{silent, half} {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a handshake outlives the stop")
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) { // without the alert it is io.ErrUnexpectedEOF
		t.Errorf("an idle connection ends with %v", err)
	}
	close(finish)
	if a := read(t, bufio.NewReader(busy), "POST"); a.status != 200 || a.body != goodAnswer || !a.close {
		t.Errorf("%+v", a)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A stop without time is no failure if nothing is open.
func TestStopWithoutTimeOverTLS(t *testing.T) {
	srv, _, stop := secureServer(t, &stub{}, nil)
	if a := get(t, secure+srv.Addr().String(), "/v2", "Connection: close"); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	for srv.Connections() > 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := stop(ctx); err != nil {
		t.Error(err)
	}
}

// A stop whose time is over cuts off, and says so.
func TestStopCutsOffOverTLS(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	s := &stub{predict: func(context.Context, *infer.Request) (*infer.Response, error) {
		close(begun)
		<-finish
		return nil, infer.Errorf(infer.Unavailable, "stopped")
	}}
	srv, _, stop := secureServer(t, s, nil)
	c := dial(t, secure+srv.Addr().String())
	_, _ = io.WriteString(c, request("POST", inferPath, good))
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- stop(ctx) }()
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
	close(finish)
	if err := <-stopped; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("got %v", err)
	}
}
