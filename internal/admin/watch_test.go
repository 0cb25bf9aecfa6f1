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
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/access"
	"sluice.io/sluice/internal/testing/sideport"
)

// stream is a control whose streams the test writes.
type stream struct {
	begun chan api.WatchQuery
	do    func(ctx context.Context, to admin.WatchViewer) error
	ended chan error
}

func (s *stream) Watch(ctx context.Context, q api.WatchQuery, to admin.WatchViewer) error {
	s.begun <- q
	err := s.do(ctx, to)
	s.ended <- err
	return err
}

// wait is a stream that sends a message and waits.
func wait(ctx context.Context, to admin.WatchViewer) error {
	if err := to.Send(api.WatchMessage{Kind: api.WatchStart, ID: 7, Data: []byte(`{"after":7}`)}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// serveStream starts an admin port that serves a stream.
func serveStream(t *testing.T, do func(context.Context, admin.WatchViewer) error, change func(*admin.Options)) (*side, *stream) {
	t.Helper()
	s := &stream{begun: make(chan api.WatchQuery, 100), do: do, ended: make(chan error, 100)}
	o := sideport.Options()
	o.Watch = s
	if change != nil {
		change(&o)
	}
	return serveWith(t, o), s
}

// serveWith starts an admin port. The test's cleanup shuts it down.
func serveWith(t *testing.T, o admin.Options) *side {
	t.Helper()
	server, err := admin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	s := &side{t: t, server: server, url: "http://" + server.Addr().String(), ended: make(chan error, 1)}
	go func() { s.ended <- server.Run(context.Background()) }() // received in the cleanup
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(context.Background()), <-s.ended); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

// open opens a stream whose answer the test must close.
func (s *side) open(query string, header ...string) *http.Response {
	s.t.Helper()
	req := s.request(http.MethodGet, "/api/v1/watch?"+query, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// until waits for a condition.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestWatchIsAnEventStream(t *testing.T) {
	s, served := serveStream(t, func(_ context.Context, to admin.WatchViewer) error {
		return errors.Join(
			to.Send(api.WatchMessage{Kind: api.WatchStart, ID: 7, Data: []byte(`{"after":7}`)}),
			to.Send(api.WatchMessage{ID: 8}),
			to.Send(api.WatchMessage{Kind: api.WatchJournal, ID: 9, Data: []byte(`{"seq":9}`)}),
			infer.Errorf(infer.Unauthenticated, "the token has expired"),
		)
	}, nil)
	got := s.ask(http.MethodGet, "/api/v1/watch?journal=true&after=3&subject=routes/iris&type=route.,version.loaded&models=iris,wine&counters=*&every=500ms", nil, "Last-Event-ID", "7")
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "text/event-stream" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", got.status, got.header)
	}
	want := "retry: 2000\nid: 7\nevent: start\ndata: {\"after\":7}\n\nid: 8\n: alive\n\nid: 9\nevent: journal\ndata: {\"seq\":9}\n\n" +
		"event: end\ndata: {\"error\":\"the token has expired\"}\n\n"
	if got.body != want {
		t.Errorf("got %q", got.body)
	}
	q := <-served.begun
	if !q.Journal || q.After != 7 || q.Subject != "routes/iris" || len(q.Types) != 2 || len(q.Models) != 2 || q.Counters[0] != "*" || q.Every != 500*time.Millisecond {
		t.Errorf("got %+v", q)
	}
	if got := s.ask(http.MethodGet, "/api/v1/watch?models=*", nil); !strings.HasPrefix(got.body, "retry: 2000\nevent: start\n") {
		t.Errorf("a stream without the journal has ids: %q", got.body)
	}
	if got := s.ask(http.MethodHead, "/api/v1/watch?models=*", nil); got.status != http.StatusOK || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
}

func TestWatchRefusesQueries(t *testing.T) {
	s, _ := serveStream(t, wait, nil)
	f := func(query, part string) {
		t.Helper()
		s.expectError(s.ask(http.MethodGet, "/api/v1/watch?"+query, nil), http.StatusBadRequest, part)
	}
	f("", "expected what to watch")
	f("journal=false", "expected what to watch")
	f("journal=maybe", "journal: expected true or false")
	f("journal=true&after=-1", "after: expected the number")
	f("journal=true&type=,", "type: expected")
	f("models=iris&after=1", "add journal=true")
	f("models=", "models: expected names")
	f("models=a,../b", "models: expected names")
	f("models="+strings.Repeat("a,", 1000)+"a", "at most 1000 names")
	f("models=iris&every=1ms", "every: expected a time from 250ms to 1m0s")
	f("models=iris&model=iris", "unknown parameter")
	s.expectError(s.ask(http.MethodGet, "/api/v1/watch?journal=true", nil, "Last-Event-ID", "x"), http.StatusBadRequest, "Last-Event-ID")
}

func TestWatchAccess(t *testing.T) {
	book := access.Of(callers.Options{Callers: []callers.Member{
		access.Can("ops", "ops-key-of-16-bytes", callers.All, "*"),
		access.Can("app", "app-key-of-16-bytes", callers.Metadata|callers.Statistics, "iris"),
		access.Can("reader", "reader-key-of-16-b", callers.Metadata, "*"),
	}})
	may := make(chan [2]bool, 10)
	var check func(admin.WatchViewer) error
	s, served := serveStream(t, func(_ context.Context, to admin.WatchViewer) error {
		may <- [2]bool{to.May(api.WatchModels, "iris"), to.May(api.WatchCounters, "wine")}
		if check == nil {
			return errors.New("done")
		}
		return check(to)
	}, func(o *admin.Options) { o.Callers = book })
	f := func(key, query string, status int) {
		t.Helper()
		got := s.ask(http.MethodGet, "/api/v1/watch?"+query, nil, "Authorization", "Bearer "+key)
		if allowed := got.status == http.StatusInternalServerError; !allowed && got.status != status || allowed && status != http.StatusOK {
			t.Errorf("%s %s: %d %s", key, query, got.status, got.body)
		}
	}
	f("ops-key-of-16-bytes", "journal=true&counters=*", http.StatusOK)
	f("app-key-of-16-bytes", "journal=true", http.StatusForbidden)
	f("app-key-of-16-bytes", "models=iris&counters=iris", http.StatusOK)
	f("app-key-of-16-bytes", "models=iris,wine", http.StatusForbidden)
	f("app-key-of-16-bytes", "models=*&signals=*", http.StatusOK)
	f("reader-key-of-16-b", "models=wine&rollouts=wine", http.StatusOK)
	f("reader-key-of-16-b", "counters=wine", http.StatusForbidden)
	f("reader-key-of-16-b", "drift=*", http.StatusForbidden)
	f("wrong", "models=*", http.StatusUnauthorized)
	for i, want := range [][2]bool{{true, true}, {true, false}, {true, false}, {true, false}} {
		if got := <-may; got != want {
			t.Errorf("stream %d may %v, want %v", i, got, want)
		}
	}
	// A reload changes what a stream may see, and ends it if its caller may not watch any more.
	check = func(to admin.WatchViewer) error {
		if changed, err := to.Check(); changed || err != nil {
			t.Errorf("nothing has changed: %v %v", changed, err)
		}
		less := access.Of(callers.Options{Callers: []callers.Member{access.Can("ops", "ops-key-of-16-bytes", callers.Metadata, "iris")}})
		book.Store(less.Load())
		changed, err := to.Check()
		if !changed || err != nil || to.May(api.WatchModels, "wine") || !to.May(api.WatchModels, "iris") {
			t.Errorf("less rights: %v %v", changed, err)
		}
		book.Store(access.Keys(map[string]string{"other": "another-key-of-16"}).Load())
		_, err = to.Check()
		return err
	}
	for len(served.ended) > 0 {
		if err := <-served.ended; err == nil {
			t.Error("a stream ended without its error")
		}
	}
	s.expectError(s.ask(http.MethodGet, "/api/v1/watch?models=*", nil, "Authorization", "Bearer ops-key-of-16-bytes"), http.StatusUnauthorized, "")
	if err := <-served.ended; infer.CodeOf(err) != infer.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

func TestWatchersAreBounded(t *testing.T) {
	s, served := serveStream(t, wait, func(o *admin.Options) { o.MaxConnections, o.MaxWatchers = 8, 100 }) // seven of eight
	for range 7 {
		resp := s.open("models=*")
		defer resp.Body.Close() //nolint:errcheck // its end is what the test is about
		<-served.begun
	}
	s.expectError(s.ask(http.MethodGet, "/api/v1/watch?models=*", nil), http.StatusTooManyRequests, "7 clients are watching")
	if got := s.server.Watchers(); got != (admin.WatchCounts{Open: 7, Refused: 1}) {
		t.Errorf("got %+v", got)
	}
}

func TestGoneWatchersEnd(t *testing.T) {
	s, served := serveStream(t, wait, nil)
	resp := s.open("models=*")
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	until(t, "no watcher", func() bool { return s.server.Watchers().Open == 0 })
}

// flood sends until it fails.
func flood(_ context.Context, to admin.WatchViewer) error {
	text := append(append([]byte(`"`), bytes.Repeat([]byte("x"), 1<<20)...), '"')
	for {
		if err := to.Send(api.WatchMessage{Kind: api.WatchState, Data: text}); err != nil {
			return err
		}
	}
}

// hang opens a stream and reads nothing.
func (s *side) hang() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.server.Addr().String())
	if err == nil {
		_, err = io.WriteString(c, "GET /api/v1/watch?models=* HTTP/1.1\r\nHost: "+s.server.Addr().String()+"\r\n\r\n")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestSlowWatchersAreDropped(t *testing.T) {
	s, served := serveStream(t, flood, nil)
	s.server.SetMaxUnread(50 * time.Millisecond)
	c := s.hang()
	defer c.Close() //nolint:errcheck // the server has closed it
	if err := <-served.ended; infer.CodeOf(err) != infer.Deadline {
		t.Errorf("got %v", err)
	}
	until(t, "no watcher", func() bool { return s.server.Watchers() == admin.WatchCounts{Slow: 1} })
	if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
		t.Error(err) // the connection must end
	}
}

// A stop tells watchers, and does not wait for one that does not read.
func TestStopEndsWatchers(t *testing.T) {
	s, served := serveStream(t, wait, nil)
	resp := s.open("journal=true")
	<-served.begun
	served.do = flood
	c := s.hang()
	defer c.Close() //nolint:errcheck // the server has closed it
	<-served.begun
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // less than an unread message waits
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Errorf("the stop has waited: %v", err)
	}
	var last string
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if err := errors.Join(lines.Err(), resp.Body.Close()); err != nil || last != `data: {"error":"the gateway is stopping"}` {
		t.Errorf("the stream ends with %q, %v", last, err)
	}
}
