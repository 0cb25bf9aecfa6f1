package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// targetTable lists the targets, each with what was measured, and counts them.
func (r *results) targetTable() string {
	t := newTable("target", "set-up", "wanted", "measured", "verdict")
	met, missed, absent := 0, 0, 0
	for _, target := range targets(r) {
		measured, verdict, ok := target.verdict(r)
		sign := "≥"
		if target.most {
			sign = "≤"
		}
		t.row(target.what, target.setup, sign+" "+ratioText(target.want), measured, verdict)
		switch {
		case measured == "-":
			absent++
		case !target.binds:
		case ok:
			met++
		default:
			missed++
		}
	}
	return fmt.Sprintf("%d met, %d missed, %d not measured in this run.\n\n%s", met, missed, absent, t)
}

// gatewayTable is the gateway beside the two limits.
func (r *results) gatewayTable(setup string) string {
	t := newTable("work", "gateway requests/s", "no-op requests/s", "R_noop", "R_raw", "of unbatched raw", "rows per run", "CPU µs/request", "no-op's", "allocations", "GC/s")
	for _, w := range r.works(setup) {
		figure := func(contender string, of func(record.Cell) float64, format func(float64) string) string {
			if s, ok := r.of(setup, w.Name, contender, of); ok {
				return s.text(format)
			}
			return "-"
		}
		known := func(contender string, of func(record.Cell) float64) string {
			s, _ := r.of(setup, w.Name, contender, of)
			return orDash(s.median, decimal)
		}
		median := func(contender string, of func(record.Cell) float64) string {
			if s, ok := r.of(setup, w.Name, contender, of); ok {
				return decimal(s.median)
			}
			return "-"
		}
		t.row(w.Name, figure(record.Gateway, rate, count), figure(record.Noop, rate, count),
			ratioOr(r.ratio(setup, w.Name, record.Gateway, record.Noop)), ratioOr(r.share(setup, w.Name, record.Gateway, 0)), short(r.share(setup, w.Name, record.Gateway, 1)),
			median(record.Gateway, meanBatch), median(record.Gateway, cpu), median(record.Noop, cpu),
			known(record.Gateway, allocations), median(record.Gateway, collections))
	}
	return t.String()
}

func rate(c record.Cell) float64 { return c.Rate }
func cpu(c record.Cell) float64  { return c.ServerUS }

func ratioOr(s spread, ok bool) string {
	if !ok {
		return "-"
	}
	return s.text(ratioText)
}

// allTable lists every contender at every work.
func (r *results) allTable(setup string) string {
	t := newTable("work", "contender", "requests/s", "gateway is", "p50", "p99", "p99.9", "CPU µs/request", "client's share", "RSS MB", "threads", "marks")
	for _, w := range r.works(setup) {
		for _, name := range r.Machine.Settings.Contenders {
			list := r.cells[cellKey{setup, w.Name, name}]
			if len(list) == 0 {
				continue
			}
			of := func(figure func(record.Cell) float64) spread {
				s, _ := r.of(setup, w.Name, name, figure)
				return s
			}
			times := "-"
			if s, ok := r.ratio(setup, w.Name, record.Gateway, name); ok && name != record.Gateway {
				times = ratioText(s.median) + " ×"
			}
			t.row(w.Name, name, of(rate).text(count), times,
				micros(of(func(c record.Cell) float64 { return float64(c.P50) }).median),
				micros(of(func(c record.Cell) float64 { return float64(c.P99) }).median),
				micros(of(func(c record.Cell) float64 { return float64(c.P999) }).median),
				orDash(of(cpu).median, decimal), ratioText(of(func(c record.Cell) float64 { return c.Client }).median),
				orDash(of(func(c record.Cell) float64 { return c.RSSMB }).median, count),
				orDash(of(func(c record.Cell) float64 { return float64(c.Threads) }).median, count), marks(list))
		}
	}
	return t.String()
}

// marks say what stands against some of the rounds.
func marks(list []record.Cell) string {
	var text []string
	noisy, generator := 0, 0
	failed := map[string]int64{}
	for _, c := range list {
		if c.Noisy {
			noisy++
		}
		if c.Generator {
			generator++
		}
		for status, n := range c.Errors {
			failed[status] += n
		}
	}
	if noisy > 0 {
		text = append(text, fmt.Sprintf("%d of %d rounds noisy", noisy, len(list)))
	}
	if generator > 0 {
		text = append(text, fmt.Sprintf("generator-bound in %d", generator))
	}
	for _, status := range slices.Sorted(maps.Keys(failed)) {
		text = append(text, fmt.Sprintf("%d errors %s", failed[status], status))
	}
	return strings.Join(text, ", ")
}

// rawTable lists what ONNX Runtime does without a server.
func (r *results) rawTable(setup string) string {
	t := newTable("model", "threads", "batch", "rows/s, arena off", "rows/s, arena on", "µs per run, the better")
	type key struct {
		model          string
		threads, batch int
	}
	var order []key
	for _, raw := range r.Raw {
		if k := (key{raw.Model, raw.Threads, raw.Batch}); raw.Setup == setup && !slices.Contains(order, k) {
			order = append(order, k)
		}
	}
	slices.SortStableFunc(order, func(a, b key) int { // models stay in their order
		if a.model != b.model {
			return 0
		}
		return 1000*(a.threads-b.threads) + a.batch - b.batch
	})
	for _, k := range order {
		best, text := 0.0, [2]string{"-", "-"}
		for i, arena := range []bool{false, true} {
			runs := r.rawLoops(setup, k.model)[loop{k.threads, arena}]
			if v := runs.median(k.batch); v > 0 {
				text[i], best = count(v*float64(k.batch)), max(best, v)
			}
		}
		t.row(k.model, strconv.Itoa(k.threads), strconv.Itoa(k.batch), text[0], text[1], count(float64(k.threads)*1e6/best))
	}
	return t.String()
}

// contenderTable says who took part.
func (r *results) contenderTable() string {
	t := newTable("set-up", "contender", "version", "first answer after", "runs at once", "rows of a run at most", "largest difference to raw", "left out")
	for _, c := range r.Contenders {
		ready, largest := "ran already", "-"
		if c.ReadyMS > 0 {
			ready = micros(c.ReadyMS * 1e3)
		}
		if len(c.MaxDiff) > 0 {
			largest = strconv.FormatFloat(slices.Max(slices.Collect(maps.Values(c.MaxDiff))), 'g', 2, 64)
		}
		var left []string
		for _, work := range slices.Sorted(maps.Keys(c.Left)) {
			left = append(left, work+": "+c.Left[work])
		}
		t.row(c.Setup, c.Name, c.Version, ready, known(c.Instances), known(c.Batch), largest, strings.Join(left, "; "))
	}
	return t.String()
}

func known(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
