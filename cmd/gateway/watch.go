package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// watching has the flags for showing something again and again.
type watching struct {
	out      *output
	on       bool
	interval time.Duration
}

func (w *watching) flags(cmd *cobra.Command, usage string) {
	f := cmd.Flags()
	f.BoolVarP(&w.on, "watch", "w", false, usage)
	f.DurationVar(&w.interval, "interval", 2*time.Second, "with --watch, the time between two requests")
}

func (w *watching) check() error {
	if w.interval <= 0 {
		return usageError{"--interval must be more than 0"}
	}
	return w.out.check()
}

// run calls show once or, with --watch, until the command is interrupted, which is its normal end.
func (w *watching) run(cmd *cobra.Command, show func(context.Context, io.Writer) error) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	if !w.on {
		return show(ctx, out)
	}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for first := true; ; first = false {
		var b strings.Builder
		switch err := show(ctx, &b); {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !transient(err)):
			return err
		case err != nil:
			cmd.PrintErrln(errorText(err) + "; trying again")
		default:
			if err := w.repaint(out, b.String(), first); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// repaint writes a block over the last one on a terminal, and below it elsewhere.
func (w *watching) repaint(out io.Writer, block string, first bool) error {
	const clearScreen = "\x1b[2J\x1b[H"
	switch {
	case !w.out.people():
	case terminal(out):
		block = clearScreen + block
	case !first:
		block = "\n" + block
	}
	_, err := io.WriteString(out, block)
	return err
}
