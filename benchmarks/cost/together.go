package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// togetherConns is how many requests each gateway has in flight.
const togetherConns = 16

// onceIn is after how many rounds the gateways are started anew: a process that happens to lie badly in memory does so for its life.
const onceIn = 10

// measureTogether measures all points at the same time, each in a gateway of its own on the same core: whatever else the machine does slows
// all of them down alike, so that ratios within a round say more than those of points that are measured in turn.
func (b *bench) measureTogether(ctx context.Context, points []point, rows record.Rows) (record.Rows, error) {
	for round := 0; round < b.rounds; round += onceIn {
		more, err := b.generation(ctx, points, round, min(onceIn, b.rounds-round))
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// running is a gateway with the load on it.
type running struct {
	*process.Gateway

	point *point
	ended chan error
	used  process.Usage
	told  process.Metrics
}

// generation starts a gateway for each point, measures so many rounds, and stops them.
func (b *bench) generation(ctx context.Context, points []point, first, rounds int) (rows record.Rows, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var list []*running
	defer func() {
		cancel()
		for _, r := range list {
			if r.ended != nil {
				err = errors.Join(err, <-r.ended)
			}
			err = errors.Join(err, r.Stop())
		}
	}()
	for i := range points {
		at := (i + first/onceIn) % len(points) // another order each time
		r, err := b.begin(ctx, &points[at])
		if r != nil {
			list = append(list, r)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", points[at].id(), err)
		}
	}
	for _, r := range list {
		r.ended = make(chan error, 1)
		go func() { r.ended <- r.ask(ctx) }() // the deferred function waits for it
	}
	time.Sleep(2 * time.Second) // until all connections are there
	for round := range rounds {
		if rows, err = b.round(ctx, list, first+round+1, rows); err != nil {
			return nil, err
		}
	}
	for _, r := range list {
		if r.point.rollout {
			err = errors.Join(err, inCanary(ctx, r.Gateway))
		}
	}
	return rows, err
}

// begin starts the gateway of a point, and its rollout.
func (b *bench) begin(ctx context.Context, p *point) (*running, error) {
	dir, err := os.MkdirTemp("", "sluice-cost-")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { os.RemoveAll(dir) }) //nolint:errcheck // a temporary folder
	if err := p.prepare(dir); err != nil {
		return nil, err
	}
	g, err := process.StartGateway(ctx, b.gateway, dir, p.config(dir), process.Ready, []int{serverCore})
	if err != nil {
		return nil, err
	}
	r := &running{Gateway: g, point: p}
	if p.rollout {
		return r, startRollout(ctx, g)
	}
	return r, nil
}

// ask sends requests until ctx ends.
func (r *running) ask(ctx context.Context) error {
	result, err := loadgen.Run(ctx, loadgen.Plan{Targets: r.point.targets(r.URL()), Conns: togetherConns, Duration: time.Hour})
	switch {
	case !errors.Is(err, context.Canceled): // which is how it ends
		return fmt.Errorf("the load ended: %w", err)
	case len(result.Errors) > 0:
		return fmt.Errorf("errors by status %v", result.Errors)
	}
	return nil
}

// round measures all gateways over the same time.
func (b *bench) round(ctx context.Context, list []*running, number int, rows record.Rows) (record.Rows, error) {
	for _, r := range list {
		if err := r.read(ctx); err != nil {
			return nil, err
		}
	}
	time.Sleep(b.duration)
	for _, r := range list {
		used, told := r.used, r.told
		if err := r.read(ctx); err != nil {
			return nil, err
		}
		m := record.New("measured", "set", r.point.set, "curve", "", "x", 0.0, "round", number)
		for name, series := range counted() {
			m.Figures[name] = r.told.Sum(series, "") - told.Sum(series, "")
		}
		m.Figures["cpu_ns"], m.Figures["elapsed_ns"] = float64(r.used.CPU-used.CPU), float64(b.duration)
		if err := allAnswered(r.told, m.Figures["requests"]); err != nil {
			return nil, err
		}
		rows = append(rows, m)
		fmt.Fprintf(os.Stderr, "round %d, %s: %.2f µs, %.0f requests/s\n", number, r.point.id(), microseconds(&m), rate(&m))
	}
	return rows, nil
}

// read reads the processor time and the metrics of a gateway at nearly the same time.
func (r *running) read(ctx context.Context) (err error) {
	if r.used, err = r.OwnUsage(); err != nil {
		return err
	}
	r.told, err = r.Metrics(ctx)
	return err
}

// counted are the series that are counted, by the names of figures.
func counted() map[string]string {
	return map[string]string{"requests": "sluice_requests_total", "runs": "sluice_runs_total", "members": "sluice_run_requests_total"}
}
