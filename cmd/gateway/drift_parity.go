package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/offline"
)

// driftParity is a call of gateway drift parity.
type driftParity struct {
	out   output
	tool  string
	table offline.TableOptions
}

func newDriftParity() *cobra.Command {
	var p driftParity
	tools := strings.Join(offline.ParityTools(), " or ")
	cmd := &cobra.Command{
		Use:   "parity REFERENCE CURRENT",
		Short: "Show the drift statistics of another tool for two CSV files, beside this gateway's verdict",
		Long: `Show the drift statistics of another tool for the columns that two CSV files have in common:
PSI, Jensen-Shannon, Kolmogorov-Smirnov and Wasserstein, exactly as Evidently or NannyML
compute them. THEY SAY is what the tool concludes with its default limits. VERDICT, P and
CHANGE are those of gateway profile compare.

The gateway decides nothing by these numbers. A fixed limit on a distance raises false alarms
in small samples and hides changes in large ones.

Evidently 0.7.23: a PSI, a Jensen-Shannon or a Wasserstein distance (in standard deviations)
of 0.1 or more, or a p-value of the Kolmogorov-Smirnov test (ks) of 0.05 or less, is drift.
NannyML 0.13.1 has no fixed limits: it compares a distance with three standard deviations over
the chunks of the reference. Its Wasserstein distance is in units of the column.`,
		Example: `  gateway drift parity train.csv may.csv --as evidently`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{"expected two tables: " + cmd.CommandPath() + " REFERENCE CURRENT"}
			}
			return p.run(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&p.tool, "as", offline.ParityTools()[0], "the tool whose statistics are computed: "+tools)
	tableFlags(f, &p.table)
	p.out.flags(cmd)
	return cmd
}

func (p *driftParity) run(cmd *cobra.Command, args []string) error {
	if !slices.Contains(offline.ParityTools(), p.tool) {
		return usageError{fmt.Sprintf("--as %s: expected %s", p.tool, strings.Join(offline.ParityTools(), " or "))}
	}
	if err := p.out.check(); err != nil {
		return err
	}
	if err := checkTable(&p.table); err != nil {
		return err
	}
	reference, err := openTable(cmd, args[0], &p.table)
	if err != nil {
		return err
	}
	defer reference.close()
	current, err := openTable(cmd, args[1], &p.table)
	if err != nil {
		return err
	}
	defer current.close()
	columns, err := offline.CompareTables(cmd.Context(), reference.in, current.in, p.tool, &p.table, compareDefaults())
	current.bar.clear()
	if err != nil {
		return err
	}
	return p.out.print(cmd.OutOrStdout(), columns, func(b *strings.Builder) { p.print(b, columns) })
}

func (p *driftParity) print(b *strings.Builder, columns []offline.ColumnParity) {
	b.WriteString("COLUMN\tVERDICT\tP\tCHANGE\tSTATISTIC\t" + strings.ToUpper(p.tool) + "\tLIMIT\tTHEY SAY\n")
	for i := range columns {
		c := &columns[i]
		ours := fmt.Sprintf("%s\t%s\t%s\t%s", oneLine(c.Column), c.Verdict, pText(c.P), orDash(oneLine(c.Change)))
		for k, r := range c.Results {
			if k > 0 {
				ours = "\t\t\t"
			}
			limit, say := "-", "-"
			if r.Limit != nil {
				if limit, say = threeDigits(*r.Limit), "same"; r.Drift {
					say = "drift"
				}
			}
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\n", ours, r.Statistic, threeDigits(r.Value), limit, say)
		}
		if len(c.Results) == 0 {
			fmt.Fprintf(b, "%s\t-\t-\t-\tno values\n", ours)
		}
	}
}
