package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// The polite caller's load: a share of what the gateway can do for it, and no more
// than a rate. It shares the cores with those who attack as well: more would
// measure those.
const (
	politeShare = 0.1
	politeRate  = 1000
)

// settle is the longest that goroutines may take to end: fasthttp's wait 10 s for
// their next connection, and are looked at as often.
const settle = 25 * time.Second

// spareGoroutines may be more than before: connections of the side port.
const spareGoroutines = 10

// politeModel is what the polite caller asks.
func politeModel() process.Version { return scenario.One(onnxgen.Lin().As("polite")) }

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

// mark begins a span of time that the results show, if it has a name; the one
// before ends.
func (o *ordeal) mark(name string) {
	now := o.polite.now()
	if n := len(o.spans); n > 0 {
		o.spans[n-1].to = now
	}
	o.spans = append(o.spans, span{name: name, from: now})
}

// calm is how long the polite caller is looked at before the attack, twice, and
// the longest that its recovery is waited for.
func (b *bench) calm() time.Duration { return b.Scale(3 * time.Second) }

// beside runs an attack beside a polite caller and enters what that caller saw
// and what the gateway held. What it saw before is measured twice: the difference
// is what chance does. It returns the most memory that the gateway held above that before, in MiB.
func (b *bench) beside(ctx context.Context, r *record.Record, s setup, attack func(context.Context, *ordeal) error) (memory float64, err error) {
	s.Models = append(s.Models, politeModel())
	g, err := b.Start(ctx, s)
	if err != nil {
		return 0, err
	}
	defer func() { _ = g.Stop() }() // an attack may outlast the time for a stop
	target := politeTarget(g.URL())
	alone, err := loadgen.Closed(ctx, target, politeConns, b.Scale(time.Second))
	if err != nil {
		return 0, err
	}
	o := &ordeal{g: g, polite: startPolite(ctx, target, min(politeRate, politeShare*alone.Rate()))}
	defer o.polite.stop()
	time.Sleep(b.Scale(time.Second))
	o.mark("before")
	time.Sleep(b.calm())
	o.mark("before, again")
	time.Sleep(b.calm())
	before, stop := g.Usage(ctx), g.Watch(ctx)
	o.mark("attack")
	err = attack(ctx, o)
	peak := stop()
	o.mark("after")
	if err != nil {
		return 0, err
	}
	attacked := time.Now()
	time.Sleep(2 * b.calm())
	o.mark("end")
	o.polite.stop()
	after := g.Usage(ctx)
	for o.settle && after.Goroutines > before.Goroutines+spareGoroutines && time.Since(attacked) < settle {
		time.Sleep(500 * time.Millisecond)
		after = g.Usage(ctx)
	}
	o.enter(r)
	r.Tables = append(r.Tables, usages(before, peak, after))
	memory = peak.RSS - before.RSS
	r.Tell("most memory above that before", memory, "MiB")
	if o.settle {
		r.AtMost(fmt.Sprintf("goroutines more than before, %.0f s later", time.Since(attacked).Seconds()),
			float64(after.Goroutines-before.Goroutines), spareGoroutines, "")
	}
	return memory, nil
}

// usages is the table of what the gateway held.
func usages(before, peak, after scenario.Usage) record.Table {
	t := record.Table{Title: "The gateway", Columns: []string{"", "RSS MiB", "threads", "goroutines", "descriptors"}}
	for i, u := range []scenario.Usage{before, peak, after} {
		t.Add([]string{"before", "peak", "after"}[i], u.RSS, u.Threads, u.Goroutines, u.Descriptors)
	}
	return t
}

// enter writes what the polite caller saw into the record.
func (o *ordeal) enter(r *record.Record) {
	t := politeTable()
	spans := o.spans[:len(o.spans)-1]
	var calm, worst view
	failed := 0
	for i, s := range spans {
		if s.to-s.from < window {
			continue // nothing to see
		}
		v := o.polite.between(s.from, s.to)
		if s.name == "" {
			failed += v.failed()
			continue
		}
		addView(&t, s.name, v)
		switch {
		case i < 2:
			calm.P99 = max(calm.P99, v.P99)
		case i < len(spans)-1:
			failed += v.failed()
			worst.P99 = max(worst.P99, v.P99)
		}
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("errors of the polite caller", float64(failed), 0, "")
	r.Tell(fmt.Sprintf("its worst p99 in a span of the attack, to that of the calm (%s ms)", record.Number(calm.P99)), worst.P99/calm.P99, "×")
	after := spans[len(spans)-1]
	took, ok := o.polite.recovered(spans[0].from, spans[1].to, after.from, after.to)
	r.Holds("time until it is served as before, once the attack is over", millis(took), "≤ 1000", "ms", ok && took <= time.Second)
}
