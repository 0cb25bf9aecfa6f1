package app_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/fake"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// badRequests is how many bad requests a test sends.
const badRequests = 1000

// lookups makes a repository with two versions of the model "words": "y", FP32 [N], is the
// element of a table that the operator op finds for "x", INT64 [N]. Version 1 has the indices 0
// to 2, version 2 only 0 and 1.
func lookups(t *testing.T, op string) string {
	t.Helper()
	dir := t.TempDir()
	for version, table := range [][]float32{{10, 11, 12}, {20, 21}} {
		g := onnxgen.New("words")
		x := g.Input("x", infer.Int64, "N")
		g.Output("y", infer.FP32, g.Op(op, g.Init(onnxgen.Float32s(table, int64(len(table)))), x), "N")
		put(t, dir, "words", int64(version+1), g.Bytes())
	}
	return dir
}

// word asks the route "words" for an index, on behalf of a user.
func (g *gateway) word(t *testing.T, index int, user string) reply {
	t.Helper()
	body := fmt.Sprintf(`{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[%d]}]}`, index)
	r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/words/infer", body, "User", user)
	if err != nil {
		t.Error(err)
	}
	return r
}

// flood sends badRequests requests for the index bad beside callers of index 1, which must all
// be answered. It returns the answers to the bad ones, by status.
func (g *gateway) flood(t *testing.T, bad int) map[int]string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var good, sent, answered atomic.Int64
	var callers, others sync.WaitGroup
	for id := range 4 {
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r := g.word(t, 1, fmt.Sprint("good-", id, "-", n))
				if r.status != http.StatusOK || !strings.Contains(r.body, `"data":[11]`) && !strings.Contains(r.body, `"data":[21]`) {
					t.Errorf("a good caller got %d %s", r.status, r.body)
					return
				}
				good.Add(1)
			}
		})
	}
	var mu sync.Mutex
	got := map[int]string{}
	for range 4 {
		others.Go(func() {
			for n := sent.Add(1); n <= badRequests; n = sent.Add(1) {
				r := g.word(t, bad, fmt.Sprint("bad-", n))
				answered.Add(1)
				mu.Lock()
				got[r.status] = r.body
				mu.Unlock()
			}
		})
	}
	others.Wait()
	cancel()
	callers.Wait()
	if answered.Load() != badRequests || good.Load() == 0 {
		t.Errorf("%d bad requests and %d good ones were answered", answered.Load(), good.Load())
	}
	return got
}

// underFlood runs f on two gateways: one batches the model "words", the other does not.
func underFlood(t *testing.T, op string, f func(t *testing.T, g *gateway)) {
	t.Helper()
	for _, batching := range []string{"auto", "false"} {
		t.Run("batching "+batching, func(t *testing.T) {
			settings := fmt.Sprintf("models: {words: {instances: 1, batching: {enabled: '%s'}}}", batching)
			g := startLogging(t, zap.NewNop(), nil, lookups(t, op), settings)
			g.set(t, "words", split(1, 2, 5000))
			if d := g.models(t)["words/1"].Detail; d.Batching.Enabled != (batching == "auto") || d.Warmup != "ok" {
				t.Fatalf("batching %+v, warm-up %s", d.Batching, d.Warmup)
			}
			f(t, g)
		})
	}
}

// TestRefusedValues sends an index that is out of range for both versions. Gather checks it and
// returns a status of its own. GatherElements throws, but the versions still answer the example
// of their warm-up. Both are 400, and do not count as failures of a version.
func TestRefusedValues(t *testing.T) {
	for op, reason := range map[string]string{
		"Gather":         "idx=7 must be within the inclusive range",
		"GatherElements": "GatherElements op: Out of range value in index tensor",
	} {
		t.Run(op, func(t *testing.T) {
			underFlood(t, op, func(t *testing.T, g *gateway) {
				got := g.flood(t, 7)
				wantRefusal(t, got[http.StatusBadRequest], op, reason)
				if len(got) != 1 {
					t.Errorf("bad requests were answered %v", got)
				}
				g.wantRefusals(t, badRequests)
			})
		})
	}
}

// wantRefusal checks the error text: the model, the node, its operator and the reason, but no
// place in a source file.
func wantRefusal(t *testing.T, text, op, reason string) {
	t.Helper()
	for _, part := range []string{"model 'words' refused the values of the request", op + " node", "Name:'" + op + "_0'", reason} {
		if !strings.Contains(text, part) {
			t.Errorf("got %s, want %s in it", text, part)
		}
	}
	if strings.Contains(text, ".cc:") || strings.Contains(text, "/") {
		t.Errorf("a path is in %s", text)
	}
}

// wantRefusals checks that the versions of "words" refused n requests together, and that
// neither has errors or an open breaker.
func (g *gateway) wantRefusals(t *testing.T, n int64) {
	t.Helper()
	refused := int64(0)
	for _, v := range g.routeStats(t, "words").Variants {
		if v.Breaker != "closed" || v.Total.Errors != 0 || v.Total.Refused == 0 {
			t.Errorf("%+v", v)
		}
		refused += v.Total.Refused
	}
	if refused != n {
		t.Errorf("%d refusals in the statistics, want %d", refused, n)
	}
	// Requests that the gateway itself refuses are not counted.
	if status, _ := g.call(t, http.MethodPost, g.url+"/v2/models/words/infer", `{"inputs":[]}`); status != http.StatusBadRequest {
		t.Errorf("no input: %d", status)
	}
	for _, v := range g.routeStats(t, "words").Variants {
		version := fmt.Sprintf(`version="%d"`, v.Version)
		for _, name := range []string{"sluice_refusals_total", "sluice_route_refusals_total"} {
			if n := g.series(t, name, `model="words"`, version); n != float64(v.Total.Refused) {
				t.Errorf("%s of %s is %v, want %d", name, version, n, v.Total.Refused)
			}
		}
	}
}

// TestNeighbourOfRefusedValues sends a good request beside a bad one until a run joins them.
func TestNeighbourOfRefusedValues(t *testing.T) {
	for op, reason := range map[string]string{"Gather": "idx=7 must be within", "GatherElements": "Out of range value"} {
		t.Run(op, func(t *testing.T) {
			const settings = "models: {words: {instances: 1, batching: {max_size: 2, max_delay: 50ms}}}"
			g := startLogging(t, zap.NewNop(), nil, lookups(t, op), settings)
			g.set(t, "words", split(1, 2, 0))
			members := func() float64 { return g.series(t, "sluice_run_requests_total", `model="words"`, `version="1"`) }
			for range 100 {
				before := members()
				var bad reply
				var sends sync.WaitGroup
				sends.Go(func() { bad = g.word(t, 7, "bad") })
				good := g.word(t, 1, "good")
				sends.Wait()
				if good.status != http.StatusOK || !strings.Contains(good.body, `"data":[11]`) {
					t.Errorf("the neighbour got %d %s", good.status, good.body)
				}
				if bad.status != http.StatusBadRequest {
					t.Errorf("the bad request got %d", bad.status)
				}
				wantRefusal(t, bad.body, op, reason)
				if members()-before == 4 { // a run of both, and one of each
					return
				}
			}
			t.Error("no run joined them")
		})
	}
}

// TestCanaryThatRefusesMore sends an index that only the stable version has.
func TestCanaryThatRefusesMore(t *testing.T) {
	underFlood(t, "Gather", func(t *testing.T, g *gateway) {
		got := g.flood(t, 2)
		if len(got) != 2 || !strings.Contains(got[http.StatusOK], `"data":[12]`) || got[http.StatusBadRequest] == "" {
			t.Errorf("requests were answered %v", got)
		}
		variants := g.routeStats(t, "words").Variants
		if variants[0].Total.Refused != 0 || variants[1].Total.Refused == 0 || variants[1].Breaker != "closed" {
			t.Errorf("%+v", variants)
		}
	})
}

// TestVersionThatNeverWorked has a canary that fails on every request, from its warm-up on.
func TestVersionThatNeverWorked(t *testing.T) {
	dir := lookups(t, "GatherElements")
	g := onnxgen.New("words")
	x := g.Op("Add", g.Input("x", infer.Int64, "N"), g.Init(onnxgen.Int64s([]int64{100}, 1)))
	g.Output("y", infer.FP32, g.Op("GatherElements", g.Init(onnxgen.Float32s([]float32{1}, 1)), x), "N")
	put(t, dir, "words", 2, g.Bytes())
	gw := startLogging(t, zap.NewNop(), nil, dir, "models: {words: {instances: 1, breaker: {open: 1h}}}")
	gw.opensBreaker(t, "words", func(user string) reply { return gw.word(t, 1, user) })
}

// TestVersionThatBreaks has a canary that fails on every request, but not in its warm-up.
func TestVersionThatBreaks(t *testing.T) {
	var broken atomic.Bool
	fail := func(int) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}
	f := &fakes{live: map[int64]fake.Options{1: {}, 2: {Fail: fail}}}
	g := startLogging(t, zap.NewNop(), f, triple(t), "models: {double: {instances: 2, breaker: {open: 1h}}}")
	g.set(t, "double", split(1, 2, 5000))
	broken.Store(true)
	g.opensBreaker(t, "double", func(user string) reply {
		r, err := g.send(t.Context(), http.MethodPost, g.url+"/v2/models/double/infer", doubleRequest, "User", user)
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// opensBreaker makes version 2 of a route a canary and sends requests until its breaker opens.
func (g *gateway) opensBreaker(t *testing.T, route string, call func(user string) reply) {
	t.Helper()
	g.set(t, route, split(1, 2, 5000, `,"fallback":"stable"`))
	failed := 0
	for n := range 100 {
		if r := call(fmt.Sprint("user-", n)); r.status != http.StatusOK {
			failed++
		}
	}
	v := g.routeStats(t, route).Variants
	if v[0].Breaker != "closed" || v[0].Total.Errors != 0 || v[1].Breaker != "open" {
		t.Errorf("%+v", v)
	}
	if failed != 5 {
		t.Errorf("%d requests failed before the breaker opened, want 5", failed)
	}
}
