package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// measure runs a point once, in a gateway of its own.
func (b *bench) measure(ctx context.Context, p *point, round int) (m record.Record, err error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := p.prepare(dir); err != nil {
		return m, err
	}
	cpus, err := process.Cores(b.serverCPUs)
	if err != nil {
		return m, err
	}
	g, err := process.StartGateway(ctx, process.GatewaySpec{Program: b.gateway, File: filepath.Join(dir, "sluice.yaml"), Config: p.config(dir), CPUs: cpus})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, g.Stop()) }()
	m = record.New("measured", "set", p.set, "curve", p.curve, "x", p.x, "round", round)
	return m, b.underLoad(ctx, g, p, m.Figures)
}

// config is the gateway's file.
func (p *point) config(dir string) string {
	access, level := "{enabled: false}", "warn"
	if p.log > 0 {
		access, level = fmt.Sprintf("{enabled: true, sample_every: %d}", p.log), "info"
	}
	text := fmt.Sprintf("repository: {path: %q}\nserver: {http: {address: %s}, drain_timeout: 2s, access_log: %s}\nadmin: {address: %s}\nlog: {level: %s}\n%s\n%s\n",
		filepath.Join(dir, "models"), process.HTTPAddress, access, process.AdminAddress, level, p.models, p.routes)
	return strings.ReplaceAll(text, profileFile, strconv.Quote(filepath.Join(dir, "profile.json")))
}

// underLoad measures in the middle of a closed loop, when all connections are there.
func (b *bench) underLoad(ctx context.Context, g *process.Gateway, p *point, figures map[string]float64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- load(ctx, p.targets(g.URL()), p.conns, b.warmUp+b.duration+time.Minute) }() // received below
	before, after, err := b.snapshots(ctx, g)
	cancel()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	// Asking for the metrics allocates as well: as much as a second question at rest
	// sees of the first.
	var rest [2]process.Metrics
	for i := range rest {
		if rest[i], err = g.Metrics(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	for name, series := range map[string]string{
		"requests": "sluice_requests_total", "mallocs": "go_memstats_mallocs_total",
		"runs": "sluice_runs_total", "members": "sluice_run_requests_total", // without those of shadows; requests that took part in them
		"drift_rows": "sluice_drift_rows_total", "drift_dropped": "sluice_drift_dropped_rows_total", // copied and counted; those without room
	} {
		figures[name] = after.told.Sum(series, "") - before.told.Sum(series, "")
	}
	figures["mallocs"] -= rest[1].Sum("go_memstats_mallocs_total", "") - rest[0].Sum("go_memstats_mallocs_total", "")
	figures["elapsed_ns"], figures["cpu_ns"] = float64(after.at.Sub(before.at)), float64(after.cpu-before.cpu)
	return allAnswered(after.told, figures["requests"])
}

// allAnswered makes an error of requests that were not answered OK, or of none at all.
func allAnswered(told process.Metrics, requests float64) error {
	const name = "sluice_requests_total"
	if bad := told.Sum(name, "") - told.Sum(name, `code="ok"`); bad > 0 || requests <= 0 {
		return fmt.Errorf("%.0f requests were answered, and %.0f were not answered OK", requests, bad)
	}
	return nil
}

// snapshot is where a gateway stands at a time.
type snapshot struct {
	told process.Metrics
	cpu  time.Duration
	at   time.Time
}

// snapshots takes one after the warm-up and one at the end. The processor time is
// read last at first and first at last, so that asking for the rest is left out.
func (b *bench) snapshots(ctx context.Context, g *process.Gateway) (before, after snapshot, err error) {
	if err := wait(ctx, b.warmUp); err != nil {
		return before, after, err
	}
	if before.told, err = g.Metrics(ctx); err != nil {
		return before, after, err
	}
	use, err := g.OwnUsage()
	if err != nil {
		return before, after, err
	}
	before.cpu, before.at = use.CPU, time.Now()
	if err := wait(ctx, b.duration); err != nil {
		return before, after, err
	}
	if use, err = g.OwnUsage(); err != nil {
		return before, after, err
	}
	after.cpu, after.at = use.CPU, time.Now()
	after.told, err = g.Metrics(ctx)
	return before, after, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load keeps conns requests in flight until ctx ends; each connection sends the
// targets in turn.
func load(ctx context.Context, targets []loadgen.Target, conns int, most time.Duration) error {
	r, err := loadgen.Run(ctx, loadgen.Plan{Targets: targets, Conns: conns, Duration: most})
	switch {
	case err != nil && !errors.Is(err, context.Canceled): // which is how it ends
		return err
	case r != nil && len(r.Errors) > 0:
		return fmt.Errorf("errors by status %v", r.Errors)
	}
	return nil
}
