package main

import (
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/offline"
)

func newProfileSubtract() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "subtract WHOLE PART",
		Short: "Take the rows of one profile out of another",
		Long: `Make a profile of the rows of WHOLE that are not in PART, without reading the rows again.

It is the inverse of merge, so both need the same bins: build PART with --bins-of. Counts are
exact. The range of a feature and the number of different texts cannot be subtracted; they stay
those of WHOLE, and the command names them.`,
		Example: `  gateway profile build faulty.csv --model-repository models --model iris --bins-of june.json -o faulty.json
  gateway profile subtract june.json faulty.json -o models/iris/3/profile.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{"expected two profiles: " + cmd.CommandPath() + " WHOLE PART"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			whole, err := readProfile(args[0])
			if err != nil {
				return err
			}
			part, err := readProfile(args[1])
			if err != nil {
				return err
			}
			rest, err := offline.SubtractProfiles(whole, part)
			if err != nil {
				return err
			}
			if len(rest.Ranges) > 0 {
				cmd.PrintErrf("the range is that of the whole, since the part reaches its end: %s\n", strings.Join(rest.Ranges, ", "))
			}
			if len(rest.Texts) > 0 {
				cmd.PrintErrf("the number of different values is that of the whole: %s\n", strings.Join(rest.Texts, ", "))
			}
			if out == "" {
				return rest.Profile.Write(cmd.OutOrStdout())
			}
			if err := writeWhole(out, rest.Profile.Write); err != nil {
				return err
			}
			cmd.PrintErrf("%s: %d features of %d rows\n", out, len(rest.Profile.Features), rest.Profile.Rows)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the file to write (default: standard output)")
	return cmd
}
