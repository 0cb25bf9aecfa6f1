package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice.io/sluice/api"
)

// The states of a stream and of a finding that the commands use.
const (
	stateOK         = "OK"
	stateDetected   = "DETECTED"
	stateRecovering = "RECOVERING"
)

// printDrift prints a line for each stream, and below it what differs in those that are not OK.
// With all, it prints every feature of every stream.
func printDrift(b *strings.Builder, list []api.DriftStatus, all bool) {
	segments := slices.ContainsFunc(list, func(d api.DriftStatus) bool { return d.Segment != "" })
	title := ""
	if segments {
		title = "SEGMENT\t"
	}
	fmt.Fprintln(b, "MODEL\tVERSION\tROLE\t"+title+"STATE\tSINCE\tROWS\tWINDOWS\tDROPPED")
	for i := range list {
		d := &list[i]
		segment := ""
		if segments {
			segment = orDash(oneLine(d.Segment)) + "\t"
		}
		fmt.Fprintf(b, "%s\t%d\t%s\t%s%s\t%s\t%d\t%d\t%d\n", oneLine(d.Model), d.Version, d.Role, segment, d.State, sinceText(d.Since), d.Rows, d.Windows, d.Dropped)
	}
	for i := range list {
		if d := &list[i]; all || d.State != stateOK {
			printStream(b, d, all)
		}
	}
}

// streamText names a stream: "default", or "default, segment DE" for one of a segment.
func streamText(role, segment string) string {
	if segment == "" {
		return oneLine(role)
	}
	return oneLine(role) + ", segment " + oneLine(segment)
}

func printStream(b *strings.Builder, d *api.DriftStatus, all bool) {
	if all && d.ProfileFrom != "" {
		fmt.Fprintf(b, "\nprofile from the %s, %s", d.ProfileFrom, orDash(d.ProfileDigest))
		if d.ReferenceZone != "" {
			fmt.Fprintf(b, "\ncompared by the hour of the week (%s)", oneLine(d.ReferenceZone))
		}
	}
	fmt.Fprintf(b, "\n%s/%d %s: ", oneLine(d.Model), d.Version, streamText(d.Role, d.Segment))
	switch {
	case d.State == api.DriftOff:
		fmt.Fprintf(b, "not compared: %s\n", oneLine(d.Reason))
		return
	case d.State == api.DriftUnjudged:
		window := fmt.Sprintf("has %d rows and needs at least %d", d.Waiting, d.MinRows)
		if d.Waiting >= d.MinRows {
			window = fmt.Sprintf("has %d rows and will be judged when it ends", d.Waiting)
		}
		fmt.Fprintf(b, "no window was judged since %s: the current window %s\n", sinceText(d.UnjudgedSince), window)
		return
	case d.Last == nil:
		fmt.Fprintf(b, "%s; no window has had enough rows yet\n", d.State)
		return
	}
	fmt.Fprintf(b, "%s, the last window from %s to %s had %d rows\n", d.State, timeText(&d.Last.Window.Start), timeText(&d.Last.Window.End), d.Last.Rows)
	if c := d.Calibration; c != nil && (all || c.State != api.CalibrationDone) {
		fmt.Fprintf(b, "calibration: %s\n", oneLine(c.Text))
	}
	printFindings(b, d.Last, all)
}

// printFindings prints the findings of a verdict that are not OK, or all of them, and says so if
// there are none.
func printFindings(b *strings.Builder, v *api.DriftVerdict, all bool) {
	title := "FEATURE\tKIND\tCHANGE\tEFFECT\tSHIFT\tP\tSTATE\tBEGAN\n"
	for _, list := range [][]api.DriftFinding{v.Features, v.Quality} {
		for i := range list {
			f := &list[i]
			if f.State == stateOK && !all {
				continue
			}
			b.WriteString(title)
			title = ""
			fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(f.Feature), f.Kind, orDash(changeText(f)),
				effectText(f.Statistic, f.Effect, f.Low, f.High), shiftText(f.Shift), pText(f.P), stateText(f), timeText(f.Began))
		}
	}
	if title != "" {
		fmt.Fprintln(b, "no feature differs")
	}
}

// stateText is the state of a finding, and says if its detection is not promised yet.
func stateText(f *api.DriftFinding) string {
	if f.Unpromised {
		return f.State + " (unpromised)"
	}
	return f.State
}

// changeText describes the change in words. For missing, infinite and out-of-range values it names
// the statistic.
func changeText(f *api.DriftFinding) string {
	switch {
	case f.Statistic == statisticBins, f.Statistic == statisticJoint, (f.Statistic == statisticCorrelation || f.Statistic == statisticMMD) && f.Change != "":
		return oneLine(f.Change)
	case f.Change == "":
		return oneLine(f.Statistic)
	default:
		return oneLine(f.Statistic + ": " + f.Change)
	}
}

// featureText names a finding and describes its change: "input a: stuck at 3".
func featureText(f *api.DriftFinding) string {
	if f.Statistic == statisticJoint {
		return changeText(f)
	}
	text := f.Kind + " " + oneLine(f.Feature)
	if change := changeText(f); change != "" {
		text += ": " + change
	}
	return text
}

// troubleText lists up to limit findings that are not OK, the strongest first.
func troubleText(v *api.DriftVerdict, limit int) string {
	var list []string
	more := 0
	for _, findings := range [][]api.DriftFinding{v.Features, v.Quality} {
		for i := range findings {
			switch f := &findings[i]; {
			case f.State == stateOK:
			case len(list) < limit:
				list = append(list, featureText(f))
			default:
				more++
			}
		}
	}
	text := strings.Join(list, "; ")
	if more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// The statistics of distributions; the others are shares of the rows.
const (
	statisticBins        = "g"
	statisticJoint       = "joint"
	statisticCorrelation = "correlation"
	statisticMMD         = "mmd"
)

// effectUnit returns the factor, and the texts before and after an effect.
func effectUnit(statistic string) (factor float64, before, after string) {
	switch statistic {
	case statisticBins:
		return 1, "PSI ", ""
	case statisticJoint, statisticMMD:
		return 1, "", " s.d."
	case statisticCorrelation:
		return 1, "", ""
	default:
		return 100, "", " pp"
	}
}

// effectText is an effect with its interval and its unit: PSI, or the percentage points by
// which a share is higher than the reference's.
func effectText(statistic string, effect, low, high float64) string {
	factor, before, after := effectUnit(statistic)
	return fmt.Sprintf("%s%s%s [%s, %s]", before, threeDigits(factor*effect), after, threeDigits(factor*low), threeDigits(factor*high))
}

func threeDigits(x float64) string { return strconv.FormatFloat(x, 'g', 3, 64) }

func shiftText(x float64) string {
	const long = 1e4 // after a change of unit, or for values that are not numbers, the digits would not fit into a column
	switch {
	case x == 0:
		return "-"
	case math.Abs(x) < long:
		return fmt.Sprintf("%+.2f s.d.", x)
	default:
		return fmt.Sprintf("%+.3g s.d.", x)
	}
}

// pText is a p-value. Values below the smallest that is computed are shown as "<1e-300".
func pText(p float64) string {
	const least = 1e-300
	if p <= least {
		return "<1e-300"
	}
	return strconv.FormatFloat(p, 'g', 2, 64)
}

func sinceText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return timeText(&t)
}
