package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

// The errors of a comparison whose verdict is not "same". They make the exit code 1.
var (
	errProfilesDiffer    = errors.New("the profiles differ")
	errProfilesUndecided = errors.New("it cannot be decided whether the profiles differ")
)

func newProfileCompare() *cobra.Command {
	var (
		out output
		o   = compareDefaults()
	)
	cmd := &cobra.Command{
		Use:   "compare A B",
		Short: "Check whether the data of profile B differs from that of profile A, and how",
		Long: `Check whether the data of profile B differs from that of profile A by more than the
tolerances. The strongest evidence is printed first. The exit code is 0 if no such
difference is found. It is 1 if one is found, or if there are too few rows to decide. It is
2 if the command line is not valid. Two samples of the same data differ in at most one of
1000 comparisons.

P is the probability of evidence this strong if the two differ by at most the tolerances.
Each profile has its own bins, so PSI is an estimate over the bins of A, with the rows of B
spread evenly within each of its bins. LIMITS are the bounds of PSI for any spread. NOISE is
the PSI that two samples of the same data would show.

MOVED is the share of the rows that would have to change their bin. SHIFT is the difference
of the means in standard deviations of A. SPREAD is the ratio of the standard deviations.
OUTSIDE is the share of B that is certainly outside the range of A. MISSING and INF are the
differences of the shares (B minus A), in percentage points.`,
		Example: `  gateway profile compare models/iris/2/profile.json may.json && echo same`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{"expected two profiles: " + cmd.CommandPath() + " A B"}
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
	f.Float64Var(&o.Tolerance, "tolerance", o.Tolerance, "the max divergence, as PSI, that does not count as a difference")
	f.Float64Var(&o.QualityTolerance, "quality-tolerance", o.QualityTolerance, "the max difference between the shares of missing (or NaN) and of infinite values")
	f.Float64Var(&o.RangeTolerance, "range-tolerance", o.RangeTolerance, "the max share of B that may be outside the range of A")
	out.flags(cmd)
	return cmd
}

// compareDefaults returns the default tolerances of a drift detector.
func compareDefaults() offline.CompareOptions {
	const falseAlarm = 0.001
	d := config.Default().Model("").Drift
	return offline.CompareOptions{
		Tolerance: d.Gates.Shape, QualityTolerance: d.QualityTolerance, RangeTolerance: d.RangeTolerance,
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
		return fmt.Errorf("%w: one of them has fewer than %d rows", errProfilesUndecided, o.MinRows)
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
