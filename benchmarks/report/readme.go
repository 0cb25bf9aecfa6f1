package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"sluice.io/sluice/benchmarks/record"
)

// The markers between which the README's table stands.
const (
	begin = "<!-- bench:begin -->"
	end   = "<!-- bench:end -->"
)

// replaceBetween puts text between the markers.
func replaceBetween(document, text string) (string, error) {
	first, last := strings.Index(document, begin), strings.Index(document, end)
	if first < 0 || last < first || strings.Count(document, begin) != 1 || strings.Count(document, end) != 1 {
		return "", fmt.Errorf("expected the lines %s and %s, once each and in this order", begin, end)
	}
	return document[:first+len(begin)] + "\n" + text + document[last:], nil
}

// updateReadme rewrites the file's table.
func updateReadme(path, text string) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fresh, err := replaceBetween(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(old, []byte(fresh)) {
		return nil
	}
	const readable = 0o644
	return os.WriteFile(path, []byte(fresh), readable) //nolint:gosec // a document that all may read
}

// summary is what the README shows.
func (r *results) summary() string {
	var b strings.Builder
	m := &r.Machine
	if text := r.warning(); text != "" {
		b.WriteString(strings.TrimPrefix(text, "\n") + "\n")
	}
	fmt.Fprintf(&b, "Medians of %d rounds on %d cores of %s (%s, ONNX Runtime %s), all features on, in turn with a\n"+
		"fasthttp server that only answers a constant (R_noop) and with ONNX Runtime in a C loop (R_raw), `make bench`, %s:\n\n",
		m.Settings.Rounds, m.Cores, m.CPU, m.Go, m.ORT, m.Date)
	for _, setup := range r.setups() {
		fmt.Fprintf(&b, "%s\n\n%s\n", about(setup), r.summaryTable(setup))
	}
	b.WriteString(r.behind())
	return b.String()
}

func (r *results) summaryTable(setup string) string {
	peers := r.peers(setup)
	t := newTable(append([]string{"work", "requests/s", "CPU µs/request", "p99", "R_noop", "R_raw"}, each(peers, func(p string) string { return "× " + p })...)...)
	for _, w := range r.works(setup) {
		rates, ok := r.of(setup, w.Name, record.Gateway, rate)
		if !ok {
			continue
		}
		used, _ := r.of(setup, w.Name, record.Gateway, cpu)
		p99, _ := r.of(setup, w.Name, record.Gateway, func(c record.Cell) float64 { return float64(c.P99) })
		t.row(append([]string{
			w.Name, count(rates.median), decimal(used.median), micros(p99.median),
			short(r.ratio(setup, w.Name, record.Gateway, record.Noop)), short(r.share(setup, w.Name, record.Gateway, 0)),
		}, each(peers, func(p string) string { return short(r.ratio(setup, w.Name, record.Gateway, p)) })...)...)
	}
	return t.String()
}

func each(names []string, of func(string) string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = of(name)
	}
	return list
}

func short(s spread, ok bool) string {
	if !ok {
		return "-"
	}
	return ratioText(s.median)
}

// peers are the servers that people use otherwise.
func (r *results) peers(setup string) (list []string) {
	for _, name := range r.Machine.Settings.Contenders {
		if _, ok := r.contender(setup, name); ok && name != record.Gateway && name != record.Plain && name != record.Noop {
			list = append(list, name)
		}
	}
	return list
}

// behind lists the targets that are missed, and the servers that are faster.
func (r *results) behind() string {
	var b strings.Builder
	for _, t := range targets(r) {
		if _, _, ok := t.verdict(r); !ok {
			s, _ := t.measure(r, &t)
			fmt.Fprintf(&b, "- %s, %s: %s of %s\n", t.what, t.setup, ratioText(s.median), ratioText(t.want))
		}
	}
	for _, setup := range r.setups() {
		for _, w := range r.works(setup) {
			for _, p := range r.peers(setup) {
				if s, ok := r.ratio(setup, w.Name, record.Gateway, p); ok && s.median < 1 {
					fmt.Fprintf(&b, "- %s is faster at %s, %s: the gateway does %s of it\n", p, w.Name, setup, ratioText(s.median))
				}
			}
		}
	}
	if b.Len() == 0 {
		return "No target that this run measured is missed.\n"
	}
	return "Where it is behind:\n\n" + b.String()
}
