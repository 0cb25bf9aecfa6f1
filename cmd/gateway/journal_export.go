package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
)

func newJournalExport(conn *connection) *cobra.Command {
	var (
		j    journalCommand
		file string
		dir  string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write events with their hashes, for another system or an archive",
		Long: `Write the events of the gateway's journal as JSON lines, the oldest first. Each line has an
event, its hash, and the hash of the event before it. gateway journal verify FILE checks them
without a gateway, also if events were left out by a filter.

With --data-dir the command reads the journal in a folder itself, for example a backup or the
journal of a gateway that does not run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if j.after < 0 {
				return usageError{"--after must be 0 or more"}
			}
			if err := j.times(time.Now()); err != nil {
				return err
			}
			write, done, err := j.exporter(cmd, conn, dir)
			if err != nil {
				return err
			}
			defer done()
			if file == "" {
				return write(cmd.OutOrStdout())
			}
			_, err = exportFile(file, func(w io.Writer) (api.CaptureExport, error) { return api.CaptureExport{}, write(w) })
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "the file to write (default: standard output)")
	f.StringVar(&dir, "data-dir", "", "the folder of a journal that is not open in a gateway")
	f.Int64Var(&j.after, "after", 0, "only events after the one with this number")
	f.StringVar(&j.filter.Subject, "subject", "", "only events about this subject, for example routes/iris, or models/iris/ for all versions of a model")
	f.StringSliceVar(&j.filter.Types, "type", nil, "only events of these types, separated by commas (repeatable)")
	f.StringVar(&j.since, "since", "", "only events from this time on")
	f.StringVar(&j.until, "until", "", "only events up to this time")
	return cmd
}

// exporter returns what writes the selected events: of a gateway, or of the journal in a folder.
func (j *journalCommand) exporter(cmd *cobra.Command, conn *connection, dir string) (write func(io.Writer) error, done func(), err error) {
	if dir != "" {
		of := app.ExportedEvents{After: j.after, Subject: j.filter.Subject, Types: j.filter.Types, Since: j.filter.Since, Until: j.filter.Until}
		return func(w io.Writer) error { return app.ExportJournal(dir, of, w) }, func() {}, nil
	}
	cl, ctx, done, err := conn.open(cmd)
	return func(w io.Writer) error { return cl.ExportJournal(ctx, j.after, j.filter, w) }, done, err
}
