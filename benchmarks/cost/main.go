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
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
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
	name, points, render, rounds := "cost", sets(), renderCost, 7
	if growth {
		name, points, render, rounds = "growth", curvePoints(), renderGrowth, 3
	}
	if b.rounds == 0 {
		b.rounds = rounds
	}
	file := filepath.Join(b.out, name+".jsonl")
	rows, err := record.Load(file)
	if !tables {
		rows, err = b.measureAll(ctx, points)
	}
	if err != nil {
		return err
	}
	if !tables && !growth {
		rows = append(rows, observing()...)
	}
	if b.only != "" {
		return printAll(os.Stdout, rows.Where("measured"))
	}
	if !tables {
		if err := record.Save(file, rows); err != nil {
			return err
		}
	}
	return render(b.out, rows)
}

// measureAll measures every point once in each round, in an order that is another
// one in each, so that no point always follows the same one.
func (b *bench) measureAll(ctx context.Context, points []point) (record.Rows, error) {
	var err error
	if b.dir, err = os.MkdirTemp("", "sluice-cost-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir) //nolint:errcheck // a temporary folder
	if client, err := process.Cores(b.clientCPUs); err != nil {
		return nil, err
	} else if len(client) > 0 {
		if err := process.Pin(client...); err != nil {
			return nil, err
		}
		runtime.GOMAXPROCS(len(client))
	}
	kept := points[:0:0]
	for _, p := range points {
		if strings.Contains(p.id(), b.only) {
			kept = append(kept, p)
		}
	}
	about := record.New("run", "server_cpus", b.serverCPUs, "client_cpus", b.clientCPUs, "rounds", b.rounds, "duration", b.duration)
	about.Host = record.ThisHost()
	rows := record.Rows{about}
	for round := range b.rounds {
		for i := range kept {
			p := &kept[(round*len(kept)/max(1, b.rounds)+i)%len(kept)]
			m, err := b.measure(ctx, p, round+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.id(), err)
			}
			rows = append(rows, m)
			fmt.Fprintf(os.Stderr, "round %d, %s: %.2f µs, %.2f allocations, %.0f requests/s\n", round+1, p.id(), microseconds(&m), allocations(&m), rate(&m))
		}
	}
	return rows, nil
}
