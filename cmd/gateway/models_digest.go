package main

import (
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/offline"
)

func newModelsDigest() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "digest FOLDER",
		Short: "Print the digest of a version's folder, and the one that earlier journals have",
		Long: `Print the digest of a version's folder, models/iris/2 for example, without a gateway.
It is over the model file, the data that this names in other files, and labels.txt.
Journals of earlier versions have one over all files of the folder. Both are the same
unless there are other files, a profile.json for example; then both are printed, so that
what an old journal says can be recognised.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"name one folder: " + cmd.CommandPath() + " models/iris/2"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			d, err := offline.FolderDigests(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return out.print(cmd.OutOrStdout(), d, func(b *strings.Builder) {
				line(b, "Digest", d.Digest)
				if d.Former != d.Digest {
					line(b, "Former digest", d.Former+" (of all files, in journals of earlier versions)")
				}
			})
		},
	}
	out.flags(cmd)
	return cmd
}
