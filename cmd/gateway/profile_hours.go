package main

import (
	"fmt"
	"html/template"
	"strings"

	"sluice.io/sluice/internal/offline"
)

// hoursHeight is the height of the line of a feature's hours, in pixels. It is as wide as a histogram.
const hoursHeight = 50

// hoursOf draws the mean of a feature in each hour of the week, nothing if the hours are not known or have no mean. Hours without rows
// are left out.
func hoursOf(f offline.ProfileFeature) template.HTML {
	if f.IsCategory() {
		return ""
	}
	type point struct {
		hour int
		mean float64
	}
	var line []point
	low, high := f.Max, f.Min
	for hour := range f.Hours {
		if c := &f.Hours[hour]; c.Finite() > 0 {
			mean, _ := c.Moments(&f)
			line = append(line, point{hour, mean})
			low, high = min(low, mean), max(high, mean)
		}
	}
	if len(line) < 2 || !(high > low) {
		return ""
	}
	var points strings.Builder
	for _, p := range line {
		fmt.Fprintf(&points, "%.1f,%.1f ", float64(p.hour)/float64(len(f.Hours)-1)*histogramWidth, (high-p.mean)/(high-low)*hoursHeight)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // only numbers
		`<svg class="histogram" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="mean by the hour of the week, %s to %s"><polyline class="hours" points="%s"/></svg>`,
		histogramWidth, hoursHeight, histogramWidth, hoursHeight, numberText(low), numberText(high), strings.TrimSpace(points.String())))
}
