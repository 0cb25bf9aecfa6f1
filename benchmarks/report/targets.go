package main

import (
	"fmt"

	"sluice.io/sluice/benchmarks/drain"
	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// target is a row of "Speed to reach".
type target struct {
	what    string
	setup   string
	want    float64
	stretch float64 // 0: none
	most    bool    // want is the most, not the least
	binds   bool    // else it is reported only
	note    string  // said after the verdict
	measure func(r *results, t *target) record.Spread
}

// targets lists all rows that this comparison can answer.
func targets(r *results) []target {
	list := tiny()
	for _, setup := range []string{record.Pinned, record.Shared} {
		list = append(list, heavy(setup)...)
	}
	list = append(list, beside()...)
	return append(list, tails(r)...)
}

func tiny() []target {
	const binary, text = "lin binary c=64", "lin JSON c=64"
	noop := func(setup, work string, want, stretch float64) target {
		return target{
			what: "R_noop, " + work, setup: setup, want: want, stretch: stretch, binds: true,
			measure: func(r *results, _ *target) record.Spread {
				return r.ratio(setup, work, record.Gateway, record.Noop)
			},
		}
	}
	allocated := func(work string) target {
		return target{
			what: "allocations per request, " + work, setup: record.Shared, want: 2, most: true, binds: true,
			measure: func(r *results, _ *target) record.Spread {
				return r.of(record.Shared, work, record.Gateway, allocations)
			},
		}
	}
	return []target{
		noop(record.Shared, binary, 0.80, 0.90), noop(record.Shared, text, 0.80, 0.90),
		noop(record.Pinned, binary, 0.80, 0.85), noop(record.Pinned, text, 0.65, 0.75),
		allocated(binary), allocated(text),
	}
}

// heavy models are compared with raw ONNX Runtime; those rows bind where the
// client has a core of its own.
func heavy(setup string) []target {
	raw := func(what, work string, want, batch float64) target {
		return target{
			what: what + ", " + work, setup: setup, want: want, binds: setup == record.Pinned,
			measure: func(r *results, _ *target) record.Spread {
				return r.share(setup, work, record.Gateway, batch)
			},
		}
	}
	batched := raw("share of unbatched raw", "enc binary c=16", 1.2, 1)
	batched.measure = func(r *results, t *target) record.Spread {
		size := r.of(setup, "enc binary c=16", record.Gateway, meanBatch)
		_, one := r.best(setup, "enc", 1, 0)
		if _, many := r.best(setup, "enc", max(1, size.Median), 0); size.OK() && one > 0 {
			t.note = fmt.Sprintf("runs of %.1f rows; raw itself gains %.2f × by such", size.Median, many/one)
		}
		return r.share(setup, "enc binary c=16", record.Gateway, 1)
	}
	return []target{
		raw("R_raw, model of about 100 µs", "cnn binary c=8", 0.85, 0),
		raw("R_raw, model of 1 ms or more", "enc binary c=8", 0.95, 0),
		batched,
	}
}

// beside are the rows of a Triton in the same run.
func beside() (list []target) {
	for _, row := range []struct {
		work string
		want float64
	}{
		{"lin binary c=64", 2.5},
		{"lin JSON c=64", 2.5},
		{"mlp binary c=64", 2.5},
		{"mlp JSON c=64", 2.5},
		{"cnn binary c=8", 1.3},
		{"big binary c=8", 1.3},
		{"enc binary c=8", 1.0},
		{"enc binary c=16", 1.0},
	} {
		list = append(list, target{
			what: "times Triton, " + row.work, setup: record.Shared, want: row.want, binds: true,
			measure: func(r *results, _ *target) record.Spread {
				return r.ratio(record.Shared, row.work, record.Gateway, record.Triton)
			},
		})
	}
	return list
}

// tails compares the open loop at 70 % of the peak with the ideal queue. That says
// something of a gateway where runs take a millisecond or more: a request over the
// loopback takes longer than all that a tiny model's queue does.
func tails(r *results) (list []target) {
	const what = "p99 of an open loop at 70 % of the peak, times an ideal drain queue's"
	points := r.Where("point", "kind", record.Open, "contender", record.Gateway, "load", "0.7")
	for i := range points {
		p := &points[i]
		list = append(list, target{
			what: what + ", " + p.Params["model"], setup: p.Params["setup"], want: 1.3, most: true, binds: r.takesMillis(p),
			measure: func(r *results, t *target) record.Spread {
				ideal, err := r.ideal(p)
				if err != nil {
					t.note = err.Error()
					return record.SpreadOf(nil)
				}
				p99 := p.Figures["p99_us"]
				t.note = fmt.Sprintf("p99 %s, ideal %s", page.Micros(p99), page.Micros(micros(ideal.P99)))
				return record.SpreadOf([]float64{p99 / micros(ideal.P99)})
			},
		})
	}
	if len(list) == 0 {
		list = append(list, target{
			what: what, setup: record.Pinned, want: 1.3, most: true, binds: true,
			measure: func(*results, *target) record.Spread { return record.SpreadOf(nil) },
		})
	}
	return list
}

// takesMillis says whether a run of a point's model takes a millisecond or more.
func (r *results) takesMillis(p *record.Record) bool {
	const millisecond = 1e-3
	cost, _, err := r.cost(p)
	return err == nil && cost.Of(1) >= millisecond
}

// cost fits the time of a run, with as many threads as the point's server has instances.
func (r *results) cost(p *record.Record) (cost drain.Cost, server *record.Record, err error) {
	server = r.contender(p.Params["setup"], p.Params["contender"])
	if server == nil || server.Figures["instances"] == 0 || server.Figures["batch_rows"] == 0 {
		return cost, nil, fmt.Errorf("the instances of %s are not known", p.Params["contender"])
	}
	instances := server.Figures["instances"]
	raw, _ := r.best(p.Params["setup"], p.Params["model"], 1, int(instances))
	points := make([]drain.Point, 0, len(raw))
	for _, b := range raw.batches() {
		points = append(points, drain.Point{Batch: b, Seconds: instances / raw.median(b)})
	}
	cost, err = drain.Fit(points)
	return cost, server, err
}

// ideal simulates the drain queue at the rate of a point.
func (r *results) ideal(p *record.Record) (drain.Result, error) {
	cost, server, err := r.cost(p)
	if err != nil {
		return drain.Result{}, err
	}
	const arrivals = 200_000
	return drain.Queue{
		Rate: p.Figures["asked"], Servers: int(server.Figures["instances"]), MaxBatch: int(server.Figures["batch_rows"]), Cost: cost, Arrivals: arrivals, Seed: 1,
	}.Simulate()
}

// verdict says what became of a target; ok is false if it is missed.
func (t *target) verdict(r *results) (measured, verdict string, ok bool) {
	s := t.measure(r, t)
	if !s.OK() {
		return "-", with("not measured in this run", t.note), true
	}
	measured, ok = page.Range(s, page.Ratio), s.Median >= t.want
	beyond := t.stretch > 0 && s.Median >= t.stretch
	if t.most {
		ok = s.Median <= t.want
	}
	verdict = fmt.Sprintf("**missed**, %s of %s", page.Ratio(s.Median), page.Ratio(t.want))
	switch {
	case !t.binds:
		return measured, with("reported", t.note), true
	case beyond:
		verdict = "met, and the stretch"
	case ok && t.stretch > 0:
		verdict = fmt.Sprintf("met; the stretch of %s is not", page.Ratio(t.stretch))
	case ok:
		verdict = "met"
	}
	return measured, with(verdict, t.note), ok
}

func with(text, note string) string {
	if note == "" {
		return text
	}
	return text + " (" + note + ")"
}
