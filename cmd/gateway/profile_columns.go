package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"sluice.io/sluice/internal/offline"
)

// printUses prints the use of each column of a file, and which outputs are computed.
func printUses(w io.Writer, uses []offline.ColumnUse) {
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(aligned, "COLUMN\tKIND\tPLACE\tHOW") // failing to show the table does not matter
	for i := range uses {
		u := &uses[i]
		kind, place := "-", "-"
		if f := u.Feature; f != nil {
			kind, place = f.Kind, fmt.Sprintf("%s[%d]", oneLine(f.Tensor), f.Element)
		}
		_, _ = fmt.Fprintf(aligned, "%s\t%s\t%s\t%s\n", orDash(oneLine(u.Column)), kind, place, oneLine(u.How))
	}
	_ = aligned.Flush()
}
