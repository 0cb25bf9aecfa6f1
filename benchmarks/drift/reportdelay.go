package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// delayTables prints one for each size of reference and window.
func (r *results) delayTables(out io.Writer) {
	type set struct{ reference, window int }
	sets, bySet := grouped(r.delay, func(l delayLine) set { return set{l.ReferenceRows, l.WindowRows} })
	_, cleanBySet := grouped(r.clean, func(l cleanLine) set { return set{l.ReferenceRows, l.WindowRows} })
	for _, s := range sets {
		fmt.Fprintf(out, "\nrows until the changed feature alarms, median (streams that missed it); reference %s, windows of %s\n\n",
			thousands(s.reference), thousands(s.window))
		changes, _ := grouped(bySet[s], func(l delayLine) string { return l.Change })
		methods, byMethod := grouped(bySet[s], func(l delayLine) string { return l.Method })
		t := table{out: out}
		t.row(append(append([]string{"method"}, changes...), "clean windows that alarm (a feature)")...)
		for _, m := range methods {
			cells := []string{m}
			for _, l := range byMethod[m] {
				cells = append(cells, l.String())
			}
			for _, c := range cleanBySet[s] {
				if c.Method == m {
					cells = append(cells, c.String())
				}
			}
			t.row(cells...)
		}
	}
	for _, e := range r.evidently {
		fmt.Fprintf(out, "\nEvidently %s: a whole report of one window takes %.1f s\n", e.Version, e.Report)
	}
}

// String returns the median, where what was missed counts as later than all else.
func (l delayLine) String() string {
	streams, found := l.Missed, 0
	for _, n := range l.After {
		streams += n
	}
	if streams == 0 {
		return "-"
	}
	missed := fmt.Sprintf(" (%s missed)", share(l.Missed, streams))
	if l.Already > 0 {
		missed = fmt.Sprintf(" (%s missed, %d more had a false alarm on)", share(l.Missed, streams), l.Already)
	}
	switch l.Missed {
	case 0:
		if l.Already == 0 {
			missed = ""
		}
	case streams:
		return "never"
	default:
	}
	for _, rows := range slices.Sorted(maps.Keys(l.After)) {
		if found += l.After[rows]; 2*found >= streams {
			return thousands(rows) + missed
		}
	}
	return "> " + thousands(changedRows) + missed
}

func (l cleanLine) String() string {
	return fmt.Sprintf("%s of %s (%s)", thousands(l.Alarms), thousands(l.Windows), share(l.FeatureAlarms, l.Windows*features))
}

// share returns a percentage with as many digits as say something.
func share(n, of int) string {
	percent := 100 * float64(n) / float64(max(1, of))
	switch {
	case percent == 0, percent == 100, percent >= 10 && percent <= 99:
		return fmt.Sprintf("%.0f %%", percent)
	case percent < 0.1:
		return fmt.Sprintf("%.3f %%", percent)
	default:
		return fmt.Sprintf("%.1f %%", percent)
	}
}

func (r *results) costTables(out io.Writer) {
	fmt.Fprint(out, "\n")
	t := table{out: out}
	t.row("features", "count a row, ns", "of it a value, ns", "judge a clean window, ms", "judge one where all have drifted, ms")
	for _, c := range r.cost {
		t.row(thousands(c.Features), thousands(int(c.Row)), fmt.Sprintf("%.1f", c.Row/float64(c.Features)),
			fmt.Sprintf("%.2f", c.Clean), fmt.Sprintf("%.2f", c.Broken))
	}
	for _, m := range r.memory {
		fmt.Fprintf(out, "\nheap for %s features × %d versions\n\n", thousands(m.Features), m.Versions)
		t := table{out: out}
		t.row("what", "bytes per feature and stream", "in all, MiB")
		for _, part := range []struct {
			name  string
			bytes uint64
		}{
			{"profiles", m.Profiles},
			{"open windows", m.Windows},
			{"detectors, all well", m.Detector},
			{"together", m.Profiles + m.Windows + m.Detector},
			{"more while every feature is suspected", m.Runs},
		} {
			t.row(part.name, fmt.Sprintf("%.0f", float64(part.bytes)/float64(m.Features*m.Versions)), fmt.Sprintf("%.0f", float64(part.bytes)/(1<<20)))
		}
	}
}
