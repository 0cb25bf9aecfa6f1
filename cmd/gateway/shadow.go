package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newShadow() *cobra.Command {
	var (
		conn connection
		out  output
	)
	cmd := &cobra.Command{
		Use: "shadow", Aliases: []string{"shadows"}, Short: "Show how the answers of shadows differ from those that callers get",
		Args: onlyCommands, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(newShadowReport(&conn, &out))
	return cmd
}

func newShadowReport(conn *connection, out *output) *cobra.Command {
	var html bool
	cmd := &cobra.Command{
		Use:   "report ROUTE",
		Short: "Compare the answers of a route's shadows with those that callers got",
		Long: `Compare the answers of a route's shadows with those that callers got, by output: how
many elements are equal and how many differ by more than the tolerance of the model's shadow
settings, the largest and the mean difference, rows with the same best class, NaN values.

A row disagrees if its best class or label is another one, or a number is half a standard
deviation away.`,
		Args: oneRoute, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := func(ctx context.Context, cl *client.Client) (api.ShadowReport, error) {
				return cl.ShadowReport(ctx, args[0])
			}
			if !html {
				return show(cmd, conn, out, ask, func(b *strings.Builder, report api.ShadowReport) { printShadowReport(b, &report) })
			}
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			report, err := ask(ctx, cl)
			if err != nil {
				return err
			}
			return writeShadowPage(cmd.OutOrStdout(), &report)
		},
	}
	cmd.Flags().BoolVar(&html, "html", false, "write the report as a page that needs no other file")
	return cmd
}

func printShadowReport(b *strings.Builder, r *api.ShadowReport) {
	if len(r.Shadows) == 0 {
		fmt.Fprintf(b, "route %s has no shadow: add one with gateway routes set %s --shadow VERSION\n", oneLine(r.Route), oneLine(r.Route))
	}
	for i := range r.Shadows {
		s := &r.Shadows[i]
		if i > 0 {
			fmt.Fprintln(b)
		}
		if s.Against == 0 {
			fmt.Fprintf(b, "version %d of %s has answered no copy yet\n", s.Version, oneLine(r.Model))
			continue
		}
		fmt.Fprintf(b, "version %d of %s as a shadow, compared with version %d since %s\n", s.Version, oneLine(r.Model), s.Against, s.Since.Format(time.DateTime))
		fmt.Fprintf(b, "%d answers compared: %d differ by more than %g; %d copies failed\n", s.Compared, s.Differing, s.Tolerance, s.Failed)
		fmt.Fprintf(b, "disagreement: %s of the rows, %s to %s with 95%% confidence\n", percent(float64(s.Disagreement)), percent(float64(s.Low)), percent(float64(s.High)))
		printDifferences(b, &s.Comparison, "callers", "shadow")
	}
}
