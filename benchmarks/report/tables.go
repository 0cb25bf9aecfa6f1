package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// targetTable lists the targets, each with what was measured, and counts them.
func (r *results) targetTable() string {
	t := page.NewTable("target", "set-up", "wanted", "measured", "verdict")
	met, missed, absent := 0, 0, 0
	for _, target := range targets(r) {
		measured, verdict, ok := target.verdict()
		sign := "≥"
		if target.most {
			sign = "≤"
		}
		t.Row(target.what, target.setup, sign+" "+page.Ratio(target.want), measured, verdict)
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
	t := page.NewTable("work", "gateway requests/s", "no-op requests/s", "R_noop", "R_raw", "of unbatched raw", "rows per run", "CPU µs/request", "no-op's", "allocations", "GC/s")
	for _, w := range r.works(setup) {
		gateway := func(f record.Figure) string { return page.Median(r.of(setup, w, record.Gateway, f), page.Decimal) }
		t.Row(w, page.Range(r.of(setup, w, record.Gateway, rate), page.Count), page.Range(r.of(setup, w, record.Noop, rate), page.Count),
			page.Range(r.ratio(setup, w, record.Gateway, record.Noop), page.Ratio), page.Range(r.share(setup, w, record.Gateway, 0), page.Ratio),
			page.Median(r.share(setup, w, record.Gateway, 1), page.Ratio), gateway(meanBatch), gateway(cpu),
			page.Median(r.of(setup, w, record.Noop, cpu), page.Decimal), gateway(allocations), gateway(collections))
	}
	return t.String()
}

// allTable lists every contender at every work.
func (r *results) allTable(setup string) string {
	t := page.NewTable("work", "contender", "requests/s", "gateway is", "p50", "p99", "p99.9", "CPU µs/request", "client's share", "RSS MB", "threads", "marks")
	for _, w := range r.works(setup) {
		for _, name := range r.setting("contenders") {
			list := r.cells[cellKey{setup, w, name}]
			if len(list) == 0 {
				continue
			}
			median := func(figure string) float64 { return list.Spread(record.Named(figure)).Median }
			times := "-"
			if s := r.ratio(setup, w, record.Gateway, name); s.OK() && name != record.Gateway {
				times = page.Ratio(s.Median) + " ×"
			}
			t.Row(w, name, page.Range(list.Spread(rate), page.Count), times, page.Micros(median("p50_us")), page.Micros(median("p99_us")), page.Micros(median("p999_us")),
				page.OrDash(median("server_us"), page.Decimal), page.Ratio(median("client")), page.OrDash(median("rss_mb"), page.Count),
				page.OrDash(median("threads"), page.Count), marks(list))
		}
	}
	return t.String()
}

// marks say what stands against some of the rounds.
func marks(list record.Rows) string {
	var text []string
	if noisy := list.Sum("noisy"); noisy > 0 && list[0].Scenario == "point" {
		text = append(text, "noisy")
	} else if noisy > 0 {
		text = append(text, fmt.Sprintf("%.0f of %d rounds noisy", noisy, len(list)))
	}
	if generator := list.Sum("generator_bound"); generator > 0 {
		text = append(text, fmt.Sprintf("generator-bound in %.0f", generator))
	}
	failed := list.Sums("errors_")
	for _, status := range slices.Sorted(maps.Keys(failed)) {
		text = append(text, fmt.Sprintf("%.0f errors %s", failed[status], status))
	}
	return strings.Join(text, ", ")
}

// rawTable lists what ONNX Runtime does without a server.
func (r *results) rawTable(setup string) string {
	t := page.NewTable("model", "threads", "batch", "rows/s, arena off", "rows/s, arena on", "µs per run, the better")
	sets := r.Where("raw", "setup", setup).Groups("model", "threads", "batch")
	slices.SortStableFunc(sets, func(a, b record.Rows) int { // models stay in their order
		if a[0].Params["model"] != b[0].Params["model"] {
			return 0
		}
		return int(1000*(a[0].Num("threads")-b[0].Num("threads")) + a[0].Num("batch") - b[0].Num("batch"))
	})
	for _, set := range sets {
		p, best, text := set[0].Params, 0.0, [2]string{"-", "-"}
		for i, arena := range []string{"false", "true"} {
			runs := r.rawLoops(setup, p["model"])[loop{p["threads"], arena}]
			batch := int(set[0].Num("batch"))
			if v := runs.median(batch); v > 0 {
				text[i], best = page.Count(v*float64(batch)), max(best, v)
			}
		}
		t.Row(p["model"], p["threads"], p["batch"], text[0], text[1], page.Count(set[0].Num("threads")*1e6/best))
	}
	return t.String()
}

// contenderTable says who took part.
func (r *results) contenderTable() string {
	t := page.NewTable("set-up", "contender", "version", "first answer after", "runs at once", "rows of a run at most", "largest difference to raw", "left out")
	for _, c := range r.Where("contender") {
		ready, largest, left := "ran already", "-", []string{}
		if ms := c.Figures["ready_ms"]; ms > 0 {
			ready = page.Micros(ms * 1e3)
		}
		if differences := slices.Collect(maps.Values(record.Rows{c}.Sums("max_diff "))); len(differences) > 0 {
			largest = strconv.FormatFloat(slices.Max(differences), 'g', 2, 64)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Params)) {
			if work, ok := strings.CutPrefix(name, "left_out "); ok {
				left = append(left, work+": "+c.Params[name])
			}
		}
		t.Row(c.Params["setup"], c.Params["contender"], c.Params["version"], ready, page.OrDash(c.Figures["instances"], page.Thousands),
			page.OrDash(c.Figures["batch_rows"], page.Thousands), largest, strings.Join(left, "; "))
	}
	return t.String()
}

// openTable lists an open loop's points, the ideal queue's beside the gateway's.
func (r *results) openTable(c chart) string {
	t := page.NewTable("contender", "load", "asked/s", "answered/s", "p50", "p99", "p99.9", "ideal p50", "ideal p99", "CPU µs/request", "marks")
	for _, curve := range c.curves {
		for i := range curve {
			p, f, p50, p99 := &curve[i], curve[i].Figures, "-", "-"
			if p.Params["contender"] == record.Gateway {
				if ideal50, ideal99, err := r.ideal(p); err == nil {
					p50, p99 = page.Micros(ideal50), page.Micros(ideal99)
				}
			}
			t.Row(p.Params["contender"], fmt.Sprintf("%.0f %%", 100*p.Num("load")), page.Count(f["asked"]), page.Count(rate(p)),
				page.Micros(f["p50_us"]), page.Micros(f["p99_us"]), page.Micros(f["p999_us"]), p50, p99, page.Decimal(cpu(p)), marks(curve[i:i+1]))
		}
	}
	return t.String()
}

// connsTable lists the throughput by the number of requests in flight.
func connsTable(c chart) string {
	t := page.NewTable("contender", "in flight", "requests/s", "p50", "p99", "CPU µs/request", "marks")
	for _, curve := range c.curves {
		for i := range curve {
			p, f := &curve[i], curve[i].Figures
			t.Row(p.Params["contender"], p.Params["conns"], page.Count(rate(p)), page.Micros(f["p50_us"]), page.Micros(f["p99_us"]), page.Decimal(cpu(p)), marks(curve[i:i+1]))
		}
	}
	return t.String()
}
