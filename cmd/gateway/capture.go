package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newCapture() *cobra.Command {
	var (
		conn connection
		out  output
	)
	list := newCaptureList(&conn, &out)
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "List, export or delete captured traffic",
		Args:  onlyCommands,
		RunE:  list.RunE,
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(list, newCaptureExport(&conn), newCaptureDelete(&conn, &out))
	return cmd
}

func newCaptureList(conn *connection, out *output) *cobra.Command {
	var of captureRange
	cmd := &cobra.Command{
		Use:   "list [MODEL]",
		Short: "List what is captured of each model, or the files of a model",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Captured, error) { return cl.Captured(ctx) }, printCaptured)
			}
			selected, err := of.parse()
			if err != nil {
				return err
			}
			ask := func(ctx context.Context, cl *client.Client) ([]api.CaptureFile, error) {
				return cl.CaptureFiles(ctx, args[0], selected)
			}
			return show(cmd, conn, out, ask, printCaptureFiles)
		},
		ValidArgsFunction: conn.completeModels,
	}
	of.flags(cmd)
	return cmd
}

// captureRange has the flags that select captured requests.
type captureRange struct {
	since, until string
	version      int64
}

func (c *captureRange) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.since, "since", "", "only what arrived at or after this time, RFC 3339, or as long ago as this: 24h")
	cmd.Flags().StringVar(&c.until, "until", "", "only what arrived before this time")
	cmd.Flags().Int64Var(&c.version, "version", 0, "only what this version answered")
}

func (c *captureRange) parse() (of api.CaptureRange, err error) {
	if of.Since, err = parseTime("--since", c.since); err != nil {
		return of, err
	}
	of.Version = c.version
	of.Until, err = parseTime("--until", c.until)
	return of, err
}

// parseTime parses a time, or how long ago it was.
func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError{fmt.Sprintf("%s: expected a time such as 2026-11-30T08:00:00Z or a duration such as 24h, got %q", flag, text)}
	}
	return at, nil
}

// printCaptured prints a line for each model.
func printCaptured(b *strings.Builder, list []api.Captured) {
	fmt.Fprintln(b, "MODEL\tSAMPLE\tFILES\tROWS\tLABELS\tBYTES\tFIRST\tLAST\tCAPTURED\tDROPPED\tWAITING\tPROBLEM")
	for i := range list {
		c := &list[i]
		dropped := uint64(0)
		for _, n := range c.Dropped {
			dropped += n
		}
		fmt.Fprintf(b, "%s\t%g%%\t%d\t%d\t%d\t%d\t%s\t%s\t%d\t%d\t%d\t%s\n", oneLine(c.Model), float64(c.Sample)/100, c.Files, c.Rows, c.Labels, c.Bytes,
			timeOrDash(c.First), timeOrDash(c.Last), c.Captured, dropped, c.Waiting, orDash(oneLine(c.Problem)))
	}
}

// printCaptureFiles prints a line for each file.
func printCaptureFiles(b *strings.Builder, list []api.CaptureFile) {
	fmt.Fprintln(b, "KIND\tVERSION\tROWS\tBYTES\tFIRST\tLAST\tPATH")
	for i := range list {
		f := &list[i]
		version := "-"
		if f.Version != 0 {
			version = strconv.FormatInt(f.Version, 10)
		}
		fmt.Fprintf(b, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", f.Kind, version, f.Rows, f.Bytes, timeOrDash(f.First), timeOrDash(f.Last), oneLine(f.Path))
	}
}

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
