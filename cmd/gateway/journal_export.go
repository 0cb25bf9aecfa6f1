package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
)

func newJournalExport(conn *connection) *cobra.Command {
	var (
		j    journalCommand
		file string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write events with their hashes, for another system or an archive",
		Long: `Write the events of the gateway's journal as JSON lines, the oldest first. Each line has an
event, its hash, and the hash of the event before it. gateway journal verify FILE checks them
without a gateway, also if events were left out by a filter.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if j.after < 0 {
				return usageError{"--after must be 0 or more"}
			}
			if err := j.times(time.Now()); err != nil {
				return err
			}
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			if file == "" {
				return cl.ExportJournal(ctx, j.after, j.filter, cmd.OutOrStdout())
			}
			_, err = exportFile(file, func(w io.Writer) (api.CaptureExport, error) {
				return api.CaptureExport{}, cl.ExportJournal(ctx, j.after, j.filter, w)
			})
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "the file to write (default: standard output)")
	f.Int64Var(&j.after, "after", 0, "only events after the one with this number")
	f.StringVar(&j.filter.Subject, "subject", "", "only events about this subject, for example routes/iris, or models/iris/ for all versions of a model")
	f.StringSliceVar(&j.filter.Types, "type", nil, "only events of these types, separated by commas (repeatable)")
	f.StringVar(&j.since, "since", "", "only events from this time on")
	f.StringVar(&j.until, "until", "", "only events up to this time")
	return cmd
}
