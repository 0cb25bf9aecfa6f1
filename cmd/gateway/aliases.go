package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
)

func newAliases() *cobra.Command {
	var (
		conn connection
		out  output
	)
	listed := func(cmd *cobra.Command, args []string) error {
		return show(cmd, &conn, &out, func(ctx context.Context, cl *client.Client) ([]api.Alias, error) {
			return cl.Aliases(ctx, args[0])
		}, printAliases)
	}
	cmd := &cobra.Command{
		Use:   "aliases",
		Short: "List and change the aliases of versions",
		Long: `An alias is a name for a version of a model, such as champion. A route can name it instead
of a number, and moves with it. A model without a route serves its champion.`,
		Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	conn.flags(cmd, 10*time.Minute)
	out.flags(cmd)
	list := &cobra.Command{Use: "list MODEL", Short: "List the aliases of a model", Args: oneModel, ValidArgsFunction: conn.completeModels, RunE: listed}
	get := &cobra.Command{
		Use: "get MODEL ALIAS", Short: "Show an alias with its history", Args: modelAndAlias, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, &conn, &out, func(ctx context.Context, cl *client.Client) (api.Alias, error) {
				return cl.Alias(ctx, args[0], args[1])
			}, printAlias)
		},
	}
	cmd.AddCommand(list, get, newAliasesSet(&conn, &out), newAliasesDelete(&conn, &out))
	return cmd
}

func newAliasesSet(conn *connection, out *output) *cobra.Command {
	var a author
	var dry bool
	cmd := &cobra.Command{
		Use: "set MODEL ALIAS VERSION", Short: "Give an alias a version, and with it all routes that name the alias", ValidArgsFunction: conn.completeModels,
		Args: func(cmd *cobra.Command, args []string) error {
			const want = 3
			if len(args) == want {
				if _, ok := infer.ParseVersion(args[2]); ok {
					return nil
				}
			}
			return usageError{"expected a model, an alias and a version: " + cmd.CommandPath() + " iris champion 3"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			number, _ := infer.ParseVersion(args[2]) // checked above
			return moveAlias(cmd, conn, out, &a, dry, args, func(ctx context.Context, cl *client.Client, o client.EditOptions) (api.AliasResult, error) {
				return cl.SetAlias(ctx, args[0], args[1], number, o)
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would change without changing it")
	return cmd
}

func newAliasesDelete(conn *connection, out *output) *cobra.Command {
	var a author
	cmd := &cobra.Command{
		Use: "delete MODEL ALIAS", Short: "Delete an alias that no route names", Args: modelAndAlias, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return moveAlias(cmd, conn, out, &a, false, args, func(ctx context.Context, cl *client.Client, o client.EditOptions) (api.AliasResult, error) {
				return cl.DeleteAlias(ctx, args[0], args[1], o)
			})
		},
	}
	a.flags(cmd)
	return cmd
}

// moveAlias changes an alias at its present revision.
func moveAlias(
	cmd *cobra.Command, conn *connection, out *output, a *author, dry bool, args []string,
	change func(context.Context, *client.Client, client.EditOptions) (api.AliasResult, error),
) error {
	if err := a.check(cmd); err != nil {
		return err
	}
	return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.AliasResult, error) {
		o := a.options(client.AnyRevision)
		list, err := cl.Aliases(ctx, args[0])
		if err != nil {
			return api.AliasResult{}, err
		}
		for i := range list {
			if list[i].Name == args[1] {
				o.Revision = list[i].Revision
			}
		}
		o.DryRun = dry
		return change(ctx, cl, o)
	}, func(b *strings.Builder, r api.AliasResult) {
		switch {
		case r.Version == 0:
			fmt.Fprintf(b, "alias %s of %s deleted\n", r.Name, r.Model)
		case r.DryRun:
			fmt.Fprintf(b, "alias %s of %s would be version %d; routes: %s\n", r.Name, r.Model, r.Version, orDash(strings.Join(r.Routes, ", ")))
		default:
			fmt.Fprintf(b, "alias %s of %s is version %d; routes: %s\n", r.Name, r.Model, r.Version, orDash(strings.Join(r.Routes, ", ")))
		}
	})
}

// modelAndAlias checks that the arguments are a model and an alias.
func modelAndAlias(cmd *cobra.Command, args []string) error {
	const want = 2
	if len(args) != want || args[0] == "" || args[1] == "" {
		return usageError{"expected a model and an alias: " + cmd.CommandPath() + " iris champion"}
	}
	return nil
}

func printAliases(b *strings.Builder, list []api.Alias) {
	fmt.Fprintln(b, "MODEL\tALIAS\tVERSION\tREVISION\tCHANGED\tBY")
	for i := range list {
		a := &list[i]
		changed, by := "-", "-"
		if len(a.History) > 0 {
			changed, by = a.History[0].At.Local().Format(time.DateTime), orDash(a.History[0].Actor.Actor)
		}
		fmt.Fprintf(b, "%s\t%s\t%d\t%d\t%s\t%s\n", a.Model, a.Name, a.Version, a.Revision, changed, oneLine(by))
	}
}

func printAlias(b *strings.Builder, a api.Alias) {
	fmt.Fprintf(b, "Model:\t%s\nAlias:\t%s\nVersion:\t%d\nRevision:\t%d\n", a.Model, a.Name, a.Version, a.Revision)
	for _, m := range a.History {
		text := fmt.Sprintf("version %d", m.Version)
		if m.Version == 0 {
			text = "deleted"
		}
		line(b, m.At.Local().Format(time.DateTime), oneLine(text+" by "+m.Actor.Actor+" "+m.Reason))
	}
}
