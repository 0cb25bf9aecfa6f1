package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// round runs every work against every contender in turn. That of number 0 warms up and is
// not written down.
func (b *bench) round(ctx context.Context, round int) error {
	model := ""
	for _, w := range b.works {
		if w.model != model && slices.Contains(b.contenders, rawName) {
			for threads := 1; threads <= min(2, b.cores()); threads++ {
				if err := b.repeat(round, func(int) (record.Rows, error) { return b.rawCell(ctx, round, w.model, threads) }); err != nil {
					return err
				}
			}
		}
		model = w.model
		for _, s := range b.servers {
			if _, ok := s.at[w.name]; !ok {
				continue
			}
			plan := loadgen.Plan{Conns: w.conns, Duration: b.cell}
			if w.model == "enc" && s.name != record.Noop {
				plan.Duration *= 3 // runs take so long that one more or less would show in the rate
			}
			if round == 0 {
				plan.Duration /= 2
			}
			err := b.repeat(round, func(attempt int) (record.Rows, error) {
				figures, err := b.load(ctx, s, w, plan)
				return record.Rows{b.line("cell", s, w, figures, "round", round, "attempt", attempt)}, err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat measures a cell, and again, up to twice, while others disturb it. All repetitions
// may add a tenth to a run on a machine that is never quiet.
func (b *bench) repeat(round int, measure func(attempt int) (record.Rows, error)) error {
	for attempt := 1; ; attempt++ {
		rows, err := measure(attempt)
		if err != nil || round == 0 {
			return err
		}
		for _, r := range rows {
			err = errors.Join(err, b.out.Add(r))
		}
		if err != nil || rows[0].Figures["noisy"] == 0 || attempt > 2 || b.repeated >= (b.rounds*len(b.works)*len(b.servers)+9)/10 {
			return err
		}
		b.repeated++
	}
}

// load sends a plan's load of a work to a server, looks at both and at the machine
// meanwhile, and returns the figures. The plan's targets are set here.
func (b *bench) load(ctx context.Context, s *server, w work, plan loadgen.Plan) (map[string]float64, error) {
	to := s.at[w.name]
	plan.Targets = []loadgen.Target{w.target(to.base)}
	before, err := b.look(ctx, s, to)
	if err != nil {
		return nil, err
	}
	result, err := loadgen.Run(ctx, plan)
	if err == nil && result.Requests == 0 && (plan.Rate == 0 || len(result.Errors) > 0) { // at a low rate nothing may be due
		err = fmt.Errorf("nothing was answered 200; errors by status: %v", result.Errors)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", s.name, w.name, err)
	}
	after, err := b.look(ctx, s, to)
	return figures(s, to, w, result, before, after), err
}

// line is the result of a load.
func (b *bench) line(scenario string, s *server, w work, figures map[string]float64, pairs ...any) record.Record {
	known := []any{"setup", b.setup, "contender", s.name, "work", w.name, "model", w.model, "binary", w.binary, "conns", w.conns, "rows", w.rows}
	r := record.New(scenario, append(known, pairs...)...)
	r.Figures = figures
	return r
}

// look is what is known at one time.
type look struct {
	moment moment
	used   process.Usage
	told   process.Metrics
}

func (b *bench) look(ctx context.Context, s *server, to endpoint) (l look, err error) {
	if s.gateway != nil {
		if l.told, err = s.gateway.Metrics(ctx); err != nil {
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
func figures(s *server, to endpoint, w work, r *loadgen.Result, before, after look) map[string]float64 {
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
	if to.process != nil && f["others"] > noisyAbove { // one that somebody else started is among the others
		f["noisy"] = 1
	}
	if s.gateway != nil {
		perRequest(f, before.told, after.told, s.scrapes, w.model, requests, elapsed)
	}
	return f
}

// mallocs is the series of what a gateway has allocated.
const mallocs = "go_memstats_mallocs_total"

// scrapeCost is what a scrape itself allocates, once the connection is there: the least of
// some, since a gateway has other things to do as well.
func scrapeCost(ctx context.Context, g *process.Gateway) (least float64, err error) {
	last, err := g.Metrics(ctx)
	least = math.Inf(1)
	for range 5 {
		next, failed := g.Metrics(ctx)
		err = errors.Join(err, failed)
		least = min(least, next[mallocs]-last[mallocs])
		last = next
	}
	return least, err
}

// perRequest adds what a gateway did for each request between two times. scrapes is what a
// scrape takes, one of which lies between them. Allocations of too few requests are not
// known: what else a gateway does is spread over fewer.
func perRequest(figures map[string]float64, before, after process.Metrics, scrapes float64, model string, requests int64, seconds float64) {
	label := fmt.Sprintf("model=%q", model)
	more := func(name, label string) float64 { return after.Sum(name, label) - before.Sum(name, label) }
	figures["gcs_per_second"] = more("go_gc_duration_seconds_count", "") / seconds
	if n := float64(requests); n >= 1000 {
		figures["allocs"] = max(0, more(mallocs, "")-scrapes) / n
	}
	if runs := more("sluice_batch_rows_count", label); runs > 0 {
		figures["batch_rows"] = more("sluice_batch_rows_sum", label) / runs
	}
}

// sweepAll varies the load of the gateway at a tiny model, one of about 100 µs and one of
// some milliseconds, and of the no-op server at the first.
func (b *bench) sweepAll(ctx context.Context) error {
	for _, w := range b.works {
		if !slices.Contains([]string{"lin binary c=64", "cnn binary c=8", "enc binary c=16"}, w.name) {
			continue
		}
		for _, s := range b.servers {
			if s.name == record.Gateway || s.name == record.Noop && w.model == "lin" {
				fmt.Fprintf(os.Stderr, "%s: sweep of %s at %s\n", b.setup, s.name, w.name)
				if err := b.sweepOne(ctx, s, w); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sweepOne keeps shares of the rate that a closed loop has just reached, and then more and
// more requests in flight.
func (b *bench) sweepOne(ctx context.Context, s *server, w work) error {
	peak, err := b.load(ctx, s, w, loadgen.Plan{Conns: w.conns, Duration: b.sweep})
	if err != nil || peak["requests_per_second"] == 0 { // each answer came after the end
		return err
	}
	rate := peak["requests_per_second"]
	for _, load := range []float64{0.10, 0.30, 0.50, 0.70, 0.80, 0.90, 0.95} {
		const conns = 512 // enough that requests hardly ever wait for one
		plan := loadgen.Plan{Rate: load * rate, Asleep: b.setup == record.Shared, Conns: conns, Warmup: b.sweep / 10, Duration: b.sweep}
		if load == 0.70 {
			plan.Duration *= 4 // its tail is judged
		}
		known := map[string]float64{"peak": rate, "asked": plan.Rate}
		if err := b.point(ctx, s, w, plan, known, "kind", record.Open, "load", load); err != nil {
			return err
		}
	}
	for w.conns = 1; w.conns <= 256; w.conns *= 2 {
		plan := loadgen.Plan{Conns: w.conns, Duration: max(b.sweep/3, 50*time.Millisecond)}
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
