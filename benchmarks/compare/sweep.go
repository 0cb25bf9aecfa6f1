package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

// sweepWorks are those at which the load is varied: a tiny model, one of about
// 100 µs and one of some milliseconds. The no-op server is swept at the first.
func sweepWorks(chosen []work) (list []work) {
	for _, w := range chosen {
		switch w.name {
		case "lin binary c=64", "cnn binary c=8", "enc binary c=16":
			list = append(list, w)
		}
	}
	return list
}

func swept(s *server, w work) bool {
	_, ok := s.at[w.name]
	return ok && (s.name == record.Gateway || s.name == record.Noop && w.model == "lin")
}

// longLoad is the load whose tail is judged: it is kept for longer.
const longLoad, longer = 0.70, 4

// openConns are enough that requests of an open loop hardly ever wait for one.
const openConns = 512

// sweep varies the load of some contenders.
func (b *bench) sweep(ctx context.Context) error {
	for _, w := range sweepWorks(b.o.works) {
		for _, s := range b.servers {
			if !swept(s, w) {
				continue
			}
			fmt.Fprintf(b.log, "%s: sweep of %s at %s\n", b.setup, s.name, w.name)
			if err := b.open(ctx, s, w); err != nil {
				return err
			}
			if err := b.conns(ctx, s, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// open keeps shares of the rate that a closed loop has just reached.
func (b *bench) open(ctx context.Context, s *server, w work) error {
	peak, err := b.load(ctx, s, w, loadgen.Plan{Conns: w.conns, Duration: b.o.sweep})
	if err != nil {
		return err
	}
	if peak["requests_per_second"] == 0 { // each answer came after the end
		fmt.Fprintf(b.log, "%s: %s answered nothing within %v and is not swept\n", b.setup, s.name, b.o.sweep)
		return nil
	}
	for _, load := range []float64{0.10, 0.30, 0.50, longLoad, 0.80, 0.90, 0.95} {
		d := b.o.sweep
		if load == longLoad {
			d *= longer
		}
		extra := map[string]float64{"peak": peak["requests_per_second"], "asked": load * peak["requests_per_second"]}
		plan := loadgen.Plan{Rate: extra["asked"], Asleep: b.setup == record.Shared, Conns: openConns, Warmup: b.o.sweep / 10, Duration: d}
		if err := b.point(ctx, s, w, plan, extra, "kind", record.Open, "load", load); err != nil {
			return err
		}
	}
	return nil
}

// conns keeps more and more requests in flight.
func (b *bench) conns(ctx context.Context, s *server, w work) error {
	const most = 256
	for c := 1; c <= most; c *= 2 {
		w.conns = c
		plan := loadgen.Plan{Conns: c, Duration: max(b.o.sweep/3, 50*time.Millisecond)}
		if err := b.point(ctx, s, w, plan, nil, "kind", record.Conns); err != nil {
			return err
		}
	}
	return nil
}

// point is one load of a sweep. Its figures are added to those that are known before.
func (b *bench) point(ctx context.Context, s *server, w work, plan loadgen.Plan, known map[string]float64, pairs ...any) error {
	figures, err := b.load(ctx, s, w, plan)
	if err != nil || figures["p50_us"] == 0 { // nothing was answered
		return err
	}
	maps.Copy(figures, known)
	return b.out.Add(b.line("point", s, w, figures, pairs...))
}
