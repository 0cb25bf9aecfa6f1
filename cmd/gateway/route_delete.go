package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
)

func newRouteDelete(conn *connection, out *output, isTerminal func(stream any) bool) *cobra.Command {
	e := newRouteEditor(conn, out, isTerminal)
	e.retry.question = "Delete it anyway?"
	cmd := &cobra.Command{
		Use:   "delete ROUTE",
		Short: "Delete a route; the newest version of the model then gets all requests",
		Long: `Delete a route. The newest version of the model then gets all requests. On a
terminal the command asks first, unless --yes is given. gateway routes undo restores the
route.`,
		Args: oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.out.check(); err != nil {
				return err
			}
			if err := e.author.check(cmd); err != nil {
				return err
			}
			cl, err := e.conn.client()
			if err != nil {
				return err
			}
			defer cl.Close()
			return e.edit(cmd, cl, args[0], nil, toNothing)
		},
	}
	e.flagsOf(cmd)
	return cmd
}

func printDelete(b *strings.Builder, before *api.Route, result *api.RouteResult) {
	deleted, moved := "deleted", "moved"
	if result.DryRun {
		moved = "would move"
		deleted = "would be deleted; this was a dry run, and nothing has changed"
	}
	fmt.Fprintf(b, "Route %s, revision %d, %s\n", oneLine(before.Name), before.Revision, deleted)
	if len(result.Variants) > 0 {
		fmt.Fprintf(b, "Without it: %s; %d of %d slots %s\n", splitText(result.Variants), result.SlotsMoved, api.TotalWeight, moved)
	}
}
