package capture_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/capture"
	"sluice.io/sluice/internal/infer"
)

// receiver decodes events with the SDK of CloudEvents.
func receiver(t testing.TB) (url string, got <-chan event.Event) {
	t.Helper()
	events := make(chan event.Event, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		e, err := cehttp.NewEventFromHTTPRequest(r)
		if err == nil {
			err = e.Validate()
		}
		if err != nil || r.Header.Get("Ce-Id") == "" || r.Method != http.MethodPost || !strings.HasPrefix(r.UserAgent(), "sluice/") {
			t.Errorf("%v %+v", err, r.Header)
			return
		}
		events <- *e
	}))
	t.Cleanup(s.Close)
	return s.URL, events
}

// eventsTo are options of events whose data names the tensors.
func eventsTo(url string) *capture.EventOptions {
	return &capture.EventOptions{
		URL: url, Requests: true, Responses: true, Source: "/gateway/test", Namespace: "shop", MaxBuffer: 1 << 20, Timeout: 10 * time.Second,
		Encode: func(m *infer.Model, r *capture.Request, answer bool) ([]byte, error) {
			list := r.Inputs
			if answer {
				list = r.Outputs
			}
			var names []string
			for i := range list {
				names = append(names, list[i].Name, list[i].DType.String())
			}
			return fmt.Appendf(nil, "%q", fmt.Sprint(m.Name, names, r.Caller)), nil
		},
	}
}

// Each captured request has an event, and so has its answer, without what is redacted.
func TestEvents(t *testing.T) {
	url, got := receiver(t)
	o := options(t, t.TempDir())
	o.Events, o.HashKey = eventsTo(url), []byte("a key of sixteen")
	s := capture.New(o)
	set := all()
	set.Redact, set.Hash = []string{"caller"}, []string{"input:x"}
	tap, err := s.Tap(tabular(3), "d", set)
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, s)
	req, resp := asked("r-1", 1)
	tap.Capture(req, resp, api.RoleCanary, 3*time.Millisecond)
	type brief struct {
		ID, Type, Source, ContentType, Data string
		Extensions                          map[string]any
	}
	list := map[string]brief{}
	for range 2 {
		e := <-got
		list[e.Type()] = brief{e.ID(), e.Type(), e.Source(), e.DataContentType(), string(e.Data()), e.Extensions()}
		if at := req.Arrived.Add(map[bool]time.Duration{true: 3 * time.Millisecond}[strings.HasSuffix(e.Type(), "response")]); !e.Time().Equal(at) {
			t.Errorf("%v, want %v", e.Time(), at)
		}
	}
	with := map[string]any{"inferenceservicename": "credit", "namespace": "shop", "component": "predictor", "endpoint": "canary", "metadata": `{"Sluice-Version":["3"]}`}
	want := map[string]brief{}
	for kind, data := range map[string]string{"request": `"credit[x BYTES]"`, "response": `"credit[score FP32]"`} {
		name := "org.kubeflow.serving.inference." + kind
		want[name] = brief{"r-1", name, "/gateway/test", "application/json", data, with}
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	stop()
	if c := s.Counts()[0]; c.EventsSent != 2 || c.Captured != 1 {
		t.Errorf("%+v", c)
	}
}

// A stop sends what waits. The mode selects events.
func TestEventsOfAnswers(t *testing.T) {
	url, got := receiver(t)
	o := options(t, t.TempDir())
	o.Events = eventsTo(url)
	o.Events.Requests = false
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "a", 20, 1)
	running(t, s)()
	if c := s.Counts()[0]; c.EventsSent != 20 || len(got) != 20 {
		t.Errorf("%+v", c)
	}
	if e := <-got; e.Extensions()["endpoint"] != "default" || !strings.HasSuffix(e.Type(), "response") {
		t.Error(e)
	}
}

// A receiver that refuses, hangs or is gone costs events only: each is counted, files are written.
func TestEventsAreLost(t *testing.T) {
	const requests = 1000
	f := func(answer http.HandlerFunc, down bool) {
		t.Helper()
		server := httptest.NewServer(answer)
		defer server.Close()
		if down {
			server.Close()
		}
		o := options(t, t.TempDir())
		o.Events = eventsTo(server.URL)
		o.Events.MaxBuffer, o.Events.Timeout, o.FlushTimeout = 10<<10, 100*time.Millisecond, time.Second
		s := capture.New(o)
		tap, err := s.Tap(tabular(1), "d", all())
		if err != nil {
			t.Fatal(err)
		}
		send(tap, "a", requests, 1)
		running(t, s)()
		c := s.Counts()[0]
		full, failed := c.EventsDropped[api.CaptureFull], c.EventsDropped[api.CaptureFailed]
		if full == 0 || failed == 0 || c.EventsSent != 0 || full+failed != 2*requests || c.Captured != requests {
			t.Errorf("%+v", c)
		}
	}
	f(nil, true)
	f(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, false)
	f(func(w http.ResponseWriter, _ *http.Request) {
		http.Redirect(w, &http.Request{}, "/other", http.StatusFound)
	}, false)
	f(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is the end of the connection seen
		<-r.Context().Done()
	}, false)
}

// Events are sent if the files have no room, and the other way round.
func TestEventsWithoutFiles(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) }))
	defer server.Close()
	o := options(t, t.TempDir())
	o.MaxBuffer, o.Events = 1, eventsTo(server.URL)
	s := capture.New(o)
	tap, err := s.Tap(tabular(1), "d", all())
	if err != nil {
		t.Fatal(err)
	}
	send(tap, "a", 5, 1)
	running(t, s)()
	if c := s.Counts()[0]; c.Captured != 0 || c.Dropped[api.CaptureFull] != 5 || c.EventsSent != 10 || n.Load() != 10 {
		t.Errorf("%+v", c)
	}
}
