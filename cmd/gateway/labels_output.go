package main

import (
	"fmt"
	"slices"
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
	printWindows(b, r)
	for i := range r.Streams {
		printCalibration(b, &r.Streams[i])
	}
}

// printWindows prints estimates beside what was measured, by the time when the predictions were kept.
func printWindows(b *strings.Builder, r *api.LabelReport) {
	head := "\nFROM\tTO\tVERSION\tROLE\tPREDICTIONS\tLABELS\tMETRIC\tESTIMATE\tINTERVAL\tMEASURED\n"
	for i := range r.Streams {
		s := &r.Streams[i]
		for _, w := range s.Windows {
			to := "now"
			if !w.End.IsZero() {
				to = w.End.UTC().Format(time.RFC3339)
			}
			of := fmt.Sprintf("%s\t%s\t%d\t%s\t%d\t%d", w.Start.UTC().Format(time.RFC3339), to, s.Version, s.Role, w.Predictions, w.Labels)
			for j := range w.Estimates {
				e := &w.Estimates[j]
				measured := "-"
				if k := slices.IndexFunc(w.Metrics, func(m api.LabelMetric) bool { return m.Name == e.Name }); k >= 0 {
					measured = metricText(w.Metrics[k].Value)
				}
				fmt.Fprintf(b, "%s%s\t%s\t%s\t%s\t%s\n", head, of, e.Name, metricText(e.Value),
					intervalText(&api.LabelMetric{Low: e.Low, High: e.High, Method: api.IntervalAsymptotic}), measured)
				head, of = "", "\t\t\t\t\t"
			}
		}
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
