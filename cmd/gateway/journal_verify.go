package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/app"
)

func newJournalVerify(conn *connection, out *output) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check that the whole journal is intact",
		Long: `Check that the whole journal is intact. The gateway reads each file of archived
events and compares it with its hash, and checks the chain of hashes from the first event to
the last.

With --data-dir the command reads the journal in a folder itself, for example a backup or
the journal of a gateway that does not run. With FILE it checks an export of gateway journal
export; - is standard input.

The command prints the hash of the last event, which covers all events up to there. If you
keep a copy of it elsewhere, you can find out whether a journal was rewritten.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && dir != "" {
				return usageError{"give one file, or --data-dir, or neither: " + cmd.CommandPath() + " [FILE]"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			report, err := verifyJournal(cmd, conn, dir, args)
			if err != nil {
				return err
			}
			err = out.print(cmd.OutOrStdout(), report, func(b *strings.Builder) {
				fmt.Fprintf(b, "%d events, %d archived segments, last hash %s\n", report.Events, report.Segments, report.Hash)
				if report.Gaps > 0 {
					fmt.Fprintf(b, "events are left out at %d places, so what was there cannot be checked\n", report.Gaps)
				}
				if report.Unnamed > 0 {
					fmt.Fprintf(b, "%d segment files are not part of the journal; a crash or a restore left them\n", report.Unnamed)
				}
			})
			if report.Problem != "" {
				err = errors.Join(err, errors.New(report.Problem))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "the folder of a journal that is not open in a gateway")
	return cmd
}

func verifyJournal(cmd *cobra.Command, conn *connection, dir string, files []string) (api.JournalReport, error) {
	if len(files) == 1 {
		return verifyExport(files[0], cmd.InOrStdin())
	}
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

// verifyExport checks an exported journal.
func verifyExport(name string, in io.Reader) (api.JournalReport, error) {
	if name == "-" {
		return app.VerifyExport(in)
	}
	f, err := os.Open(name) //nolint:gosec // the user has named it
	if err != nil {
		return api.JournalReport{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	return app.VerifyExport(f)
}
