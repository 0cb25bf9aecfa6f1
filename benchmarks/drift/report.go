package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// results are the lines of a file by their kind.
type results struct {
	about       []about
	falseAlarms []falseAlarmsLine
	clean       []cleanLine
	delay       []delayLine
	cost        []costLine
	memory      []memoryLine
	evidently   []evidentlyLine
}

// evidentlyLine is what the Python program says of itself.
type evidentlyLine struct {
	Version string  `json:"version"`
	Report  float64 `json:"report_seconds"` // one whole report of a window of ten features
}

// report prints the tables of a file.
func report(out io.Writer, name string) error {
	r, err := read(name)
	if err != nil {
		return err
	}
	for _, a := range r.about {
		fmt.Fprintf(out, "%s, commit %s, %s, %d cores of %s, seed %d\n", a.Date.Format("2006-01-02"), a.Commit, a.Go, a.Cores, a.CPU, a.Seed)
	}
	if len(r.falseAlarms) > 0 {
		r.falseAlarmTables(out)
	}
	if len(r.delay) > 0 {
		r.delayTables(out)
	}
	if len(r.cost) > 0 {
		r.costTables(out)
	}
	return nil
}

func read(name string) (*results, error) {
	text, err := os.ReadFile(name) //nolint:gosec // the operator's own file
	if err != nil {
		return nil, err
	}
	r := &results{}
	for line := range bytes.Lines(text) {
		var kind struct {
			Part string `json:"part"`
		}
		if err := json.Unmarshal(line, &kind); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch kind.Part {
		case partRun:
			r.about, err = appended(r.about, line)
		case partFalseAlarms:
			r.falseAlarms, err = appended(r.falseAlarms, line)
		case partClean:
			r.clean, err = appended(r.clean, line)
		case partDelay:
			r.delay, err = appended(r.delay, line)
		case partCost:
			r.cost, err = appended(r.cost, line)
		case partMemory:
			r.memory, err = appended(r.memory, line)
		case partEvidently:
			r.evidently, err = appended(r.evidently, line)
		default:
			err = fmt.Errorf("no part is named %q", kind.Part)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

func appended[T any](list []T, line []byte) ([]T, error) {
	var x T
	err := json.Unmarshal(line, &x)
	return append(list, x), err
}

// grouped returns what of a list has the same key, in the order of the keys' first.
func grouped[T any, K comparable](list []T, key func(T) K) (keys []K, groups map[K][]T) {
	groups = map[K][]T{}
	for _, x := range list {
		k := key(x)
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], x)
	}
	return keys, groups
}

// table prints a row; the first one is the head.
type table struct {
	out  io.Writer
	rows int
}

func (t *table) row(cells ...string) {
	fmt.Fprintf(t.out, "| %s |\n", strings.Join(cells, " | "))
	if t.rows++; t.rows == 1 {
		fmt.Fprintf(t.out, "|%s\n", strings.Repeat("---|", len(cells)))
	}
}

func (r *results) falseAlarmTables(out io.Writer) {
	promises, byPromise := grouped(r.falseAlarms, func(l falseAlarmsLine) string { return l.Promise })
	for _, promise := range promises {
		lines := byPromise[promise]
		fmt.Fprintf(out, "\n%s: alarms per 10,000 clean windows (95 %% interval), streams that alarmed of %d; allowed are %.1f\n\n",
			promise, lines[0].Streams, lines[0].per10000(lines[0].Allowed))
		r.falseAlarmTable(out, lines, func(l falseAlarmsLine) string { return l.alarms() })
	}
	r.suspicionTable(out)
	fmt.Fprint(out, "\nfindings that became detected, independent rows, all sizes together\n\n")
	for _, promise := range promises {
		findings, windows := map[string]int{}, 0
		for _, l := range byPromise[promise] {
			if l.Rho == 0 {
				windows += l.Windows
				for name, n := range l.Findings {
					findings[name] += n
				}
			}
		}
		each := make([]string, 0, len(findings))
		for _, name := range slices.Sorted(maps.Keys(findings)) {
			each = append(each, name+" "+strconv.Itoa(findings[name]))
		}
		fmt.Fprintf(out, "- %s, of %s windows: %s\n", promise, thousands(windows), cmp.Or(strings.Join(each, ", "), "none"))
	}
}

// suspicionTable has what all promises say of a set-up in one cell.
func (r *results) suspicionTable(out io.Writer) {
	fmt.Fprint(out, "\nfindings that became suspected, of windows; the three detectors in turn. One in 20 windows is allowed\n\n")
	type set struct {
		rho               float64
		reference, window int
	}
	of := func(l falseAlarmsLine) set { return set{l.Rho, l.ReferenceRows, l.WindowRows} }
	sets, bySet := grouped(r.falseAlarms, of)
	first := make([]falseAlarmsLine, 0, len(sets))
	for _, s := range sets {
		first = append(first, bySet[s][0])
	}
	r.falseAlarmTable(out, first, func(l falseAlarmsLine) string {
		each := make([]string, 0, 3)
		for _, same := range bySet[of(l)] {
			each = append(each, thousands(same.Suspicions))
		}
		return strings.Join(each, " / ") + " of " + thousands(l.Windows)
	})
}

// falseAlarmTable has a row for each dependence and reference and a column for each
// size of windows.
func (r *results) falseAlarmTable(out io.Writer, lines []falseAlarmsLine, cell func(falseAlarmsLine) string) {
	t := table{out: out}
	sizes, _ := grouped(lines, func(l falseAlarmsLine) int { return l.WindowRows })
	head := append(make([]string, 0, 2+len(sizes)), "rows", "reference")
	for _, n := range sizes {
		head = append(head, "windows of "+thousands(n))
	}
	t.row(head...)
	type set struct {
		rho       float64
		reference int
	}
	sets, bySet := grouped(lines, func(l falseAlarmsLine) set { return set{l.Rho, l.ReferenceRows} })
	slices.SortFunc(sets, func(a, b set) int { return cmp.Or(cmp.Compare(a.rho, b.rho), cmp.Compare(a.reference, b.reference)) })
	for _, s := range sets {
		cells := append(make([]string, 0, 2+len(sizes)), "independent", thousands(s.reference))
		if s.rho > 0 {
			cells[0] = fmt.Sprintf("AR(1), ρ = %.1f", s.rho)
		}
		for _, l := range bySet[s] {
			cells = append(cells, cell(l))
		}
		t.row(cells...)
	}
}

// per10000 scales a number of windows.
func (l falseAlarmsLine) per10000(n float64) float64 { return n * 10_000 / float64(l.Windows) }

// alarms counts by the windows in which the stream could alarm. It is bold where the
// interval is above what is allowed.
func (l falseAlarmsLine) alarms() string {
	const scale = 10_000
	low, high := interval(l.Alarms, l.AtRisk)
	if l.Alarms == 0 {
		return "0 (–" + digits(high*scale) + ")"
	}
	text := fmt.Sprintf("%s (%s–%s), %d", digits(scale*float64(l.Alarms)/float64(l.AtRisk)), digits(low*scale), digits(high*scale), l.Alarmed)
	if low*scale > l.per10000(l.Allowed) {
		return "**" + text + "**"
	}
	return text
}

// digits writes a small number with one decimal.
func digits(x float64) string {
	if x < 10 && x != math.Trunc(x) {
		return fmt.Sprintf("%.1f", x)
	}
	return thousands(int(math.Round(x)))
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
