package admin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/testing/sideport"
)

func TestSizeLimits(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	unsized := func(n int) io.Reader { return io.MultiReader(bytes.NewReader(make([]byte, n))) } // sent in chunks
	s.expectError(s.ask("POST", "/-/reload", bytes.NewReader(make([]byte, 70<<10))), http.StatusRequestEntityTooLarge, "more than")
	s.expectError(s.ask("POST", "/-/reload", unsized(70<<10)), http.StatusRequestEntityTooLarge, "more than")
	if got := s.ask("POST", "/-/reload", unsized(60<<10)); got.status != http.StatusOK {
		t.Errorf("a body within the limit: %d %s", got.status, got.body)
	}
	if got := s.ask("GET", "/metrics", nil, "X-Long", strings.Repeat("x", 64<<10)); got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("long headers: %d", got.status)
	}
}

// Too many bodies at once are refused. After they end, even with an error, others are
// accepted. A body that is not read does not count.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	var writers []*io.PipeWriter
	answers := make(chan int, 100)
	for len(answers) == 0 { // until a body is refused
		r, w := io.Pipe()
		writers = append(writers, w)
		req := s.request(http.MethodPut, "/api/v1/routes/x", r)
		go func() { // ends with its body
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answers <- 0
				return
			}
			answers <- resp.StatusCode
			_ = resp.Body.Close()
		}()
		_, _ = io.WriteString(w, "{") // start the body
		if len(writers) > 90 {
			break
		}
	}
	if got := <-answers; got != http.StatusTooManyRequests || len(writers) <= 64 {
		t.Errorf("answered %d after %d bodies", got, len(writers))
	}
	if got := s.ask("POST", "/-/reload", strings.NewReader("{}")); got.status != http.StatusOK {
		t.Errorf("a body that is not kept: %d %s", got.status, got.body)
	}
	broken := time.Now()
	for _, w := range writers {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	for range len(writers) - 1 {
		<-answers
	}
	// The server may detect a broken connection later than its client.
	for s.ask("PUT", "/api/v1/routes/x", strings.NewReader("[")).status == http.StatusTooManyRequests {
		if t.Context().Err() != nil || time.Since(broken) > time.Minute {
			t.Fatal("broken bodies still count")
		}
	}
}

func TestListenSaysWhichAddress(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	options := sideport.Options()
	options.Address = s.server.Addr().String()
	again, err := admin.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Listen(); err == nil || !strings.Contains(err.Error(), s.server.Addr().String()) {
		t.Errorf("got %v", err)
	}
}

func TestShutdownWaitsForAChange(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	begun, finish := make(chan struct{}), make(chan struct{})
	s.control.change = func(context.Context, string, string) error {
		close(begun)
		<-finish
		return nil
	}
	answered := make(chan answer, 1)
	go func() { answered <- s.ask("POST", "/-/reload", nil) }() // received below
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- s.server.Shutdown(context.Background()) }() // received below
	if err := <-s.ended; err != nil {                                  // Run returns as soon as Shutdown begins
		t.Error(err)
	}
	s.ended <- nil // for the cleanup
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(finish)
	if got := <-answered; got.status != http.StatusOK {
		t.Errorf("the change in progress was answered %d", got.status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownCutsOffAfterItsTime(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	begun := make(chan struct{})
	s.control.change = func(ctx context.Context, _, _ string) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}
	gone := make(chan struct{})
	req := s.request(http.MethodPost, "/-/reload", nil)
	go func() { // received below
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			t.Errorf("answered %d (%v)", resp.StatusCode, resp.Body.Close())
		}
		close(gone)
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Shutdown(ctx); err == nil {
		t.Error("no error says that a request was canceled")
	}
	<-gone
}

func TestShutdownEndsAProfile(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	// A trace sends its first bytes immediately, so the answer's headers show that it runs.
	resp, err := http.DefaultClient.Do(s.request(http.MethodGet, "/debug/pprof/trace?seconds=300", nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Errorf("the trace was cut off: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, err := admin.New(sideport.Options())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }() // received below
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestShutdownWithoutRun(t *testing.T) {
	s, err := admin.New(sideport.Options())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Errorf("Run after Shutdown: %v", err)
	}
}

// Connections beyond the limit wait until another one ends.
func TestConnectionsAreBounded(t *testing.T) {
	s := serve(t, "127.0.0.1:0", nil)
	address := s.server.Addr().String()
	ask := func(c net.Conn) {
		if _, err := io.WriteString(c, "GET /-/healthy HTTP/1.1\r\nHost: "+address+"\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	open := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		ask(c)
		return c
	}
	answered := func(c net.Conn) bool {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil && resp.StatusCode == http.StatusOK
	}
	conns := make([]net.Conn, maxConnections)
	for i := range conns {
		if conns[i] = open(); !answered(conns[i]) {
			t.Fatalf("connection %d was not answered", i)
		}
	}
	var ended atomic.Bool
	late, done := open(), make(chan struct{})
	go func() {
		defer close(done)
		if !answered(late) {
			t.Error("a connection was not answered after another had ended")
		}
		if !ended.Load() {
			t.Error("a connection beyond the limit was answered")
		}
	}()
	for range 10 { // a server without a limit would meanwhile answer the late one
		if ask(conns[0]); !answered(conns[0]) {
			t.Fatal("a connection within the limit was not answered again")
		}
	}
	ended.Store(true)
	for _, c := range conns {
		_ = c.Close()
	}
	<-done
	_ = late.Close()
}
