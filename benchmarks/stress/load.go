package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
)

// work is a model and the request that is sent to it.
type work struct {
	models.Model
	conns int // of the closed loop that finds the peak
}

// The models of the load scenarios: 16 numbers, a picture, a text of 32 tokens.
func tiny() work    { return workOf("lin", 64) }
func cnn() work     { return workOf("cnn", 16) }
func encoder() work { return workOf("enc", 64) }

func workOf(name string, conns int) work {
	m, ok := models.ByName(name)
	if !ok {
		panic("BUG: there is no model " + name)
	}
	return work{m, conns}
}

func (w work) target(g *gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), w.Name, w.Input, w.Shape, true)
}

// graphs lists the works' models for a setup.
func graphs(works ...work) (list []process.Version) {
	for _, w := range works {
		list = append(list, one(w.Graph()))
	}
	return list
}

// peak returns the most answers per second in a closed loop.
func (b *bench) peak(ctx context.Context, t loadgen.Target, conns int) (float64, error) {
	r, err := loadgen.Run(ctx, loadgen.Plan{
		Targets: []loadgen.Target{t}, Conns: conns, Warmup: b.scale(time.Second), Duration: b.scale(3 * time.Second),
	})
	if err != nil {
		return 0, err
	}
	if r.Requests == 0 {
		return 0, fmt.Errorf("no request was answered 200; errors by status: %v", r.Errors)
	}
	return r.Rate(), nil
}

// openConns are the connections of an open loop at most: more than requests wait.
const openConns = 2048

// loadTable has a row for each run of load.
func loadTable(title string, first ...string) record.Table {
	return record.Table{Title: title, Columns: append(first,
		"asked /s", "answered /s", "p50 ms", "p99 ms", "p99.9 ms", "other answers", "generator")}
}

func addRun(t *record.Table, asked float64, r *loadgen.Result, first ...any) {
	generator := r.GeneratorBound()
	if generator == "" {
		generator = "-"
	}
	t.Add(append(first, asked, r.Rate(), latency(r, 50), latency(r, 99), latency(r, 99.9), byStatus(r.Errors), generator)...)
}

// latency is a quantile of the answers 200 in milliseconds.
func latency(r *loadgen.Result, percent float64) float64 {
	return float64(r.Latency.ValueAtQuantile(percent)) / 1000
}

func failures(r *loadgen.Result) (sum int64) {
	for _, n := range r.Errors {
		sum += n
	}
	return sum
}

// levels runs open loops at shares of each model's own peak.
func levels(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "An open loop at random times, at 30, 70 and 90 % of what a closed loop reached on the same gateway just before."
	works := []work{tiny(), cnn(), encoder()}
	g, err := b.start(ctx, setup{models: graphs(works...)})
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	t := loadTable("", "model", "% of peak")
	refused := int64(0)
	for _, w := range works {
		peak, err := b.peak(ctx, w.target(g), w.conns)
		if err != nil {
			return err
		}
		for _, percent := range []float64{30, 70, 90} {
			rate := peak * percent / 100
			res, err := loadgen.Run(ctx, loadgen.Plan{
				Targets: []loadgen.Target{w.target(g)}, Conns: openConns, Rate: rate, Asleep: true,
				Warmup: b.scale(time.Second), Duration: b.scale(4 * time.Second),
			})
			if err != nil {
				return err
			}
			addRun(&t, rate, res, w.Name, percent)
			refused += failures(res)
			if percent == 70 {
				r.Tell("p99 of "+w.Name+" at 70 %", latency(res, 99), "ms")
			}
		}
	}
	r.Tables = append(r.Tables, t)
	r.AtMost("requests that were not answered 200", float64(refused), 0, "")
	return nil
}

// heavyBesideLight measures a light model alone, alone again, and beside a heavy
// one that is always busy: nothing shares the cores between models yet.
func heavyBesideLight(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "The tiny model in an open loop at 10 % of its peak, alone, and beside an encoder that 16 callers keep busy with all of its workers. " +
		"What fair scheduling will have to better."
	light, heavy := tiny(), encoder()
	g, err := b.start(ctx, setup{models: graphs(light, heavy)})
	if err != nil {
		return err
	}
	defer func() { _ = g.Stop() }()
	peak, err := b.peak(ctx, light.target(g), light.conns)
	if err != nil {
		return err
	}
	t := loadTable("The light model", "beside")
	run := func() (*loadgen.Result, error) {
		return loadgen.Run(ctx, loadgen.Plan{
			Targets: []loadgen.Target{light.target(g)}, Conns: openConns, Rate: peak / 10, Asleep: true,
			Warmup: b.scale(500 * time.Millisecond), Duration: b.scale(4 * time.Second),
		})
	}
	var alone float64
	for _, name := range []string{"nothing", "nothing, again"} {
		res, err := run()
		if err != nil {
			return err
		}
		alone = max(alone, latency(res, 99))
		addRun(&t, peak/10, res, name)
	}
	busy, cancel := context.WithCancel(ctx)
	ends, done := newTally(), make(chan struct{})
	go func() {
		defer close(done)
		keepAsking(busy, g, heavy.target(g), 16, time.Hour, ends)
	}()
	begun := time.Now()
	res, err := run()
	cancel()
	<-done
	if err != nil {
		return err
	}
	addRun(&t, peak/10, res, "the heavy model")
	r.Tables = append(r.Tables, t)
	r.AtMost("requests that were not answered 200", float64(failures(res)), 0, "")
	r.Tell("p99 beside the heavy model, to that alone", latency(res, 99)/alone, "×")
	r.Tell("the heavy model meanwhile", float64(ends.total)/time.Since(begun).Seconds(), "/s")
	return nil
}
