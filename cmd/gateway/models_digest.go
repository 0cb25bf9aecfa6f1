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
		Short: "Print the digest of a version's folder, in the current and in the former form",
		Long: `Print the digest of a version's folder, for example models/iris/2, without a
gateway. It covers the model file, the external data files that it names, and labels.txt.
Journals of earlier releases have a digest over all files of the folder. The two differ only
if there are other files, for example a profile.json. Then the command prints both, so that
you can find the digests of an old journal.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"expected one folder: " + cmd.CommandPath() + " models/iris/2"}
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
					line(b, "Former digest", d.Former+" (over all files, in journals of earlier releases)")
				}
			})
		},
	}
	out.flags(cmd)
	return cmd
}
