// Command cost measures what a request costs the gateway: beside a bare gateway with each
// feature on, alone and all together, and with -growth as what there is of something grows.
// Its main figure is the processor time of the gateway per request, which other load on the
// machine moves less than it moves rates.
//
//	go run ./cost                 # writes results/cost.jsonl, cost.md and cost.svg
//	go run ./cost -growth         # writes results/growth.jsonl, growth.md and growth.svg
//	go run ./cost -rollouts       # writes results/rollouts-cost.jsonl and rollouts-cost.md
//	go run ./cost -tables         # measures nothing, renders what is there
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// The cores of the gateway and of this program.
const serverCore, clientCore = 0, 1

// bench is one whole measurement.
type bench struct {
	gateway  string
	rounds   int
	duration time.Duration
}

func main() {
	var b bench
	flag.StringVar(&b.gateway, "gateway", "../bin/gateway", "the gateway's binary")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds; in each everything is measured once (7, with -growth 3, with -rollouts 60)")
	flag.DurationVar(&b.duration, "d", 2*time.Second, "how long it is measured")
	out := flag.String("out", "results", "the folder of results")
	only := flag.String("only", "", "only what has this in its name; nothing is written")
	growth := flag.Bool("growth", false, "measure how costs grow instead")
	rollouts := flag.Bool("rollouts", false, "measure what a rollout costs instead")
	tables := flag.Bool("tables", false, "measure nothing, render what is there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := suite{"cost", sets(), renderCost, 7, observing, false}
	switch {
	case *growth:
		s = suite{"growth", curvePoints(), renderGrowth, 3, nil, false}
	case *rollouts:
		s = suite{"rollouts-cost", rolloutSets(), renderRollouts, 60, summing, true}
	}
	if err := b.run(ctx, *out, *only, &s, *tables); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1) //nolint:gocritic // nothing is deferred that matters now
	}
}

// suite is what one run measures, and the page of it.
type suite struct {
	name   string
	points []point
	render func(dir string, rows record.Rows) error
	rounds int
	more   func() record.Rows // measured in this process; may be nil

	together bool // all points are measured at the same time
}

func (b *bench) run(ctx context.Context, out, only string, s *suite, tables bool) error {
	if b.rounds == 0 {
		b.rounds = s.rounds
	}
	file := filepath.Join(out, s.name+".jsonl")
	rows, err := record.Load(file)
	if !tables {
		rows, err = b.measureAll(ctx, s.points, only, s.together)
		if s.more != nil {
			rows = append(rows, s.more()...)
		}
		if only != "" { // what was measured was told
			return err
		}
		if err == nil {
			err = record.Save(file, rows)
		}
	}
	if err != nil {
		return err
	}
	return s.render(out, rows)
}

// measureAll measures every point once in each round, in an order that is another one in
// each, so that no point always follows the same one.
func (b *bench) measureAll(ctx context.Context, points []point, only string, together bool) (record.Rows, error) {
	if err := process.Pin(clientCore); err != nil {
		return nil, err
	}
	runtime.GOMAXPROCS(1)
	about := record.New("run", "server_cpus", serverCore, "client_cpus", clientCore, "rounds", b.rounds, "duration", b.duration)
	about.Host = record.ThisHost()
	kept := points[:0:0]
	for _, p := range points {
		if strings.Contains(p.id(), only) {
			kept = append(kept, p)
		}
	}
	rows := record.Rows{about}
	if together {
		return b.measureTogether(ctx, kept, rows)
	}
	for round := range b.rounds {
		for i := range kept {
			p := &kept[(round*len(kept)/b.rounds+i)%len(kept)]
			m := record.New("measured", "set", p.set, "curve", p.curve, "x", p.x, "round", round+1)
			if err := b.measure(ctx, p, m.Figures); err != nil {
				return nil, fmt.Errorf("%s: %w", p.id(), err)
			}
			rows = append(rows, m)
			fmt.Fprintf(os.Stderr, "round %d, %s: %.2f µs, %.2f allocations, %.0f requests/s\n", round+1, p.id(), microseconds(&m), allocations(&m), rate(&m))
		}
	}
	return rows, nil
}

// measure runs a point once, in a gateway of its own.
func (b *bench) measure(ctx context.Context, p *point, figures map[string]float64) error {
	dir, err := os.MkdirTemp("", "sluice-cost-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := p.prepare(dir); err != nil {
		return err
	}
	g, err := process.StartGateway(ctx, b.gateway, dir, p.config(dir), process.Ready, []int{serverCore})
	if err != nil {
		return err
	}
	return errors.Join(b.underLoad(ctx, g, p, figures), g.Stop())
}

// underLoad measures in the middle of a closed loop, when all connections are there. The
// processor time is read after the metrics at first and before them at last, so that asking
// for those is left out.
func (b *bench) underLoad(ctx context.Context, g *process.Gateway, p *point, figures map[string]float64) error {
	during, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { // received below
		r, err := loadgen.Run(during, loadgen.Plan{Targets: p.targets(g.URL()), Conns: p.conns, Duration: time.Hour})
		switch {
		case !errors.Is(err, context.Canceled): // which is how it ends
			ended <- fmt.Errorf("the load ended: %w", err)
		case len(r.Errors) > 0:
			ended <- fmt.Errorf("errors by status %v", r.Errors)
		default:
			ended <- nil
		}
	}()
	time.Sleep(500 * time.Millisecond)
	before, err1 := g.Metrics(ctx)
	used, err2 := g.OwnUsage()
	at := time.Now()
	time.Sleep(b.duration)
	usedAfter, err3 := g.OwnUsage()
	elapsed := time.Since(at)
	after, err4 := g.Metrics(ctx)
	cancel()
	err := <-ended
	// Asking for the metrics allocates as well: as much as a second question at rest sees of
	// the first.
	rest, err5 := g.Metrics(ctx)
	restAfter, err6 := g.Metrics(ctx)
	if err := errors.Join(err, err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	for name, series := range map[string]string{
		"requests": "sluice_requests_total", "mallocs": "go_memstats_mallocs_total",
		"runs": "sluice_runs_total", "members": "sluice_run_requests_total", // without those of shadows; requests that took part in them
		"drift_rows": "sluice_drift_rows_total", "drift_dropped": "sluice_drift_dropped_rows_total", // copied and counted; those without room
	} {
		figures[name] = after.Sum(series, "") - before.Sum(series, "")
	}
	figures["mallocs"] -= restAfter.Sum("go_memstats_mallocs_total", "") - rest.Sum("go_memstats_mallocs_total", "")
	figures["elapsed_ns"], figures["cpu_ns"] = float64(elapsed), float64(usedAfter.CPU-used.CPU)
	return allAnswered(after, figures["requests"])
}

// allAnswered makes an error of requests that were not answered OK, or of none at all.
func allAnswered(told process.Metrics, requests float64) error {
	const name = "sluice_requests_total"
	if bad := told.Sum(name, "") - told.Sum(name, `code="ok"`); bad > 0 || requests <= 0 {
		return fmt.Errorf("%.0f requests were answered, and %.0f were not answered OK", requests, bad)
	}
	return nil
}
