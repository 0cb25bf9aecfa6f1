package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/config"
)

// Every work runs against every contender in turn, and what is not answered 200 is no
// throughput: the second server refuses one request in three.
func TestRoundsAreInterleaved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.jsonl")
	out, err := record.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{works: []work{newWork("lin", true, 1, 1), newWork("mlp", false, 64, 1)}, cell: 200 * time.Millisecond, out: out, setup: record.Shared}
	run := record.New("run")
	run.Host = record.ThisHost()
	if err := out.Add(run); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		var served atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if served.Add(1)%3 == 0 && name == "two" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer server.Close()
		b.servers = append(b.servers, b.newServer(name, server.URL, nil))
	}
	b.servers[1].leaveOut(b.works[1], "why")
	for round := range 3 {
		if err := b.round(t.Context(), round); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := record.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, c := range rows.Where("cell") {
		p, f := c.Params, c.Figures
		order = append(order, fmt.Sprintf("%s %s %s", p["round"], p["work"], p["contender"]))
		if f["p50_us"] <= 0 || f["p99_us"] < f["p50_us"] || (f["errors_503"] > 0) != (p["contender"] == "two") {
			t.Errorf("%+v", c)
		}
	}
	want := []string{
		"1 lin binary c=1 one", "1 lin binary c=1 two", "1 mlp JSON c=64 one",
		"2 lin binary c=1 one", "2 lin binary c=1 two", "2 mlp JSON c=64 one",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
	b.servers[0].at[b.works[0].name] = endpoint{"http://127.0.0.1:1", nil}
	if err := b.round(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("a server that is gone is a result: %v", err)
	}
}

// A noisy cell is repeated twice at most, unless the run has had its repetitions.
func TestNoisyCellsAreRepeated(t *testing.T) {
	out, err := record.Create(filepath.Join(t.TempDir(), "x.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{out: out, rounds: 10, works: works(), servers: []*server{{}}}
	attempts := 0
	noisy := func(int) (record.Rows, error) {
		attempts++
		return record.Rows{{Scenario: "cell", Figures: map[string]float64{"noisy": 1}}}, nil
	}
	for _, want := range []int{3, 4} {
		if err := b.repeat(1, noisy); err != nil || attempts != want {
			t.Errorf("%d attempts, want %d; %v", attempts, want, err)
		}
		b.repeated = 100
	}
}

func TestOthers(t *testing.T) {
	const ms = time.Millisecond
	from := moment{at: time.Now(), machine: 10 * time.Second, stolen: time.Second, ours: 4 * time.Second, theirs: 5 * time.Second}
	f := func(want float64, machine, stolen, ours, theirs time.Duration) {
		t.Helper()
		got := others(from, moment{from.at.Add(2 * time.Second), from.machine + machine, from.stolen + stolen, from.ours + ours, from.theirs + theirs})
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%g, want %g", got, want)
		}
	}
	f(0.25, 3000*ms, 0, 2500*ms, 0)      // nobody that is seen
	f(0.30, 3000*ms, 0, 2500*ms, 600*ms) // interrupts hide some
	f(0.35, 3000*ms, 200*ms, 2500*ms, 0) // and the hypervisor
	f(0, 3000*ms, 0, 3100*ms, -100*ms)   // rounding; one ended whose parent had ended
	list := map[int]used{1: {0, 1}, 2: {0, 2}, 10: {1, 4}, 11: {10, 8}, 12: {11, 16}, 20: {1, 32}, 40: {41, 128}, 41: {40, 256}}
	if ours, theirs := split(list, 10); ours != 4+8+16 || theirs != 1+2+32+128+256 {
		t.Errorf("%d and %d", ours, theirs)
	}
}

// What asking for the metrics takes is not the requests', and too few requests say nothing.
func TestPerRequest(t *testing.T) {
	for requests, want := range map[int64]map[string]float64{
		1000: {"allocs": 2, "gcs_per_second": 3, "batch_rows": 3}, 10: {"gcs_per_second": 3, "batch_rows": 3},
	} {
		got := map[string]float64{}
		after := process.Metrics{mallocs: 2500, "go_gc_duration_seconds_count": 6, `sluice_batch_rows_sum{model="m"}`: 600, `sluice_batch_rows_count{model="m"}`: 200}
		perRequest(got, process.Metrics{}, after, 500, "m", requests, 2)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// The gateway takes the file, with the features that are to be measured on.
func TestGatewayConfig(t *testing.T) {
	b := &bench{models: "models", profile: "profile.json", works: []work{newWork("lin", true, 1, 1), newWork("cnn", true, 1, 1)}}
	c, err := config.Parse("test", []byte(b.gatewayConfig()), func(string) (string, bool) { return "", false })
	if err != nil || !c.Server.AccessLog.Enabled || len(c.Routes) != 2 || c.Models["lin"].Drift.Profile != "profile.json" {
		t.Errorf("%v, %+v", err, c)
	}
}
