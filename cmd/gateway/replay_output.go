package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"sluice.io/sluice/internal/offline"
)

// printReplayReport prints a report for people.
func printReplayReport(b *strings.Builder, d *replayDocument) {
	before := "the recorded answers"
	if d.Against != 0 {
		before = fmt.Sprintf("version %d", d.Against)
	}
	fmt.Fprintf(b, "%s version %d, compared with %s\n", oneLine(d.Model), d.Version, before)
	fmt.Fprintf(b, "%d requests in %s: %d errors, %d compared, %d differ by more than %g\n",
		d.Requests, time.Duration(d.Seconds*float64(time.Second)).Round(time.Millisecond), d.Errors, d.Compared, d.Differing, d.Tolerance)
	if d.BehindSeconds >= 1 {
		fmt.Fprintf(b, "the requests were up to %.1f s late: the version is slower than the pace, or --concurrency is too small\n", d.BehindSeconds)
	}
	if d.Read.Hidden > 0 {
		fmt.Fprintf(b, "%d requests were not sent: inputs of them were redacted or hashed\n", d.Read.Hidden)
	}
	for _, text := range d.Read.Damaged {
		fmt.Fprintf(b, "damaged: %s\n", oneLine(text))
	}
	for _, cause := range d.Causes {
		fmt.Fprintf(b, "error of %d requests, the first is %s: %s\n", cause.Requests, oneLine(cause.First), oneLine(cause.Error))
	}
	if len(d.Outputs) > 0 {
		fmt.Fprintln(b, "\nOUTPUT\tCOMPARED\tMISSING\tRESHAPED\tEQUAL\tBEYOND\tMAX ABS\tMAX REL\tNAN BEFORE\tNAN NOW\tTOP-1")
	}
	for i := range d.Outputs {
		o := &d.Outputs[i]
		fmt.Fprintf(b, "%s\t%d\t%d\t%d\t%s\t%d\t%.3g\t%.3g\t%d\t%d\t%s\n", oneLine(o.Name), o.Compared, o.Missing, o.Reshaped, percent(float64(o.Equal)),
			o.Beyond, o.MaxAbsolute, o.MaxRelative, o.NaNBefore, o.NaNNow, percent(float64(o.Top1Agree)/float64(o.Top1Rows)))
	}
	fmt.Fprintf(b, "\nLATENCY\tREQUESTS\tP50\tP99\n")
	latency(b, "before", d.Before)
	latency(b, "now", d.Now)
	if len(d.Worst) > 0 {
		fmt.Fprintln(b, "\nWORST ROWS\tOUTPUT\tROW\tELEMENT\tBEFORE\tNOW")
	}
	for _, w := range d.Worst {
		fmt.Fprintf(b, "%s\t%s\t%d\t%d\t%s\t%s\n", oneLine(w.RequestID), oneLine(w.Output), w.Row, w.Element, w.Before, w.Now)
	}
}

// percent is "-" if there is no share.
func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100*share)
}

func latency(b *strings.Builder, name string, l offline.ReplayLatency) {
	if l.Count == 0 {
		fmt.Fprintf(b, "%s\t0\t-\t-\n", name)
		return
	}
	us := func(x float64) time.Duration { return time.Duration(x) * time.Microsecond }
	fmt.Fprintf(b, "%s\t%d\t%v\t%v\n", name, l.Count, us(l.P50), us(l.P99))
}
