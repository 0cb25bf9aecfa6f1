package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
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
func tiny() work    { return work{models.ByName("lin"), 64} }
func cnn() work     { return work{models.ByName("cnn"), 16} }
func encoder() work { return work{models.ByName("enc"), 64} }

func (w work) target(g *gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), w.Name, models.Input, w.Shape, true)
}

// graphs lists the works' models for a setup.
func graphs(works ...work) (list []process.Version) {
	for _, w := range works {
		list = append(list, one(w.Graph()))
	}
	return list
}

// openConns are the connections of an open loop at most: more than requests wait.
const openConns = 2048

// closed keeps so many requests in flight.
func closed(conns int, warmup, d time.Duration, targets ...loadgen.Target) loadgen.Plan {
	return loadgen.Plan{Targets: targets, Conns: conns, Warmup: warmup, Duration: d}
}

// open sends so many requests each second.
func open(rate float64, warmup, d time.Duration, target loadgen.Target) loadgen.Plan {
	return loadgen.Plan{Targets: []loadgen.Target{target}, Conns: openConns, Rate: rate, Asleep: true, Warmup: warmup, Duration: d}
}

// seen is what a stretch of load showed.
type seen struct {
	*loadgen.Result
	cpu float64 // µs of the gateway's processor time for each request that was sent
}

// send carries out a plan, which is shorter in a quick run.
func (b *bench) send(ctx context.Context, g *gateway, p loadgen.Plan) (seen, error) {
	p.Warmup, p.Duration = b.scale(p.Warmup), b.scale(p.Duration)
	before := g.cpu()
	r, err := loadgen.Run(ctx, p)
	if err == nil && r.Requests == 0 && len(r.Errors) > 0 { // else all that were sent take longer
		err = fmt.Errorf("no request was answered 200; errors by status: %v", r.Errors)
	}
	if err != nil {
		return seen{}, err
	}
	return seen{r, float64((g.cpu() - before).Microseconds()) / float64(max(1, r.Sent))}, nil
}

// peak returns the most answers per second in a closed loop.
func (b *bench) peak(ctx context.Context, g *gateway, t loadgen.Target, conns int) (float64, error) {
	s, err := b.send(ctx, g, closed(conns, time.Second, 3*time.Second, t))
	if err != nil || s.Requests == 0 {
		return 0, cmp.Or(err, errors.New("no request was answered in time"))
	}
	return s.Rate(), nil
}

// figures are those of a round.
func (s seen) figures() map[string]float64 {
	return map[string]float64{"rate": s.Rate(), "p50": s.latency(50), "p99": s.latency(99), "cpu": s.cpu, "failed": float64(s.failures())}
}

// latency is a quantile of the answers 200 in milliseconds.
func (s seen) latency(percent float64) float64 {
	return float64(s.Latency.ValueAtQuantile(percent)) / 1000
}

// failures is how many were not answered 200.
func (s seen) failures() (sum int64) {
	for _, n := range s.Errors {
		sum += n
	}
	return sum
}

// variant is one of several set-ups that are measured in turn.
type variant struct {
	name string
	run  func() (map[string]float64, error)
}

// inTurn measures them in rounds, in each of which another one is the first, so that none
// always follows the same one. It returns the rounds of each.
func inTurn(rounds int, list []variant) ([]record.Rows, error) {
	rows := make([]record.Rows, len(list))
	for round := range rounds {
		for i := range list {
			at := (round + i) % len(list)
			fmt.Fprintf(os.Stderr, "  round %d, %s\n", round+1, list[at].name)
			figures, err := list[at].run()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", list[at].name, err)
			}
			r := record.New(list[at].name, "round", round)
			r.Figures = figures
			rows[at] = append(rows[at], r)
		}
	}
	return rows, nil
}

// loadTable has a row for each run of load.
func loadTable(title string, first ...string) record.Table {
	return record.Table{Title: title, Columns: append(first, "asked /s", "answered /s", "p50 ms", "p99 ms", "p99.9 ms", "other answers", "generator")}
}

// addRun adds one.
func addRun(t *record.Table, asked float64, s seen, first ...any) {
	generator := s.GeneratorBound()
	if generator == "" {
		generator = "-"
	}
	t.Add(append(first, asked, s.Rate(), s.latency(50), s.latency(99), s.latency(99.9), byStatus(s.Errors), generator)...)
}

// byStatus lists counts, by status.
func byStatus[N int | int64](counts map[int]N) string {
	var list []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		name := record.Number(float64(status))
		if status == 0 {
			name = "no answer"
		}
		list = append(list, record.Number(float64(counts[status]))+" × "+name)
	}
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ", ")
}

// levels runs open loops at shares of each model's own peak.
func (b *bench) levels(ctx context.Context, r *record.Record) error {
	r.Params["what"] = "An open loop at random times, at 30, 70 and 90 % of what a closed loop reached on the same gateway just before."
	works := []work{tiny(), cnn(), encoder()}
	return b.with(ctx, setup{Models: graphs(works...)}, func(g *gateway) error {
		t, refused := loadTable("", "model", "% of peak"), int64(0)
		for _, w := range works {
			peak, err := b.peak(ctx, g, w.target(g), w.conns)
			if err != nil {
				return err
			}
			for _, percent := range []float64{30, 70, 90} {
				rate := peak * percent / 100
				s, err := b.send(ctx, g, open(rate, time.Second, 4*time.Second, w.target(g)))
				if err != nil {
					return err
				}
				addRun(&t, rate, s, w.Name, percent)
				refused += s.failures()
				if percent == 70 {
					r.Tell("p99 of "+w.Name+" at 70 %", s.latency(99), "ms")
				}
			}
		}
		r.Tables = append(r.Tables, t)
		r.AtMost("requests that were not answered 200", float64(refused), 0, "")
		return nil
	})
}

// heavyBesideLight measures a light model alone, alone again, and beside a heavy one that is
// always busy: nothing shares the cores between models yet.
func (b *bench) heavyBesideLight(ctx context.Context, r *record.Record) error {
	r.Params["what"] = "The tiny model in an open loop at 10 % of its peak, alone, and beside an encoder that 16 callers keep busy with all of its workers. " +
		"What fair scheduling will have to better."
	light, heavy := tiny(), encoder()
	return b.with(ctx, setup{Models: graphs(light, heavy)}, func(g *gateway) error {
		peak, err := b.peak(ctx, g, light.target(g), light.conns)
		if err != nil {
			return err
		}
		t, alone := loadTable("The light model", "beside"), 0.0
		plan := open(peak/10, 500*time.Millisecond, 4*time.Second, light.target(g))
		for _, name := range []string{"nothing", "nothing, again"} {
			s, err := b.send(ctx, g, plan)
			if err != nil {
				return err
			}
			alone = max(alone, s.latency(99))
			addRun(&t, plan.Rate, s, name)
		}
		busy, cancel := context.WithCancel(ctx)
		ends, done := newTally(), make(chan struct{})
		go func() {
			defer close(done)
			keepAsking(busy, heavy.target(g), 16, time.Hour, ends)
		}()
		begun := time.Now()
		s, err := b.send(ctx, g, plan)
		cancel()
		<-done
		if err != nil {
			return err
		}
		addRun(&t, plan.Rate, s, "the heavy model")
		r.Tables = append(r.Tables, t)
		r.AtMost("requests that were not answered 200", float64(s.failures()), 0, "")
		r.Tell("p99 beside the heavy model, to that alone", s.latency(99)/alone, "×")
		r.Tell("the heavy model meanwhile", float64(ends.total)/time.Since(begun).Seconds(), "/s")
		return nil
	})
}
