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
		Short: "List, describe, push, load and unload the models of a running gateway",
		Args:  onlyCommands,
		RunE:  listed,
	}
	// A large model takes long to load.
	conn.flags(cmd, 10*time.Minute)
	out.flags(cmd)
	list := &cobra.Command{Use: "list", Short: "List every version of every model", Args: cobra.NoArgs, RunE: listed}
	describe := &cobra.Command{
		Use: "describe MODEL", Short: "Show the details of a model", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printDetails, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Model(ctx, name)
		}),
	}
	load := &cobra.Command{
		Use: "load MODEL", Short: "Load a model, or load its newer files (explicit model control)", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printVersions, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Load(ctx, name)
		}),
	}
	unload := &cobra.Command{
		Use: "unload MODEL", Short: "Unload a model (explicit model control)", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: modelsRun(&conn, &out, printVersions, func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error) {
			return c.Unload(ctx, name)
		}),
	}
	cmd.AddCommand(versionCommands(&conn, &out)...)
	cmd.AddCommand(list, describe, load, unload, newModelsPush(&conn, &out), newModelsDigest())
	return cmd
}

// modelsRun makes the RunE of a command from a call that returns versions and a function that
// prints them for people. The call gets the first argument, "" if there is none.
func modelsRun(
	conn *connection, out *output, text printer,
	call func(ctx context.Context, c *client.Client, name string) ([]api.ModelStatus, error),
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.ModelStatus, error) {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return call(ctx, cl, name)
		}, func(b *strings.Builder, versions []api.ModelStatus) { text(b, versions, out.wide()) })
	}
}

// warnsOfRepository adds warnings to the RunE of a command: what is in the repository and is not
// served. It prints none if the gateway's status cannot be read.
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
