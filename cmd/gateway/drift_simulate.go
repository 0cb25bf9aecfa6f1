package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/offline"
)

// driftSimulate is a call of gateway drift simulate.
type driftSimulate struct {
	profile string
	options offline.SimulationOptions
	out     output
	found   found
}

// found is the result of a simulation so far.
type found struct {
	rows, windows uint64 // rows that were judged, and windows that ended
	silent        uint64 // windows with too few rows; these and the rows are of the whole
	total         uint64 // rows of the file
	timed         bool   // windows are measured in time
	segments      bool   // rows are also judged by segment
	changes       []string
	streams       map[string]*foundStream // by segment, "" for all rows
	first         *offline.Simulated
}

// foundStream is the state of a stream after its last window.
type foundStream struct {
	state   string
	trouble string // the features in which drift is detected and has not ended
}

func newDriftSimulate() *cobra.Command {
	var s driftSimulate
	cmd := &cobra.Command{
		Use:   "simulate DATA --profile FILE",
		Short: "Report the drift that would have been detected in a file of rows, and when",
		Long: `Report the drift that would have been detected in a file of rows, and when, without
a gateway. The rows are counted and judged as in a gateway that gets them in this order,
with the drift settings of a model in the configuration. Windows have --window-rows rows or,
if --time-column names the column of the times, the length --window.

A window with too few rows is joined with the next one. The last window is judged only if it
has ended. Columns are matched to the profile's features by name, by place ("input[3]"), or
else by order. The file is CSV or Parquet; a name of - is standard input, for CSV.

If the profile has segments, the rows of each are judged apart as well. A segment that is a
parameter of requests is read from the column with its name.

The command prints a line for each change of state. With -o json it prints the verdict on
each window on a line of its own: began_row is the row in which the drift began. Without a
column of times, the rows have times one second apart, from 1970 on.`,
		Example: `  gateway drift simulate may.csv --profile iris.json
  gateway drift simulate may.csv --profile iris.json --window-rows 500 --tolerance 0.05 -o json
  gateway drift simulate may.csv --profile iris.json --time-column received_at --window 5m`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{"expected one file: " + cmd.CommandPath() + " DATA --profile FILE"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.times(cmd); err != nil {
				return err
			}
			return s.run(cmd, args[0])
		},
	}
	s.out.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&s.profile, "profile", "", "the profile to compare with")
	d := &s.options.Drift
	*d = config.Default().Model("").Drift
	f.IntVar(&d.Rows, "window-rows", 1000, "the number of rows of a window")
	f.StringVar(&s.options.Time, "time-column", "", "the column with the time of each row: RFC 3339, a date and time in UTC, or seconds since 1970")
	f.DurationVar(&d.Window, "window", d.Window, "the length of a window, with --time-column")
	f.DurationVar(&d.MaxWindow, "max-window", d.MaxWindow, "the max length of a window that is joined with the next ones, with --time-column")
	f.IntVar(&d.MinRows, "min-rows", d.MinRows, "the min number of rows of a window; one with fewer is joined with the next one")
	gateFlags(f, &d.Gates)
	f.Float64Var(&d.Tolerance, "tolerance", d.Tolerance, "a divergence as PSI that stands for gates, as models.*.drift.tolerance does; use the gates instead")
	f.Float64Var(&d.QualityTolerance, "quality-tolerance", d.QualityTolerance, "how much larger than in the reference the share of missing (or NaN) and of infinite values may be")
	f.Float64Var(&d.RangeTolerance, "range-tolerance", d.RangeTolerance, "the same for values outside the reference's range")
	f.IntVar(&d.FalseAlarmWindows, "false-alarm-windows", d.FalseAlarmWindows, "at most one false alarm is expected in this many windows of a stream, for windows of rows")
	f.DurationVar(&d.FalseAlarmEvery, "false-alarm-every", d.FalseAlarmEvery, "at most one false alarm is expected in this time, with --time-column")
	f.IntVar(&s.options.Streams, "streams", 1, "the number of streams (a version in a role) that share the limit on false alarms")
	f.IntVar(&d.MaxSegments, "max-segments", d.MaxSegments, "how many segments of the profile are judged apart, those with the most rows first; 0 for none")
	f.IntVar(&d.Recover, "recover", d.Recover, "the number of consecutive windows without drift that end an alarm")
	tableFlags(f, &s.options.TableOptions)
	return cmd
}

// times decides between windows of rows and windows of time.
func (s *driftSimulate) times(cmd *cobra.Command) error {
	given := cmd.Flags().Changed
	if s.options.Time == "" {
		for _, name := range []string{"window", "max-window", "false-alarm-every"} {
			if given(name) {
				return usageError{"--" + name + " needs --time-column; without it, --window-rows sets the size of windows"}
			}
		}
		return nil
	}
	if given("window-rows") && given("window") {
		return usageError{"give --window or --window-rows, not both"}
	}
	d := &s.options.Drift
	if !given("window-rows") {
		d.Rows = 0
	}
	for _, flag := range []struct {
		name  string
		value time.Duration
	}{{"window", d.Window}, {"max-window", d.MaxWindow}} {
		if flag.value < time.Second {
			return usageError{fmt.Sprintf("--%s %v: expected 1s or more", flag.name, flag.value)}
		}
	}
	if d.FalseAlarmEvery < d.Window {
		return usageError{fmt.Sprintf("--false-alarm-every %v: expected at least the length of a window, %v", d.FalseAlarmEvery, d.Window)}
	}
	return nil
}

func (s *driftSimulate) check() error {
	d := &s.options.Drift
	if s.profile == "" {
		return usageError{"--profile is missing: name the profile to compare with"}
	}
	for _, flag := range []struct {
		name  string
		value int
	}{
		{"window-rows", s.rowsAtLeast()},
		{"min-rows", d.MinRows},
		{"false-alarm-windows", d.FalseAlarmWindows},
		{"streams", s.options.Streams},
		{"recover", d.Recover},
	} {
		if flag.value < 1 {
			return usageError{fmt.Sprintf("--%s %d: expected 1 or more", flag.name, flag.value)}
		}
	}
	psi := d.Gates.Shape
	if d.Tolerance != 0 {
		psi = d.Tolerance
	}
	if err := checkTolerances(psi, d.QualityTolerance, d.RangeTolerance); err != nil {
		return err
	}
	if err := checkTable(&s.options.TableOptions); err != nil {
		return err
	}
	if !s.out.people() && s.out.format != formJSON {
		return usageError{"-o " + s.out.format + ": expected table or json"}
	}
	return nil
}

// rowsAtLeast returns the rows of a window, 1 if windows are of time.
func (s *driftSimulate) rowsAtLeast() int {
	if s.options.Time != "" && s.options.Drift.Rows == 0 {
		return 1
	}
	return s.options.Drift.Rows
}

// gateFlags defines a flag for each of the gates.
func gateFlags(f *pflag.FlagSet, g *config.Gates) {
	f.Float64Var(&g.Mean, "gate-mean", g.Mean, "the largest difference of the means, in standard deviations of the reference, that does not raise an alarm")
	f.Float64Var(&g.Spread, "gate-spread", g.Spread, "the same for the relative change of the standard deviation")
	f.Float64Var(&g.ShareRatio, "gate-share-ratio", g.ShareRatio, "how many times its share in the reference the share of a category, bin or tail may be")
	f.Float64Var(&g.ShareGain, "gate-share-gain", g.ShareGain, "how much that share may be higher, if that is more")
	f.Float64Var(&g.New, "gate-new", g.New, "the share of rows that may have a value that the reference does not have, for features with few values")
	f.Float64Var(&g.Shape, "gate-shape", g.Shape, "the max other divergence from the reference, as PSI, that does not raise an alarm")
	f.Float64Var(&g.Joint, "gate-joint", g.Joint, "the quadratic mean of the differences of all means, in standard deviations, that does not raise an alarm; 0: not tested")
	f.Float64Var(&g.Vector, "gate-vector", g.Vector, "the difference of the distribution of a vector, in standard deviations, that does not raise an alarm; 0: not tested")
	f.Float64Var(&g.Correlation, "gate-correlation", g.Correlation, "the difference of the correlations of two features that does not raise an alarm; 0: not tested")
}

// checkTolerances returns an error if a tolerance is out of range.
func checkTolerances(psi, quality, ranges float64) error {
	for _, flag := range []struct {
		name        string
		value, most float64
	}{
		{"tolerance", psi, 10},
		{"quality-tolerance", quality, 0.99},
		{"range-tolerance", ranges, 0.99},
	} {
		if !(flag.value > 0 && flag.value <= flag.most) { // false for NaN too
			return usageError{fmt.Sprintf("--%s %v: expected more than 0 and at most %v", flag.name, flag.value, flag.most)}
		}
	}
	return nil
}

func (s *driftSimulate) run(cmd *cobra.Command, path string) error {
	if err := s.check(); err != nil {
		return err
	}
	p, err := readProfile(s.profile)
	if err != nil {
		return err
	}
	t, err := openTable(cmd, path, &s.options.TableOptions)
	if err != nil {
		return err
	}
	defer t.close()
	tell := s.found.add
	if s.out.format == formJSON {
		lines := json.NewEncoder(cmd.OutOrStdout())
		tell = func(v offline.Simulated) error { return lines.Encode(v) }
	}
	s.found.timed, s.found.segments = s.options.Time != "", p.Segment != nil && s.options.Drift.MaxSegments > 0
	s.found.total, err = offline.SimulateProfile(cmd.Context(), p, t.in, s.options, tell)
	t.bar.clear()
	if err != nil || s.out.format == formJSON {
		return err
	}
	return s.out.print(cmd.OutOrStdout(), nil, s.print)
}

// add records the verdict on a window.
func (f *found) add(v offline.Simulated) error {
	if v.Segment == "" {
		f.rows = v.To
		f.windows++
	}
	if v.Reason != "" {
		if v.Segment == "" {
			f.silent++
		}
		return nil
	}
	if f.streams == nil {
		f.streams = map[string]*foundStream{}
	}
	stream := f.streams[v.Segment]
	if stream == nil {
		stream = &foundStream{state: stateOK}
		f.streams[v.Segment] = stream
	}
	now := standing(&v.DriftVerdict)
	if v.State != stream.state || now != stream.trouble {
		since := "-"
		if v.Since > 0 {
			since = strconv.FormatUint(v.Since, 10)
		}
		f.changes = append(f.changes, fmt.Sprintf("%s%s → %s\t%s\t%s", f.place(&v), stream.state, v.State, since, orDash(troubleText(&v.DriftVerdict, maxShown))))
	}
	if f.first == nil && v.State == stateDetected {
		f.first = &v
	}
	stream.state, stream.trouble = v.State, now
	return nil
}

// place names the rows of a window, and its end if rows have times.
func (f *found) place(v *offline.Simulated) string {
	text := fmt.Sprintf("%d to %d\t", v.From, v.To)
	if f.timed {
		text += timeText(&v.Window.End) + "\t"
	}
	if f.segments {
		text += orDash(oneLine(v.Segment)) + "\t"
	}
	return text
}

// standing names the features in which drift is detected and has not ended. If they change, the
// change gets a line even if the state as a whole is the same.
func standing(v *api.DriftVerdict) string {
	names := map[string]bool{}
	for _, list := range [][]api.DriftFinding{v.Features, v.Quality} {
		for i := range list {
			if f := &list[i]; f.State == stateDetected || f.State == stateRecovering {
				names[f.Kind+" "+f.Statistic+" "+f.Feature] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), "\n")
}

func (s *driftSimulate) print(b *strings.Builder) {
	f := &s.found
	if len(f.changes) > 0 {
		end := ""
		if f.timed {
			end = "WINDOW ENDED\t"
		}
		if f.segments {
			end += "SEGMENT\t"
		}
		fmt.Fprintln(b, "ROWS\t"+end+"STATE\tBEGAN AT ROW\tFEATURES")
		for _, line := range f.changes {
			fmt.Fprintln(b, line)
		}
		fmt.Fprintln(b)
	}
	d := &s.options.Drift
	windows := fmt.Sprintf("%d of %d rows", f.windows, d.Rows)
	if d.Rows == 0 {
		windows = fmt.Sprintf("%d of %v", f.windows, d.Window)
	}
	if d.Rows == 0 || d.Rows < d.MinRows {
		windows += fmt.Sprintf(", joined until they have %d rows", d.MinRows)
	}
	if f.silent > 0 {
		windows += fmt.Sprintf("; %[2]d were not judged, since they had fewer after %[1]v", d.MaxWindow, f.silent)
	}
	first := "none"
	switch {
	case f.first != nil:
		first = fmt.Sprintf("after row %d; the drift began at row %d", f.first.To, f.first.Since)
		if f.first.Segment != "" {
			first = fmt.Sprintf("in segment %s %s", oneLine(f.first.Segment), first)
		}
	case f.windows == f.silent:
		first = "none; no window was judged"
	}
	rows := strconv.FormatUint(f.total, 10)
	if f.total > f.rows {
		rows += fmt.Sprintf("; the last %d are in a window that has not ended", f.total-f.rows)
	}
	line(b, "Rows", rows)
	line(b, "Windows", windows)
	line(b, "First detection", first)
}
