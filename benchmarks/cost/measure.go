package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
)

// measure runs a point once, in a gateway of its own.
func (b *bench) measure(ctx context.Context, p *point) (m measurement, err error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if err := p.prepare(dir); err != nil {
		return m, err
	}
	g, err := b.start(p, dir)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, g.stop()) }()
	m, err = b.underLoad(ctx, g, p)
	m.Part, m.Set, m.Curve, m.X = partMeasured, p.set, p.curve, p.x
	return m, err
}

// underLoad measures in the middle of a closed loop, when all connections are there.
func (b *bench) underLoad(ctx context.Context, g *running, p *point) (m measurement, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- load(ctx, p.targets("http://"+g.http), p.conns, b.warmUp+b.duration+time.Minute) }() // received below
	before, after, err := b.snapshots(ctx, g)
	cancel()
	if err := errors.Join(err, <-ended); err != nil {
		return m, err
	}
	// Asking for the metrics allocates as well: as much as a second question at rest
	// sees of the first.
	var rest [2]counted
	for i := range rest {
		if rest[i], err = g.scrape(); err != nil {
			return m, err
		}
	}
	m = measurement{
		Requests: int64(after.requests - before.requests), Elapsed: after.at.Sub(before.at), CPU: after.cpu - before.cpu,
		Mallocs: after.mallocs - before.mallocs - (rest[1].mallocs - rest[0].mallocs),
		Runs:    int64(after.runs - before.runs), Members: int64(after.members - before.members),
		DriftRows: int64(after.driftRows - before.driftRows), DriftDrops: int64(after.driftDrops - before.driftDrops),
	}
	if m.Requests == 0 {
		return m, errors.New("no request was answered")
	}
	return m, nil
}

// snapshots takes one after the warm-up and one at the end. The processor time is
// read last at first and first at last, so that asking for the rest is left out.
func (b *bench) snapshots(ctx context.Context, g *running) (before, after snapshot, err error) {
	if err := wait(ctx, b.warmUp); err != nil {
		return before, after, err
	}
	if before.counted, err = g.scrape(); err != nil {
		return before, after, err
	}
	before.at = time.Now()
	if before.cpu, err = processTime(g.pid); err != nil {
		return before, after, err
	}
	if err := wait(ctx, b.duration); err != nil {
		return before, after, err
	}
	if after.cpu, err = processTime(g.pid); err != nil {
		return before, after, err
	}
	after.at = time.Now()
	after.counted, err = g.scrape()
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
