package main

import (
	"fmt"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// target is a row of "Speed to reach".
type target struct {
	what    string
	setup   string
	want    float64
	got     record.Spread // none if it was not measured
	stretch float64       // 0: none
	most    bool          // want is the most, not the least
	binds   bool          // else it is reported only
	note    string        // said after the verdict
}

// targets lists all rows that this comparison can answer. Heavy models are compared with
// raw ONNX Runtime; those rows bind if the client has a core of its own.
func targets(r *results) (list []target) {
	const binary, text = "lin binary c=64", "lin JSON c=64"
	for _, t := range []target{
		{what: binary, setup: record.Shared, want: 0.80, stretch: 0.90},
		{what: text, setup: record.Shared, want: 0.80, stretch: 0.90},
		{what: binary, setup: record.Pinned, want: 0.80, stretch: 0.85},
		{what: text, setup: record.Pinned, want: 0.65, stretch: 0.75},
	} {
		t.got, t.binds, t.what = r.ratio(t.setup, t.what, record.Gateway, record.Noop), true, "R_noop, "+t.what
		list = append(list, t)
	}
	for _, work := range []string{binary, text} {
		list = append(list, target{
			what: "allocations per request, " + work, setup: record.Shared, want: 2, most: true, binds: true, got: r.of(record.Shared, work, record.Gateway, allocations),
		})
	}
	for _, setup := range []string{record.Pinned, record.Shared} {
		raw := func(what, work string, want, batch float64) target {
			return target{what: what + ", " + work, setup: setup, want: want, binds: setup == record.Pinned, got: r.share(setup, work, record.Gateway, batch)}
		}
		batched := raw("share of unbatched raw", "enc binary c=16", 1.2, 1)
		size := r.of(setup, "enc binary c=16", record.Gateway, meanBatch)
		_, one := r.best(setup, "enc", 1, 0)
		if _, many := r.best(setup, "enc", max(1, size.Median), 0); size.OK() && one > 0 {
			batched.note = fmt.Sprintf("runs of %.1f rows; raw itself gains %.2f × by such", size.Median, many/one)
		}
		list = append(list, raw("R_raw, model of about 100 µs", "cnn binary c=8", 0.85, 0), raw("R_raw, model of 1 ms or more", "enc binary c=8", 0.95, 0), batched)
	}
	for _, t := range []target{
		{what: binary, want: 2.5},
		{what: text, want: 2.5},
		{what: "mlp binary c=64", want: 2.5},
		{what: "mlp JSON c=64", want: 2.5},
		{what: "cnn binary c=8", want: 1.3},
		{what: "big binary c=8", want: 1.3},
		{what: "enc binary c=8", want: 1.0},
		{what: "enc binary c=16", want: 1.0},
	} {
		t.setup, t.binds, t.got, t.what = record.Shared, true, r.ratio(record.Shared, t.what, record.Gateway, record.Triton), "times Triton, "+t.what
		list = append(list, t)
	}
	return append(list, tails(r)...)
}

// tails compares the open loop at 70 % of the peak with the ideal queue. That says
// something of a gateway if runs take a millisecond or more: a request over the
// loopback takes longer than all that a tiny model's queue does.
func tails(r *results) (list []target) {
	t := target{
		what: "p99 of an open loop at 70 % of the peak, times an ideal drain queue's", setup: record.Pinned, want: 1.3, most: true, binds: true, got: record.SpreadOf(nil),
	}
	points := r.Where("point", "kind", record.Open, "contender", record.Gateway, "load", "0.7")
	for i := range points {
		p, t := &points[i], t
		t.what, t.setup, t.binds = t.what+", "+p.Params["model"], p.Params["setup"], r.takesMillis(p)
		if _, ideal, err := r.ideal(p); err != nil {
			t.note = err.Error()
		} else {
			p99 := p.Figures["p99_us"]
			t.note = fmt.Sprintf("p99 %s, ideal %s", page.Micros(p99), page.Micros(ideal))
			t.got = record.SpreadOf([]float64{p99 / ideal})
		}
		list = append(list, t)
	}
	if len(list) == 0 {
		return []target{t}
	}
	return list
}

// takesMillis says whether a run of a point's model takes a millisecond or more.
func (r *results) takesMillis(p *record.Record) bool {
	q, err := r.queue(p)
	return err == nil && q.cost.of(1) >= 1e-3
}

// queue is the drain queue at the rate of a point: the time of a run is fitted to raw runs
// with as many threads as the point's server has instances.
func (r *results) queue(p *record.Record) (q queue, err error) {
	server := r.contender(p.Params["setup"], p.Params["contender"])
	if server == nil || server.Figures["instances"] == 0 || server.Figures["batch_rows"] == 0 {
		return q, fmt.Errorf("the instances of %s are not known", p.Params["contender"])
	}
	instances := server.Figures["instances"]
	raw, _ := r.best(p.Params["setup"], p.Params["model"], 1, int(instances))
	var seconds []float64
	for _, batch := range raw.batches() {
		seconds = append(seconds, instances/raw.median(batch))
	}
	cost, err := fit(raw.batches(), seconds)
	return queue{p.Figures["asked"], int(instances), int(server.Figures["batch_rows"]), cost}, err
}

// ideal returns the p50 and the p99 of the drain queue, in microseconds.
func (r *results) ideal(p *record.Record) (p50, p99 float64, err error) {
	q, err := r.queue(p)
	if err != nil {
		return 0, 0, err
	}
	return q.quantiles(200_000, 1)
}

// verdict says what became of a target; ok is false if it is missed.
func (t *target) verdict() (measured, verdict string, ok bool) {
	with := func(text string) string {
		if t.note == "" {
			return text
		}
		return text + " (" + t.note + ")"
	}
	if !t.got.OK() {
		return "-", with("not measured in this run"), true
	}
	measured = page.Range(t.got, page.Ratio)
	ok = t.got.Median >= t.want
	if t.most {
		ok = t.got.Median <= t.want
	}
	switch {
	case !t.binds:
		return measured, with("reported"), true
	case !ok:
		verdict = fmt.Sprintf("**missed**, %s of %s", page.Ratio(t.got.Median), page.Ratio(t.want))
	case t.stretch > 0 && t.got.Median >= t.stretch:
		verdict = "met, and the stretch"
	case t.stretch > 0:
		verdict = fmt.Sprintf("met; the stretch of %s is not", page.Ratio(t.stretch))
	default:
		verdict = "met"
	}
	return measured, with(verdict), ok
}
