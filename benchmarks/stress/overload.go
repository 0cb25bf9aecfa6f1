package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/benchmarks/scenario"
)

// surge is an open loop that asks for more than can be done for a while.
type surge struct {
	w      work
	queue  int           // the model's queue; 0 for the default
	base   float64       // the rate before and after, as a share of the peak
	factor float64       // the rate in between, as a share of the peak
	before time.Duration // long enough to know what is usual
	during time.Duration
	after  time.Duration
}

// surged is what came of it.
type surged struct {
	peak    float64 // before it; afterwards too where it lasted, and then the higher of the two
	base    float64 // the rate before and after
	result  *loadgen.Result
	goodput float64       // answers per second while it lasted, its first second left out
	again   time.Duration // until all was as before
	ok      bool          // that was seen
	worst   time.Duration // of all answers
}

func (b *bench) surge(ctx context.Context, s surge) (out surged, err error) {
	rest := ""
	if s.queue > 0 {
		rest = fmt.Sprintf("models: {%s: {batching: {queue: {max_requests: %d}}}}", s.w.Name, s.queue)
	}
	err = b.With(ctx, setup{Models: graphs(s.w), Rest: rest}, func(g *gateway) error {
		if out.peak, err = b.Peak(ctx, g, s.w.target(g), s.w.conns); err != nil {
			return err
		}
		out.base = s.base * out.peak
		plan := scenario.Open(out.base, b.Scale(time.Second), s.before+s.during+s.after, s.w.target(g))
		plan.Conns, plan.Burst = 2*scenario.OpenConns, loadgen.Burst{Factor: s.factor / s.base, At: s.before, For: s.during}
		if out.result, err = loadgen.Run(ctx, plan); err != nil {
			return err
		}
		out.read(s)
		if s.during < time.Second {
			return nil
		}
		again, err := b.Peak(ctx, g, s.w.target(g), s.w.conns)
		out.peak = max(out.peak, again)
		return err
	})
	return out, err
}

// read takes its figures from the timeline.
func (out *surged) read(s surge) {
	at := func(d time.Duration) int { return min(len(out.result.Timeline), int(d/window)) }
	line := out.result.Timeline
	settled := min(time.Second, s.during/2)
	var answered int64
	for _, slice := range line[at(s.before+settled):at(s.before+s.during)] {
		answered += slice.Answered
	}
	out.goodput = float64(answered) / (s.during - settled).Seconds()
	var usual time.Duration
	for i, slice := range line {
		if i < at(s.before) {
			usual = max(usual, slice.Worst)
		}
		out.worst = max(out.worst, slice.Worst)
	}
	out.again, out.ok = recovery(line[at(s.before+s.during):at(s.before+s.during+s.after)], usual)
}

// recovery returns how long it takes until the first of five tenths of a second in
// a row in which nothing is refused or fails, and nothing takes longer than usual.
func recovery(line []loadgen.Slice, usual time.Duration) (took time.Duration, ok bool) {
	const inRow = 5
	good := 0
	for i, slice := range line {
		if slice.Refused > 0 || slice.Failed > 0 || slice.Answered == 0 || slice.Worst > usual {
			good = 0
			continue
		}
		if good++; good == inRow {
			return time.Duration(i+1-inRow) * window, true
		}
	}
	return time.Duration(len(line)) * window, false
}

// The queue of the encoder under overload: what can be done in about a fifth of a
// second. A queue that holds more than a second's work cannot recover in one.
const encoderQueue = 64

// overload asks for half as much again as the peak, for a minute.
func overload(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = fmt.Sprintf("An open loop at 70 %% of the peak, then at 150 %% for a time, then at 70 %% again. The peak is the higher of those before and afterwards. The encoder with a queue of %d, "+
		"which is some 0.2 s of work; with the default queue of 1024, which is seconds of it; the tiny model.", encoderQueue)
	t := scenario.LoadTable("Whole runs", "model", "queue", "at 150 % for s")
	c := record.Table{Title: "The overload", Columns: []string{"model", "queue", "peak /s", "answered /s during", "% of peak", "429", "refusal p50 ms", "refusal p99 ms", "as before after ms", "answers of more than 429 and 200"}}
	for _, s := range []surge{
		{w: encoder(), queue: encoderQueue, during: b.Scale(time.Minute)},
		{w: encoder(), during: b.Scale(10 * time.Second)},
		{w: tiny(), during: b.Scale(6 * time.Second)},
	} {
		s.base, s.factor, s.before, s.after = 0.7, 1.5, b.Scale(3*time.Second).Round(window), b.Scale(6*time.Second).Round(window)
		out, err := b.surge(ctx, s)
		if err != nil {
			return err
		}
		res, queue := out.result, "default"
		if s.queue > 0 {
			queue = record.Number(float64(s.queue))
		}
		refusal := func(q float64) float64 { return float64(res.Refused.ValueAtQuantile(q)) / 1000 }
		others := scenario.Failures(res) - res.Errors[http.StatusTooManyRequests]
		scenario.AddRun(&t, out.base, res, s.w.Name, queue, s.during.Seconds())
		c.Add(s.w.Name, queue, out.peak, out.goodput, 100*out.goodput/out.peak, res.Errors[http.StatusTooManyRequests], refusal(50), refusal(99), millis(out.again), others)
		if s.queue == 0 {
			r.Tell("goodput of "+s.w.Name+", default queue, of its peak", 100*out.goodput/out.peak, "%")
			continue
		}
		r.AtLeast("goodput of "+s.w.Name+" at 150 %, of its peak", 100*out.goodput/out.peak, 90, "%")
		r.AtMost("answers other than 200 and 429", float64(others), 0, "")
		r.AtMost("p99 of a refusal", refusal(99), 50, "ms")
		r.Holds("as before, after the overload", millis(out.again), "≤ 1000", "ms", out.ok && out.again <= time.Second)
	}
	r.Tables = append(r.Tables, t, c)
	return nil
}

// burst asks for ten times as much for 200 ms.
func burst(ctx context.Context, b *bench, r *record.Record) error {
	r.Params["what"] = "An open loop at 30 % of the peak; for 200 ms ten times as much is asked: 0.6 s of work at once, of which the spare 70 % take 0.6 s."
	t := scenario.LoadTable("Whole runs", "model")
	c := record.Table{Title: "The burst", Columns: []string{"model", "worst ms", "refused", "as before after ms"}}
	for _, w := range []work{tiny(), cnn(), encoder()} {
		out, err := b.surge(ctx, surge{
			w: w, base: 0.3, factor: 3, during: 200 * time.Millisecond,
			before: b.Scale(3 * time.Second).Round(window), after: b.Scale(4 * time.Second).Round(window),
		})
		if err != nil {
			return err
		}
		scenario.AddRun(&t, out.base, out.result, w.Name)
		c.Add(w.Name, millis(out.worst), scenario.Failures(out.result), millis(out.again))
		r.Holds(w.Name+" as before, after the burst", millis(out.again), "≤ 1000", "ms", out.ok && out.again <= time.Second)
	}
	r.Tables = append(r.Tables, t, c)
	return nil
}
