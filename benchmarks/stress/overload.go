package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

// surge is an open loop that asks for more than can be done for a while.
type surge struct {
	w                     work
	queue                 int     // the model's queue; 0 for the default
	share, factor         float64 // the rate before and after, and the rate in between, as shares of the peak
	before, during, after time.Duration
}

// surged is what came of it.
type surged struct {
	seen
	peak    float64       // before it; afterwards too if it lasted, and then the higher of the two
	rate    float64       // before and after
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
	err = b.with(ctx, setup{Models: graphs(s.w), Rest: rest}, func(g *gateway) error {
		if out.peak, err = b.peak(ctx, g, s.w.target(g), s.w.conns); err != nil {
			return err
		}
		out.rate = s.share * out.peak
		plan := open(out.rate, b.scale(time.Second), s.before+s.during+s.after, s.w.target(g))
		plan.Conns, plan.Burst = 2*openConns, loadgen.Burst{Factor: s.factor / s.share, At: s.before, For: s.during}
		if out.Result, err = loadgen.Run(ctx, plan); err != nil {
			return err
		}
		out.read(s)
		if s.during < time.Second {
			return nil
		}
		again, err := b.peak(ctx, g, s.w.target(g), s.w.conns)
		out.peak = max(out.peak, again)
		return err
	})
	return out, err
}

// read takes its figures from the timeline.
func (out *surged) read(s surge) {
	line := out.Timeline
	at := func(d time.Duration) int { return min(len(line), int(d/window)) }
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

// window is the span over which recovery is judged, that of a slice.
const window = 100 * time.Millisecond

// recovery returns how long it takes until the first of five tenths of a second in a row in
// which nothing is refused or fails, and nothing takes longer than usual.
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

// overload asks for half as much again as the peak, for a minute.
func (b *bench) overload(ctx context.Context, r *record.Record) error {
	// What can be done in about a fifth of a second: a queue of more than a second's work
	// cannot recover in one.
	const encoderQueue = 64
	r.Params["what"] = fmt.Sprintf("An open loop at 70 %% of the peak, then at 150 %% for a time, then at 70 %% again. The peak is the higher of those before and afterwards. The encoder with a queue of %d, "+
		"which is some 0.2 s of work; with the default queue of 1024, which is seconds of it; the tiny model.", encoderQueue)
	t := loadTable("Whole runs", "model", "queue", "at 150 % for s")
	c := record.Table{Title: "The overload", Columns: []string{"model", "queue", "peak /s", "answered /s during", "% of peak", "429", "refusal p50 ms", "refusal p99 ms", "as before after ms", "answers of more than 429 and 200"}}
	for _, s := range []surge{
		{w: encoder(), queue: encoderQueue, during: b.scale(time.Minute)},
		{w: encoder(), during: b.scale(10 * time.Second)},
		{w: tiny(), during: b.scale(6 * time.Second)},
	} {
		s.share, s.factor, s.before, s.after = 0.7, 1.5, b.scale(3*time.Second).Round(window), b.scale(6*time.Second).Round(window)
		out, err := b.surge(ctx, s)
		if err != nil {
			return err
		}
		queue := "default"
		if s.queue > 0 {
			queue = record.Number(float64(s.queue))
		}
		refusal := func(q float64) float64 { return float64(out.Refused.ValueAtQuantile(q)) / 1000 }
		refused, good := out.Errors[http.StatusTooManyRequests], 100*out.goodput/out.peak
		addRun(&t, out.rate, out.seen, s.w.Name, queue, s.during.Seconds())
		c.Add(s.w.Name, queue, out.peak, out.goodput, good, refused, refusal(50), refusal(99), millis(out.again), out.failures()-refused)
		if s.queue == 0 {
			r.Tell("goodput of "+s.w.Name+", default queue, of its peak", good, "%")
			continue
		}
		r.AtLeast("goodput of "+s.w.Name+" at 150 %, of its peak", good, 90, "%")
		r.AtMost("answers other than 200 and 429", float64(out.failures()-refused), 0, "")
		r.AtMost("p99 of a refusal", refusal(99), 50, "ms")
		r.Holds("as before, after the overload", millis(out.again), "≤ 1000", "ms", out.ok && out.again <= time.Second)
	}
	r.Tables = append(r.Tables, t, c)
	return nil
}

// burst asks for ten times as much for 200 ms.
func (b *bench) burst(ctx context.Context, r *record.Record) error {
	r.Params["what"] = "An open loop at 30 % of the peak; for 200 ms ten times as much is asked: 0.6 s of work at once, of which the spare 70 % take 0.6 s."
	t := loadTable("Whole runs", "model")
	c := record.Table{Title: "The burst", Columns: []string{"model", "worst ms", "refused", "as before after ms"}}
	for _, w := range []work{tiny(), cnn(), encoder()} {
		out, err := b.surge(ctx, surge{
			w: w, share: 0.3, factor: 3, during: 200 * time.Millisecond,
			before: b.scale(3 * time.Second).Round(window), after: b.scale(4 * time.Second).Round(window),
		})
		if err != nil {
			return err
		}
		addRun(&t, out.rate, out.seen, w.Name)
		c.Add(w.Name, millis(out.worst), out.failures(), millis(out.again))
		r.Holds(w.Name+" as before, after the burst", millis(out.again), "≤ 1000", "ms", out.ok && out.again <= time.Second)
	}
	r.Tables = append(r.Tables, t, c)
	return nil
}
