package main

import (
	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/offline"
)

func newProfileMerge() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "merge A B [C]...",
		Short: "Make one profile of several",
		Long: `Make one profile of the rows of several profiles, without reading the rows again.

The result is that of a profile of all rows. This needs the same bins in each profile: build
the first one, and the others with --bins-of. Profiles that were built with --label must be
about the same output; how often each score came true is added up.`,
		Example: `  gateway profile build june.csv --model-repository models --model iris --label species -o june.json
  gateway profile build july.csv --model-repository models --model iris --label species --bins-of june.json -o july.json
  gateway profile merge june.json july.json -o models/iris/3/profile.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError{"expected two profiles or more: " + cmd.CommandPath() + " A B"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			list := make([]*offline.Profile, 0, len(args))
			for _, name := range args {
				p, err := readProfile(name)
				if err != nil {
					return err
				}
				list = append(list, p)
			}
			p, err := offline.MergeProfiles(list)
			if err != nil {
				return err
			}
			if out == "" {
				return p.Write(cmd.OutOrStdout())
			}
			if err := writeWhole(out, p.Write); err != nil {
				return err
			}
			cmd.PrintErrf("%s: %d features of %d rows\n", out, len(p.Features), p.Rows)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file to write (default: standard output)")
	return cmd
}
