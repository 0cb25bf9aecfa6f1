package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

// The errors with which a comparison ends that does not say "same": exit code 1 is for them.
var (
	errProfilesDiffer    = errors.New("the profiles differ")
	errProfilesUndecided = errors.New("whether the profiles differ cannot be said")
)

func newProfileCompare() *cobra.Command {
	var (
		out output
		o   = compareDefaults()
	)
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Say whether the data of profile B differs from that of A, and how",
		Long: `Say whether the data of profile B differs from that of A by more than the tolerances,
the strongest evidence first. The exit code is 0 if no such difference is found, and 1 if one
is, or if there are too few rows to say; 2 is a command line that makes no sense. Two
samples of the same data differ once in 1000 comparisons at most.

P is how likely evidence as strong is if the two differ by the tolerances at most. Each
profile has its own bins, so PSI is an estimate over A's bins, with B's rows spread
evenly within its own; beside it stand the limits that hold however they lie, and as
NOISE how much of it two samples of the same data would show. MOVED is the share of the
rows that would have to change their bin, SHIFT the difference of the means in A's
standard deviations, SPREAD the ratio of the standard deviations, OUTSIDE the share of
B that is certainly beyond A's range, MISSING and INF what B has more of, in
percentage points.`,
		Example: `  gateway profile compare models/iris/2/profile.json may.json && echo same`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{"name two profiles: " + cmd.CommandPath() + " A B"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTolerances(o.Tolerance, o.QualityTolerance, o.RangeTolerance); err != nil {
				return err
			}
			if err := out.check(); err != nil {
				return err
			}
			return compareProfiles(cmd, args, &out, o)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&o.Tolerance, "tolerance", o.Tolerance, "the divergence, as PSI, that does not matter")
	f.Float64Var(&o.QualityTolerance, "quality-tolerance", o.QualityTolerance, "by how much the shares of missing (or NaN) and of infinite values may differ")
	f.Float64Var(&o.RangeTolerance, "range-tolerance", o.RangeTolerance, "the share of B that may be beyond A's range")
	out.flags(cmd)
	return cmd
}

// compareDefaults are the tolerances of a detector.
func compareDefaults() offline.CompareOptions {
	const falseAlarm = 0.001
	d := config.Default().Model("").Drift
	return offline.CompareOptions{
		Tolerance: d.Tolerance, QualityTolerance: d.QualityTolerance, RangeTolerance: d.RangeTolerance,
		MinRows: uint64(d.MinRows), FalseAlarm: falseAlarm, //nolint:gosec // not negative
	}
}

func compareProfiles(cmd *cobra.Command, args []string, out *output, o offline.CompareOptions) error {
	a, err := readProfile(args[0])
	if err != nil {
		return err
	}
	b, err := readProfile(args[1])
	if err != nil {
		return err
	}
	c, err := offline.CompareProfiles(a, b, o)
	if err != nil {
		return err
	}
	if err := out.print(cmd.OutOrStdout(), c, func(b *strings.Builder) { printComparison(b, c) }); err != nil {
		return err
	}
	switch c.Verdict {
	case offline.ProfilesSame:
		return nil
	case offline.ProfilesDiffer:
		return errProfilesDiffer
	default:
		return fmt.Errorf("%w: one is of fewer than %d rows", errProfilesUndecided, o.MinRows)
	}
}

func printComparison(b *strings.Builder, c *offline.ProfileComparison) {
	fmt.Fprintln(b, "FEATURE\tKIND\tVERDICT\tCHANGE\tP\tPSI\tLIMITS\tNOISE\tMOVED\tKS\tSHIFT\tSPREAD\tOUTSIDE\tMISSING\tINF")
	differ := 0
	for i := range c.Features {
		d := &c.Features[i]
		if d.Verdict == offline.ProfilesDiffer {
			differ++
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%.4f\t%.4f to %.4f\t%.4f\t%.1f %%\t%.3f to %.3f\t%s\tx%.3g\t%.1f %%\t%s\t%s\n", oneLine(d.Name), d.Kind,
			d.Verdict, orDash(oneLine(d.Change)), pText(d.P), d.PSI, d.PSILow, d.PSIHigh, d.Noise, 100*d.Moved, d.KSLow, d.KSHigh,
			shiftText(d.Shift), d.Spread, 100*d.Outside, pointsText(d.Missing), pointsText(d.Inf))
	}
	for _, only := range []struct {
		in    string
		names []string
	}{{"A", c.OnlyA}, {"B", c.OnlyB}} {
		if len(only.names) > 0 {
			fmt.Fprintf(b, "only in %s: %s\n", only.in, oneLine(strings.Join(only.names, ", ")))
		}
	}
	fmt.Fprintf(b, "\nVerdict: %s; %d of %d features differ by more than the tolerances\n", c.Verdict, differ, len(c.Features))
}

// pointsText is a difference of two shares, in percentage points.
func pointsText(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.2f pp", 100*x)
}
