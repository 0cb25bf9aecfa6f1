package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/api"
	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/infer"
)

// tagFlags are the flags of models tag.
type tagFlags struct {
	author
	remove []string
	card   string
}

func newModelsTag(conn *connection, out *output) *cobra.Command {
	var t tagFlags
	cmd := &cobra.Command{
		Use: "tag MODEL VERSION [NAME=TEXT]…", Short: "Change the tags and the model card of a version", ValidArgsFunction: conn.completeModels,
		Long: `Change the tags and the model card of a pushed version. Entries that are not named stay as
they are. The files of the version do not change.`,
		Example: `  gateway models tag iris 3 stage=tested --remove draft
  gateway models tag iris 3 --card card.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			const named = 2
			if err := oneVersion(cmd, args[:min(len(args), named)]); err != nil {
				return err
			}
			if len(args) == named && len(t.remove) == 0 && t.card == "" {
				return usageError{"expected a change: " + cmd.CommandPath() + " iris 3 stage=tested, --remove NAME or --card FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			patch, err := t.patch(args[2:])
			if err != nil {
				return err
			}
			if err := t.check(cmd); err != nil {
				return err
			}
			number, _ := infer.ParseVersion(args[1]) // checked by oneVersion
			return show(cmd, conn, out, func(ctx context.Context, cl *client.Client) (api.VersionInfo, error) {
				return cl.DescribeVersion(ctx, args[0], number, patch, t.options(client.AnyRevision))
			}, printVersionInfo)
		},
	}
	t.flags(cmd)
	cmd.Flags().StringArrayVar(&t.remove, "remove", nil, "a tag to remove (repeatable)")
	cmd.Flags().StringVar(&t.card, "card", "", "fields of the model card: a YAML or JSON file; a field that is null is removed")
	return cmd
}

// patch returns the change that the command line asks for.
func (t *tagFlags) patch(tags []string) (patch api.VersionPatch, err error) {
	patch.Tags = map[string]*string{}
	for _, text := range tags {
		name, value, err := pair("tag", text)
		if err != nil {
			return patch, err
		}
		patch.Tags[name] = &value
	}
	for _, name := range t.remove {
		if patch.Tags[name] != nil || strings.Contains(name, "=") {
			return patch, usageError{"--remove " + name + ": expected the name of a tag that is not set too"}
		}
		patch.Tags[name] = nil
	}
	if t.card != "" {
		patch.Card, err = readCard(t.card)
	}
	return patch, err
}
