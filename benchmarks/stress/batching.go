package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/models"
	"sluice.io/sluice/benchmarks/record"
)

const batchRounds = 3

// onBothSides starts a gateway with batching as it comes, and one without.
func (b *bench) onBothSides(ctx context.Context, works []work, f func(batched, alone *gateway) error) error {
	off := make([]string, len(works))
	for i, w := range works {
		off[i] = w.Name + ": {batching: {enabled: 'false'}}"
	}
	return b.with(ctx, setup{Models: graphs(works...)}, func(batched *gateway) error {
		return b.with(ctx, setup{Models: graphs(works...), Rest: "models: {" + strings.Join(off, ", ") + "}"}, func(alone *gateway) error { return f(batched, alone) })
	})
}

// paying is a variant of a closed loop.
func (b *bench) paying(ctx context.Context, name string, g *gateway, conns int, d time.Duration, targets ...loadgen.Target) variant {
	return variant{name, func() (map[string]float64, error) {
		s, err := b.send(ctx, g, closed(conns, 300*time.Millisecond, d, targets...))
		if err != nil {
			return nil, err
		}
		return s.figures(), nil
	}}
}

// rawRows returns the rows per second of raw ONNX Runtime on two threads, with the best
// setting of the arena, as "1" for runs of a row, and as "best".
func (b *bench) rawRows(ctx context.Context, g *gateway, w work) (map[string]float64, error) {
	file := filepath.Join(filepath.Dir(g.File), w.Name, "1", "model.onnx")
	shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(w.Shape), " ", ","), "[]")
	cmd := exec.CommandContext(ctx, b.raw, "-model", file, "-shape", shape, "-threads", "2", "-batch", "1,8,16", "-d", b.scale(time.Second/2).String()) //nolint:gosec // the operator's own program
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.raw, err)
	}
	best := map[string]float64{}
	for text := range strings.Lines(string(out)) {
		var line struct {
			Batch int     `json:"batch"`
			Runs  float64 `json:"runs_per_second"`
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return nil, fmt.Errorf("%s: %w in %s", b.raw, err, text)
		}
		batch, rows := strconv.Itoa(line.Batch), line.Runs*float64(line.Batch)
		best[batch] = max(best[batch], rows)
		best["best"] = max(best["best"], rows)
	}
	return best, nil
}

// batchedEncoder compares joining requests with running each alone.
func (b *bench) batchedEncoder(ctx context.Context, r *record.Record) error {
	const conns = 16
	w := encoder()
	r.Params["what"] = fmt.Sprintf("The encoder with %d callers, a row each: batched as the gateway decides, each request alone, and raw ONNX Runtime on two threads with a row in each run "+
		"and with the best of 1, 8 and 16; medians of %d rounds in turn.", conns, batchRounds)
	return b.onBothSides(ctx, []work{w}, func(batched, alone *gateway) error {
		list := []variant{
			b.paying(ctx, "batched", batched, conns, 3*time.Second, w.target(batched)),
			b.paying(ctx, "each alone", alone, conns, 3*time.Second, w.target(alone)),
			{"raw", func() (map[string]float64, error) { return b.rawRows(ctx, alone, w) }},
		}
		rows, err := inTurn(batchRounds, list)
		if err != nil {
			return err
		}
		t := record.Table{Columns: []string{"", "requests /s", "p50 ms", "p99 ms", "gateway's CPU µs of each"}}
		for i, side := range rows[:2] {
			t.Add(list[i].name, side.Median("rate"), side.Median("p50"), side.Median("p99"), side.Median("cpu"))
		}
		rate, one, best := rows[0].Median("rate"), rows[2].Median("1"), rows[2].Median("best")
		t.Add("raw, a row in each run", one, "-", "-", "-")
		t.Add("raw, best batch", best, "-", "-", "-")
		r.Tell("batched, to each alone in the gateway", rate/rows[1].Median("rate"), "×")
		r.Tell("what batching gains raw", best/one, "×")
		// The model's own gain is the most that there is to have.
		r.AtLeast("batched, to unbatched raw, where the model's gain allows it", rate/one, min(1.2, best/one), "×")
		r.Tables = append(r.Tables, t)
		return nil
	})
}

// batchedRows sends more than one row in a request.
func (b *bench) batchedRows(ctx context.Context, r *record.Record) error {
	const conns = 8
	r.Params["what"] = fmt.Sprintf("mlp and lin with %d callers and 1, 16 and 256 rows in each request, batched and each request alone; medians of %d rounds in turn.", conns, batchRounds)
	works := []work{{models.ByName("mlp"), conns}, tiny()}
	return b.onBothSides(ctx, works, func(batched, alone *gateway) error {
		t := record.Table{Columns: []string{"model", "rows in a request", "rows /s batched", "rows /s each alone", "batched to alone ×", "CPU µs of a row, batched", "alone", "p99 ms, batched", "alone"}}
		for _, w := range works {
			for _, rows := range []int64{1, 16, 256} {
				w.Shape = []int64{rows, w.Shape[1]}
				sides, err := inTurn(batchRounds, []variant{
					b.paying(ctx, "batched", batched, conns, time.Second, w.target(batched)),
					b.paying(ctx, "alone", alone, conns, time.Second, w.target(alone)),
				})
				if err != nil {
					return err
				}
				n, rate, rateAlone := float64(rows), sides[0].Median("rate"), sides[1].Median("rate")
				t.Add(w.Name, rows, n*rate, n*rateAlone, rate/rateAlone, sides[0].Median("cpu")/n, sides[1].Median("cpu")/n, sides[0].Median("p99"), sides[1].Median("p99"))
				r.Tell(fmt.Sprintf("%s, %d rows: batched to alone", w.Name, rows), rate/rateAlone, "×")
			}
		}
		r.Tables = append(r.Tables, t)
		return nil
	})
}

// lengths compares what sequences of several lengths cost together and apart. Only equal
// lengths are joined.
func (b *bench) lengths(ctx context.Context, r *record.Record) error {
	const conns = 16
	r.Params["what"] = fmt.Sprintf("The encoder with a variable number of tokens and %d callers, who send the lengths in turn; only equal lengths share a run. Medians of %d rounds in turn. "+
		"Every length mixed is what padding will have to better.", conns, batchRounds)
	w := work{models.ByName("encdyn"), conns}
	every := make([]int64, 0, 128)
	for n := int64(16); n <= 128; n++ {
		every = append(every, (n-16)*41%113+16) // each once, neighbours apart
	}
	mixes := []struct {
		name    string
		lengths []int64
		mean    float64
	}{
		{"16 tokens", []int64{16}, 16},
		{"32 tokens", []int64{32}, 32},
		{"64 tokens", []int64{64}, 64},
		{"128 tokens", []int64{128}, 128},
		{"the four mixed", []int64{16, 32, 64, 128}, 60},
		{"all of 16 to 128", every, 72},
	}
	return b.with(ctx, setup{Models: graphs(w)}, func(g *gateway) error {
		var list []variant
		for _, m := range mixes {
			targets := make([]loadgen.Target, len(m.lengths))
			for i, n := range m.lengths {
				targets[i] = loadgen.FP32Target(g.URL(), w.Name, models.Input, []int64{1, n, w.Shape[2]}, true)
			}
			list = append(list, b.paying(ctx, m.name, g, conns, 2*time.Second, targets...))
		}
		rows, err := inTurn(batchRounds, list)
		if err != nil {
			return err
		}
		t := record.Table{Columns: []string{"lengths", "requests /s", "tokens /s", "p50 ms", "p99 ms", "CPU ms of a request", "CPU µs of a token"}}
		apart, token := 0.0, make([]float64, len(list)) // CPU of a request with the four alone, and of a token
		for i, m := range mixes {
			rate, cpu := rows[i].Median("rate"), rows[i].Median("cpu")
			if i < 4 {
				apart += cpu / 4
			}
			token[i] = cpu / m.mean
			t.Add(m.name, rate, m.mean*rate, rows[i].Median("p50"), rows[i].Median("p99"), cpu/1000, token[i])
		}
		r.Tables = append(r.Tables, t)
		r.AtMost("CPU of a request with the four mixed, to the mean of the four alone", rows[4].Median("cpu")/apart, 1.2, "×")
		r.Tell("CPU of a token with every length, to the four mixed", token[5]/token[4], "×")
		return nil
	})
}
