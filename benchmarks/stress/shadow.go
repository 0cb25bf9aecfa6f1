package main

import (
	"context"
	"fmt"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/process"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/testing/onnxgen"
)

// shadowModels are version 2 of the model "slow", which gets copies of all requests. They
// begin with the pair that has none and is compared with itself. What hangs is a loop that
// would run for hours; the gateway ends it when a copy's time is over.
func shadowModels() ([]string, []*onnxgen.Graph) {
	fails := onnxgen.New("slow") // it asks for elements that its input never has
	beyond := fails.Init(onnxgen.Int64s([]int64{1000, 1000, 1000, 1000}, 4))
	fails.Output("output", infer.FP32, fails.Op("Gather", fails.Input("input", infer.FP32, "N", 4), beyond).Int("axis", 1), "N", 4)
	return []string{"A no shadow", "A' no shadow", "B equal model", "C 100 × slower", "D hangs", "E fails"},
		[]*onnxgen.Graph{nil, nil, onnxgen.Steps(changeSteps), onnxgen.Steps(100 * changeSteps), onnxgen.Steps(1e9), fails}
}

func slowTarget(g *gateway) loadgen.Target {
	return loadgen.FP32Target(g.URL(), "slow", "input", []int64{1, 4}, true)
}

// shadows measures what callers notice of a shadow that is slow, hangs or fails: the same
// load, half of what the gateway can do, without a shadow and with each kind. What lies
// within the range of the differences of the pair without cannot be told from chance.
func (b *bench) shadows(ctx context.Context, r *record.Record) error {
	const d = 6 * time.Second
	rounds, rate := b.scaleRounds(7), b.shadowRate
	names, models := shadowModels()
	list := make([]variant, len(names))
	for i, model := range models {
		// A model that hangs can be neither probed nor warmed up, and requests are not joined,
		// so that each run takes the same time.
		s, shadows := setup{Models: []process.Version{one(onnxgen.Steps(changeSteps))}}, ""
		if model != nil {
			s.Models = append(s.Models, process.Version{Graph: model, Number: 2})
			shadows = ", shadows: [{version: 2, sample: 100%}]"
		}
		s.Rest = "models: {slow: {versions: [1], batching: {enabled: 'false'}, warmup: false}}\n" +
			"routes: {slow: {variants: [{version: 1, weight: 100%}]" + shadows + "}}"
		list[i] = variant{names[i], func() (f map[string]float64, err error) {
			// A process of its own, so that nothing of one that hung is left over.
			err = b.with(ctx, s, func(g *gateway) error {
				if rate == 0 {
					if rate, err = b.peak(ctx, g, slowTarget(g), 8); err != nil {
						return err
					}
					rate /= 2
				}
				before, began := background(g), time.Now()
				s, err := b.send(ctx, g, open(rate, time.Second, d, slowTarget(g)))
				if err == nil && len(s.Errors) > 0 {
					err = fmt.Errorf("errors by status %v", s.Errors)
				}
				if err != nil {
					return err
				}
				f = s.figures()
				f["core"] = float64(background(g)-before) / float64(time.Since(began))
				return nil
			})
			return f, err
		}}
	}
	rows, err := inTurn(rounds, list)
	if err != nil {
		return err
	}
	r.Note("Open loop at %.0f requests/s, %d rounds of %v; medians (range).", rate, rounds, b.scale(d))
	t := record.Table{Columns: []string{"set-up", "p50 ms", "p99 ms", "p99 to A, %", "shadow's share of a core"}}
	chance := rows[1].Over(record.Named("p99"), record.Percent, rows[0])
	for i, own := range rows {
		diff := own.Over(record.Named("p99"), record.Percent, rows[0], rows[1])
		switch i {
		case 0:
			diff = record.SpreadOf(nil)
		case 1:
			diff = chance
		}
		text := func(figure, verb string) string { return own.Spread(record.Named(figure)).Text(verb) }
		t.Add(names[i], text("p50", "%.3f"), text("p99", "%.3f"), diff.Text("%+.1f"), text("core", "%.2f"))
		if i > 1 {
			r.Holds("p99 above that of A: "+names[i], diff.Median, fmt.Sprintf("≤ %s (A to A') and < %d", record.Number(chance.Farthest()), worse), "%",
				diff.Median <= chance.Farthest() && diff.Median < worse)
		}
	}
	r.Tables = append(r.Tables, t)
	return nil
}

// background returns the processor time of the gateway's threads of the lowest priority.
func background(g *gateway) (sum time.Duration) {
	for _, used := range g.ThreadTimes(19) {
		sum += used
	}
	return sum
}
