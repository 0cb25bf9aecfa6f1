package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newRouteUndo(conn *connection, out *output, isTerminal func(stream any) bool) *cobra.Command {
	e := newRouteEditor(conn, out, isTerminal)
	var revision int64
	cmd := &cobra.Command{
		Use:   "undo ROUTE",
		Short: "Restore the state of a route before its last change, or at a revision",
		Long: `Restore the state of a route before its last change, or at a revision, from the
journal. This is a change like any other: it makes a new revision, and you can undo it. If
the route was not declared at that time, the command deletes it.`,
		Example: `  gateway routes undo iris
  gateway routes undo iris --to-revision 3 --reason "the canary fails"`,
		Args: oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.out.check(); err != nil {
				return err
			}
			if cmd.Flags().Changed("to-revision") && revision < 1 {
				return usageError{"--to-revision must be 1 or more; gateway routes history ROUTE lists the revisions"}
			}
			return undoRoute(cmd, &e, args[0], revision)
		},
	}
	cmd.Flags().Int64Var(&revision, "to-revision", api.LastChange, "the revision to restore (default: the one before the last change)")
	cmd.Flags().Lookup("to-revision").DefValue = ""
	e.flagsOf(cmd)
	return cmd
}

func undoRoute(cmd *cobra.Command, e *routeEditor, name string, revision int64) error {
	cl, err := e.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	past, err := pastRoute(cmd.Context(), cl, e.conn, name, revision)
	if err != nil {
		return fmt.Errorf("route '%s': %w", name, err)
	}
	if e.author.reason == "" { // the default reason
		e.author.reason = "undo of the last change"
		if revision != api.LastChange {
			e.author.reason = fmt.Sprintf("undo to revision %d", revision)
		}
	}
	if err := e.author.check(cmd); err != nil {
		return err
	}
	return e.edit(cmd, cl, name, nil, func(base api.Route) (*api.Route, error) {
		if past == nil {
			return nil, nil //nolint:nilnil // nil deletes the route
		}
		next := base.RestoreTo(*past)
		return &next, nil
	})
}

// pastRoute reads an earlier state of a route from the journal.
func pastRoute(ctx context.Context, cl *client.Client, conn *connection, name string, revision int64) (*api.Route, error) {
	ctx, cancel := context.WithTimeout(ctx, conn.timeout)
	defer cancel()
	var list []api.Event
	_, err := eachEvent(ctx, cl, 0, 0, client.EventFilter{Subject: routeSubject(name)}, func(events []api.Event) error {
		list = append(list, events...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return api.PastRoute(list, revision)
}
