package compat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"sluice.io/sluice/internal/testing/compat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const record = "../../../testdata/triton-2.51-http.jsonl"

func load(t *testing.T, file string) []compat.Row {
	t.Helper()
	rows, err := compat.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// one returns a row made from JSON members, except for "name" and "phase".
func one(t *testing.T, members string) compat.Row {
	t.Helper()
	file := filepath.Join(t.TempDir(), "record.jsonl")
	if err := os.WriteFile(file, []byte(`{"name":"row","phase":"A",`+members+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, file)[0]
}

func TestLoadRecord(t *testing.T) {
	rows := load(t, record)
	if len(rows) != 492 {
		t.Fatalf("%d rows, want 492", len(rows))
	}
	more := load(t, "../../../testdata/triton-2.51-repository.jsonl")
	if len(more) != 670 {
		t.Fatalf("%d rows of the repository, want 670", len(more))
	}
	rows = append(rows, more...)
	for _, r := range rows {
		head, body, ok := strings.Cut(string(r.Request), "\r\n\r\n")
		if !ok && r.Name != "te_chunked_bad" {
			t.Errorf("%s: the request has no end of its headers", r.Name)
		}
		var length int
		if _, after, ok := strings.Cut(head, "\r\nContent-Length: "); ok && !strings.HasPrefix(r.Name, "cl_") && r.Name != "te_chunked_and_cl" && r.Requests == 1 {
			if _, err := fmt.Sscan(after, &length); err != nil || length != len(body) {
				t.Errorf("%s: a body of %d bytes is declared as %d (%v)", r.Name, len(body), length, err)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	f := func(text string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "record.jsonl")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if rows, err := compat.Load(file); err == nil || !strings.Contains(err.Error(), "row 1") {
			t.Errorf("%q: %v, %v; want an error at row 1", text, rows, err)
		}
	}
	f("{")
	f(`{"name":5}`)
	f(`{"body":"?","body_encoding":"base64"}`)
	f(`{"response":"?","response_encoding":"base64"}`)
	if _, err := compat.Load(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing file: no error")
	}
}

// Against a server that replays the record, only the table itself is wrong: nothing in it
// differs.
func TestCheckFindsIdleEntries(t *testing.T) {
	rows := load(t, record)
	results := make([]compat.Result, len(rows))
	for i, r := range rows {
		results[i] = compat.Result{Row: r, Got: r.Answer}
	}
	wrong := compat.Check(results, false)
	if len(wrong) == 0 {
		t.Fatal("nothing is wrong, want every entry reported as idle")
	}
	for _, w := range wrong {
		if !strings.Contains(w, "in the table (") && !strings.Contains(w, "want ") {
			t.Errorf("unexpected: %s", w)
		}
	}
}

func TestCheckFindsDifferences(t *testing.T) {
	f := func(members string, change func(a *compat.Answer), want ...string) {
		t.Helper()
		r := one(t, members)
		got := r.Answer
		got.Header = maps.Clone(got.Header)
		change(&got)
		var found []string
		for _, w := range compat.Check([]compat.Result{{Row: r, Got: got}}, false) {
			if what, _, ok := strings.Cut(w, ": want "); ok {
				found = append(found, strings.TrimPrefix(what, "row "))
			}
		}
		if strings.Join(found, " ") != strings.Join(want, " ") {
			t.Errorf("%s: found %q, want %q", members, found, want)
		}
	}
	body := func(s string) func(*compat.Answer) { return func(a *compat.Answer) { a.Body = []byte(s) } }
	answer := func(s string) string { return fmt.Sprintf(`"status":200,"response":%q`, s) }

	f(answer(`{"a":1,"b":[2,"x"]}`), body(`{"b":[2,"x"], "a":1}`))
	f(answer(`{"a":1}`), body(`{"a":2}`), "(body)")
	f(answer(`{"a":1}`), body(`{"a":1,"b":2}`), "(body)")
	f(answer(`{"a":1}`), body(`{"a":"1"}`), "(body)")
	f(answer(`[1,2]`), body(`[1]`), "(body)")
	f(answer(`[9223372036854775807]`), body(`[9223372036854775806]`), "(body)")
	f(answer(`[1.0,5e-324]`), body(`[1,0.5e-323]`))
	f(answer(`[0.1]`), body(`[0.2]`), "(body)")
	f(answer(`[NaN,-Infinity]`), body(`[NaN,-Infinity]`))
	f(answer(`[NaN]`), body(`[null]`), "(body)")
	f(answer(`{"outputs":[{"datatype":"FP32","shape":[1],"data":[0.10000000149011612]}]}`), body(`{"outputs":[{"datatype":"FP32","shape":[1],"data":[0.1]}]}`))
	f(answer(`{"outputs":[{"datatype":"FP64","shape":[1],"data":[0.10000000149011612]}]}`), body(`{"outputs":[{"datatype":"FP64","shape":[1],"data":[0.1]}]}`), "(body)")
	f(answer(``), body(`{}`), "(body)")
	f(answer(`[]`), func(a *compat.Answer) { a.Status = 201 }, "(status)")
	f(answer(`[]`), func(a *compat.Answer) { a.Answers = 2 }, "(answers)")
	f(answer(`[]`), func(a *compat.Answer) { a.Header = map[string]string{"Content-Encoding": "gzip"} }, "(encoding)")
	f(`"status":400,"response":"{\"error\":\"[request id: 7] no\"}"`, func(a *compat.Answer) {
		a.Header, a.Body = map[string]string{"Content-Type": "application/json"}, []byte(`{"error":"no"}`)
	})
	f(`"status":400,"response":"{\"error\":\"no\"}"`, body(`{"error":"yes"}`), "(encoding)", "(text)")
	f(`"path":"/v2/models/m/stats",`+answer(`{"a":[{"n":1},{"n":2}]}`), body(`{"a":[{"n":3}]}`))
	f(`"path":"/v2/models/m/stats",`+answer(`{"a":[{"n":1}]}`), body(`{"a":[{"m":1}]}`), "(body)")
	f(`"status":200,"response":"[1]xyz","response_headers":{"Inference-Header-Content-Length":"3"}`, body(`[1]xyw`), "(body)")
}

func TestReplay(t *testing.T) {
	var together sync.WaitGroup // two requests that wait for each other
	together.Add(2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(r.URL.Path, "/together") {
			together.Done()
			together.Wait()
			if r.URL.Path == "/together/a" {
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}
		w.Header().Set("X-Path", r.RequestURI)
		if _, err := fmt.Fprintf(w, "%s %s", r.Method, data); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	addr := server.Listener.Addr().String()

	rows := []compat.Row{
		one(t, `"method":"POST","path":"/a%20b","headers":[["Content-Length","2"],["Expect","100-continue"]],"body":"hi"`),
		one(t, `"method":"HEAD","path":"/"`),
		one(t, `"raw_request":"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"`),
		one(t, `"method":"GET","path":"/together/a"`),
		one(t, `"method":"GET","path":"/together/b"`),
	}
	rows[3].Name, rows[3].Answer.Status = "x_concurrent_1", 200
	rows[4].Name, rows[4].Answer.Status = "x_concurrent_2", 503
	results, err := compat.Replay(t.Context(), addr, rows)
	if err != nil {
		t.Fatal(err)
	}
	f := func(i int, name string, status, answers int, path, body string) {
		t.Helper()
		r := results[i]
		if r.Name != name || r.Got.Status != status || r.Got.Answers != answers || r.Got.Header["X-Path"] != path || string(r.Got.Body) != body {
			t.Errorf("%d: %s %+v %q", i, r.Name, r.Got, r.Got.Body)
		}
	}
	f(0, "row", 200, 1, "/a%20b", "POST hi")
	f(1, "row", 200, 1, "/", "")
	f(2, "row", 200, 2, "/1", "GET ")
	f(3, "x_concurrent_1", 200, 1, "/together/b", "GET ")
	f(4, "x_concurrent_2", 429, 1, "", "GET ")
}

func TestSendWithoutAnswer(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		conn, err := listener.Accept()
		if err := errors.Join(err, conn.Close(), listener.Close()); err != nil {
			t.Error(err)
		}
	})
	defer server.Wait()

	row := one(t, `"method":"GET","path":"/"`)
	got, err := compat.Send(t.Context(), listener.Addr().String(), row)
	if err != nil || got.Status != 0 || got.Answers != 0 {
		t.Errorf("a closed connection: %+v, %v; want status 0", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compat.Send(ctx, listener.Addr().String(), row); err == nil {
		t.Error("a cancelled context: no error")
	}
}
