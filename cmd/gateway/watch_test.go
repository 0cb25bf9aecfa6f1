package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// screen is the output of a running command.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// shows waits until the screen has a text.
func (s *screen) shows(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(s.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not in %q", text, s)
		}
	}
}

// runs starts a command. It ends with the test.
func runs(t *testing.T, args ...string) (out, errOut *screen) {
	t.Helper()
	out, errOut = &screen{}, &screen{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, strings.NewReader(""), out, errOut, terminal) }() // received in the cleanup
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK || errOut.String() != "" {
			t.Errorf("%v ends with %d: %s", args, code, errOut)
		}
	})
	return out, errOut
}

// servedRoute starts a gateway with the route "ids", and returns the address of its admin port.
func servedRoute(t *testing.T) (admin string) {
	t.Helper()
	dir := t.TempDir()
	if err := onnxgen.Identity(infer.FP32, "N").Write(dir, 1); err != nil {
		t.Fatal(err)
	}
	_, admin = served(t, dir, "defaults: {instances: 1}\nroutes: {ids: {model: id_FP32, variants: [{version: 1, weight: 100%}]}}\n")
	t.Setenv("SLUICE_TOKEN", "")
	return admin
}

// keepTogether changes the route "ids" as alice.
func keepTogether(t *testing.T, admin string) {
	t.Helper()
	cl, err := client.New(client.Options{Admin: admin, Actor: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	changed, err := cl.Route(t.Context(), "ids")
	if err != nil {
		t.Fatal(err)
	}
	changed.Sticky = api.Sticky{Header: "X-User-Id"}
	if _, err := cl.SetRoute(t.Context(), changed, client.EditOptions{Revision: changed.Revision, Reason: "keep users together"}); err != nil {
		t.Fatal(err)
	}
}

// Commands that watch show a change of a real gateway at once.
func TestCommandsWatch(t *testing.T) {
	admin := servedRoute(t)
	route, _ := runs(t, "routes", "get", "ids", "--watch", "--interval", "1s", "--admin", admin)
	drift, _ := runs(t, "drift", "--watch", "--interval", "1s", "--admin", admin)
	events, _ := runs(t, "journal", "--follow", "--interval", "1h", "--type", "route.", "--admin", admin)
	route.shows(t, "Revision:  1")
	drift.shows(t, "MODEL")
	events.shows(t, "routes/ids")
	keepTogether(t, admin)
	route.shows(t, "Revision:  2")
	events.shows(t, `"keep users together"`)
}
