package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
)

func newJournalVerify(conn *connection, out *output) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read the whole journal, and say whether it is what was written",
		Long: `Have the gateway read its whole journal: each file of archived events against its
hash, and the chain of hashes from the first event to the last.

With --data-dir the journal in a folder is read, that of a backup for example or
of a gateway that does not run.

The hash of the last event is printed. It stands for all events up to there: a copy
of it that is kept elsewhere shows whether a journal was written anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			report, err := verifyJournal(cmd, conn, dir)
			if err != nil {
				return err
			}
			err = out.print(cmd.OutOrStdout(), report, func(b *strings.Builder) {
				fmt.Fprintf(b, "%d events, %d archived segments, last hash %s\n", report.Events, report.Segments, report.Hash)
				if report.Unnamed > 0 {
					fmt.Fprintf(b, "%d files of segments that the journal does not use, left by a crash or a restore\n", report.Unnamed)
				}
			})
			if report.Problem != "" {
				err = errors.Join(err, errors.New(report.Problem))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "the folder of a journal that no gateway has open")
	return cmd
}

func verifyJournal(cmd *cobra.Command, conn *connection, dir string) (api.JournalReport, error) {
	if dir != "" {
		return app.VerifyJournal(cmd.Context(), dir)
	}
	cl, err := conn.client()
	if err != nil {
		return api.JournalReport{}, err
	}
	defer cl.Close()
	return cl.VerifyJournal(cmd.Context())
}
