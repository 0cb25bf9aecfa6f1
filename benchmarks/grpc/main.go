// Command grpc measures calls over gRPC beside a grpc-go server that answers a constant of the same
// size, a stream beside single calls, HTTP beside gRPC, and TLS, keys, limits and idle tracing beside none of these. All
// sides are asked in turn, in rounds; the page has medians of requests per second and of the server's CPU time for
// each request, and their ratios.
//
//	cd benchmarks && go run ./grpc -gateway ../bin/gateway -rounds 7
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
)

func main() {
	var o options
	flag.StringVar(&o.program, "gateway", "../bin/gateway", "the program")
	flag.StringVar(&o.model, "model", "lin", "one of benchmarks/models; with -load one of the gateway's")
	flag.IntVar(&o.flying, "c", 64, "requests in flight")
	flag.IntVar(&o.conns, "conns", 4, "connections of gRPC")
	flag.IntVar(&o.rounds, "rounds", 7, "how often each side is measured")
	flag.DurationVar(&o.duration, "d", 2*time.Second, "the time of a round")
	flag.StringVar(&o.only, "only", "", "measure the sides whose names match this regular expression; with -load \"calls\" or \"stream\"; empty: all")
	flag.StringVar(&o.before, "before", "", "an older build of the program, which is asked too")
	out := flag.String("out", "", "the page to write; empty: standard output")
	echo := flag.String("echo", "", "be the server that answers a constant, at this address")
	ready := flag.String("ready", "", "with -echo: the address that says that it is ready")
	at := flag.String("load", "", "only call a running gateway at this address")
	size := flag.Int("size", 0, "with -echo: the bytes of an answer")
	flag.Parse()
	var err error
	switch {
	case *echo != "":
		err = serveEcho(*echo, *ready, *size)
	case *at != "":
		err = load(context.Background(), &o, *at)
	default:
		err = measure(context.Background(), &o, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(1)
	}
}

type options struct {
	program, before       string
	model, only           string
	flying, conns, rounds int
	duration              time.Duration
}

// measure measures all sides and writes the page.
func measure(ctx context.Context, o *options, out string) error {
	dir, err := os.MkdirTemp("", "sluice-grpc")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	model := models.ByName(o.model)
	repository, err := process.Repository(dir, process.Version{Graph: model.Graph(), Number: 1})
	if err != nil {
		return err
	}
	var servers []*server
	defer func() {
		for _, s := range servers {
			_ = s.process.Stop()
		}
	}()
	var sides []*side
	for _, u := range setups(o) {
		s, err := u.start(ctx, dir, repository)
		if err != nil {
			return err
		}
		servers = append(servers, s)
		more, err := s.sides(ctx, o, model, u.name)
		if err != nil {
			return fmt.Errorf("%s: %w", u.name, err)
		}
		sides = append(sides, more...)
	}
	answer, err := firstAnswer(ctx, servers[0], model)
	if err != nil {
		return err
	}
	echo, err := startEcho(ctx, len(answer))
	if err != nil {
		return err
	}
	servers = append(servers, echo)
	more, err := echo.sides(ctx, o, model, echoName)
	if err != nil {
		return err
	}
	if sides, err = selected(append(more, sides...), o.only); err != nil {
		return err
	}
	for round := range o.rounds + 1 { // the first one warms up
		for _, s := range sides {
			if err := s.measure(o.duration, round > 0); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return write(out, func(w io.Writer) error { return page(w, o, sides) })
}

// selected returns the sides whose names match an expression.
func selected(sides []*side, only string) ([]*side, error) {
	names, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(sides, func(s *side) bool { return !names.MatchString(s.name) }), nil
}

// write writes a file, or to standard output.
func write(name string, f func(io.Writer) error) error {
	if name == "" {
		return f(os.Stdout)
	}
	file, err := os.Create(name) //nolint:gosec // as asked
	if err != nil {
		return err
	}
	return errors.Join(f(file), file.Close())
}
