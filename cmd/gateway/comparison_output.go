package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// printDifferences prints a comparison for people, with names for the two sides.
func printDifferences(b *strings.Builder, c *api.Comparison, reference, candidate string) {
	upper := strings.ToUpper
	if len(c.Outputs) > 0 {
		fmt.Fprintf(b, "\nOUTPUT\tCOMPARED\tMISSING\tRESHAPED\tEQUAL\tBEYOND\tMAX ABS\tMAX REL\tMEAN DIFF\tNAN %s\tNAN %s\tTOP-1\tSCORE %s\tSCORE %s\n",
			upper(reference), upper(candidate), upper(reference), upper(candidate))
	}
	for i := range c.Outputs {
		o := &c.Outputs[i]
		fmt.Fprintf(b, "%s\t%d\t%d\t%d\t%s\t%d\t%.3g\t%.3g\t%s\t%d\t%d\t%s\t%s\t%s\n", oneLine(o.Name), o.Compared, o.Missing, o.Reshaped, percent(float64(o.Equal)),
			o.Beyond, o.MaxAbsolute, o.MaxRelative, shortNumber(o.MeanDifference), o.NaNReference, o.NaNCandidate,
			percent(float64(o.Top1Agree)/float64(o.Top1Rows)), shortNumber(o.Top1Reference), shortNumber(o.Top1Candidate))
	}
	fmt.Fprintf(b, "\nLATENCY\tREQUESTS\tP50\tP99\n")
	latency(b, reference, c.Reference)
	latency(b, candidate, c.Candidate)
	printOtherClasses(b, c)
	if len(c.Worst) > 0 {
		fmt.Fprintf(b, "\nWORST ROWS\tOUTPUT\tROW\tELEMENT\t%s\t%s\n", upper(reference), upper(candidate))
	}
	for _, w := range c.Worst {
		fmt.Fprintf(b, "%s\t%s\t%d\t%d\t%s\t%s\n", oneLine(w.RequestID), oneLine(w.Output), w.Row, w.Element, oneLine(w.Reference), oneLine(w.Candidate))
		for _, name := range slices.Sorted(maps.Keys(w.Inputs)) {
			fmt.Fprintf(b, "  %s\t%s\n", oneLine(name), oneLine(w.Inputs[name]))
		}
	}
}

func printOtherClasses(b *strings.Builder, c *api.Comparison) {
	titled := false
	for i := range c.Outputs {
		for _, change := range c.Outputs[i].Changes {
			if !titled {
				fmt.Fprintln(b, "\nOTHER CLASS\tOUTPUT\tFROM\tTO")
				titled = true
			}
			fmt.Fprintf(b, "%d\t%s\t%s\t%s\n", change.Rows, oneLine(c.Outputs[i].Name), oneLine(change.From), oneLine(change.To))
		}
	}
}

// shortNumber is "-" for a number that is not known.
func shortNumber(n api.Number) string {
	if math.IsNaN(float64(n)) {
		return "-"
	}
	return fmt.Sprintf("%.3g", n)
}

// percent is "-" if there is no share.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*share)
}

func latency(b *strings.Builder, name string, l api.ComparedLatency) {
	if l.Count == 0 {
		fmt.Fprintf(b, "%s\t0\t-\t-\n", name)
		return
	}
	us := func(x float64) time.Duration { return time.Duration(x) * time.Microsecond }
	fmt.Fprintf(b, "%s\t%d\t%v\t%v\n", name, l.Count, us(l.P50), us(l.P99))
}
