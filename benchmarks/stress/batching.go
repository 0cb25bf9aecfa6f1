package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

const batchRounds = 3

// sides are the gateway with batching as it comes, and without.
type sides struct{ batched, alone *gateway }

func (b *bench) sides(ctx context.Context, works ...work) (s sides, stop func(), err error) {
	var off strings.Builder
	off.WriteString("models:\n")
	for _, w := range works {
		fmt.Fprintf(&off, "  %s: {batching: {enabled: 'false'}}\n", w.Name)
	}
	if s.batched, err = b.start(ctx, setup{models: graphs(works...)}); err != nil {
		return s, nil, err
	}
	if s.alone, err = b.start(ctx, setup{models: graphs(works...), rest: off.String()}); err != nil {
		return s, nil, errors.Join(err, s.batched.Stop())
	}
	return s, func() { _, _ = s.batched.Stop(), s.alone.Stop() }, nil
}

// paid is what a run of load got for the gateway's processor time.
type paid struct {
	rate, p50, p99 float64
	cpu            float64 // µs of each request
	failed         int64
}

// pay runs a closed loop and reads the gateway's processor time around it.
func (b *bench) pay(ctx context.Context, g *gateway, conns int, d time.Duration, targets ...loadgen.Target) (paid, error) {
	before := g.cpu()
	res, err := loadgen.Run(ctx, loadgen.Plan{Targets: targets, Conns: conns, Warmup: b.scale(300 * time.Millisecond), Duration: b.scale(d)})
	if err != nil {
		return paid{}, err
	}
	if res.Requests == 0 && failures(res) > 0 {
		return paid{}, fmt.Errorf("no request was answered 200; errors by status: %v", res.Errors)
	}
	return paid{
		rate: res.Rate(), p50: latency(res, 50), p99: latency(res, 99), failed: failures(res),
		cpu: float64((g.cpu() - before).Microseconds()) / float64(max(1, res.Sent)),
	}, nil
}

// middle is the median of one figure over rounds.
func middle(list []paid, of func(paid) float64) float64 {
	values := make([]float64, len(list))
	for i, p := range list {
		values[i] = of(p)
	}
	return record.SpreadOf(values).Median
}

func rateOf(p paid) float64 { return p.rate }
func cpuOf(p paid) float64  { return p.cpu }
func p50Of(p paid) float64  { return p.p50 }
func p99Of(p paid) float64  { return p.p99 }

// rawRun is a line of the program that runs a model in a C loop.
type rawRun struct {
	Batch         int     `json:"batch"`
	Threads       int     `json:"threads"`
	RowsPerSecond float64 `json:"rows_per_second"`
}

// rawRows returns the rows per second of raw ONNX Runtime on two threads, by
// batch size; nothing where the program was not built.
func (b *bench) rawRows(ctx context.Context, g *gateway, w work, batches string, d time.Duration) (map[int]float64, error) {
	if _, err := os.Stat(b.rawort); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(w.Shape), " ", ","), "[]")
	file := filepath.Join(filepath.Dir(g.File), w.Name, "1", "model.onnx")
	out, err := exec.CommandContext(ctx, b.rawort, "-model", file, "-shape", shape, "-threads", "2", "-batch", batches, "-d", b.scale(d).String()).Output() //nolint:gosec // the operator's own program
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.rawort, err)
	}
	best := map[int]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var line rawRun
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("%s: %w in %s", b.rawort, err, lines.Text())
		}
		best[line.Batch] = max(best[line.Batch], line.RowsPerSecond)
	}
	return best, nil
}

// batchedEncoder compares joining requests with running each alone.
func batchedEncoder(ctx context.Context, b *bench, r *record.Record) error {
	const conns = 16
	w := encoder()
	r.Params["what"] = fmt.Sprintf("The encoder with %d callers, a row each: batched as the gateway decides, each request alone, and raw ONNX Runtime on two threads with a row in each run "+
		"and with the best of 1, 8 and 16; medians of %d rounds in turn.", conns, batchRounds)
	s, stop, err := b.sides(ctx, w)
	if err != nil {
		return err
	}
	defer stop()
	var batched, alone []paid
	var rawOne, rawBest []float64
	for range batchRounds {
		for _, side := range []struct {
			g    *gateway
			list *[]paid
		}{{s.batched, &batched}, {s.alone, &alone}} {
			p, err := b.pay(ctx, side.g, conns, 3*time.Second, w.target(side.g))
			if err != nil {
				return err
			}
			*side.list = append(*side.list, p)
		}
		rows, err := b.rawRows(ctx, s.alone, w, "1,8,16", time.Second/2)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			rawOne, rawBest = append(rawOne, rows[1]), append(rawBest, max(rows[1], rows[8], rows[16]))
		}
	}
	t := record.Table{Columns: []string{"", "requests /s", "p50 ms", "p99 ms", "gateway's CPU µs of each"}}
	t.Add("batched", middle(batched, rateOf), middle(batched, p50Of), middle(batched, p99Of), middle(batched, cpuOf))
	t.Add("each alone", middle(alone, rateOf), middle(alone, p50Of), middle(alone, p99Of), middle(alone, cpuOf))
	r.Tables = append(r.Tables, t)
	r.Tell("batched, to each alone in the gateway", middle(batched, rateOf)/middle(alone, rateOf), "×")
	if len(rawOne) == 0 {
		r.Note("Raw ONNX Runtime was not measured: there is no program at -rawort.")
		return nil
	}
	one, best := record.SpreadOf(rawOne).Median, record.SpreadOf(rawBest).Median
	r.Tables[0].Add("raw, a row in each run", one, "-", "-", "-")
	r.Tables[0].Add("raw, best batch", best, "-", "-", "-")
	gain := best / one
	r.Tell("what batching gains raw", gain, "×")
	// The model's own gain is the most that there is to have.
	r.AtLeast("batched, to unbatched raw, where the model's gain allows it", middle(batched, rateOf)/one, min(1.2, gain), "×")
	return nil
}

// batchedRows sends more than one row in a request.
func batchedRows(ctx context.Context, b *bench, r *record.Record) error {
	const conns = 8
	r.Params["what"] = fmt.Sprintf("mlp and lin with %d callers and 1, 16 and 256 rows in each request, batched and each request alone; medians of %d rounds in turn.", conns, batchRounds)
	works := []work{workOf("mlp", conns), tiny()}
	s, stop, err := b.sides(ctx, works...)
	if err != nil {
		return err
	}
	defer stop()
	t := record.Table{Columns: []string{"model", "rows in a request", "rows /s batched", "rows /s each alone", "batched to alone ×", "CPU µs of a row, batched", "alone", "p99 ms, batched", "alone"}}
	for _, w := range works {
		for _, rows := range []int64{1, 16, 256} {
			sized := w
			sized.Shape = []int64{rows, w.Shape[1]}
			var batched, alone []paid
			for range batchRounds {
				for _, side := range []struct {
					g    *gateway
					list *[]paid
				}{{s.batched, &batched}, {s.alone, &alone}} {
					p, err := b.pay(ctx, side.g, conns, time.Second, sized.target(side.g))
					if err != nil {
						return err
					}
					*side.list = append(*side.list, p)
				}
			}
			n := float64(rows)
			ratio := middle(batched, rateOf) / middle(alone, rateOf)
			t.Add(w.Name, rows, n*middle(batched, rateOf), n*middle(alone, rateOf), ratio,
				middle(batched, cpuOf)/n, middle(alone, cpuOf)/n, middle(batched, p99Of), middle(alone, p99Of))
			r.Tell(fmt.Sprintf("%s, %d rows: batched to alone", w.Name, rows), ratio, "×")
		}
	}
	r.Tables = append(r.Tables, t)
	return nil
}
