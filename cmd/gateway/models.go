package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
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
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, &conn, &out, func(ctx context.Context, c *client.Client) ([]described, error) {
				return describeModel(ctx, c, args[0])
			}, printDetails)
		},
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
	cmd.AddCommand(list, describe, load, unload, newModelsPush(&conn, &out), newModelsImport(&conn, &out), newModelsTag(&conn, &out), newModelsDigest())
	return cmd
}

// described is a version with its record, if it was pushed.
type described struct {
	api.ModelStatus

	Record  *api.VersionRecord `json:"record,omitempty"`
	NamedBy []string           `json:"named_by,omitempty"`
}

// describeModel returns the versions of a model that are loaded or should be, or that can be.
func describeModel(ctx context.Context, c *client.Client, name string) ([]described, error) {
	versions, err := c.Model(ctx, name)
	if err != nil {
		return nil, err
	}
	known, err := c.Versions(ctx, name)
	if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status == http.StatusNotFound {
		err = nil // the files of all versions have gone, or the gateway is older than the list
	}
	list := make([]described, len(versions))
	for i := range versions {
		list[i].ModelStatus = versions[i]
		if at := slices.IndexFunc(known, func(v api.VersionInfo) bool { return v.Version == versions[i].Version }); at >= 0 {
			list[i].Record, list[i].NamedBy = known[at].Record, known[at].NamedBy
		}
	}
	return list, err
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
