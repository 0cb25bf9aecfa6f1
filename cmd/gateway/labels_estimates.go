package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice.io/sluice/api"
)

// printEstimates prints a line for each metric that is estimated, with what labels said about it.
func printEstimates(b *strings.Builder, r *api.LabelReport) {
	head := "\nVERSION\tROLE\tSEGMENT\tMETRIC\tESTIMATE\tINTERVAL\tROWS\tLABELLED\tESTIMATED\tTRUTH\tHOLDS\n"
	for i := range r.Streams {
		s := &r.Streams[i]
		of := fmt.Sprintf("%d\t%s\t%s", s.Version, s.Role, orDash(oneLine(s.Segment)))
		for j := range s.Estimates {
			e := &s.Estimates[j]
			fmt.Fprintf(b, "%s%s\t%s\t%s\t%s\t%d\t%s\n", head, of, e.Name, metricText(e.Value),
				intervalText(&api.LabelMetric{Low: e.Low, High: e.High, Method: api.IntervalAsymptotic}), e.Rows, checkText(e.Check))
			head, of = "", "\t\t"
		}
	}
	printLossModel(b, r.LossModel)
	printShift(b, r)
	for i := range r.Streams {
		s := &r.Streams[i]
		if s.NoEstimates != "" && s.Segment == "" {
			fmt.Fprintf(b, "\nversion %d %s: nothing is estimated: %s\n", s.Version, s.Role, oneLine(s.NoEstimates))
		}
		if len(s.Estimates) > 0 && s.Estimates[0].Invalid > 0 && s.Segment == "" {
			fmt.Fprintf(b, "\nversion %d %s: the loss model gave no loss that can be for %d rows\n", s.Version, s.Role, s.Estimates[0].Invalid)
		}
		if len(s.Estimates) > 0 && s.Estimates[0].Outside >= 0.01 {
			fmt.Fprintf(b, "\nversion %d %s%s: %.0f%% of the rows have scores outside of those of the reference; estimates are guesses for them\n",
				s.Version, s.Role, ofSegment(s), 100*s.Estimates[0].Outside)
		}
	}
}

// printLossModel prints what the loss model does, if there is trouble.
func printLossModel(b *strings.Builder, l *api.LossModelStatus) {
	if l == nil {
		return
	}
	dropped := int64(0)
	for _, n := range l.Dropped {
		dropped += n
	}
	if l.State == api.StateReady && l.Errors+dropped == 0 {
		return
	}
	fmt.Fprintf(b, "\nloss model %s", oneLine(l.Model))
	if l.Version > 0 {
		fmt.Fprintf(b, " version %d", l.Version)
	}
	fmt.Fprintf(b, ": %s; of %d sampled requests it failed %d, and dropped %d more", l.State, l.Requests, l.Errors, dropped)
	if l.Reason != "" {
		fmt.Fprintf(b, "; %s", oneLine(l.Reason))
	}
	b.WriteString("\n")
}

// checkText is what labels said about an estimate, in four columns.
func checkText(c *api.EstimateCheck) string {
	if c == nil {
		return "-\t-\t-\t-"
	}
	holds := "few labels"
	if c.Holds != nil {
		holds = map[bool]string{true: "yes", false: "NO"}[*c.Holds]
	}
	return strings.Join([]string{strconv.FormatUint(c.Rows, 10), metricText(c.Estimate), metricText(c.Truth), holds}, "\t")
}

// printShift prints the expected shares of the true classes, if one of them has shifted.
func printShift(b *strings.Builder, r *api.LabelReport) {
	for i := range r.Streams {
		s := &r.Streams[i]
		if !slices.ContainsFunc(s.Shift, func(c api.ClassShare) bool { return c.Shifted }) {
			continue
		}
		fmt.Fprintf(b, "\nversion %d %s%s: the shares of the true classes have probably shifted\nCLASS\tREFERENCE\tESTIMATE\tINTERVAL\tSHIFTED\tLABELLED\tESTIMATED\tTRUTH\tHOLDS\n",
			s.Version, s.Role, ofSegment(s))
		for j := range s.Shift {
			c := &s.Shift[j]
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(c.Class), metricText(c.Reference), metricText(c.Value),
				intervalText(&api.LabelMetric{Low: &c.Low, High: &c.High, Method: api.IntervalAsymptotic}), map[bool]string{true: "YES", false: "no"}[c.Shifted], checkText(c.Check))
		}
	}
}

// ofSegment is the name of a stream's segment after a space, if it has one.
func ofSegment(s *api.LabelStream) string {
	if s.Segment == "" {
		return ""
	}
	return " " + oneLine(s.Segment)
}
