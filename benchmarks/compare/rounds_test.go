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

type closing struct{ io.Writer }

func (closing) Close() error { return nil }

// benchOf returns a bench of two servers that answer a constant, of which b fails
// one request in three. A cell has room for some of them on a slow machine too.
func benchOf(t *testing.T, works string, a, b string) (*bench, *bytes.Buffer) {
	t.Helper()
	o, err := parse([]string{"-works", works, "-rounds", "2", "-d", "200ms", "-sweep", "100ms", "-contenders", a + "," + b})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString(`{"scenario":"run","host":{"cores":2}}` + "\n")
	bench := &bench{o: o, out: record.NewFile(closing{&out}), log: io.Discard, setup: record.Shared}
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

func readAll(t *testing.T, out *bytes.Buffer) record.Rows {
	t.Helper()
	rows, err := record.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	return rows
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
	for _, c := range readAll(t, out).Where("cell", "setup", record.Shared, "attempt", "1") {
		p, f := c.Params, c.Figures
		order = append(order, fmt.Sprintf("%s %s %s", p["round"], p["work"], p["contender"]))
		if f["p50_us"] <= 0 || f["p99_us"] < f["p50_us"] || f["p999_us"] < f["p99_us"] || f["noisy"] > 0 {
			t.Errorf("%+v", c)
		}
		if failed := f["errors_503"]; (failed > 0) != (p["contender"] == "two") {
			t.Errorf("%s: errors %v", p["contender"], failed)
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
	var attempts []string
	for _, c := range readAll(t, out).Where("cell") {
		attempts = append(attempts, c.Params["attempt"])
		if c.Figures["noisy"] == 0 {
			t.Errorf("%+v is not marked", c)
		}
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "1"}, attempts); diff != "" {
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
	loads, conns := map[string][]string{}, map[string][]string{}
	for _, p := range readAll(t, out).Where("point", "setup", record.Shared, "work", "lin binary c=64") {
		name := p.Params["contender"]
		if p.Params["kind"] == record.Open {
			loads[name] = append(loads[name], p.Params["load"])
			if asked, want := p.Figures["asked"], p.Num("load")*p.Figures["peak"]; asked < 0.99*want || asked > 1.01*want || want <= 0 {
				t.Errorf("%+v", p)
			}
		} else {
			conns[name] = append(conns[name], p.Params["conns"])
		}
		if p.Figures["p99_us"] <= 0 {
			t.Errorf("%+v", p)
		}
	}
	for _, name := range []string{record.Gateway, record.Noop} {
		if diff := cmp.Diff([]string{"0.1", "0.3", "0.5", "0.7", "0.8", "0.9", "0.95"}, loads[name]); diff != "" {
			t.Error(name, diff)
		}
		if diff := cmp.Diff([]string{"1", "2", "4", "8", "16", "32", "64", "128", "256"}, conns[name]); diff != "" {
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
