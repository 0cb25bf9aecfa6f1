package main

import (
	"fmt"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// printLosses prints a line for each loss of each stream of models, nothing if there are none.
func printLosses(b *strings.Builder, reports []api.LabelReport) {
	head := "\nMODEL\tVERSION\tROLE\tSTATE\tSINCE\tLABELS\tLOSS\tVALUE\tREFERENCE\tLIMIT\tEVIDENCE\tCOMPARED WITH\n"
	for i := range reports {
		r := &reports[i]
		for j := range r.Losses {
			s := &r.Losses[j]
			fmt.Fprint(b, head)
			head = ""
			line := fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%d", oneLine(r.Model), s.Version, s.Role, s.State, lossSince(s.Since), s.Labels)
			with := fmt.Sprintf("%s (%d)", orDash(oneLine(s.Reference)), s.ReferenceRows)
			for _, f := range s.Findings {
				fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%.2g\t%s\n", line, f.Loss, metricText(f.Value), metricText(f.Reference), metricText(f.Reference+f.Limit), f.Evidence, with)
				line, with = "\t\t\t\t\t", ""
			}
			if len(s.Findings) == 0 {
				fmt.Fprintf(b, "%s\t-\t-\t-\t-\t-\t%s\n", line, with)
			}
		}
	}
}

func lossSince(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
