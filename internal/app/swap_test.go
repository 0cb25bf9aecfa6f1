package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// swapTime is how long each TestSwap makes changes: make soak gives it a minute.
var swapTime = flag.Duration("swap", time.Second, "how long each TestSwap runs")

const (
	swapEvery    = 50 * time.Millisecond
	swapClients  = 6
	swapVersions = 4 // of the routed model: version k multiplies by 10 k
)

// TestSwapUnderExplicitControl changes the served versions every 50 ms while clients call one
// route as fast as they can: route edits, new canaries, shadows that appear and disappear,
// reloads, and loads and unloads of another model.
func TestSwapUnderExplicitControl(t *testing.T) {
	dir := swapped(t)
	g := start(t, dir, "repository.control: explicit", "repository.load: [double]", "defaults: {warmup: false}")
	load := func() error { return g.change200(http.MethodPost, "/api/v1/models/third/load") }
	swap(t, g, load, func(i int) error {
		switch i % 4 {
		case 0:
			return load()
		case 2:
			return g.change200(http.MethodPost, "/api/v1/models/third/unload")
		default:
			return g.change200(http.MethodPost, "/-/reload")
		}
	})
}

// TestSwapUnderPoll is the same while the repository's folder changes: another model, and
// versions of the routed one that the route does not name.
func TestSwapUnderPoll(t *testing.T) {
	dir := swapped(t)
	g := start(t, dir, "repository.control: poll", "repository.poll_interval: 100ms", "defaults: {warmup: false}")
	third, fifth := scale(t, 3), scale(t, 10*(swapVersions+1))
	other := onnxgen.Identity(infer.FP32, "N", 3).Bytes()
	first := func() error {
		put(t, dir, "third", 1, third)
		return os.RemoveAll(filepath.Join(dir, "double", strconv.Itoa(swapVersions+1)))
	}
	swap(t, g, first, func(i int) error {
		switch i % 6 {
		case 0:
			put(t, dir, "third", 1, other)
		case 1:
			put(t, dir, "double", swapVersions+1, fifth)
		case 2:
			return g.change200(http.MethodPost, "/-/reload")
		case 3:
			put(t, dir, "third", 1, third)
		case 4:
			return os.RemoveAll(filepath.Join(dir, "double", strconv.Itoa(swapVersions+1)))
		case 5:
			return g.change200(http.MethodPost, "/-/reload")
		}
		return nil
	})
}

// swapped is a repository with the routed model and another one.
func swapped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for k := range int64(swapVersions) {
		put(t, dir, "double", k+1, scale(t, float32(10*(k+1))))
	}
	put(t, dir, "third", 1, scale(t, 3))
	return dir
}

// change200 asks the admin port for a change.
func (g *gateway) change200(method, path string) error {
	r, err := g.send(context.Background(), method, g.admin+path, "")
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, r.status, r.body)
	}
	return err
}

// swap runs clients and changes for swapTime, and checks the state afterwards. first undoes the
// changes of beside.
func swap(t *testing.T, g *gateway, first func() error, beside func(i int) error) {
	t.Helper()
	g.set(t, "double", swapRoute(0))
	load := func(d time.Duration) (requests, changes int64) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var n atomic.Int64
		for c := range swapClients {
			wg.Go(func() {
				if err := swapClient(ctx, g, c, &n); err != nil {
					t.Error(err)
					cancel()
				}
			})
		}
		changes = swapChanges(ctx, t, g, time.Now().Add(d), beside)
		cancel()
		wg.Wait()
		return n.Load(), changes
	}
	load(swapTime.Abs() / 5) // one-time allocations are made before the first count
	goroutines, memory := quiet(t, g, first)
	requests, changes := load(*swapTime)
	t.Logf("%d requests, %d changes, revision %d", requests, changes, g.route(t, "double").Revision)
	if requests == 0 {
		t.Error("no requests")
	}
	_, after := quiet(t, g, first)
	noMore(t, goroutines)
	if after > memory+256<<10 {
		t.Errorf("memory of the runtime: %d bytes before, %d after", memory, after)
	}
	g.fold(t)
}

// quiet restores the route and the other model, and counts goroutines and the runtime's memory.
func quiet(t *testing.T, g *gateway, first func() error) (goroutines map[string]int, memory int) {
	t.Helper()
	g.set(t, "double", swapRoute(0))
	if err := first(); err != nil {
		t.Error(err)
	}
	eventually(t, func() bool {
		models := g.models(t)
		for _, m := range models {
			if m.State == api.StateUnloading || m.State == api.StateLoading {
				return false
			}
		}
		_, fifth := models[fmt.Sprintf("double/%d", swapVersions+1)]
		return !fifth && models["third/1"].State == api.StateReady
	})
	return settled(t), runtimeMemory(t, g)
}

// swapRoute is the i-th state of the route: another weight each time, every third time another
// canary, and a shadow that appears, disappears, and changes its version.
func swapRoute(i int) string {
	weight := []int{500, 2000, 5000}[i%3]
	canary := int64(2 + i/3%2)
	shadow := int64(5) - canary // 2 or 3, whichever is not the canary
	var shadows string
	if i%4 < 2 {
		shadows = fmt.Sprintf(`,"shadows":[{"version":%d,"sample":5000}]`, shadow)
	}
	return split(1, canary, weight, shadows)
}

// swapChanges edits the route and calls beside, in turn, until the time is over (on a slow
// machine until each has been called), or until ctx ends. The file is changed too, so that a
// reload has a route of its own to apply.
func swapChanges(ctx context.Context, t *testing.T, g *gateway, until time.Time, beside func(i int) error) (n int64) {
	t.Helper()
	ticker := time.NewTicker(swapEvery)
	defer ticker.Stop()
	file, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	file, _, _ = bytes.Cut(file, []byte("\nroutes:"))
	for i := 0; i < 12 || time.Now().Before(until); i++ {
		select {
		case <-ctx.Done():
			return n
		case <-ticker.C:
		}
		if i%2 == 1 {
			err = os.WriteFile(g.file, fmt.Appendf(slices.Clip(file), "\nroutes:\n%s", fileRoute("beside", i/2%100)), 0o600)
			if err == nil {
				err = beside(i / 2)
			}
		} else {
			var r reply
			r, err = g.send(context.Background(), http.MethodPut, g.admin+"/api/v1/routes/double", swapRoute(i/2), "If-Match", "*")
			if err == nil && r.status != http.StatusOK {
				err = fmt.Errorf("PUT: %d %s", r.status, r.body)
			}
		}
		if err != nil {
			t.Errorf("change %d: %v", i, err)
			return n
		}
		n++
	}
	return n
}

// swapClient calls the route over one connection until ctx ends. The even clients have a key,
// which changes often.
func swapClient(ctx context.Context, g *gateway, c int, n *atomic.Int64) error {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(3, uint64(c)))
	var last int64
	for ctx.Err() == nil {
		x := rng.IntN(1000)
		body := fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[%d,%d,%d]}]}`, x, x+1, x+2)
		req, err := http.NewRequest(http.MethodPost, g.url+"/v2/models/double/infer", strings.NewReader(body))
		if err != nil {
			return err
		}
		if c%2 == 0 {
			req.Header.Set("User", strconv.Itoa(rng.IntN(1000)))
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		revision, err := swapAnswer(resp, x, c%2 == 0)
		if err != nil {
			return err
		}
		if revision < last {
			return fmt.Errorf("revision %d after %d on one connection", revision, last)
		}
		last = revision
		n.Add(1)
	}
	return nil
}

// swapAnswer checks that an answer is that of the version in its headers, and returns the
// revision in them.
func swapAnswer(resp *http.Response, x int, sticky bool) (revision int64, err error) {
	defer resp.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(resp.Header.Get("Sluice-Version"))
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	var answer struct {
		Version string `json:"model_version"`
		Outputs []struct{ Data []float64 }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&answer); err != nil {
		return 0, err
	}
	k := 10 * version
	want := []float64{float64(k * x), float64(k * (x + 1)), float64(k * (x + 2))}
	if answer.Version != strconv.Itoa(version) || len(answer.Outputs) != 1 || !slices.Equal(answer.Outputs[0].Data, want) {
		return 0, fmt.Errorf("version %d answers %s to %d", version, text, x)
	}
	if reason := resp.Header.Get("Sluice-Reason"); (reason == "sticky") != sticky || !sticky && reason != "random" {
		return 0, fmt.Errorf("reason %s", reason)
	}
	name, number, _ := strings.Cut(resp.Header.Get("Sluice-Route"), "@")
	if revision, err = strconv.ParseInt(number, 10, 64); err != nil || name != "double" || revision == 0 {
		return 0, fmt.Errorf("route %s", resp.Header.Get("Sluice-Route"))
	}
	return revision, nil
}
