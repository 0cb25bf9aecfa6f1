package main

import (
	"fmt"
	"strings"
	"time"
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
	printDifferences(b, &d.Comparison, "before", "now")
}
