// Command cost measures what a request costs the gateway: beside a bare gateway with
// each feature on, alone and all together, and with -growth as what there is of
// something grows. Its main figure is the processor time of the gateway per request,
// which other load on the machine moves less than it moves rates.
//
//	go run ./cost                 # writes results/cost.jsonl, cost.md and cost.svg
//	go run ./cost -growth         # writes results/growth.jsonl, growth.md and growth.svg
//	go run ./cost -tables         # measures nothing, renders what is there
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	var b bench
	flag.StringVar(&b.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.StringVar(&b.out, "out", "results", "the folder of results")
	flag.StringVar(&b.serverCPUs, "server-cpus", "0", "the core of the gateway; empty for all of them")
	flag.StringVar(&b.clientCPUs, "client-cpus", "1", "the core of this program; empty for all of them")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds; in each everything is measured once (7, with -growth 3)")
	flag.DurationVar(&b.warmUp, "warm-up", 500*time.Millisecond, "how long load runs before it is measured")
	flag.DurationVar(&b.duration, "d", 2*time.Second, "how long it is measured")
	flag.StringVar(&b.only, "only", "", "only what has this in its name; nothing is written")
	growth := flag.Bool("growth", false, "measure how costs grow instead")
	tables := flag.Bool("tables", false, "measure nothing, render what is there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx, *growth, *tables); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1) //nolint:gocritic // nothing is deferred that matters now
	}
}

// bench is one whole measurement.
type bench struct {
	gateway, out           string
	serverCPUs, clientCPUs string
	rounds                 int
	warmUp, duration       time.Duration
	only                   string

	dir string // the models and configurations
}

func (b *bench) run(ctx context.Context, growth, tables bool) error {
	name, points, render := "cost", sets(), renderCost
	rounds := 7
	if growth {
		name, points, render = "growth", curvePoints(), renderGrowth
		rounds = 3
	}
	if b.rounds == 0 {
		b.rounds = rounds
	}
	file := filepath.Join(b.out, name+".jsonl")
	if tables {
		r, err := read(file)
		if err != nil {
			return err
		}
		return render(b.out, r)
	}
	r, err := b.measureAll(ctx, points)
	if err != nil {
		return err
	}
	if !growth {
		r.Metrics = observing()
	}
	if b.only != "" {
		return printAll(os.Stdout, r)
	}
	if err := write(file, r); err != nil {
		return err
	}
	return render(b.out, r)
}

// measureAll measures every point once in each round, in an order that is another
// one in each, so that no point always follows the same one.
func (b *bench) measureAll(ctx context.Context, points []point) (*results, error) {
	var err error
	if b.dir, err = os.MkdirTemp("", "sluice-cost-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	if err := pin(b.clientCPUs); err != nil {
		return nil, err
	}
	kept := points[:0:0]
	for _, p := range points {
		if strings.Contains(p.id(), b.only) {
			kept = append(kept, p)
		}
	}
	r := &results{About: about(b)}
	for round := range b.rounds {
		for i := range kept {
			p := &kept[(round*len(kept)/max(1, b.rounds)+i)%len(kept)]
			m, err := b.measure(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.id(), err)
			}
			m.Round = round + 1
			r.Measured = append(r.Measured, m)
			fmt.Fprintf(os.Stderr, "round %d, %s: %.2f µs, %.2f allocations, %.0f requests/s\n", m.Round, p.id(), m.cpu()/1e3, m.allocations(), m.rate())
		}
	}
	return r, nil
}

// printAll shows what was measured and is not kept.
func printAll(out *os.File, r *results) error {
	e := json.NewEncoder(out)
	for _, m := range r.Measured {
		if err := e.Encode(m); err != nil {
			return err
		}
	}
	return nil
}
