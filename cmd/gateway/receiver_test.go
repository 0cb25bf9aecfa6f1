//go:build unix

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice.io/sluice/api"
)

// receiver receives webhooks. It refuses requests without a valid signature.
type receiver struct {
	secret string
	at     string // its address, the same each time it is up
	server *http.Server
	ended  chan error

	mu     sync.Mutex
	events []api.SignalData // as received, with duplicates
	wrong  []error          // why others were refused
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()
	r := &receiver{secret: secret, at: "127.0.0.1:0"}
	r.up(t)
	t.Cleanup(func() { r.down(t) })
	return r
}

// up listens. While it was down another test may have got its port; that test returns it when it
// ends.
func (r *receiver) up(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", r.at)
	for end := time.Now().Add(patience); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		l, err = net.Listen("tcp", r.at)
	}
	if err != nil {
		t.Fatal(err)
	}
	r.at, r.server, r.ended = l.Addr().String(), &http.Server{Handler: r, ReadHeaderTimeout: time.Second}, make(chan error, 1)
	go func() { r.ended <- r.server.Serve(l) }() // down receives the result
}

// down refuses connections until up.
func (r *receiver) down(t *testing.T) {
	t.Helper()
	if r.server == nil {
		return
	}
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-r.ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	r.server = nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	signal, err := r.read(req)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.wrong = append(r.wrong, err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.events = append(r.events, signal)
	w.WriteHeader(http.StatusNoContent)
}

// read checks a request as the documentation asks receivers to do.
func (r *receiver) read(req *http.Request) (signal api.SignalData, err error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return signal, err
	}
	if err := r.verify(req.Header.Get("Sluice-Signature"), body); err != nil {
		return signal, err
	}
	var e struct {
		SpecVersion, ID, Source, Type, Subject, DataContentType, ModelName, ModelVersion string
		Time, WindowStart, WindowEnd                                                     time.Time
		Data                                                                             api.SignalData
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return signal, err
	}
	signal = e.Data
	switch version := strconv.FormatInt(signal.Version, 10); {
	case req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/cloudevents+json":
		return signal, fmt.Errorf("%s of %s", req.Method, req.Header.Get("Content-Type"))
	case e.SpecVersion != "1.0" || e.ID != signal.ID || e.ID == "" || e.Type != signal.Type || e.Source != "/gateway/demo" || e.Time.IsZero():
		return signal, fmt.Errorf("no CloudEvent of the signal: %s", body)
	case e.Subject != signal.Model+"/"+version || e.ModelName != signal.Model || e.ModelVersion != version || e.DataContentType != "application/json":
		return signal, fmt.Errorf("of another model: %s", body)
	case !e.WindowStart.Equal(signal.Window.Start) || !e.WindowEnd.Equal(signal.Window.End) || signal.Rows == 0 || len(signal.Features) == 0:
		return signal, fmt.Errorf("of no window: %s", body)
	}
	return signal, nil
}

func (r *receiver) verify(header string, body []byte) error {
	at, sum, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	moment, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(moment, 0)).Abs() > time.Minute {
		return fmt.Errorf("signed at %q: %w", header, err)
	}
	mac := hmac.New(sha256.New, []byte(r.secret))
	_, _ = mac.Write([]byte(at + "."))
	_, _ = mac.Write(body)
	if given, err := hex.DecodeString(sum); err != nil || !hmac.Equal(given, mac.Sum(nil)) {
		return errors.New("the signature is not ours")
	}
	return nil
}

// of returns the signals about a model. It fails the test if an unexpected signal came.
func (r *receiver) of(t *testing.T, model string) (list []api.SignalData) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.wrong {
		t.Error(err)
	}
	for _, s := range r.events {
		if s.Model == model {
			list = append(list, s)
		}
	}
	return list
}
