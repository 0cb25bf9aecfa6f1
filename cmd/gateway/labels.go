package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newLabels() *cobra.Command {
	var (
		conn connection
		out  output
	)
	cmd := &cobra.Command{
		Use:   "labels",
		Short: "Say what was true of predictions, and show how good they were",
		Args:  onlyCommands,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	const long = 10 * time.Minute // a file may have many labels
	conn.flags(cmd, long)
	out.flags(cmd)
	cmd.AddCommand(newLabelsReport(&conn, &out), newLabelsImport(&conn, &out))
	return cmd
}

func newLabelsReport(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use:   "report MODEL",
		Short: "Show how good a model's predictions were, by version and role",
		Long: `Show how good a model's predictions were, by version, role and segment.

Each value has an interval that covers the true one with 95 % confidence, however often you
look. An interval marked with ~ needs many rows to be right.`,
		Args:              oneModel,
		ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := func(ctx context.Context, cl *client.Client) (api.LabelReport, error) {
				return cl.LabelReport(ctx, args[0])
			}
			return show(cmd, conn, out, ask, func(b *strings.Builder, report api.LabelReport) { printLabelReport(b, &report, out.wide()) })
		},
	}
}

func newLabelsImport(conn *connection, out *output) *cobra.Command {
	var model string
	cmd := &cobra.Command{
		Use:   "import FILE --model MODEL",
		Short: "Send labels from a file",
		Long: `Send labels from a file: CSV with the columns request_id, label, row and time and their
names in the first line, or JSON with {"labels": [...]}, or one JSON object a line, or Parquet
with these columns. - is standard input, which cannot be Parquet.

The file is sent in parts. If that fails, run the command again: labels that were taken are
then duplicates.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if model == "" {
				return usageError{"name the model that made the predictions: --model MODEL"}
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				file, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer file.Close() //nolint:errcheck // only read
				in = file
			}
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			result := api.LabelResult{Model: model}
			err = readLabelsFile(in, func(mediaType string, body []byte) error {
				part, err := cl.LabelsFrom(ctx, model, mediaType, body)
				addLabels(&result, &part)
				return err
			})
			if err != nil {
				return fmt.Errorf("%w (%d labels were sent before)", err, result.Rows)
			}
			return out.print(cmd.OutOrStdout(), &result, func(b *strings.Builder) { printLabelResult(b, &result) })
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "the model or route that made the predictions")
	return cmd
}
