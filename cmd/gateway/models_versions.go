package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
)

// versionCommands are the commands about versions in the repository.
func versionCommands(conn *connection, out *output) []*cobra.Command {
	list := &cobra.Command{
		Use: "versions MODEL", Short: "List the versions of a model in the repository, archived ones too", Args: oneModel, ValidArgsFunction: conn.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) ([]api.VersionInfo, error) {
				return cl.Versions(ctx, args[0])
			}, printVersionList)
		},
	}
	change := func(use, short string, ask func(context.Context, *client.Client, string, int64) (api.VersionInfo, error)) *cobra.Command {
		return &cobra.Command{
			Use: use + " MODEL VERSION", Short: short, Args: oneVersion, ValidArgsFunction: conn.completeModels,
			RunE: func(cmd *cobra.Command, args []string) error {
				number, _ := infer.ParseVersion(args[1]) // checked by oneVersion
				return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.VersionInfo, error) {
					return ask(ctx, cl, args[0], number)
				}, printVersionInfo)
			},
		}
	}
	archive := change("archive", "Keep the files of a version, which cannot be loaded any more", func(ctx context.Context, cl *client.Client, model string, number int64) (api.VersionInfo, error) {
		return cl.ArchiveVersion(ctx, model, number)
	})
	restore := change("restore", "Take a version out of the archive", func(ctx context.Context, cl *client.Client, model string, number int64) (api.VersionInfo, error) {
		return cl.RestoreVersion(ctx, model, number)
	})
	remove := change("delete", "Delete the files of a version that nothing names", func(ctx context.Context, cl *client.Client, model string, number int64) (api.VersionInfo, error) {
		info, err := cl.Version(ctx, model, number)
		if err != nil {
			return info, err
		}
		info.State = "DELETED"
		return info, cl.DeleteVersion(ctx, model, number)
	})
	return []*cobra.Command{list, archive, restore, remove}
}

// oneVersion checks that the arguments are a model and a version.
func oneVersion(cmd *cobra.Command, args []string) error {
	const want = 2
	if len(args) == want {
		if _, ok := infer.ParseVersion(args[1]); ok {
			return nil
		}
	}
	return usageError{"expected a model and a version: " + cmd.CommandPath() + " iris 3"}
}

func printVersionList(b *strings.Builder, list []api.VersionInfo) {
	fmt.Fprintln(b, "MODEL\tVERSION\tSTATE\tPUSHED\tBY\tPARENT\tMETRICS\tNAMED BY\tREASON")
	for i := range list {
		v := &list[i]
		pushed, by, parent, metrics := "-", "-", "-", "-"
		if rec := v.Record; rec != nil {
			pushed, by, metrics = rec.PushedAt.Local().Format(time.DateTime), orDash(rec.PushedBy.Actor), orDash(metricsText(rec.Lineage.Metrics))
			if rec.Lineage.Parent != 0 {
				parent = strconv.FormatInt(rec.Lineage.Parent, 10)
			}
		}
		fmt.Fprintf(b, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", v.Model, v.Version, v.State, pushed, oneLine(by), parent, oneLine(metrics),
			orDash(strings.Join(v.NamedBy, ", ")), oneLine(v.Reason))
	}
}

func metricsText(metrics map[string]float64) string {
	list := make([]string, 0, len(metrics))
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		list = append(list, name+"="+strconv.FormatFloat(metrics[name], 'g', 6, 64))
	}
	return strings.Join(list, " ")
}

// printVersionInfo prints what is known of a version in the repository.
func printVersionInfo(b *strings.Builder, v api.VersionInfo) {
	fmt.Fprintf(b, "Model:\t%s\nVersion:\t%d\nState:\t%s\n", v.Model, v.Version, v.State)
	line(b, "Reason", oneLine(v.Reason))
	line(b, "Named by", strings.Join(v.NamedBy, ", "))
	if v.Record != nil {
		printRecord(b, v.Record)
	}
	if val := v.Validation; val != nil {
		text := val.Golden
		if val.Golden == api.GoldenPassed {
			text = fmt.Sprintf("%s, %d examples, max difference %g, median %v", val.Golden, val.Examples, val.MaxDifference, time.Duration(val.Latency))
		}
		line(b, "Golden rows", text)
	}
}

func printRecord(b *strings.Builder, rec *api.VersionRecord) {
	line(b, "Digest", rec.Digest)
	line(b, "Size", fmt.Sprintf("%d bytes", rec.Size))
	printOrigin(b, rec)
	printTensors(b, "Input", rec.Inputs)
	printTensors(b, "Output", rec.Outputs)
}

// printOrigin prints where a version comes from, its tags and its card.
func printOrigin(b *strings.Builder, rec *api.VersionRecord) {
	line(b, "Producer", oneLine(rec.Producer))
	for _, domain := range slices.Sorted(maps.Keys(rec.Opsets)) {
		line(b, "Opset", fmt.Sprintf("%s %d", oneLine(domain), rec.Opsets[domain]))
	}
	line(b, "Pushed", oneLine(fmt.Sprintf("%s by %s", rec.PushedAt.Local().Format(time.DateTime), rec.PushedBy.Actor)))
	l := &rec.Lineage
	if l.Parent != 0 {
		line(b, "Parent", strconv.FormatInt(l.Parent, 10))
	}
	line(b, "Data snapshot", oneLine(l.DataSnapshot))
	line(b, "Code revision", oneLine(l.CodeRevision))
	line(b, "Run", oneLine(l.Run))
	line(b, "Source", oneLine(l.Source))
	line(b, "Metrics", oneLine(metricsText(l.Metrics)))
	for _, name := range slices.Sorted(maps.Keys(l.Parameters)) {
		line(b, "Parameter", oneLine(name+"="+l.Parameters[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(rec.Tags)) {
		line(b, "Tag", oneLine(name+"="+rec.Tags[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(rec.Card)) {
		line(b, "Card "+oneLine(name), oneLine(fmt.Sprint(rec.Card[name])))
	}
}
