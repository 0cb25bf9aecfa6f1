package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/internal/infer"
)

func TestNewChecksItsOptions(t *testing.T) {
	f := func(want string, change func(*options)) {
		t.Helper()
		s := &stub{}
		opts := newOptions(s, "127.0.0.1:0")
		change(opts)
		if _, err := opts.server(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("compat", func(o *options) { o.Compat = "kserve" })
	f("max_body", func(o *options) { o.Limits.MaxBodyBytes = -1 })
	f("max_header", func(o *options) { o.Limits.MaxHeaderBytes = 10 })
	f("max_sticky_key", func(o *options) { o.Limits.Tensors.MaxStickyKeyBytes = -1 })
	f("max_inputs is 0", func(o *options) { o.Limits.Tensors.MaxInputs = 0 })
	f("max_connections", func(o *options) { o.Limits.MaxConnections = -1 })
	f("read_timeout", func(o *options) { o.Limits.ReadTimeout = -1 })
	f("idle_timeout", func(o *options) { o.Limits.IdleTimeout = 0 })
	f("max_body is 0", func(o *options) { o.Limits.MaxBodyBytes = 0 })
}

func TestAddressInUse(t *testing.T) {
	addr := start(t, &stub{}, nil)
	s := &stub{}
	srv, err := newOptions(s, addr).server()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
	if err := srv.Shutdown(t.Context()); err != nil { // nothing was listening
		t.Error(err)
	}
}

func TestShutdownWithoutRunGivesTheAddressBack(t *testing.T) {
	s := &stub{}
	opts := newOptions(s, "127.0.0.1:0")
	for range 2 {
		srv, err := opts.server()
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Listen(); err != nil {
			t.Fatal(err)
		}
		opts.Address = srv.Addr().String()
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := srv.Run(t.Context()); err != nil { // after Shutdown, which is not an error
			t.Error(err)
		}
	}
}

// The time between New and Run must not count.
func TestTimeoutsCountFromRun(t *testing.T) {
	s := &stub{}
	opts := newOptions(s, "127.0.0.1:0")
	opts.Limits.WriteTimeout = 300 * time.Millisecond
	srv, err := opts.server()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, srv.Addr().String())
	time.Sleep(opts.Limits.WriteTimeout + 50*time.Millisecond)
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(context.Background()) }()
	_, _ = io.WriteString(c, request("GET", "/v2", ""))
	if a := read(t, bufio.NewReader(c), "GET"); a.status != 200 {
		t.Errorf("%+v", a)
	}
	if err := errors.Join(srv.Shutdown(t.Context()), <-ended); err != nil {
		t.Error(err)
	}
}

func TestMaxConnections(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxConnections = 2 })
	ask := func(c io.ReadWriter) answer {
		_, _ = io.WriteString(c, request("GET", "/v2", ""))
		return read(t, bufio.NewReader(c), "GET")
	}
	first, second := dial(t, addr), dial(t, addr)
	if a, b := ask(first), ask(second); a.status != 200 || b.status != 200 {
		t.Errorf("%+v, %+v", a, b)
	}
	for range 3 {
		a := ask(dial(t, addr))
		if a.status != 503 || a.body != `{"error":"too many connections, try again later"}` || a.header.Get("Retry-After") != "1" || a.header.Get("X-Request-Id") == "" || !a.close {
			t.Errorf("%+v", a)
		}
	}
	if a := ask(first); a.status != 200 { // connections within the limit still work
		t.Errorf("%+v", a)
	}
	_ = second.Close()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); { // its place is free when the server has seen the end
		if a := ask(dial(t, addr)); a.status == 200 {
			return
		}
	}
	t.Error("the place of a closed connection stays taken")
}

// Every refused caller gets an answer, even if many others were refused just before and are still
// connected.
func TestEveryRefusalIsTold(t *testing.T) {
	addr := start(t, &stub{}, func(o *options) { o.Limits.MaxConnections = 1 })
	first := dial(t, addr)
	_, _ = io.WriteString(first, request("GET", "/v2", ""))
	if a := read(t, bufio.NewReader(first), "GET"); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	for range 200 {
		if a := read(t, bufio.NewReader(dial(t, addr)), "GET"); a.status != 503 {
			t.Fatalf("%+v", a)
		}
	}
}

// blocking is a stub with predictions that wait for their release.
func blocking() (s *stub, entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	s = &stub{predict: func(_ context.Context, req *infer.Request) (*infer.Response, error) {
		close(entered)
		<-release
		return double(req), nil
	}}
	return s, entered, release
}

// releaseWhenCut releases the prediction after the caller was cut off, and returns the bytes that
// the caller had received.
func releaseWhenCut(c net.Conn, release chan struct{}) (received chan string) {
	received = make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(c)
		close(release)
		received <- string(b)
	}()
	return received
}

func TestShutdownFinishesWhatItHasAccepted(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		s, entered, release := blocking()
		addr, stop := run(t, s, how)
		idle := dial(t, addr)
		idleReader := bufio.NewReader(idle)
		_, _ = io.WriteString(idle, request("GET", "/v2", ""))
		_ = read(t, idleReader, "GET")
		busy := make(chan answer)
		go func() { busy <- post(t, addr, inferPath, good) }()
		<-entered
		stopped := make(chan error)
		go func() { stopped <- stop(t.Context()) }()
		if _, err := idleReader.ReadByte(); err != io.EOF {
			t.Errorf("idle connection: %v, want the end", err)
		}
		close(release)
		if a := <-busy; a.status != 200 || a.body != goodAnswer || !a.close {
			t.Errorf("accepted request: %+v", a)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// Callers send requests in a loop, each on a connection that it keeps. A stop loses no request:
// each is answered, or its connection could not be made.
func TestShutdownUnderLoadLosesNothing(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		addr, stop := run(t, &stub{}, how)
		started := make(chan struct{}, 4)
		lost := make(chan error, 4)
		for range 4 {
			go func() { lost <- loop(addr, started) }()
		}
		for range 4 {
			<-started
		}
		if err := stop(t.Context()); err != nil {
			t.Error(err)
		}
		for range 4 {
			if err := <-lost; err != nil {
				t.Error(err)
			}
		}
	})
}

// loop sends requests until no connection can be made. A request on a connection that has answered
// before must be answered.
func loop(addr string, started chan<- struct{}) error {
	for n := 0; ; {
		c, err := connect(context.Background(), addr)
		if err != nil {
			return nil //nolint:nilerr // the expected end
		}
		r := bufio.NewReader(c)
		for fresh := true; ; fresh = false {
			_, err := io.WriteString(c, request("POST", inferPath, good))
			var resp *http.Response
			if err == nil {
				resp, err = http.ReadResponse(r, nil)
			}
			if err != nil {
				_ = c.Close()
				if fresh { // it was in the kernel's queue when the listener was closed
					break
				}
				return fmt.Errorf("after %d answers: %w", n, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if n++; n == 1 {
				started <- struct{}{}
			}
			if resp.Close {
				_ = c.Close()
				break
			}
		}
	}
}

func TestShutdownClosesUnusedConnections(t *testing.T) {
	addr, stop := run(t, &stub{}, nil)
	first, second := dial(t, addr), dial(t, addr)
	_, _ = io.WriteString(second, request("GET", "/v2", "")) // accepted after the first one
	_ = read(t, bufio.NewReader(second), "GET")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // fasthttp alone would wait for 5 s
	defer cancel()
	if err := stop(ctx); err != nil {
		t.Error(err)
	}
	if a := read(t, bufio.NewReader(first), "GET"); a.status != 408 || !a.close {
		t.Errorf("%+v", a)
	}
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		s, entered, release := blocking()
		addr, stop := run(t, s, how)
		c := dial(t, addr)
		_, _ = io.WriteString(c, request("POST", inferPath, good))
		<-entered
		received := releaseWhenCut(c, release)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := stop(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that requests were cut off", err)
		}
		if b := <-received; b != "" {
			t.Errorf("got %q", b)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, entered, release := blocking()
	srv, err := newOptions(s, "127.0.0.1:0").server()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- srv.Run(ctx) }()
	c := dial(t, srv.Addr().String())
	_, _ = io.WriteString(c, request("POST", inferPath, good))
	<-entered
	received := releaseWhenCut(c, release)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if b := <-received; b != "" {
		t.Errorf("got %q", b)
	}
}

// A caller that still sends after the answer can read the answer.
func TestAnswerSurvivesUnreadBytes(t *testing.T) {
	overBoth(t, func(t *testing.T, how func(*options)) {
		addr := start(t, &stub{}, func(o *options) {
			how(o)
			o.Limits.MaxBodyBytes = 8 << 20
		})
		for range 5 {
			c := dial(t, addr)
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, err := io.WriteString(c, request("POST", inferPath, strings.Repeat("x", 12<<20)))
			if err != nil {
				t.Fatalf("send: %v", err)
			}
			if a := read(t, bufio.NewReader(c), "POST"); a.status != 413 {
				t.Errorf("%+v", a)
			}
		}
	})
}
