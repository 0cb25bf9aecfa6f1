// Command check sets up each peer, starts it, compares its answers with those of ONNX
// Runtime itself, sends it a little load, and stops it. It prints a table.
//
//	go run ./peers/check -peers fastapi,node -models lin,enc
//	go run ./peers/check -setup
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/peers"
	"sluice.io/sluice/benchmarks/process"
)

type options struct {
	file, cache, library string
	peers, models        string
	conns                int
	duration             time.Duration
	setupOnly            bool
}

func main() {
	var o options
	flag.StringVar(&o.file, "file", "peers/peers.txt", "the file of peers")
	flag.StringVar(&o.cache, "cache", "../.cache/peers", "the folder that they are installed into")
	flag.StringVar(&o.library, "library", "../.deps/onnxruntime/lib/libonnxruntime.so", "the shared library of ONNX Runtime")
	flag.StringVar(&o.peers, "peers", "all", "names with commas between them; all: those that are available")
	flag.StringVar(&o.models, "models", "lin,three,tree,mlp,big,cnn,enc,encdyn", "names with commas between them")
	flag.IntVar(&o.conns, "c", 8, "requests in flight")
	flag.DurationVar(&o.duration, "d", 2*time.Second, "how long load is sent for each model and form of body; 0: not at all")
	flag.BoolVar(&o.setupOnly, "setup", false, "only install")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1) //nolint:gocritic // stop only ends the catching of signals
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	list, err := peers.Read(o.file, o.cache)
	if err != nil {
		return err
	}
	if list, err = peers.Choose(list, o.peers); err != nil {
		return err
	}
	for i := range list {
		begun := time.Now()
		if err := list[i].Setup(ctx); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: set up in %v\n", list[i].Name, time.Since(begun).Round(time.Millisecond))
	}
	if o.setupOnly {
		return nil
	}
	dir, err := os.MkdirTemp("", "sluice-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	chosen, err := choose(strings.Split(o.models, ","))
	if err != nil {
		return err
	}
	if err := models.Write(dir, chosen...); err != nil {
		return err
	}
	raw, err := peers.OpenRaw(o.library, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "closed loop, c=%d, %v\n\n", o.conns, o.duration)
	fmt.Fprintln(out, "| peer | model | body | largest difference | requests/s | p99 ms | CPU µs/request |\n|---|---|---|---|---|---|---|")
	var failed []error
	for i := range list {
		c := checker{options: o, peer: &list[i], raw: raw, dir: dir, out: out}
		if err := c.check(ctx, chosen); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", list[i].Name, err))
		}
	}
	return errors.Join(append(failed, raw.Close())...)
}

type checker struct {
	options
	peer *peers.Peer
	raw  *peers.Raw
	dir  string
	out  io.Writer

	server *process.Server // nil if somebody else started it
}

// check starts the peer with all models and goes through them.
func (c *checker) check(ctx context.Context, list []models.Model) (err error) {
	port, err := freePort()
	if err != nil {
		return err
	}
	if !c.peer.External() {
		c.server, err = process.Launch(ctx, c.peer.Spec(c.dir, peers.AllModels, port, nil))
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s: ready after %v\n", c.peer.Name, c.server.ReadyAfter().Round(time.Millisecond))
		defer func() { err = errors.Join(err, c.server.Stop()) }()
	}
	var failed []error
	for _, m := range list {
		for _, form := range []peers.Form{peers.JSON, peers.Binary} {
			if !c.peer.Takes(form) {
				continue
			}
			if err := c.checkModel(ctx, m, form, port); err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", m.Name, form, err))
			}
		}
	}
	return errors.Join(failed...)
}

func (c *checker) checkModel(ctx context.Context, m models.Model, form peers.Form, port int) error {
	t := loadgen.FP32Target("", m.Name, m.Input, m.Shape, form == peers.Binary)
	t.URL = c.peer.URL(m.Name, port)
	want, err := c.raw.Answer(m.Name, t)
	if err != nil {
		return err
	}
	diff, err := peers.Verify(ctx, t, want, peers.Tolerance(m.Name))
	if err != nil {
		return err
	}
	row := fmt.Sprintf("| %s | %s | %s | %.2g |", c.peer.Name, m.Name, form, diff)
	if c.duration == 0 {
		fmt.Fprintln(c.out, row+" | | |")
		return nil
	}
	before, err := c.cpu()
	if err != nil {
		return err
	}
	load, err := loadgen.Closed(ctx, t, c.conns, c.duration)
	if err != nil {
		return err
	}
	if len(load.Errors) > 0 {
		return fmt.Errorf("errors by status under load: %v", load.Errors)
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	cost := ""
	if !c.peer.External() {
		cost = strconv.FormatInt((after-before).Microseconds()/load.Requests, 10)
	}
	fmt.Fprintf(c.out, "%s %.0f | %.1f | %s |\n", row, load.Rate(), float64(load.Latency.ValueAtQuantile(99))/1000, cost)
	return nil
}

// cpu returns what the server has used; nobody knows of one that somebody else started.
func (c *checker) cpu() (time.Duration, error) {
	if c.server == nil {
		return 0, nil
	}
	u, err := c.server.Usage()
	return u.CPU, err
}

func freePort() (int, error) {
	list, err := process.FreeAddresses(1)
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(list[0])
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

func choose(names []string) ([]models.Model, error) {
	list := make([]models.Model, len(names))
	for i, name := range names {
		m, ok := models.ByName(name)
		if !ok {
			return nil, fmt.Errorf("no model %q", name)
		}
		list[i] = m
	}
	return list, nil
}
