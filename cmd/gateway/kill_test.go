//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/routes"
	"sluice.io/sluice/internal/slot"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// kills is how often TestKill kills the gateway. The default keeps the whole test run short.
var kills = flag.Int("kills", 15, "how often TestKill kills the gateway")

// asGateway makes this test's binary the gateway: its arguments, one a line.
const asGateway = "SLUICE_TEST_SERVE"

// killed is a gateway that is killed and started again on the same data.
type killed struct {
	args        []string
	process     *exec.Cmd
	data, admin string

	events  []api.Event // of the journal, as far as it was read
	routes  *routes.Set // the state that the events make
	writers []*writer
}

// writer sets one route again and again, each time with another body: its n is in the weights, in
// the name of a header, and in a sample.
type writer struct {
	route        string
	acknowledged int64 // the revision of the last change that was answered
	n            int   // the number of the last body that was sent
}

// killable returns a gateway over a repository and a data directory, with more settings, that a test can start and kill.
func killable(t *testing.T, repository, data, settings string) *killed {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: '127.0.0.1:0'}, grpc: {address: none}}\nadmin: {address: '127.0.0.1:0'}\ndata_dir: %q\n%s", repository, data, settings)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &killed{args: []string{"serve", "-c", file}}
}

// TestKill kills the gateway while two writers change routes. Acknowledged changes must be complete
// after the next start, and serve the same keys.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	for version := range int64(3) {
		if err := onnxgen.Scale(float32(version+1)).As("model").Write(dir, version+1); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(t.TempDir(), "data")
	k := killable(t, dir, data, "journal: {segment_events: 100}\ndefaults: {instances: 1, warmup: false}\n")
	k.routes, k.writers = routes.NewSet(), []*writer{{route: "model"}, {route: "other"}}
	var starting time.Duration
	for i := range *kills + 1 {
		began := time.Now()
		k.start(t)
		starting += time.Since(began)
		k.check(t)
		if i == *kills || t.Failed() {
			break
		}
		k.run(t, time.Duration(i%20)*2*time.Millisecond)
	}
	k.stop(t)
	verified := command(t, "", []string{"journal", "verify", "--data-dir", data})
	if verified.code != exitOK {
		t.Errorf("%+v", verified)
	}
	t.Logf("the journal: %s", verified.out)
	exported := command(t, "", []string{"journal", "export", "--data-dir", data}) // no gateway runs
	if again := command(t, exported.out, []string{"journal", "verify", "-"}); again.code != exitOK || strings.Count(exported.out, "\n") < len(k.events) {
		t.Errorf("an export of %d lines: %+v", strings.Count(exported.out, "\n"), again)
	}
	if got := command(t, "", []string{"journal", "export", "--data-dir", t.TempDir()}); got.code != exitFailed || got.out != "" {
		t.Errorf("without a journal: %+v", got)
	}
	t.Logf("%d kills, %d events, %d and %d changes acknowledged, a start takes %v",
		*kills, len(k.events), k.writers[0].acknowledged, k.writers[1].acknowledged, starting/time.Duration(*kills+1))
}

// start starts the gateway and waits until it is ready.
func (k *killed) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k.process = exec.Command(self)
	k.process.Env = append(os.Environ(), asGateway+"="+strings.Join(k.args, "\n"))
	var log bytes.Buffer
	k.process.Stderr = &log
	out, err := k.process.StdoutPipe()
	if err == nil {
		err = k.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of a gateway: %s", log.Bytes())
		}
	})
	k.data, k.admin = welcomed(t, out)
}

// stop kills the gateway, if it runs, and waits for its end.
func (k *killed) stop(t *testing.T) {
	t.Helper()
	if err := k.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = k.process.Wait() // killed
	http.DefaultClient.CloseIdleConnections()
}

// run lets both writers write and kills the gateway after a time.
func (k *killed) run(t *testing.T, after time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	for _, w := range k.writers {
		wg.Go(func() {
			for {
				w.n++
				result, err := k.put(w.route, body(w.n), w.acknowledged)
				if err != nil {
					if _, refused := errors.AsType[refusal](err); refused {
						t.Error(err)
					}
					return // killed
				}
				w.acknowledged = result.Revision
			}
		})
	}
	time.Sleep(after) // the test varies this time
	k.stop(t)
	wg.Wait()
}

// body is the n-th state of a route.
func body(n int) api.Route {
	weight := n * 37 % (api.TotalWeight + 1)
	return api.Route{
		Model:    "model",
		Variants: []api.Variant{{Version: 1, Weight: api.TotalWeight - weight, Role: api.RoleStable}, {Version: 2, Weight: weight, Role: api.RoleCanary}},
		Shadows:  []api.Shadow{{Version: 3, Sample: n % 100}},
		Sticky:   api.Sticky{Header: "X-" + strconv.Itoa(n)},
	}
}

// refusal is an answer other than 200.
type refusal struct{ error }

func (k *killed) put(name string, route api.Route, revision int64) (result api.RouteResult, err error) {
	text, err := json.Marshal(route)
	if err != nil {
		return result, err
	}
	err = k.call(http.MethodPut, k.admin+"/api/v1/routes/"+name, bytes.NewReader(text), &result, "If-Match", fmt.Sprintf("\"%d\"", revision))
	return result, err
}

func (k *killed) call(method, url string, body io.Reader, answer any, headers ...string) error {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return refusal{fmt.Errorf("%s %s: %d %s", method, url, resp.StatusCode, text)}
	}
	return json.Unmarshal(text, answer)
}

// check compares the state of the gateway after a start with the changes that it acknowledged.
func (k *killed) check(t *testing.T) {
	t.Helper()
	var events []api.Event
	if err := k.call(http.MethodGet, fmt.Sprintf("%s/api/v1/journal?limit=10000&after=%d", k.admin, max(0, len(k.events)-1)), nil, &events); err != nil {
		t.Fatal(err)
	}
	if last := len(k.events) - 1; last >= 0 { // it must be unchanged
		if diff := cmp.Diff(k.events[last:last+1], events[:min(1, len(events))]); diff != "" {
			t.Fatalf("the last event before the kill: %s", diff)
		}
		events = events[1:]
	}
	k.checkStart(t, events)
	for _, e := range events {
		if e.Seq != int64(len(k.events))+1 {
			t.Errorf("event %d follows on %d", e.Seq, len(k.events))
		}
		if err := k.routes.Apply(e); err != nil { // the revisions have no gap, the slots are whole
			t.Error(err)
		}
		k.events = append(k.events, e)
	}
	for _, w := range k.writers {
		k.checkRoute(t, w)
	}
}

// checkStart checks that the start after a kill has the time between which the gateway ended.
// events are the new ones. Events from before the kill, perhaps never acknowledged, are before the
// start.
func (k *killed) checkStart(t *testing.T, events []api.Event) {
	t.Helper()
	before := slices.Clone(k.events)
	starts := 0
	for _, e := range events {
		if e.Type == api.EventGatewayStarted {
			starts++
			var start api.GatewayStart
			if err := json.Unmarshal(e.After, &start); err != nil {
				t.Fatal(err)
			}
			switch end := start.Before; {
			case len(before) == 0 && end == nil:
			case len(before) == 0 || end == nil || end.How != api.EndKilled ||
				end.LastAlive.Before(before[len(before)-1].Time) || end.LastAlive.After(e.Time):
				t.Errorf("%d events and then a start that says %s", len(before), e.After)
			}
		}
		before = append(before, e)
	}
	if starts != 1 {
		t.Errorf("%d starts since the last look", starts)
	}
}

func (k *killed) checkRoute(t *testing.T, w *writer) {
	t.Helper()
	state, exists := k.routes.Get(w.route)
	var served api.Route
	err := k.call(http.MethodGet, k.admin+"/api/v1/routes/"+w.route, nil, &served)
	switch {
	case !exists && w.acknowledged == 0:
		return
	case err != nil || !exists:
		t.Errorf("route %s is gone: %v", w.route, err)
		return
	}
	if diff := cmp.Diff(state.Route, served); diff != "" {
		t.Errorf("what serves is not what the journal says: %s", diff)
	}
	// The change in progress when the gateway was killed may or may not be there.
	n := w.n
	if served.Revision == w.acknowledged {
		n--
	} else if served.Revision != w.acknowledged+1 {
		t.Errorf("route %s has revision %d, acknowledged was %d", w.route, served.Revision, w.acknowledged)
	}
	want := body(n)
	want.Name, want.Seed, want.Revision = w.route, w.route, served.Revision
	if diff := cmp.Diff(want, served); diff != "" {
		t.Errorf("half a change: %s", diff)
	}
	w.acknowledged, w.n = served.Revision, n
	for key := range 10 {
		k.checkKey(t, state, fmt.Sprintf("key-%d", key))
	}
}

// checkKey sends a request with a key. The version with the slot of the key must serve it.
func (k *killed) checkKey(t *testing.T, state api.RouteState, key string) {
	t.Helper()
	number, want := slot.Slot(state.Seed, key), int64(0)
	for i, held := range state.Slots {
		for _, r := range held {
			if number >= r[0] && number < r[1] {
				want = state.Variants[i].Version
			}
		}
	}
	var answer struct {
		Version string `json:"model_version"`
	}
	err := k.call(http.MethodPost, k.data+"/v2/models/"+state.Name+"/infer", strings.NewReader(`{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}`),
		&answer, state.Sticky.Header, key)
	if err != nil || answer.Version != strconv.FormatInt(want, 10) {
		t.Errorf("%s: version %s serves %s, want %d: %v", state.Name, answer.Version, key, want, err)
	}
}
