package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

// benchOf returns a bench of two servers that answer a constant, of which b fails
// one request in three. A cell has room for some of them on a slow machine too.
func benchOf(t *testing.T, works string, a, b string) (*bench, *bytes.Buffer) {
	t.Helper()
	o, err := parse([]string{"-works", works, "-rounds", "2", "-d", "200ms", "-sweep", "100ms", "-contenders", a + "," + b})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString(`{"machine":{"cores":2}}` + "\n")
	bench := &bench{o: o, out: record.NewWriter(&out), log: io.Discard, setup: record.Shared}
	for _, name := range o.contenders {
		var served atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if served.Add(1)%3 == 0 && name == b {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(server.Close)
		bench.servers = append(bench.servers, bench.newServer(name, at(strings.TrimPrefix(server.URL, "http://")), nil))
	}
	return bench, &out
}

func readAll(t *testing.T, out *bytes.Buffer) *record.Run {
	t.Helper()
	run, err := record.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestRoundsAreInterleaved(t *testing.T) {
	b, out := benchOf(t, "lin binary c=1,mlp JSON", "one", "two")
	for _, s := range b.servers {
		s.foreign = true // nothing here is repeated
	}
	b.servers[1].leaveOut(b.o.works[1], io.EOF)
	if err := b.rounds(t.Context()); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, c := range readAll(t, out).Cells {
		order = append(order, fmt.Sprintf("%d %s %s", c.Round, c.Name, c.Contender))
		if c.Setup != record.Shared || c.P50 <= 0 || c.P99 < c.P50 || c.P999 < c.P99 || c.Noisy || c.Attempt != 1 {
			t.Errorf("%+v", c)
		}
		if failed := c.Errors["503"]; (failed > 0) != (c.Contender == "two") {
			t.Errorf("%s: errors %v", c.Contender, c.Errors)
		}
	}
	want := []string{
		"1 lin binary c=1 one", "1 lin binary c=1 two", "1 mlp JSON c=64 one",
		"2 lin binary c=1 one", "2 lin binary c=1 two", "2 mlp JSON c=64 one",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

func TestNoisyCellsAreRepeated(t *testing.T) {
	b, out := benchOf(t, "lin binary c=1", "one", "two")
	b.o.noisyAbove, b.o.rounds = -1, 10 // whatever others do is too much
	if err := b.measure(t.Context(), 1, b.servers[0], b.o.works[0]); err != nil {
		t.Fatal(err)
	}
	b.repeated = 100 // the run has had its repetitions
	if err := b.measure(t.Context(), 2, b.servers[0], b.o.works[0]); err != nil {
		t.Fatal(err)
	}
	var attempts []int
	for _, c := range readAll(t, out).Cells {
		attempts = append(attempts, c.Attempt)
		if !c.Noisy {
			t.Errorf("%+v is not marked", c)
		}
	}
	if diff := cmp.Diff([]int{1, 2, 3, 1}, attempts); diff != "" {
		t.Error(diff)
	}
}

func TestSweep(t *testing.T) {
	b, out := benchOf(t, "lin", record.Gateway, record.Noop)
	for _, s := range b.servers {
		s.foreign = true
	}
	if err := b.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	loads, conns := map[string][]float64{}, map[string][]int{}
	for _, p := range readAll(t, out).Points {
		if p.Kind == record.Open {
			loads[p.Contender] = append(loads[p.Contender], p.Load)
			if p.Asked < 0.99*p.Load*p.Peak || p.Asked > 1.01*p.Load*p.Peak || p.Peak <= 0 {
				t.Errorf("%+v", p)
			}
		} else {
			conns[p.Contender] = append(conns[p.Contender], p.Conns)
		}
		if p.P99 <= 0 || p.Name != "lin binary c=64" || p.Setup != record.Shared {
			t.Errorf("%+v", p)
		}
	}
	for _, name := range []string{record.Gateway, record.Noop} {
		if diff := cmp.Diff([]float64{0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95}, loads[name]); diff != "" {
			t.Error(name, diff)
		}
		if diff := cmp.Diff([]int{1, 2, 4, 8, 16, 32, 64, 128, 256}, conns[name]); diff != "" {
			t.Error(name, diff)
		}
	}
}

// A server that answers nothing with 200 is no result.
func TestNothingAnswered(t *testing.T) {
	b, _ := benchOf(t, "lin binary c=1", "one", "two")
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	s := b.newServer("broken", at(strings.TrimPrefix(server.URL, "http://")), nil)
	b.o.cell = 20 * time.Millisecond
	if err := b.measure(t.Context(), 1, s, b.o.works[0]); err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}
