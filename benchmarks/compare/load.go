package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// seen is what one stretch of load showed.
type seen struct {
	requests int64 // answered 200
	rate     float64
	errors   map[string]int64
	latency  record.Latency
	usage    record.Usage
	goStats  *record.GoStats
}

// load sends a plan's load of a work to a server and looks at both and at the
// machine meanwhile. The plan's targets are set here.
func (b *bench) load(ctx context.Context, s *server, w record.Work, plan loadgen.Plan) (seen, error) {
	to, ok := s.at[w.Name]
	if !ok {
		return seen{}, fmt.Errorf("%s does not do %s", s.name, w.Name)
	}
	one, err := target(to.url, w)
	if err != nil {
		return seen{}, err
	}
	plan.Targets = []loadgen.Target{one}
	before, err := b.look(s, to, w)
	if err != nil {
		return seen{}, err
	}
	result, err := loadgen.Run(ctx, plan)
	if err != nil {
		return seen{}, fmt.Errorf("%s, %s: %w", s.name, w.Name, err)
	}
	after, err := b.look(s, to, w)
	if err != nil {
		return seen{}, err
	}
	if result.Requests == 0 && (plan.Rate == 0 || len(result.Errors) > 0) { // at a low rate nothing may be due
		return seen{}, fmt.Errorf("%s, %s: nothing was answered 200; errors by status: %v", s.name, w.Name, result.Errors)
	}
	return b.compare(s, result, before, after), nil
}

// look is what is known at one time. The gateway is asked for its metrics first
// before a load and last after it, so that they are not in the CPU time: order
// tells which.
type look struct {
	moment moment
	used   process.Usage
	told   told
}

func (b *bench) look(s *server, to endpoint, w record.Work) (l look, err error) {
	if s.metrics != "" {
		if l.told, err = scrape(s.metrics, w.Model); err != nil {
			return l, err
		}
	}
	if to.process != nil {
		if l.used, err = to.process.Usage(); err != nil {
			return l, err
		}
	}
	l.moment, err = now()
	return l, err
}

func (b *bench) compare(s *server, r *loadgen.Result, before, after look) seen {
	requests := r.Requests
	out := seen{requests: requests, rate: r.Rate(), latency: quantiles(r)}
	for status, n := range r.Errors {
		if out.errors == nil {
			out.errors = map[string]int64{}
		}
		out.errors[strconv.Itoa(status)] = n
		requests += n
	}
	elapsed := after.moment.at.Sub(before.moment.at).Seconds()
	cpu := after.used.CPU - before.used.CPU
	u := &out.usage
	u.Server, u.Client = cpu.Seconds()/elapsed, r.ClientCPU.Seconds()/r.Elapsed.Seconds()
	u.ServerUS = float64(cpu) / float64(time.Microsecond) / float64(max(1, requests))
	u.Others = others(before.moment, after.moment)
	u.RSSMB, u.Threads = float64(after.used.RSS)/1e6, after.used.Threads
	u.Generator = r.GeneratorBound() != ""
	u.Noisy = !s.foreign && u.Others > b.o.noisyAbove
	if s.metrics != "" {
		out.goStats = after.told.less(before.told).perRequest(s.scrapes, requests, elapsed)
	}
	return out
}

func quantiles(r *loadgen.Result) record.Latency {
	return record.Latency{
		P50: r.Latency.ValueAtQuantile(50), P99: r.Latency.ValueAtQuantile(99), P999: r.Latency.ValueAtQuantile(99.9),
	}
}
