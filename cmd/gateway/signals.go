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

func newSignals() *cobra.Command {
	var (
		conn connection
		out  output
	)
	list := newSignalsList(&conn, &out)
	cmd := &cobra.Command{
		Use:   "signals",
		Short: "Show and handle signals: requests for retraining and reports of bad data",
		Args:  onlyCommands,
		RunE:  list.RunE,
	}
	conn.flags(cmd, time.Minute)
	out.flags(cmd)
	cmd.AddCommand(list, newSignalsShow(&conn, &out), newSignalsRetry(&conn, &out), newSignalsClose(&conn, &out))
	return cmd
}

func newSignalsList(conn *connection, out *output) *cobra.Command {
	var filter client.SignalFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List signals, the newest first",
		Long: `List signals (requests for retraining and reports of bad data), the newest first.

Ids are cut to the shortest unambiguous length; -o wide shows them in full. Commands take
the beginning of an id.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch filter.State {
			case "", api.SignalOpen, api.SignalDelivered, api.SignalClosed:
			default:
				return usageError{fmt.Sprintf("--state %s: expected open, delivered or closed", filter.State)}
			}
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.Signal, error) { return cl.Signals(ctx, filter) },
				func(b *strings.Builder, list []api.Signal) { printSignals(b, list, out.wide()) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.Model, "model", "", "only signals of this model")
	f.StringVar(&filter.State, "state", "", "only signals in this state: open, delivered or closed")
	return cmd
}

// shortID is the min length of an id in a table.
const shortID = 8

// shortIDs returns the length at which the ids of signals differ.
func shortIDs(list []api.Signal) int {
	for n := shortID; ; n++ {
		seen := make(map[string]bool, len(list))
		for i := range list {
			seen[list[i].ID[:min(n, len(list[i].ID))]] = true
		}
		if len(seen) == len(list) || n > 64 {
			return n
		}
	}
}

// wholeID returns the id that starts with text. If there is none it returns text, for the gateway
// to refuse.
func wholeID(ctx context.Context, cl *client.Client, text string) (string, error) {
	list, err := cl.Signals(ctx, client.SignalFilter{})
	if err != nil {
		return "", err
	}
	var found []string
	for i := range list {
		switch id := list[i].ID; {
		case id == text:
			return id, nil
		case strings.HasPrefix(id, text):
			found = append(found, id)
		}
	}
	switch len(found) {
	case 0:
		return text, nil
	case 1:
		return found[0], nil
	default:
		return "", usageError{fmt.Sprintf("'%s' is ambiguous: %d ids start with it; give more letters", text, len(found))}
	}
}

func newSignalsShow(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show the details of a signal",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(""),
		RunE: signalRun(conn, out, func(ctx context.Context, cl *client.Client, id string) (api.Signal, error) {
			return cl.Signal(ctx, id)
		}, printSignal),
	}
}

func newSignalsRetry(conn *connection, out *output) *cobra.Command {
	return &cobra.Command{
		Use: "retry ID", Short: "Deliver an open signal now, before its next attempt is due",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(api.SignalOpen),
		RunE: signalRun(conn, out, func(ctx context.Context, cl *client.Client, id string) (api.Signal, error) {
			return cl.RetrySignal(ctx, id)
		}, func(b *strings.Builder, r *api.Signal) {
			fmt.Fprintf(b, "Signal %s of %s will be delivered now; attempts so far: %d\n", oneLine(r.ID), oneLine(r.Model), r.Attempts)
		}),
	}
}

func newSignalsClose(conn *connection, out *output) *cobra.Command {
	var a author
	cmd := &cobra.Command{
		Use: "close ID", Short: "Close a signal that has been handled; it is not delivered any more",
		Args: oneSignal, ValidArgsFunction: conn.completeSignals(api.SignalOpen),
	}
	a.flags(cmd)
	run := signalRun(conn, out, func(ctx context.Context, cl *client.Client, id string) (api.Signal, error) {
		return cl.CloseSignal(ctx, id, strings.TrimSpace(a.reason))
	}, func(b *strings.Builder, r *api.Signal) {
		fmt.Fprintf(b, "Signal %s of %s is closed\n", oneLine(r.ID), oneLine(r.Model))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.check(cmd); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

// oneSignal checks that exactly one argument names a signal.
func oneSignal(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{"expected one signal: " + cmd.CommandPath() + " ID, as gateway signals list prints it"}
	}
	return nil
}

// signalRun makes the RunE of a command from a call about one signal and a function that prints it
// for people.
func signalRun(
	conn *connection, out *output,
	call func(ctx context.Context, cl *client.Client, id string) (api.Signal, error),
	text func(b *strings.Builder, r *api.Signal),
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (r api.Signal, err error) {
			id, err := wholeID(ctx, cl, args[0])
			if err != nil {
				return r, err
			}
			return call(ctx, cl, id)
		}, func(b *strings.Builder, r api.Signal) { text(b, &r) })
	}
}

// completeSignals completes the ids of signals in a state, or in any if it is empty, with a
// description.
func (c *connection) completeSignals(state string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return c.complete(cmd, args, func(ctx context.Context, cl *client.Client) ([]string, error) {
			list, err := cl.Signals(ctx, client.SignalFilter{State: state})
			ids := make([]string, len(list))
			for i := range list {
				r := &list[i]
				ids[i] = fmt.Sprintf("%s\t%s/%d, %s, %s", r.ID, oneLine(r.Model), r.Version, signalText(r.Type), r.State)
			}
			return ids, err
		})
	}
}
