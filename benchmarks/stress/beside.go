package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// ordeal is a gateway under some attack, with a polite caller beside it.
type ordeal struct {
	g      *gateway
	polite *polite
	spans  []span
	settle bool // whether goroutines that the attack leaves are waited for
}

type span struct {
	name     string
	from, to time.Duration
}

// mark begins a span of time that the results show, if it has a name; the one before ends.
func (o *ordeal) mark(name string) {
	now := o.polite.now()
	if n := len(o.spans); n > 0 {
		o.spans[n-1].to = now
	}
	o.spans = append(o.spans, span{name: name, from: now})
}

// beside runs an attack beside a polite caller and enters what that caller saw and what the
// gateway held. What it saw before is measured twice: the difference is what chance does. It
// returns the most memory that the gateway held above that before, in MiB.
func (b *bench) beside(ctx context.Context, r *record.Record, s setup, attack func(context.Context, *ordeal) error) (memory float64, err error) {
	s.Models = append(s.Models, one(onnxgen.Lin().As("polite")))
	g, err := b.start(ctx, s)
	if err != nil {
		return 0, err
	}
	defer func() { _ = g.Stop() }() // an attack may outlast the time for a stop
	target := politeTarget(g.URL())
	alone, err := loadgen.Run(ctx, closed(politeConns, 0, b.scale(time.Second), target))
	if err != nil {
		return 0, err
	}
	// A share of what the gateway can do for it, and no more than a rate: it shares the cores
	// with those who attack as well, and more would measure those.
	o := &ordeal{g: g, polite: startPolite(ctx, target, min(1000, 0.1*alone.Rate()))}
	defer o.polite.stop()
	calm := b.scale(3 * time.Second)
	time.Sleep(b.scale(time.Second))
	o.mark("before")
	time.Sleep(calm)
	o.mark("before, again")
	time.Sleep(calm)
	before, stop := g.usage(ctx), g.watch(ctx)
	o.mark("attack")
	err = attack(ctx, o)
	peak := stop()
	o.mark("after")
	if err != nil {
		return 0, err
	}
	attacked := time.Now()
	time.Sleep(2 * calm)
	o.mark("end")
	o.polite.stop()
	// Connections of the side port may be more than before; fasthttp's goroutines wait 10 s
	// for their next connection, and are looked at as often.
	const spare, settle = 10, 25 * time.Second
	after := g.usage(ctx)
	for o.settle && after.Goroutines > before.Goroutines+spare && time.Since(attacked) < settle {
		time.Sleep(500 * time.Millisecond)
		after = g.usage(ctx)
	}
	o.enter(r)
	t := record.Table{Title: "The gateway", Columns: []string{"", "RSS MiB", "threads", "goroutines", "descriptors"}}
	for i, u := range []usage{before, peak, after} {
		t.Add([]string{"before", "peak", "after"}[i], u.RSS, u.Threads, u.Goroutines, u.Descriptors)
	}
	r.Tables = append(r.Tables, t)
	memory = peak.RSS - before.RSS
	r.Tell("most memory above that before", memory, "MiB")
	if o.settle {
		r.AtMost(fmt.Sprintf("goroutines more than before, %.0f s later", time.Since(attacked).Seconds()), float64(after.Goroutines-before.Goroutines), spare, "")
	}
	return memory, nil
}

// enter writes what the polite caller saw into the record.
func (o *ordeal) enter(r *record.Record) {
	t := record.Table{
		Title:   "The polite caller, open loop on connections of its own",
		Columns: []string{"when", "asked /s", "answered /s", "p50 ms", "p99 ms", "worst ms", "errors"},
	}
	spans := o.spans[:len(o.spans)-1]
	calm, worst, failed := 0.0, 0.0, 0
	for i, s := range spans {
		if s.to-s.from < window {
			continue // nothing to see
		}
		v := o.polite.between(s.from, s.to)
		if i >= 2 && i < len(spans)-1 {
			failed += v.failed()
		}
		if s.name == "" {
			continue
		}
		p99 := quantile(v.latencies, 0.99)
		t.Add(s.name, o.polite.rate, float64(len(v.latencies))/(s.to-s.from).Seconds(), quantile(v.latencies, 0.5), p99, quantile(v.latencies, 1), byStatus(v.errors))
		switch {
		case i < 2:
			calm = max(calm, p99)
		case i < len(spans)-1:
			worst = max(worst, p99)
		}
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("errors of the polite caller", float64(failed), 0, "")
	r.Tell(fmt.Sprintf("its worst p99 in a span of the attack, to that of the calm (%s ms)", record.Number(calm)), worst/calm, "×")
	after := spans[len(spans)-1]
	took, ok := o.polite.recovered(o.polite.between(spans[0].from, spans[1].to), after.from, after.to)
	r.Holds("time until it is served as before, once the attack is over", millis(took), "≤ 1000", "ms", ok && took <= time.Second)
}
