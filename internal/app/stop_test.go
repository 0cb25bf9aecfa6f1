package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// TestStopDuringADelivery: a receiver that does not answer is not a failure of the stop, since
// the signal is delivered after the next start.
func TestStopDuringADelivery(t *testing.T) {
	came := make(chan struct{}, 2)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices only then that the caller has gone
		came <- struct{}{}
		<-r.Context().Done()
	}))
	defer receiver.Close()
	data, dir := t.TempDir(), doubles(t, 1)
	writeSignal(t, data)
	for range 2 {
		g := startOn(t, &fakes{}, dir, dataIn(data), "server.drain_timeout: 2s",
			fmt.Sprintf("retrain: {webhook: {url: %q, secret: 0123456789abcdef}}", receiver.URL))
		<-came
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	}
}

// A stop turns readiness off and continues to serve, so that load balancers can use other
// servers.
func TestShutdownDelay(t *testing.T) {
	const delay = 3 * time.Second
	g := startOn(t, &fakes{}, doubles(t, 1), "server.shutdown_delay: "+delay.String())
	began := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	for {
		if status, _ := g.call(t, http.MethodGet, g.url+"/v2/health/ready", ""); status == http.StatusServiceUnavailable {
			break
		}
	}
	// The check is not valid if this machine took longer than the delay.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/v2/models/double/infer", strings.NewReader(doubleRequest))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	late := time.Since(began) >= delay
	if err == nil {
		_ = resp.Body.Close() // only its status matters
	}
	if !late && (err != nil || resp.StatusCode != http.StatusOK) {
		t.Errorf("a request in the delay: %v, %v", resp, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-stopped; err != nil || time.Since(began) < delay {
		t.Errorf("stopped with %v after %v", err, time.Since(began))
	}
}

// writeSignal makes a journal with an open signal.
func writeSignal(t *testing.T, data string) {
	t.Helper()
	r := api.Signal{SignalData: api.SignalData{
		ID: "1", Type: api.TypeRetrainRequested, Model: "double", Version: 1, CreatedAt: time.Now(),
	}}
	after, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	log, err := journal.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(0, api.Event{Type: api.EventRetrainRequested, Subject: "retrain/1", After: after}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}
