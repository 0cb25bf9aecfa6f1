package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

// sweepWorks are those at which the load is varied: a tiny model, one of about
// 100 µs and one of some milliseconds. The no-op server is swept at the first.
func sweepWorks(chosen []record.Work) (list []record.Work) {
	for _, w := range chosen {
		switch w.Name {
		case "lin binary c=64", "cnn binary c=8", "enc binary c=16":
			list = append(list, w)
		}
	}
	return list
}

func swept(s *server, w record.Work) bool {
	_, ok := s.at[w.Name]
	return ok && (s.name == record.Gateway || s.name == record.Noop && w.Model == "lin")
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
			fmt.Fprintf(b.log, "%s: sweep of %s at %s\n", b.setup, s.name, w.Name)
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
func (b *bench) open(ctx context.Context, s *server, w record.Work) error {
	peak, err := b.load(ctx, s, w, loadgen.Plan{Conns: w.Conns, Duration: b.o.sweep})
	if err != nil {
		return err
	}
	if peak.rate == 0 { // each answer came after the end
		fmt.Fprintf(b.log, "%s: %s answered nothing within %v and is not swept\n", b.setup, s.name, b.o.sweep)
		return nil
	}
	for _, load := range []float64{0.10, 0.30, 0.50, longLoad, 0.80, 0.90, 0.95} {
		d := b.o.sweep
		if load == longLoad {
			d *= longer
		}
		p := record.Point{Kind: record.Open, Load: load, Peak: peak.rate, Asked: load * peak.rate, Work: w}
		plan := loadgen.Plan{Rate: p.Asked, Asleep: b.setup == record.Shared, Conns: openConns, Warmup: b.o.sweep / 10, Duration: d}
		if err := b.point(ctx, s, p, plan); err != nil {
			return err
		}
	}
	return nil
}

// conns keeps more and more requests in flight.
func (b *bench) conns(ctx context.Context, s *server, w record.Work) error {
	const most = 256
	for c := 1; c <= most; c *= 2 {
		p := record.Point{Kind: record.Conns, Work: w}
		p.Conns = c
		if err := b.point(ctx, s, p, loadgen.Plan{Conns: c, Duration: max(b.o.sweep/3, 50*time.Millisecond)}); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) point(ctx context.Context, s *server, p record.Point, plan loadgen.Plan) error {
	r, err := b.load(ctx, s, p.Work, plan)
	if err != nil || r.requests == 0 {
		return err
	}
	p.Setup, p.Contender, p.Rate, p.Errors, p.Latency, p.Usage = b.setup, s.name, r.rate, r.errors, r.latency, r.usage
	return b.out.Write(record.Line{Point: &p})
}
