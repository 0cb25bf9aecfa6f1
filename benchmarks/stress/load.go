package main

import (
	"context"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
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
		list = append(list, scenario.One(w.Graph()))
	}
	return list
}

// levels runs open loops at shares of each model's own peak.
func levels(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "An open loop at random times, at 30, 70 and 90 % of what a closed loop reached on the same gateway just before."
	works := []work{tiny(), cnn(), encoder()}
	return b.With(ctx, setup{Models: graphs(works...)}, func(g *gateway) error {
		t, refused := scenario.LoadTable("", "model", "% of peak"), int64(0)
		for _, w := range works {
			peak, err := b.Peak(ctx, g, w.target(g), w.conns)
			if err != nil {
				return err
			}
			for _, percent := range []float64{30, 70, 90} {
				rate := peak * percent / 100
				s, err := b.Send(ctx, g, scenario.Open(rate, time.Second, 4*time.Second, w.target(g)))
				if err != nil {
					return err
				}
				scenario.AddRun(&t, rate, s.Result, w.Name, percent)
				refused += scenario.Failures(s.Result)
				if percent == 70 {
					r.Tell("p99 of "+w.Name+" at 70 %", scenario.Latency(s.Result, 99), "ms")
				}
			}
		}
		r.Tables = append(r.Tables, t)
		r.AtMost("requests that were not answered 200", float64(refused), 0, "")
		return nil
	})
}

// heavyBesideLight measures a light model alone, alone again, and beside a heavy
// one that is always busy: nothing shares the cores between models yet.
func heavyBesideLight(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "The tiny model in an open loop at 10 % of its peak, alone, and beside an encoder that 16 callers keep busy with all of its workers. " +
		"What fair scheduling will have to better."
	light, heavy := tiny(), encoder()
	return b.With(ctx, setup{Models: graphs(light, heavy)}, func(g *gateway) error {
		peak, err := b.Peak(ctx, g, light.target(g), light.conns)
		if err != nil {
			return err
		}
		t, alone := scenario.LoadTable("The light model", "beside"), 0.0
		plan := scenario.Open(peak/10, 500*time.Millisecond, 4*time.Second, light.target(g))
		for _, name := range []string{"nothing", "nothing, again"} {
			s, err := b.Send(ctx, g, plan)
			if err != nil {
				return err
			}
			alone = max(alone, scenario.Latency(s.Result, 99))
			scenario.AddRun(&t, plan.Rate, s.Result, name)
		}
		busy, cancel := context.WithCancel(ctx)
		ends, done := newTally(), make(chan struct{})
		go func() {
			defer close(done)
			keepAsking(busy, g, heavy.target(g), 16, time.Hour, ends)
		}()
		begun := time.Now()
		s, err := b.Send(ctx, g, plan)
		cancel()
		<-done
		if err != nil {
			return err
		}
		scenario.AddRun(&t, plan.Rate, s.Result, "the heavy model")
		r.Tables = append(r.Tables, t)
		r.AtMost("requests that were not answered 200", float64(scenario.Failures(s.Result)), 0, "")
		r.Tell("p99 beside the heavy model, to that alone", scenario.Latency(s.Result, 99)/alone, "×")
		r.Tell("the heavy model meanwhile", float64(ends.total)/time.Since(begun).Seconds(), "/s")
		return nil
	})
}
