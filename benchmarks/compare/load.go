package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// load sends a plan's load of a work to a server, looks at both and at the machine
// meanwhile, and returns the figures. The plan's targets are set here.
func (b *bench) load(ctx context.Context, s *server, w work, plan loadgen.Plan) (map[string]float64, error) {
	to, ok := s.at[w.name]
	if !ok {
		return nil, fmt.Errorf("%s does not do %s", s.name, w.name)
	}
	one, err := target(to.url, w)
	if err != nil {
		return nil, err
	}
	plan.Targets = []loadgen.Target{one}
	before, err := b.look(ctx, s, to, w)
	if err != nil {
		return nil, err
	}
	result, err := loadgen.Run(ctx, plan)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", s.name, w.name, err)
	}
	after, err := b.look(ctx, s, to, w)
	if err != nil {
		return nil, err
	}
	if result.Requests == 0 && (plan.Rate == 0 || len(result.Errors) > 0) { // at a low rate nothing may be due
		return nil, fmt.Errorf("%s, %s: nothing was answered 200; errors by status: %v", s.name, w.name, result.Errors)
	}
	return b.figures(s, result, before, after), nil
}

// line is the result of a load.
func (b *bench) line(scenario string, s *server, w work, figures map[string]float64, pairs ...any) record.Record {
	r := record.New(scenario, append(append([]any{"setup", b.setup, "contender", s.name}, w.params()...), pairs...)...)
	r.Figures = figures
	return r
}

// look is what is known at one time. The gateway is asked for its metrics first
// before a load and last after it, so that they are not in the CPU time: order
// tells which.
type look struct {
	moment moment
	used   process.Usage
	told   told
}

func (b *bench) look(ctx context.Context, s *server, to endpoint, w work) (l look, err error) {
	if s.gateway != nil {
		if l.told, err = scrape(ctx, s.gateway, w.model); err != nil {
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

// figures are those of a load. Shares are cores: 1 is one core all the time; "others" is
// everybody else's and what the hypervisor took.
func (b *bench) figures(s *server, r *loadgen.Result, before, after look) map[string]float64 {
	requests, quantile := r.Requests, func(q float64) float64 { return float64(r.Latency.ValueAtQuantile(q)) }
	f := map[string]float64{"requests_per_second": r.Rate(), "p50_us": quantile(50), "p99_us": quantile(99), "p999_us": quantile(99.9)}
	for status, n := range r.Errors {
		f[fmt.Sprintf("errors_%d", status)] = float64(n) // 0: a broken connection
		requests += n
	}
	elapsed := after.moment.at.Sub(before.moment.at).Seconds()
	cpu := after.used.CPU - before.used.CPU
	f["server"], f["client"], f["others"] = cpu.Seconds()/elapsed, r.ClientCPU.Seconds()/r.Elapsed.Seconds(), others(before.moment, after.moment)
	f["server_us"] = float64(cpu) / float64(time.Microsecond) / float64(max(1, requests)) // of a request
	f["rss_mb"], f["threads"] = float64(after.used.RSS)/1e6, float64(after.used.Threads)
	if r.GeneratorBound() != "" {
		f["generator_bound"] = 1 // the client, not the server, set the rate
	}
	if !s.foreign && f["others"] > b.o.noisyAbove {
		f["noisy"] = 1 // others used more than they may
	}
	if s.gateway != nil {
		after.told.less(before.told).perRequest(f, s.scrapes, requests, elapsed)
	}
	return f
}
