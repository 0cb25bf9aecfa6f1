package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// printLabelResult prints what became of labels.
func printLabelResult(b *strings.Builder, r *api.LabelResult) {
	printLabelCounts(b, &r.LabelCounts)
	for i := range r.Problems {
		fmt.Fprintf(b, "label %d: %s\n", r.Problems[i].Index, oneLine(r.Problems[i].Error))
	}
}

func printLabelCounts(b *strings.Builder, c *api.LabelCounts) {
	fmt.Fprintf(b, "LABELS\tJOINED\tUNKNOWN\tLATE\tDUPLICATE\tCONTRADICTORY\tINVALID\n%d\t%d\t%d\t%d\t%d\t%d\t%d\n",
		c.Rows, c.Joined, c.Unknown, c.Late, c.Duplicate, c.Contradictory, c.Invalid)
}

// printLabelReport prints a line for each metric of each stream. wide adds the labels' counts and
// the calibration curves.
func printLabelReport(b *strings.Builder, r *api.LabelReport, wide bool) {
	if r.Reason != "" {
		fmt.Fprintf(b, "no predictions are kept: %s\n\n", oneLine(r.Reason))
	}
	if len(r.Streams) == 0 {
		fmt.Fprintf(b, "no predictions of model %s are kept yet (labels.sample is %g%%)\n", oneLine(r.Model), float64(r.Sample)/100)
		return
	}
	fmt.Fprintln(b, "VERSION\tROLE\tSEGMENT\tPREDICTIONS\tLABELS\tCOVERAGE\tDELAY\tMETRIC\tVALUE\tINTERVAL")
	for i := range r.Streams {
		s := &r.Streams[i]
		head := fmt.Sprintf("%d\t%s\t%s\t%d\t%d\t%s\t%s", s.Version, s.Role, orDash(oneLine(s.Segment)), s.Predictions, s.Labels,
			strconv.FormatFloat(100*s.Coverage, 'f', 1, 64)+"%", delayText(s.Delay))
		for j := range s.Metrics {
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\n", head, s.Metrics[j].Name, metricText(s.Metrics[j].Value), intervalText(&s.Metrics[j]))
			head = "\t\t\t\t\t\t"
		}
		if len(s.Metrics) == 0 {
			fmt.Fprintf(b, "%s\t-\t-\t-\n", head)
		}
	}
	printEstimates(b, r)
	printLosses(b, []api.LabelReport{*r})
	if !wide {
		return
	}
	fmt.Fprintln(b)
	printLabelCounts(b, &r.Labels)
	for i := range r.Streams {
		printCalibration(b, &r.Streams[i])
	}
}

func printCalibration(b *strings.Builder, s *api.LabelStream) {
	if len(s.Calibration) == 0 {
		return
	}
	segment, of := "", "the predicted class"
	if s.Segment != "" {
		segment = " " + oneLine(s.Segment)
	}
	if s.Positive != "" {
		of = "class " + oneLine(s.Positive)
	}
	fmt.Fprintf(b, "\nversion %d %s%s: calibration of %s\nPREDICTED\tROWS\tMEAN\tRATE\tINTERVAL\n", s.Version, s.Role, segment, of)
	for _, c := range s.Calibration {
		fmt.Fprintf(b, "%.1f to %.1f\t%d\t%.3f\t%.3f\t[%.3f, %.3f]\n", c.From, c.To, c.Rows, c.Mean, c.Rate, c.Low, c.High)
	}
}

func metricText(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

// intervalText is an interval; ~ marks one that needs many rows to be right.
func intervalText(m *api.LabelMetric) string {
	if m.Low == nil || m.High == nil {
		return "-"
	}
	mark := ""
	if m.Method == api.IntervalAsymptotic {
		mark = "~"
	}
	return fmt.Sprintf("%s[%s, %s]", mark, metricText(*m.Low), metricText(*m.High))
}

// delayText is the median delay of labels.
func delayText(d *api.LabelDelay) string {
	if d == nil {
		return "-"
	}
	median := time.Duration(d.Median)
	if median < time.Minute {
		return median.Round(time.Millisecond).String()
	}
	return median.Round(time.Second).String()
}
