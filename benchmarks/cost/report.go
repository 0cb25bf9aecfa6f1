package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"sluice.io/sluice/api"
	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/metrics"
)

// The figures of a measurement. Of rows there are none without a drift tap.
func microseconds(r *record.Record) float64 { return record.Per("cpu_ns", "requests", 1e-3)(r) }
func nanoseconds(r *record.Record) float64  { return record.Per("cpu_ns", "requests", 1)(r) }
func allocations(r *record.Record) float64  { return record.Per("mallocs", "requests", 1)(r) }
func rate(r *record.Record) float64         { return record.Per("requests", "elapsed_ns", 1e9)(r) }
func joined(r *record.Record) float64       { return record.Per("members", "runs", 1)(r) }
func tapped(r *record.Record) float64 {
	return 100 * r.Figures["drift_rows"] / (r.Figures["drift_rows"] + r.Figures["drift_dropped"])
}

// about is the line that stands above the tables.
func about(rows record.Rows) string {
	r := &rows.Where("run")[0]
	where := fmt.Sprintf("the gateway on core %s, its client on %s", r.Params["server_cpus"], r.Params["client_cpus"])
	h := r.Host
	return fmt.Sprintf("%s, commit %s, %s, Linux %s, %d cores of %s; %s; %s rounds of %s.",
		h.Date, h.Revision, h.Go, h.Kernel, h.Cores, h.CPU, where, r.Params["rounds"], r.Params["duration"])
}

// row is one set of features in the report.
type row struct {
	set         string
	own         record.Rows
	more        record.Spread // ns of processor time than the bare gateway
	allocations record.Spread // more than the bare gateway
}

// costRows are in the order in which the sets stand.
func costRows(rows record.Rows) (list []row) {
	bare, again := rows.Where("measured", "set", setBare), rows.Where("measured", "set", setBareAgain)
	for _, p := range sets() {
		own, base := rows.Where("measured", "set", p.set), []record.Rows{bare, again}
		if p.set == setBareAgain { // the pair is compared with itself
			base = base[:1]
		}
		list = append(list, row{p.set, own, own.Over(nanoseconds, record.Difference, base...), own.Over(allocations, record.Difference, base...)})
	}
	return list
}

func find(list []row, set string) row {
	return list[slices.IndexFunc(list, func(r row) bool { return r.set == set })]
}

// renderCost writes cost.md and cost.svg.
func renderCost(dir string, all record.Rows) error {
	rows := costRows(all)
	if err := page.Write(filepath.Join(dir, "cost.md"), costReport(all, rows)); err != nil {
		return err
	}
	p := page.NewPlot("what a feature costs a request", "ns of processor time more than the bare gateway; median and range", "")
	var names []string
	var more []record.Spread
	for _, r := range slices.Backward(rows[1:]) { // the first on top
		names, more = append(names, r.set), append(more, r.more)
	}
	if err := page.AddRangedBars(p, names, more); err != nil {
		return err
	}
	return page.Save(filepath.Join(dir, "cost.svg"), 18*vg.Centimeter, 9*vg.Centimeter, p)
}

func costReport(all record.Rows, rows []row) string {
	var out strings.Builder
	chance := find(rows, setBareAgain).more
	fmt.Fprintf(&out, "# What each feature costs a request\n\n<!-- Made by \"make bench-cost\" from cost.jsonl. Do not edit. -->\n\n%s\n\n", about(all))
	out.WriteString("The tiny model, 16 floats in binary, 64 requests in flight in a closed loop, the same bytes to all. Processor time is that of the\n" +
		"whole gateway, what runs beside the requests included. Medians (range) of the rounds; differences are taken within a round.\n\n")
	t := page.NewTable("features", "µs of processor per request", "more than bare, ns", "allocations per request", "more than bare", "requests per run", "requests/s")
	for _, row := range rows {
		more, allocated := row.more.Text("%+.0f"), row.allocations.Text("%+.2f")
		if row.set == setBare {
			more, allocated = "", ""
		}
		t.Row(row.set, row.own.Spread(microseconds).Text("%.2f"), more, row.own.Spread(allocations).Text("%.2f"), allocated,
			row.own.Spread(joined).Text("%.1f"), row.own.Spread(rate).Text("%.0f"))
	}
	fmt.Fprintf(&out, "%s\n\"%s\" is what chance does: differences of up to %.0f ns say nothing.%s\n\n", t, setBareAgain, chance.Farthest(), within(rows, chance))
	fmt.Fprintf(&out, "The tap had room for %s %% of the rows; what has none is dropped and counted.\n\n", find(rows, setDrift).own.Spread(tapped).Text("%.0f"))
	parts := -find(rows, setRoute).more.Median
	for _, set := range []string{setLog, setSplit, setDrift, setShadow} {
		parts += find(rows, set).more.Median
	}
	fmt.Fprintf(&out, "Everything is the log of 1 in 100, the split, the tap and the shadow: alone they add up to %+.0f ns, together they cost %+.0f ns.\n"+
		"The split has a second version, and requests are joined into runs per version: what it costs more than the route is that.\n"+
		"A shadow needs a route; what it costs more than the route is copying and running every tenth request once more.\n\n"+
		"![processor time more than the bare gateway](cost.svg)\n\n", parts, find(rows, setAll).more.Median)
	out.WriteString("## Metrics\n\nThey cannot be switched off, so they are in every row above. Measured alone, in a process that does nothing else:\n\n")
	t = page.NewTable("recording", "ns", "allocations")
	for _, o := range all.Where("metrics") {
		t.Row(o.Params["what"], fmt.Sprintf("%.0f", o.Figures["ns"]), fmt.Sprintf("%.0f", o.Figures["allocations"]))
	}
	return out.String() + t.String()
}

// within names the sets whose difference is no larger than chance.
func within(rows []row, chance record.Spread) string {
	var names []string
	for _, row := range rows {
		if row.set != setBare && row.set != setBareAgain && max(row.more.Median, -row.more.Median) <= chance.Farthest() {
			names = append(names, row.set)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " Within them: " + strings.Join(names, ", ") + "."
}

// line is a curve as it was measured.
type line struct {
	curve
	x      []float64
	points []record.Rows
	cpu    []record.Spread // ns
}

// lines are those of which anything was measured.
func lines(rows record.Rows) (list []line) {
	for _, c := range curves() {
		l := line{curve: c}
		for _, x := range c.at {
			l.add(x, rows.Where("measured", "curve", c.name, "x", record.Param(x)))
		}
		if len(l.x) > 0 {
			list = append(list, l)
		}
	}
	return list
}

func (l *line) add(x float64, rounds record.Rows) {
	if s := rounds.Spread(nanoseconds); s.OK() {
		l.x, l.points, l.cpu = append(l.x, x), append(l.points, rounds), append(l.cpu, s)
	}
}

// flatWithin is how much of a difference between two points of a curve is none.
const flatWithin = 0.05

// verdict says whether the cost stays the same along the curve, and else why not.
func (l *line) verdict() string {
	low, high := 0, 0
	for i, s := range l.cpu {
		if s.Median < l.cpu[low].Median {
			low = i
		}
		if s.Median > l.cpu[high].Median {
			high = i
		}
	}
	ratio := l.cpu[high].Median / l.cpu[low].Median
	apart := fmt.Sprintf("%s costs × %.2f of %s", page.Bytes(l.x[high]), ratio, page.Bytes(l.x[low]))
	switch {
	case ratio <= 1+flatWithin:
		return fmt.Sprintf("Flat: all points lie within %.1f %%.", 100*(ratio-1))
	case l.cpu[high].Overlaps(l.cpu[low]):
		return "Not to be told from flat: " + apart + ", but the ranges of the two overlap."
	case l.why == "" || high < low && !l.falls:
		return "Not flat: " + apart + ", and that is not explained."
	default:
		return "Not flat: " + apart + ". The reason: " + l.why
	}
}

// renderGrowth writes growth.md and growth.svg.
func renderGrowth(dir string, all record.Rows) error {
	var out strings.Builder
	fmt.Fprintf(&out, "# How costs grow\n\n<!-- Made by \"make bench-cost\" from growth.jsonl. Do not edit. -->\n\n%s\n\n"+
		"Processor time of the whole gateway per request in a closed loop, medians (range) of the rounds. A curve is flat where no two points\n"+
		"differ by more than %.0f %%.\n\n![processor time per request](growth.svg)\n", about(all), 100*flatWithin)
	var plots []*plot.Plot
	for _, l := range lines(all) {
		l.report(&out)
		p, err := l.plot()
		if err != nil {
			return err
		}
		plots = append(plots, p)
	}
	if err := page.Write(filepath.Join(dir, "growth.md"), out.String()); err != nil {
		return err
	}
	const columns = 2
	return page.Tile(filepath.Join(dir, "growth.svg"), 18*vg.Centimeter, 6*vg.Centimeter, columns, plots)
}

func (l *line) report(out io.Writer) {
	head := []string{l.of, "µs of processor per request", "to the first", "requests per run", "allocations per request", "requests/s"}
	if l.unit != "" {
		head = slices.Insert(head, 3, fmt.Sprintf("one more %s, ns", l.unit))
	}
	t := page.NewTable(head...)
	for i, p := range l.points {
		cells := []string{
			page.Bytes(l.x[i]), p.Spread(microseconds).Text("%.2f"), fmt.Sprintf("× %.2f", l.cpu[i].Median/l.cpu[0].Median),
			p.Spread(joined).Text("%.1f"), p.Spread(allocations).Text("%.2f"), p.Spread(rate).Text("%.0f"),
		}
		if l.unit != "" {
			each := ""
			if i > 0 {
				each = fmt.Sprintf("%.3g", (l.cpu[i].Median-l.cpu[0].Median)/(l.x[i]-l.x[0]))
			}
			cells = slices.Insert(cells, 3, each)
		}
		t.Row(cells...)
	}
	fmt.Fprintf(out, "\n## %s\n\n%s.\n\n%s", upper(l.name), upper(l.load), t)
	last := len(l.x) - 1
	if s := l.points[last].Spread(tapped); s.OK() {
		fmt.Fprintf(out, "\nOf the rows of %s features %s %% had room and were counted.\n", page.Bytes(l.x[last]), s.Text("%.0f"))
	}
	fmt.Fprintf(out, "\n%s\n", l.verdict())
}

func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }

func (l *line) plot() (*plot.Plot, error) {
	p := page.NewPlot(l.name, l.of, "µs of processor")
	p.Y.Min = 0
	micros := make([]record.Spread, len(l.points))
	for i, rounds := range l.points {
		micros[i] = rounds.Spread(microseconds)
	}
	if err := page.AddRangedLine(p, l.x, micros); err != nil {
		return nil, err
	}
	if l.log {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(l.ticks())
	}
	if low, high := micros[0], micros[len(micros)-1]; high.Median > 20*low.Median { // bytes: over three decades
		p.Y.Scale, p.Y.Tick.Marker, p.Y.Min = plot.LogScale{}, plot.LogTicks{Prec: -1}, low.Low/2
	}
	return p, nil
}

// ticks are where something was measured; one too near to the last with a label has none.
func (l *line) ticks() []plot.Tick {
	const apart = 4 // times as much
	list := make([]plot.Tick, len(l.x))
	last := 0.0
	for i, x := range l.x {
		list[i] = plot.Tick{Value: x}
		if x >= apart*last {
			list[i].Label, last = page.Bytes(x), x
		}
	}
	return list
}

// observing measures what metrics cost. They cannot be switched off, so that no
// gateway without them can be compared; here nothing else runs.
func observing() record.Rows {
	m := metrics.New(prometheus.NewRegistry())
	v, a := m.Version("lin", 1), m.Variant("lin", "lin", 1, api.RoleStable)
	req := &infer.Request{Inputs: []infer.Tensor{{DType: infer.FP32, Shape: infer.Shape{1, 16}}}}
	req.Timing = infer.Timing{Queue: time.Microsecond, Compute: time.Microsecond, Rows: 1}
	request := func() { v.ObserveRequest(req, nil, 80*time.Microsecond) }
	run := func() { v.ObserveRun(1, 1, time.Microsecond, time.Microsecond, time.Microsecond, nil) }
	variant := func() { a.Observe(infer.ReasonSticky, nil, 80*time.Microsecond) }
	return record.Rows{
		observe("a request", request),
		observe("a run, of which requests share one", run),
		observe("a request that a route sent", variant),
		observe("all three, for a request alone in its run", func() { request(); run(); variant() }),
	}
}

func observe(what string, f func()) record.Record {
	r := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
	o := record.New("metrics", "what", what)
	o.Figures["ns"], o.Figures["allocations"] = float64(r.T.Nanoseconds())/float64(r.N), float64(r.AllocsPerOp())
	return o
}
