package main

import (
	"fmt"
	"os"
	"strings"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// The markers between which the document's table stands.
const (
	begin = "<!-- bench:begin -->"
	end   = "<!-- bench:end -->"
)

// updateReadme rewrites the file's table.
func updateReadme(path, text string) error {
	old, err := os.ReadFile(path) //nolint:gosec // the operator's own file
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s: there are no lines %s and %s", path, begin, end)
	}
	return page.Write(path, before+begin+"\n"+text+end+after)
}

// summary is what the document shows.
func (r *results) summary() string {
	var b strings.Builder
	h := r.about.Host
	if text := r.warning(); text != "" {
		b.WriteString(strings.TrimPrefix(text, "\n") + "\n")
	}
	fmt.Fprintf(&b, "Medians of %s rounds on %d cores of %s (%s, ONNX Runtime %s), all features on, in turn with a\n"+
		"fasthttp server that only answers a constant (R_noop) and with ONNX Runtime in a C loop (R_raw), `make bench`, %s:\n\n",
		r.about.Params["rounds"], h.Cores, h.CPU, h.Go, h.ORT, h.Date)
	for _, setup := range r.setups() {
		fmt.Fprintf(&b, "%s\n\n%s\n", about(setup), r.summaryTable(setup))
	}
	b.WriteString(r.behind())
	return b.String()
}

func (r *results) summaryTable(setup string) string {
	peers := r.peers(setup)
	head := []string{"work", "requests/s", "CPU µs/request", "p99", "R_noop", "R_raw"}
	for _, p := range peers {
		head = append(head, "× "+p)
	}
	t := page.NewTable(head...)
	for _, w := range r.works(setup) {
		list := r.cells[cellKey{setup, w, record.Gateway}]
		if len(list) == 0 {
			continue
		}
		cells := []string{
			w, page.Count(list.Spread(rate).Median), page.Decimal(list.Spread(cpu).Median), page.Micros(list.Spread(record.Named("p99_us")).Median),
			page.Median(r.ratio(setup, w, record.Gateway, record.Noop), page.Ratio), page.Median(r.share(setup, w, record.Gateway, 0), page.Ratio),
		}
		for _, p := range peers {
			cells = append(cells, page.Median(r.ratio(setup, w, record.Gateway, p), page.Ratio))
		}
		t.Row(cells...)
	}
	return t.String()
}

// peers are the servers that people use otherwise.
func (r *results) peers(setup string) (list []string) {
	for _, name := range r.setting("contenders") {
		if r.contender(setup, name) != nil && name != record.Gateway && name != record.Noop {
			list = append(list, name)
		}
	}
	return list
}

// behind lists the targets that are missed, and the servers that are faster.
func (r *results) behind() string {
	var b strings.Builder
	for _, t := range targets(r) {
		if _, _, ok := t.verdict(); !ok {
			fmt.Fprintf(&b, "- %s, %s: %s of %s\n", t.what, t.setup, page.Ratio(t.got.Median), page.Ratio(t.want))
		}
	}
	for _, setup := range r.setups() {
		for _, w := range r.works(setup) {
			for _, p := range r.peers(setup) {
				if s := r.ratio(setup, w, record.Gateway, p); s.Median < 1 {
					fmt.Fprintf(&b, "- %s is faster at %s, %s: the gateway does %s of it\n", p, w, setup, page.Ratio(s.Median))
				}
			}
		}
	}
	if b.Len() == 0 {
		return "No target that this run measured is missed.\n"
	}
	return "Below the targets:\n\n" + b.String()
}
