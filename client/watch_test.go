package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// pipe answers requests in memory, so that a test has the time of its bubble.
type pipe struct{ handler http.Handler }

func (p pipe) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, req)
	return w.Result(), nil
}

func pipeClient(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	cl, err := client.New(client.Options{HTTP: &http.Client{Transport: pipe{handler}}, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

// A watch goes on after the last event of a stream that has ended, and gets no event twice.
func TestWatchGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		cl := pipeClient(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			if r.Header.Get("Authorization") != "Bearer secret" {
				t.Error("no token")
			}
			switch len(asked) {
			case 1:
				_, _ = io.WriteString(w, "retry: 2000\nid: 7\nevent: start\ndata: {}\n\nid: 8\nevent: journal\ndata: {\"seq\":8}\n\nid: 9\n: alive\n\nid: 10\nevent: journal\ndata: {\"se")
			case 2:
				http.Error(w, `{"error": "restarting"}`, http.StatusServiceUnavailable)
			case 3:
				_, _ = io.WriteString(w, "id: 9\nevent: start\ndata: {}\n\nid: 10\nevent: journal\ndata: {\"seq\":10}\n\nid: 10\nevent: state\ndata: {\"whole\":true,\"models\":[{\"name\":\"iris\"}]}\n\n"+
					"id: 10\nevent: gap\ndata: {\"after\":10,\"next\":20}\n\nid: 20\nevent: end\ndata: {\"error\":\"the gateway is stopping\"}\n\n")
			default:
				http.Error(w, `{"error": "the token has expired"}`, http.StatusUnauthorized)
			}
		})
		var got []string
		q := api.WatchQuery{Journal: true, After: api.WatchFromNow, Types: []string{"a.", "b"}, Models: []string{"iris", "wine"}, Every: 2 * time.Second}
		for u, err := range cl.Watch(t.Context(), q) {
			switch {
			case err != nil:
				got = append(got, err.Error())
			case u.Event != nil:
				got = append(got, fmt.Sprint("event ", u.Event.Seq))
			case u.States != nil:
				got = append(got, fmt.Sprint("states ", u.States.Whole, u.States.Models[0].Name))
			case u.Gap != nil:
				got = append(got, fmt.Sprint("gap ", u.Gap.Next))
			}
		}
		want := "event 8|127.0.0.1:8002 has ended the stream|restarting (503 Service Unavailable)|event 10|states trueiris|gap 20|" +
			"127.0.0.1:8002 has ended the stream: the gateway is stopping|the token has expired (401 Unauthorized)"
		if text := strings.Join(got, "|"); text != want {
			t.Errorf("got %s", text)
		}
		rest := "every=2s&journal=true&models=iris%2Cwine&type=a.%2Cb"
		if text := strings.Join(asked, " "); text != fmt.Sprintf("%s after=9&%s after=9&%s after=10&%s", rest, rest, rest, rest) {
			t.Errorf("asked %s", text)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	var asked atomic.Int32
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, `{"error": "the path /api/v1/watch does not exist"}`, http.StatusNotFound)
	}))
	defer old.Close()
	cl, err := client.New(client.Options{Admin: old.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	n := 0
	for _, err := range cl.Watch(t.Context(), api.WatchQuery{Journal: true}) {
		n++
		if answer, is := errors.AsType[*client.Error](err); !is || answer.Status != http.StatusNotFound {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 || asked.Load() != 1 {
		t.Errorf("an older gateway: %d errors, %d requests", n, asked.Load())
	}
	// The end of the context, and of the loop, ends a stream that waits.
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "id: 1\nevent: journal\ndata: {\"seq\":1}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer open.Close()
	if cl, err = client.New(client.Options{Admin: open.URL}); err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range cl.Watch(ctx, api.WatchQuery{Journal: true}) {
		if err != nil {
			t.Error(err)
		}
		cancel()
	}
	for _, err := range cl.Watch(t.Context(), api.WatchQuery{Journal: true}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
}

func FuzzWatch(f *testing.F) {
	for _, text := range []string{
		"id: 7\nevent: start\ndata: {}\n\n", "event: journal\ndata: {\"seq\":\ndata: 8}\n\n: x\n\n", "data\n\n", "id: -1\nevent: state\ndata:[]\n\n",
		"event: end\ndata: {\"error\":\"x\"}\n\n", "\n\n\n", "event: gap\ndata: {\"after\":1}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cl := pipeClient(t, func(w http.ResponseWriter, r *http.Request) {
			if after := r.URL.Query().Get("after"); after != "" && after[0] == '-' {
				t.Errorf("asked after %s", after)
			}
			_, _ = io.WriteString(w, text)
		})
		errs := 0
		for u, err := range cl.Watch(t.Context(), api.WatchQuery{Journal: true}) {
			if err != nil {
				if errs++; errs == 1 { // without a second connection, for which it would wait
					return
				}
			}
			n := 0
			for _, is := range []bool{u.Event != nil, u.States != nil, u.Gap != nil} {
				if is {
					n++
				}
			}
			if n != 1 {
				t.Errorf("an update with %d fields", n)
			}
		}
	})
}
