package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// line is a curve as it was measured.
type line struct {
	curve
	x      []float64
	points []rounds
}

// lines are those of which anything was measured.
func (r *results) lines() (list []line) {
	for _, c := range curves() {
		l := line{curve: c}
		for _, x := range c.at {
			rounds := r.choose(func(m *measurement) bool { return m.Curve == c.name && m.X == x })
			if s := rounds.spread(cpu); !math.IsNaN(s.median) {
				l.x, l.points = append(l.x, x), append(l.points, rounds)
			}
		}
		if len(l.x) > 0 {
			list = append(list, l)
		}
	}
	return list
}

// flatWithin is how much of a difference between two points of a curve is none.
const flatWithin = 0.05

// verdict says whether the cost stays the same along the curve, and else why not.
func (l *line) verdict() string {
	low, high := 0, 0
	median := func(i int) float64 { return l.points[i].spread(cpu).median }
	for i := range l.points {
		if median(i) < median(low) {
			low = i
		}
		if median(i) > median(high) {
			high = i
		}
	}
	ratio := median(high) / median(low)
	apart := fmt.Sprintf("%s costs × %.2f of %s", count(l.x[high]), ratio, count(l.x[low]))
	switch {
	case ratio <= 1+flatWithin:
		return fmt.Sprintf("Flat: all points lie within %.1f %%.", 100*(ratio-1))
	case l.points[high].spread(cpu).overlaps(l.points[low].spread(cpu)):
		return "Not to be told from flat: " + apart + ", but the ranges of the two overlap."
	case l.why == "" || high < low && !l.falls:
		return "Not flat: " + apart + ", and that is not explained."
	default:
		return "Not flat: " + apart + ". The reason: " + l.why
	}
}

// each is what one more costs up to a point, in nanoseconds.
func (l *line) each(i int) float64 {
	return (l.points[i].spread(cpu).median - l.points[0].spread(cpu).median) / (l.x[i] - l.x[0])
}

// renderGrowth writes growth.md and growth.svg.
func renderGrowth(dir string, r *results) error {
	var out bytes.Buffer
	r.growthReport(&out)
	if err := os.WriteFile(filepath.Join(dir, "growth.md"), out.Bytes(), 0o644); err != nil { //nolint:gosec // to be read by all
		return err
	}
	return plotGrowth(filepath.Join(dir, "growth.svg"), r.lines())
}

func (r *results) growthReport(out *bytes.Buffer) {
	fmt.Fprintf(out, "# How costs grow\n\n<!-- Made by \"make bench-cost\" from growth.jsonl. Do not edit. -->\n\n%s\n\n"+
		"Processor time of the whole gateway per request in a closed loop, medians (range) of the rounds. A curve is flat where no two points\n"+
		"differ by more than %.0f %%.\n\n![processor time per request](growth.svg)\n", &r.About, 100*flatWithin)
	for _, l := range r.lines() {
		l.report(out)
	}
}

func (l *line) report(out *bytes.Buffer) {
	head, rule := "", ""
	if l.unit != "" {
		head, rule = fmt.Sprintf(" one more %s, ns |", l.unit), "---|"
	}
	fmt.Fprintf(out, "\n## %s\n\n%s.\n\n| %s | µs of processor per request | to the first |%s requests per run | allocations per request | requests/s |\n|---|---|---|%s---|---|---|\n",
		upper(l.name), upper(l.load), l.of, head, rule)
	first := l.points[0].spread(cpu).median
	for i, p := range l.points {
		each := ""
		switch {
		case l.unit != "" && i == 0:
			each = " |"
		case l.unit != "":
			each = fmt.Sprintf(" %.3g |", l.each(i))
		}
		fmt.Fprintf(out, "| %s | %s | × %.2f |%s %s | %s | %s |\n", count(l.x[i]), p.spread(microseconds).text("%.2f"), p.spread(cpu).median/first, each,
			p.spread(joined).text("%.1f"), p.spread(allocations).text("%.2f"), p.spread(rate).text("%.0f"))
	}
	last := len(l.x) - 1
	if s := l.points[last].spread(percentTapped); !math.IsNaN(s.median) {
		fmt.Fprintf(out, "\nOf the rows of %s features %s %% had room and were counted.\n", count(l.x[last]), s.text("%.0f"))
	}
	fmt.Fprintf(out, "\n%s\n", l.verdict())
}

func upper(s string) string { return string(s[0]-'a'+'A') + s[1:] }

// count writes a number as the tables do.
func count(x float64) string {
	switch {
	case x >= 1<<20 && math.Mod(x, 1<<20) == 0:
		return fmt.Sprintf("%.0f Mi", x/(1<<20))
	case x >= 1<<10 && math.Mod(x, 1<<10) == 0:
		return fmt.Sprintf("%.0f Ki", x/(1<<10))
	default:
		return fmt.Sprintf("%.0f", x)
	}
}
