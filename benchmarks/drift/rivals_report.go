package main

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// level is how much longer the gateway may take than the best rival and still be level with it.
const level = 1.1

// delayOf returns the mean rows until a change was found, of streams without a false alarm before it, with a missed one as all
// rows, and the share that missed it.
func (l *raceLine) delayOf(change int) (mean, missed float64) {
	n := 0.0
	for _, o := range l.outcomes[change] {
		switch o {
		case raceAlready:
			continue
		case raceMissed:
			missed++
			mean += rivalsChanged
		default:
			mean += float64(o)
		}
		n++
	}
	return mean / max(1, n), missed / max(1, n)
}

// cell is a delay of the table.
func (l *raceLine) cell(change int) string {
	mean, missed := l.delayOf(change)
	text := page.Thousands(math.Round(mean))
	switch {
	case missed == 1:
		return "never"
	case missed > 0:
		text += fmt.Sprintf(" (%s missed)", share(missed, 1))
	default:
	}
	return text
}

// best returns the rival that is fastest.
func (r *race) best(change int) *raceLine {
	var best *raceLine
	least := math.Inf(1)
	for i := len(r.own); i < len(r.table); i++ {
		if l := &r.table[i]; !l.sanity {
			if mean, _ := l.delayOf(change); mean < least {
				best, least = l, mean
			}
		}
	}
	return best
}

// page writes the results.
func (r *race) page() string {
	var out strings.Builder
	host := record.ThisHost()
	fmt.Fprintf(&out, `# Drift: the detector beside others at the same rate of false alarms

%s, detector of commit %s. "make bench-drift-rivals" makes this page; here with -runs %d -stretches %d -seed %d, from which all numbers follow.
There are %d streams for each change.

Each stream has ten features: six independent normal ones, two with a correlation of 0.8, a code with six values, and a label that is 1 in
1 %% of the rows. The reference has %s independent rows. A change comes after %s to %s clean rows, so windows do not begin where it does.

- **The rivals** watch each feature by itself. Their limits are calibrated by simulation on independent rows: ten features together
  have one false alarm in %s rows on average. Each law of a feature has its own limit, from %s clean stretches of %s rows. The
  table shows only alarms of features that change. Rivals have no gate: they look for any change.
- **gateway** has the default gates, so it does not look for changes up to a mean of 0.1 s.d. and so on. It is not calibrated. It promises
  at most one false alarm in as many rows, and has fewer.
- **gateway, any change** has the smallest gates that the configuration allows. Its promise is calibrated like the limits of the rivals.
- **Windows** of the gateway have %d rows. Neither setting learns what is usual in clean windows (drift.calibration).
- **Missing values** are left out, except in the gateway, chi-square and PSI, which count them.

## Rows until a change is found

Mean of all streams; a stream that missed the change counts as %s rows, and the share of those is in brackets. The best of each row
is bold. "always" and "never" are two detectors that show the range.

`, host.Date, record.RevisionOf("../internal/drift"), r.runs, r.stretches, r.seed, r.runs,
		page.Thousands(rivalsReference), page.Thousands(rivalsClean), page.Thousands(rivalsClean+rivalsWindow),
		page.Thousands(r.every), page.Thousands(float64(r.stretches)), page.Thousands(stretchRows), rivalsWindow,
		page.Thousands(rivalsChanged))
	changes := shifts()
	out.WriteString(r.delays(changes))
	fmt.Fprintf(&out, "\n## Why the gateway is later\n\nThe changes that the gateway finds more than %.0f %% later than the best rival, with the default gates.\n\n",
		100*(level-1))
	out.WriteString(r.behind(changes))
	out.WriteString(r.dependent())
	fmt.Fprintf(&out, `
## Settings

The promise of the gateway is cautious, since it holds for rows that depend on each other and counts all tests that are possible: with the smallest
gates, a promise of one false alarm in %s windows has the rate of one in %s on independent rows.

`, page.Thousands(math.Round(r.own[1].options.FalseAlarmWindows)), page.Thousands(r.own[0].options.FalseAlarmWindows))
	t := page.NewTable("detector", "settings")
	for i := range r.table {
		t.Row(r.table[i].name, r.table[i].settings)
	}
	out.WriteString(t.String())
	return out.String()
}

// dependent is the table of false alarms by kind of clean rows.
func (r *race) dependent() string {
	head := []string{"detector"}
	kinds := cleanKinds()
	for _, k := range kinds {
		head = append(head, k.name)
	}
	t := page.NewTable(head...)
	for i := range r.table {
		l := &r.table[i]
		if l.sanity {
			continue
		}
		cells := []string{l.name}
		for k := range kinds {
			cell := "none"
			if n := l.falseAlarms[k]; n > 0 {
				cell = fmt.Sprintf("%s (%s)", page.Thousands(math.Round(float64(l.cleanRows)/float64(n))), page.Thousands(float64(n)))
			}
			cells = append(cells, cell)
		}
		t.Row(cells...)
	}
	return fmt.Sprintf(`
## False alarms if rows depend on each other

Mean rows from one false alarm to the next, in %s clean rows of each kind (in brackets the number of alarms). All limits are those that were
calibrated on independent rows, with one false alarm in %s rows. A detector begins anew after an alarm, on any feature for the gateway, on
the same one for a rival. None of these rows were used for the calibration. The users have constant features and come again and again; each
stretch of %s rows has other users. The mean of 300 users differs from that of the reference by 0.06 s.d., for as long as they come. A detector that
looks for any difference from a reference finds that. The default gates allow it, and ADWIN, KSWIN and Page-Hinkley compare a stream with its own past.

%s`, page.Thousands(float64(r.table[0].cleanRows)), page.Thousands(r.every), page.Thousands(stretchRows), t.String())
}

// delays is the table, with a row for each change.
func (r *race) delays(changes []shift) string {
	head := []string{"change"}
	for i := range r.table {
		head = append(head, r.table[i].name)
	}
	t := page.NewTable(head...)
	for c := range changes {
		least := math.Inf(1)
		for i := range r.table {
			if mean, missed := r.table[i].delayOf(c); !r.table[i].sanity && missed < 1 {
				least = min(least, mean)
			}
		}
		cells := []string{changes[c].name}
		for i := range r.table {
			cell := r.table[i].cell(c)
			if mean, _ := r.table[i].delayOf(c); mean == least && !r.table[i].sanity {
				cell = "**" + cell + "**"
			}
			cells = append(cells, cell)
		}
		t.Row(cells...)
	}
	return t.String()
}

// behind has a line for each change that a rival finds sooner than the gateway with its default gates.
func (r *race) behind(changes []shift) string {
	var out strings.Builder
	for c := range changes {
		best := r.best(c)
		mean, missed := best.delayOf(c)
		if ours, _ := r.table[0].delayOf(c); missed == 1 || ours <= level*mean {
			continue
		}
		why := changes[c].always
		if ofAny, _ := r.table[1].delayOf(c); ofAny <= level*mean {
			why = changes[c].gate
		}
		fmt.Fprintf(&out, "- **%s**: best rival (%s) %s rows, gateway %s, gateway with the smallest gates %s. %s\n", changes[c].name, best.name, best.cell(c),
			r.table[0].cell(c), r.table[1].cell(c), cmp.Or(why, "No reason is known."))
	}
	return out.String()
}
