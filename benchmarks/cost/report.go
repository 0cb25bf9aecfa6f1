package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// row is one set of features in the report.
type row struct {
	set         string
	own         rounds
	more        spread // ns of processor time than the bare gateway
	allocations spread // more than the bare gateway
}

// rows are in the order in which the sets stand.
func (r *results) rows() (list []row) {
	of := func(set string) rounds {
		return r.choose(func(m *measurement) bool { return m.Set == set })
	}
	bare, again := of(setBare), of(setBareAgain)
	for _, p := range sets() {
		own := of(p.set)
		base := []rounds{bare, again}
		if p.set == setBareAgain { // the pair is compared with itself
			base = base[:1]
		}
		list = append(list, row{p.set, own, own.over(cpu, base...), own.over(allocations, base...)})
	}
	return list
}

func find(list []row, set string) row {
	for _, r := range list {
		if r.set == set {
			return r
		}
	}
	panic("BUG: cost: no set " + set)
}

// renderCost writes cost.md and cost.svg.
func renderCost(dir string, r *results) error {
	var out bytes.Buffer
	r.costReport(&out)
	if err := os.WriteFile(filepath.Join(dir, "cost.md"), out.Bytes(), 0o644); err != nil { //nolint:gosec // to be read by all
		return err
	}
	return plotCost(filepath.Join(dir, "cost.svg"), r.rows())
}

func (r *results) costReport(out *bytes.Buffer) {
	rows := r.rows()
	chance := find(rows, setBareAgain).more
	fmt.Fprintf(out, "# What each feature costs a request\n\n<!-- Made by \"make bench-cost\" from cost.jsonl. Do not edit. -->\n\n%s\n\n", &r.About)
	out.WriteString("The tiny model, 16 floats in binary, 64 requests in flight in a closed loop, the same bytes to all. Processor time is that of the\n" +
		"whole gateway, what runs beside the requests included. Medians (range) of the rounds; differences are taken within a round.\n\n" +
		"| features | µs of processor per request | more than bare, ns | allocations per request | more than bare | requests per run | requests/s |\n|---|---|---|---|---|---|---|\n")
	for _, row := range rows {
		more, allocated := row.more.text("%+.0f"), row.allocations.text("%+.2f")
		if row.set == setBare {
			more, allocated = "", ""
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", row.set, row.own.spread(microseconds).text("%.2f"), more,
			row.own.spread(allocations).text("%.2f"), allocated,
			row.own.spread(joined).text("%.1f"), row.own.spread(rate).text("%.0f"))
	}
	fmt.Fprintf(out, "\n\"%s\" is what chance does: differences of up to %.0f ns say nothing.%s\n\n", setBareAgain, chance.farthest(), within(rows, chance))
	fmt.Fprintf(out, "The tap had room for %s %% of the rows; what has none is dropped and counted.\n\n", find(rows, setDrift).own.spread(percentTapped).text("%.0f"))
	parts := find(rows, setLog).more.median + find(rows, setSplit).more.median + find(rows, setDrift).more.median +
		find(rows, setShadow).more.median - find(rows, setRoute).more.median
	fmt.Fprintf(out, "Everything is the log of 1 in 100, the split, the tap and the shadow: alone they add up to %+.0f ns, together they cost %+.0f ns.\n"+
		"The split has a second version, and requests are joined into runs per version: what it costs more than the route is that.\n"+
		"A shadow needs a route; what it costs more than the route is copying and running every tenth request once more.\n\n"+
		"![processor time more than the bare gateway](cost.svg)\n\n", parts, find(rows, setAll).more.median)
	r.metricsReport(out)
}

// within names the sets whose difference is no larger than chance.
func within(rows []row, chance spread) string {
	text := ""
	for _, row := range rows {
		if row.set == setBare || row.set == setBareAgain || max(row.more.median, -row.more.median) > chance.farthest() {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += row.set
	}
	if text == "" {
		return ""
	}
	return " Within them: " + text + "."
}

func (r *results) metricsReport(out *bytes.Buffer) {
	out.WriteString("## Metrics\n\nThey cannot be switched off, so they are in every row above. Measured alone, in a process that does nothing else:\n\n" +
		"| recording | ns | allocations |\n|---|---|---|\n")
	for _, o := range r.Metrics {
		fmt.Fprintf(out, "| %s | %.0f | %d |\n", o.What, o.NS, o.Allocations)
	}
}

func percentTapped(m *measurement) float64 { return 100 * tapped(m) }

func microseconds(m *measurement) float64 { return m.cpu() / 1e3 }
