package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
)

// routeDelete is one call of gateway routes delete.
type routeDelete struct {
	conn   *connection
	out    *output
	dryRun bool
	author author
	retry  retry
}

func newRouteDelete(conn *connection, out *output, isTerminal func(stream any) bool) *cobra.Command {
	d := routeDelete{conn: conn, out: out, retry: retry{terminal: isTerminal, question: "Delete it all the same?"}}
	cmd := &cobra.Command{
		Use:   "delete ROUTE",
		Short: "Delete a route, so that the newest version of the model serves alone",
		Args:  oneRoute, ValidArgsFunction: conn.completeRoutes,
		RunE: func(cmd *cobra.Command, args []string) error { return d.run(cmd, args[0]) },
	}
	cmd.Flags().BoolVar(&d.dryRun, "dry-run", false, "show what would change, and change nothing")
	d.author.flags(cmd)
	d.retry.flags(cmd)
	return cmd
}

func (d *routeDelete) run(cmd *cobra.Command, name string) error {
	if err := d.out.check(); err != nil {
		return err
	}
	if err := d.author.check(cmd); err != nil {
		return err
	}
	cl, err := d.conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	d.retry.cmd, d.retry.conn, d.retry.client, d.retry.name = cmd, d.conn, cl, name
	base, err := d.retry.read()
	if err != nil {
		return err
	}
	return d.retry.do(base, base.Revision, func(ctx context.Context, base api.Route, seen int64) error {
		if base.Revision == 0 {
			return fmt.Errorf("route '%s' is not declared, so there is nothing to delete", name)
		}
		options := d.author.options(seen)
		options.DryRun = d.dryRun
		result, err := cl.DeleteRoute(ctx, name, options)
		if err != nil {
			return err
		}
		return d.out.print(cmd.OutOrStdout(), result, func(b *strings.Builder) { printDelete(b, &base, &result) })
	})
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
