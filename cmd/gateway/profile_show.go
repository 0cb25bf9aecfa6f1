package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/offline"
)

func newProfileShow() *cobra.Command {
	var (
		out  output
		html bool
	)
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print a profile: its origin, its features, and what it knows of labels",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{"expected one profile: " + cmd.CommandPath() + " FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			p, err := readProfile(args[0])
			if err != nil {
				return err
			}
			digest, err := p.Digest()
			if err != nil {
				return err
			}
			labelled, err := offline.LabelledRowsOf(p)
			if err != nil {
				return err
			}
			if html {
				return writeProfilePage(cmd.OutOrStdout(), profilePage{Profile: p, Digest: digest, Labelled: labelled})
			}
			return out.print(cmd.OutOrStdout(), p, func(b *strings.Builder) {
				printProfile(b, p, digest)
				printLabelled(b, labelled)
			})
		},
	}
	out.flags(cmd)
	cmd.Flags().BoolVar(&html, "html", false, "write a page with the distributions that needs no other file")
	return cmd
}

func printProfile(b *strings.Builder, p *offline.Profile, digest string) {
	model := orDash(p.Model)
	if p.Version > 0 {
		model += "/" + strconv.FormatInt(p.Version, 10)
	}
	if p.OutputsOf > 0 && p.Version == 0 {
		model += fmt.Sprintf(" (outputs of version %d)", p.OutputsOf)
	}
	fmt.Fprintf(b, "Model:\t%s\nSource:\t%s\nCreated:\t%s\nRows:\t%d (%d sampled)\nDigest:\t%s\n",
		oneLine(model), orDash(oneLine(p.Source)), timeText(&p.Created), p.Rows, p.Sampled, digest)
	if least, most := offline.RowsByHour(p); p.Week != nil {
		fmt.Fprintf(b, "Hours:\t%d to %d rows in each hour of the week (%s)\n", least, most, oneLine(p.Week.Zone))
	}
	fmt.Fprintln(b)
	fmt.Fprintln(b, "FEATURE\tKIND\tPLACE\tBINS\tMIN\tMAX\tMEAN\tSD\tMISSING\tINF\tTEXTS")
	for i := range p.Features {
		f := &p.Features[i]
		numbers := []string{numberText(f.Min), numberText(f.Max), numberText(f.Mean), numberText(math.Sqrt(f.Variance))}
		if f.Reference.Finite() == 0 || f.IsCategory() {
			numbers = []string{"-", "-", "-", "-"}
		}
		fmt.Fprintf(b, "%s\t%s\t%s[%d]\t%d\t%s\t%s\t%s\t%s\n", oneLine(f.Name), f.Kind, oneLine(f.Tensor), f.Element,
			len(f.Reference.Bins), strings.Join(numbers, "\t"), rowShare(f.Read.Absent(), p.Rows), rowShare(f.Read.PosInf+f.Read.NegInf, p.Rows),
			orDash(oneLine(f.Summary())))
	}
	if segments := offline.SegmentsOf(p); segments != "" {
		fmt.Fprintf(b, "\n%s\n", oneLine(segments))
	}
}

// printLabelled prints the classes of the rows with labels, if there are some.
func printLabelled(b *strings.Builder, l *offline.LabelledRows) {
	if l == nil {
		return
	}
	fmt.Fprintf(b, "\n%d rows have a label; output %s is right for %s of them\n", l.Rows, oneLine(l.Output), rowShare(uint64(l.Right), l.Rows)) //nolint:gosec // not negative
	fmt.Fprintln(b, "CLASS\tROWS\tPREDICTED\tRIGHT")
	for _, c := range l.Classes {
		fmt.Fprintf(b, "%s\t%d\t%d\t%d\n", oneLine(c.Name), c.Rows, c.Predicted, c.Right)
	}
}

func numberText(x float64) string { return strconv.FormatFloat(x, 'g', 5, 64) }

// rowShare is a share of the rows. A share that is not 0 is never shown as 0.
func rowShare(n uint64, rows int64) string {
	if n == 0 {
		return "-"
	}
	return numberText(100*float64(n)/float64(rows)) + " %"
}
