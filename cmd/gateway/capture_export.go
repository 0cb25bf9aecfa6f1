package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// exportTimeout is the default of --timeout for an export, which may be of gigabytes.
const exportTimeout = 2 * time.Hour

func newCaptureExport(conn *connection) *cobra.Command {
	var (
		of     captureRange
		format string
		file   string
		joined bool
		by     author
	)
	cmd := &cobra.Command{
		Use:   "export MODEL",
		Short: "Write captured requests with their answers to a file or to standard output",
		Long: `Write captured requests of a model with their answers, a line or row for each row of a request.
The journal says who has exported what. Files of the bucket that cannot be read are left out and
named, and the command fails after it has written the others. Requests that are not in a file yet
are not exported.`,
		Example: `  gateway capture export churn --since 24h --format parquet --file churn.parquet`,
		Args:    oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := of.parse()
			if err != nil {
				return err
			}
			if !slices.Contains(api.CaptureFormats(), format) {
				return usageError{fmt.Sprintf("--format: expected %s, got %q", strings.Join(api.CaptureFormats(), ", "), format)}
			}
			if !cmd.Flags().Changed("timeout") {
				conn.timeout = exportTimeout
			}
			cl, ctx, done, err := conn.open(cmd)
			if err != nil {
				return err
			}
			defer done()
			return exportTo(cmd, file, func(w io.Writer) (api.CaptureExport, error) {
				return cl.ExportCapture(ctx, args[0], api.CaptureRead{CaptureRange: selected, Format: format, Labels: joined}, strings.TrimSpace(by.reason), w)
			})
		},
		ValidArgsFunction: conn.completeModels,
	}
	of.flags(cmd)
	by.flags(cmd)
	cmd.Flags().StringVar(&format, "format", api.CaptureJSONL, "jsonl, csv or parquet; or tar: the files of the bucket as they are")
	cmd.Flags().BoolVar(&joined, "labels", false, "add the label of each row, as far as labels were captured")
	cmd.Flags().StringVar(&file, "file", "", "the file to write (default: standard output)")
	return cmd
}

// exportTo writes an export to a file, which is there as a whole or not at all, or to the command's output.
func exportTo(cmd *cobra.Command, file string, export func(w io.Writer) (api.CaptureExport, error)) error {
	write := func() (api.CaptureExport, error) { return export(cmd.OutOrStdout()) }
	if file != "" {
		write = func() (api.CaptureExport, error) { return exportFile(file, export) }
	}
	done, err := write()
	if err != nil {
		return err
	}
	cmd.PrintErrf("%d rows of %d files\n", done.Rows, done.Files)
	if done.Skipped > 0 {
		more := ""
		if done.Skipped > len(done.SkippedFiles) {
			more = ", …"
		}
		return fmt.Errorf("%d files could not be read, and are left out: %s%s", done.Skipped, oneLine(strings.Join(done.SkippedFiles, ", ")), more)
	}
	return nil
}

func exportFile(file string, export func(w io.Writer) (api.CaptureExport, error)) (done api.CaptureExport, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return done, err
	}
	done, err = export(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return done, errors.Join(err, os.Remove(f.Name()))
	}
	return done, nil
}

func newCaptureDelete(conn *connection, out *output) *cobra.Command {
	var by author
	cmd := &cobra.Command{
		Use:   "delete MODEL REQUEST_ID",
		Short: "Remove a captured request from memory and from all files",
		Long: `Remove a captured request with its answer: from what waits in the memory of this gateway, and from
all files of the bucket, whichever gateway wrote them. REQUEST_ID is the X-Request-Id, as in the
column request_id. Its captured labels are removed too. Copies that were exported are not removed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if want := 2; len(args) != want || args[1] == "" {
				return usageError{"expected a model and the id of a request: " + cmd.CommandPath() + " MODEL REQUEST_ID"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := by.check(cmd); err != nil {
				return err
			}
			skipped := 0
			err := show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.CaptureDeletion, error) {
				done, err := cl.DeleteCaptured(ctx, args[0], args[1], strings.TrimSpace(by.reason))
				skipped = done.Skipped
				return done, err
			}, printCaptureDeletion)
			if err == nil && skipped > 0 {
				err = fmt.Errorf("%d files could not be read, and may have the request; the gateway's log names them", skipped)
			}
			return err
		},
		ValidArgsFunction: conn.completeModels,
	}
	by.flags(cmd)
	return cmd
}

func printCaptureDeletion(b *strings.Builder, d api.CaptureDeletion) {
	fmt.Fprintf(b, "%d rows and %d labels removed, %d files changed\n", d.Rows, d.Labels, d.Files)
}
