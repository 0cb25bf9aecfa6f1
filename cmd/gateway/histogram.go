package main

import (
	"fmt"
	"html/template"
	"strings"
)

// The size of a histogram in a page, in pixels, and its number of columns for values that are many.
const (
	histogramWidth   = 320
	histogramHeight  = 90
	histogramColumns = 40
)

// bars are the shares of the columns of a histogram.
type bars []float64

// histogram draws the shares of a feature's bins: those of the reference as filled bars, those of the
// window, if there are some, in front of them. names are those of the bins of a category, nil for others.
func histogram(edges, values []float64, low, high float64, reference, window []uint64, names []string) template.HTML {
	columns := func(bins []uint64) bars { return columnsOf(edges, low, high, bins) }
	if len(values) > 0 {
		columns = sharesOf
	}
	ref, win := columns(reference), columns(window)
	if len(ref) == 0 {
		return ""
	}
	top := 0.0
	for _, all := range []bars{ref, win} {
		for _, share := range all {
			top = max(top, share)
		}
	}
	if top == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="histogram" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="shares of the values">`,
		histogramWidth, histogramHeight, histogramWidth, histogramHeight)
	ref.draw(&b, "reference", names, top, 1)
	win.draw(&b, "window", names, top, 0.5)
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // only numbers, and names with escapes
}

// draw draws the bars with so much of the width of a column each.
func (all bars) draw(b *strings.Builder, class string, names []string, top, width float64) {
	step := histogramWidth / float64(max(1, len(all)))
	for i, share := range all {
		height := share / top * histogramHeight
		name := class
		if i < len(names) {
			name = template.HTMLEscapeString(names[i]) + ", " + class
		}
		fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %.3g %%</title></rect>`,
			class, (float64(i)+(1-width)/2)*step, histogramHeight-height, width*step*0.95, height, name, 100*share)
	}
}

// sharesOf returns the share of each bin.
func sharesOf(bins []uint64) bars {
	var rows float64
	for _, n := range bins {
		rows += float64(n)
	}
	if rows == 0 {
		return nil
	}
	all := make(bars, len(bins))
	for i, n := range bins {
		all[i] = float64(n) / rows
	}
	return all
}

// columnsOf spreads the shares of bins over columns of the same width. The open bins at the ends reach as
// far as the reference, but at most by a quarter of the rest, so that a few far values do not squeeze all
// others.
func columnsOf(edges []float64, low, high float64, bins []uint64) bars {
	shares := sharesOf(bins)
	if len(edges) == 0 || len(shares) != len(edges)+1 {
		return nil
	}
	first, last := edges[0], edges[len(edges)-1]
	reach := (last - first) / 4
	low, high = max(low, first-reach), min(high, last+reach)
	low, high = min(low, first), max(high, last)
	width := (high - low) / histogramColumns
	if !(width > 0) || width > 1e300 {
		return shares // one value, or values too far apart for a scale
	}
	all := make(bars, histogramColumns)
	for i, share := range shares {
		from, to := low, high
		if i > 0 {
			from = edges[i-1]
		}
		if i < len(edges) {
			to = edges[i]
		}
		all.spread(share, (from-low)/width, (to-low)/width)
	}
	return all
}

// spread adds a share between two places, in columns.
func (all bars) spread(share, from, to float64) {
	last := len(all) - 1
	if to-from < 1e-9 {
		all[max(0, min(int(from), last))] += share
		return
	}
	for column := max(0, int(from)); column <= last && float64(column) < to; column++ {
		part := min(to, float64(column+1)) - max(from, float64(column))
		all[column] += share * part / (to - from)
	}
}
