package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
)

func newModels() *cobra.Command {
	var (
		conn connection
		out  output
	)
	listed := modelsRun(&conn, &out, printVersions, func(ctx context.Context, c *client.Client, _ string) ([]api.ModelStatus, error) {
		return c.Models(ctx)
	})
	listed = warnsOfRepository(listed, &conn)
	cmd := &cobra.Command{
		Use:   "models",
		Short: "List, describe, load and unload the models of a running gateway",
		Args:  onlyCommands,
		RunE:  listed,
	}
	// A load takes as long as its model is large.
	conn.flags(cmd, 10*time.Minute)
	out.flags(cmd)
	list := &cobra.Command{Use: "list", Short: "List every version of every model", Args: cobra.NoArgs, RunE: listed}
	describe := &cobra.Command{
		Use: "describe MODEL", Short: "Show all that is known about a model", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printDetails, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Model(ctx, name)
		}),
	}
	load := &cobra.Command{
		Use: "load MODEL", Short: "Load a model, or its newer files (explicit model control)", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printVersions, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Load(ctx, name)
		}),
	}
	unload := &cobra.Command{
		Use: "unload MODEL", Short: "Take a model out of service (explicit model control)", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printVersions, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Unload(ctx, name)
		}),
	}
	cmd.AddCommand(list, describe, load, unload, newModelsDigest())
	return cmd
}

// modelsRun makes a command's run of a call that answers with versions and of
// how to print them for people. The call gets the first argument, if any.
func modelsRun(
	conn *connection, out *output, text printer,
	call func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error),
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		c, ctx, done, err := conn.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		versions, err := call(ctx, c, name)
		if err != nil {
			return err
		}
		return out.print(cmd.OutOrStdout(), versions, func(b *strings.Builder) { text(b, versions, out.wide()) })
	}
}

// warnsOfRepository makes a run of a command say, after what it prints, what lies in the
// repository and is not served. A gateway that does not tell has no warnings.
func warnsOfRepository(run func(*cobra.Command, []string) error, conn *connection) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := run(cmd, args); err != nil {
			return err
		}
		c, ctx, done, err := conn.open(cmd)
		if err != nil {
			return err
		}
		defer done()
		if status, err := c.Status(ctx); err == nil {
			for _, w := range status.RepositoryWarnings {
				cmd.PrintErrln("not served: " + oneLine(w.String()))
			}
		}
		return nil
	}
}
