package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

// watching has the flags for showing something again and again.
type watching struct {
	out      *output
	on       bool
	interval time.Duration
	settles  bool // what is shown changes once more after the last change
}

func (w *watching) flags(cmd *cobra.Command, usage string) {
	f := cmd.Flags()
	f.BoolVarP(&w.on, "watch", "w", false, usage)
	f.DurationVar(&w.interval, "interval", 2*time.Second, "with --watch, the min time between two looks")
}

func (w *watching) check() error {
	if w.interval <= 0 {
		return usageError{"--interval must be more than 0"}
	}
	return w.out.check()
}

// run calls show once or, with --watch, as soon as something has changed that a query selects, until the command is
// interrupted, which is its normal end.
func (w *watching) run(cmd *cobra.Command, cl *client.Client, q api.WatchQuery, show func(context.Context, io.Writer) error) error {
	if !w.on {
		return show(cmd.Context(), cmd.OutOrStdout())
	}
	d := display{watching: w, cmd: cmd, show: show}
	q.Every = min(max(w.interval, api.MinWatchEvery), api.MaxWatchEvery)
	changes, stop := follow(cmd.Context(), cl, q)
	defer stop()
	again := time.NewTimer(w.interval)
	defer again.Stop()
	for {
		select {
		case c := <-changes:
			switch {
			case cmd.Context().Err() != nil:
				return nil
			case tooOld(c.err):
				cmd.PrintErrf("the gateway is older and does not tell what changes; asking every %v\n", w.interval)
				return d.poll()
			case c.err != nil && (d.shown == 0 || !transient(c.err)):
				return c.err
			case c.err != nil:
				cmd.PrintErrln(errorText(c.err) + "; trying again")
				continue
			}
			again.Reset(w.interval)
		case <-again.C: // what is per second is 0 if nothing has changed since
			if !w.settles || d.shown == 0 {
				continue
			}
		case <-cmd.Context().Done():
			return nil
		}
		if err := d.next(); err != nil {
			return err
		}
	}
}

// display shows something again and again.
type display struct {
	*watching
	cmd   *cobra.Command
	show  func(context.Context, io.Writer) error
	shown int // how often
}

// next shows it. An error that may pass is printed, unless it is the first time.
func (d *display) next() error {
	var b strings.Builder
	err := d.show(d.cmd.Context(), &b)
	switch {
	case d.cmd.Context().Err() != nil:
		return nil //nolint:nilerr // the interruption is the cause, and the command's normal end
	case err != nil && (d.shown == 0 || !transient(err)):
		return err
	case err != nil:
		d.cmd.PrintErrln(errorText(err) + "; trying again")
		return nil
	}
	d.shown++
	return d.repaint(d.cmd.OutOrStdout(), b.String(), d.shown == 1)
}

// poll shows it every interval, for a gateway that does not tell what changes.
func (d *display) poll() error {
	tick := time.NewTicker(d.interval)
	defer tick.Stop()
	for {
		if err := d.next(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-d.cmd.Context().Done():
			return nil
		}
	}
}

// change is an update of a stream, or an error of it.
type change struct {
	client.Update
	err error
}

// follow watches in a goroutine, until stop.
func follow(ctx context.Context, cl *client.Client, q api.WatchQuery) (changes <-chan change, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	all, ended := make(chan change), make(chan struct{})
	go func() { // stop waits for it
		defer close(ended)
		for u, err := range cl.Watch(ctx, q) {
			select {
			case all <- change{u, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return all, func() {
		cancel()
		<-ended
	}
}

// tooOld reports whether a gateway does not have the stream.
func tooOld(err error) bool {
	answer, is := errors.AsType[*client.Error](err)
	return is && answer.Status == http.StatusNotFound
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
