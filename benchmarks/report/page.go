package main

import (
	"fmt"
	"io"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

const intro = `# The gateway beside its limits

<!-- Made by "go run ./report" of compare.jsonl. Do not edit. -->

`

const legend = `R_noop is the share of a fasthttp server that answers a constant of the same size; R_raw that of ONNX Runtime in a C
loop, the best of arena on and off and of one and two threads on the server's cores, at the number of rows that the gateway's own
runs had. Ratios are taken round by round and are medians of these; in brackets the range. The gateway has its features on: metrics, a
route, a drift tap (lin), the sampled access log.
`

// page writes the whole report; plots are the names of the pictures, by what they
// belong to.
func (r *results) page(w io.Writer, plots map[string]string) {
	picture := func(key string) {
		if file := plots[key]; file != "" {
			fmt.Fprintf(w, "![%s](%s)\n\n", key, file)
		}
	}
	fmt.Fprint(w, intro, r.machine(), r.warning(), "\n## Targets\n\n", r.targetTable(), "\n", others, "\n", legend)
	for _, setup := range r.setups() {
		fmt.Fprintf(w, "\n## Set-up %s\n\n%s\n\n", setup, about(setup))
		picture("throughput, " + setup)
		picture("ratios, " + setup)
		fmt.Fprint(w, r.gatewayTable(setup), "\nAll contenders:\n\n", r.allTable(setup), "\nONNX Runtime without a server:\n\n", r.rawTable(setup))
	}
	fmt.Fprint(w, "\n## Who took part\n\n", r.contenderTable())
	for _, c := range r.charts() {
		fmt.Fprintf(w, "\n## %s\n\n", c.title())
		picture(c.title())
		if c.kind == record.Open {
			fmt.Fprint(w, r.openTable(c))
		} else {
			fmt.Fprint(w, connsTable(c))
		}
	}
	fmt.Fprint(w, "\n## How far to trust it\n\n", r.calibration(), "\n", r.noise())
}

// others are the targets that other commands of this module measure.
const others = "Overload, bursts and slow clients, the cost of each feature, shadows and the number of models are measured by other commands: see the other files here.\n"

func about(setup string) string {
	if setup == record.Pinned {
		return "The server on core 0, the client on core 1; raw ONNX Runtime with one thread on core 0."
	}
	return "Client and server share the cores, as most people see it; raw ONNX Runtime has them to itself."
}

func (r *results) machine() string {
	h, p := r.about.Host, r.about.Params
	return fmt.Sprintf("%s: %d cores of %s, %d MB, Linux %s, %s, ONNX Runtime %s, gateway %s. %s rounds of %s ms in turn, after one to warm up.\n",
		h.Date, h.Cores, h.CPU, h.MemoryMB, h.Kernel, h.Go, h.ORT, h.Revision, p["rounds"], p["cell_ms"])
}

// calibration says whether the load generator was cheap enough: what it could
// send with a whole core, beside what the no-op server could answer with one.
func (r *results) calibration() string {
	t, some := page.NewTable("work", "client's core", "no-op's core", "client could send, of the no-op's rate"), false
	for _, w := range r.works(record.Pinned) {
		cells := r.cells[cellKey{record.Pinned, w, record.Noop}]
		client, server := cells.Spread(record.Named("client")).Median, cells.Spread(record.Named("server")).Median
		if client > 0 && cells[0].Num("conns") > 1 {
			t.Row(w, page.Ratio(client), page.Ratio(server), page.Ratio(server/client)+" ×")
			some = true
		}
	}
	if !some {
		return "The load generator was not calibrated: that takes the pinned set-up and the no-op server.\n"
	}
	return "The load generator, calibrated on the no-op server with a core for each: the shares of their cores that both used. " +
		"Below 1.2 × the generator may set the rate, and such cells are marked.\n\n" + t.String()
}

func (r *results) noise() string {
	noisy, repeated, _ := r.disturbed()
	return fmt.Sprintf("Other processes were watched: a cell during which they used more than %.2f of a core is noisy and was repeated. "+
		"%d cells are from a repetition, %d stayed noisy and are marked.\n", r.about.Num("noisy_above"), repeated, noisy)
}

// warning says at once where the machine had too much else to do.
func (r *results) warning() string {
	const tolerable = 0.1
	noisy, _, all := r.disturbed()
	if float64(noisy) <= tolerable*float64(all) {
		return ""
	}
	return fmt.Sprintf("\n**The machine was not quiet: during %d of %d cells other processes used more than %.2f of a core. Run it again before quoting it.**\n",
		noisy, all, r.about.Num("noisy_above"))
}

// disturbed counts the cells that stayed noisy, those from a repetition, and all.
func (r *results) disturbed() (noisy, repeated, all int) {
	for _, list := range r.cells {
		for _, c := range list {
			all++
			if c.Figures["noisy"] > 0 {
				noisy++
			}
			if c.Num("attempt") > 1 {
				repeated++
			}
		}
	}
	return noisy, repeated, all
}
