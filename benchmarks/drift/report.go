package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/mathext"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// report prints the tables of what was measured.
func report(out io.Writer, rows record.Rows) {
	for _, r := range rows.Where("run") {
		fmt.Fprintf(out, "%s, commit %s, %s, %d cores of %s, seed %s\n", r.Host.Date, r.Host.Revision, r.Host.Go, r.Host.Cores, r.Host.CPU, r.Params["seed"])
	}
	if all := rows.Where(partFalseAlarms); len(all) > 0 {
		falseAlarmTables(out, all)
	}
	delayTables(out, rows)
	costTables(out, rows)
}

func falseAlarmTables(out io.Writer, rows record.Rows) {
	promises := rows.Groups("promise")
	for _, lines := range promises {
		first := &lines[0]
		fmt.Fprintf(out, "\n%s: alarms per 10,000 clean windows (95 %% interval), streams that alarmed of %.0f; allowed are %.1f\n\n%s",
			first.Params["promise"], first.Figures["streams"], per10000(first), falseAlarmTable(lines, alarms))
	}
	fmt.Fprintf(out, "\nfindings that became suspected, of windows; the three detectors in turn. One in 20 windows is allowed\n\n%s",
		falseAlarmTable(promises[0], func(r *record.Record) string {
			var each []string
			for _, same := range rows.Where(partFalseAlarms, "rho", r.Params["rho"], "reference_rows", r.Params["reference_rows"], "window_rows", r.Params["window_rows"]) {
				each = append(each, page.Thousands(same.Figures["suspicions"]))
			}
			return strings.Join(each, " / ") + " of " + page.Thousands(r.Figures["windows"])
		}))
	fmt.Fprint(out, "\nfindings that became detected, independent rows, all sizes together\n\n")
	for _, lines := range promises {
		independent := lines.Where(partFalseAlarms, "rho", "0")
		findings := independent.Sums("finding ")
		var each []string
		for _, name := range slices.Sorted(maps.Keys(findings)) {
			each = append(each, fmt.Sprintf("%s %.0f", name, findings[name]))
		}
		fmt.Fprintf(out, "- %s, of %s windows: %s\n", lines[0].Params["promise"], page.Thousands(independent.Sum("windows")), cmp.Or(strings.Join(each, ", "), "none"))
	}
}

// falseAlarmTable has a row for each dependence and reference and a column for each
// size of windows.
func falseAlarmTable(lines record.Rows, cell func(*record.Record) string) string {
	head := []string{"rows", "reference"}
	for _, of := range lines.Groups("window_rows") {
		head = append(head, "windows of "+page.Thousands(of[0].Num("window_rows")))
	}
	t := page.NewTable(head...)
	sets := lines.Groups("rho", "reference_rows")
	slices.SortFunc(sets, func(a, b record.Rows) int {
		return cmp.Or(cmp.Compare(a[0].Num("rho"), b[0].Num("rho")), cmp.Compare(a[0].Num("reference_rows"), b[0].Num("reference_rows")))
	})
	for _, set := range sets {
		cells := []string{"independent", page.Thousands(set[0].Num("reference_rows"))}
		if rho := set[0].Num("rho"); rho > 0 {
			cells[0] = fmt.Sprintf("AR(1), ρ = %.1f", rho)
		}
		for i := range set {
			cells = append(cells, cell(&set[i]))
		}
		t.Row(cells...)
	}
	return t.String()
}

// per10000 is the number of alarms that are allowed.
func per10000(r *record.Record) float64 {
	return record.Per("allowed", "windows", 10_000)(r)
}

// alarms counts by the windows in which the stream could alarm. It is bold if the
// interval is above what is allowed.
func alarms(r *record.Record) string {
	const scale = 10_000
	n, atRisk := r.Figures["alarms"], r.Figures["at_risk"]
	low, high := interval(n, atRisk)
	if n == 0 {
		return "0 (–" + digits(high*scale) + ")"
	}
	text := fmt.Sprintf("%s (%s–%s), %.0f", digits(scale*n/atRisk), digits(low*scale), digits(high*scale), r.Figures["streams_alarmed"])
	if low*scale > per10000(r) {
		return "**" + text + "**"
	}
	return text
}

// interval returns the exact 95 % interval of a share, that of Clopper and Pearson, of which
// n in total were seen.
func interval(n, total float64) (low, high float64) {
	high = 1
	if n > 0 {
		low = mathext.InvRegIncBeta(n, total-n+1, 0.025)
	}
	if n < total {
		high = mathext.InvRegIncBeta(n+1, total-n, 0.975)
	}
	return low, high
}

// digits writes a small number with one decimal.
func digits(x float64) string {
	if x < 10 && x != math.Trunc(x) {
		return page.Decimal(x)
	}
	return page.Thousands(x)
}

// delayTables prints one for each size of reference and window.
func delayTables(out io.Writer, rows record.Rows) {
	for _, set := range rows.Where(partDelay).Groups("reference_rows", "window_rows") {
		reference, window := set[0].Params["reference_rows"], set[0].Params["window_rows"]
		fmt.Fprintf(out, "\nrows until the changed feature alarms, median (streams that missed it); reference %s, windows of %s\n\n",
			page.Thousands(set[0].Num("reference_rows")), page.Thousands(set[0].Num("window_rows")))
		head := []string{"method"}
		for _, of := range set.Groups("change") {
			head = append(head, of[0].Params["change"])
		}
		t := page.NewTable(append(head, "clean windows that alarm (a feature)")...)
		for _, lines := range set.Groups("method") {
			method := lines[0].Params["method"]
			cells := []string{method}
			for i := range lines {
				cells = append(cells, delayed(&lines[i]))
			}
			for _, c := range rows.Where(partClean, "method", method, "reference_rows", reference, "window_rows", window) {
				f := c.Figures
				cells = append(cells, fmt.Sprintf("%s of %s (%s)", page.Thousands(f["alarms"]), page.Thousands(f["windows"]), share(f["feature_alarms"], f["windows"]*features)))
			}
			t.Row(cells...)
		}
		fmt.Fprint(out, t)
	}
	for _, e := range rows.Where(partEvidently) {
		fmt.Fprintf(out, "\nEvidently %s: a whole report of one window takes %.1f s\n", e.Params["version"], e.Figures["report_seconds"])
	}
}

// delayed returns the median; what was missed counts as later than all else.
func delayed(r *record.Record) string {
	missed, already, found := r.Figures["missed"], r.Figures["already"], 0.0
	after := map[int]float64{}
	streams := missed
	for rows, n := range (record.Rows{*r}).Sums("after_") {
		at, _ := strconv.Atoi(rows)
		after[at] = n
		streams += n
	}
	note := fmt.Sprintf(" (%s missed)", share(missed, streams))
	switch {
	case streams == 0:
		return "-"
	case missed == streams:
		return "never"
	case already > 0:
		note = fmt.Sprintf(" (%s missed, %.0f more had a false alarm on)", share(missed, streams), already)
	case missed == 0:
		note = ""
	}
	for _, rows := range slices.Sorted(maps.Keys(after)) {
		if found += after[rows]; 2*found >= streams {
			return page.Thousands(float64(rows)) + note
		}
	}
	return "> " + page.Thousands(changedRows) + note
}

// share returns a percentage with as many digits as say something.
func share(n, of float64) string {
	percent := 100 * n / max(1, of)
	switch {
	case percent == 0, percent == 100, percent >= 10 && percent <= 99:
		return fmt.Sprintf("%.0f %%", percent)
	case percent < 0.1:
		return fmt.Sprintf("%.3f %%", percent)
	default:
		return fmt.Sprintf("%.1f %%", percent)
	}
}

func costTables(out io.Writer, rows record.Rows) {
	costs := rows.Where(partCost)
	if len(costs) == 0 {
		return
	}
	t := page.NewTable("features", "count a row, ns", "of it a value, ns", "judge a clean window, ms", "judge one where all have drifted, ms")
	for i := range costs {
		f, n := costs[i].Figures, costs[i].Num("features")
		t.Row(page.Thousands(n), page.Thousands(math.Trunc(f["row_ns"])), page.Decimal(f["row_ns"]/n), fmt.Sprintf("%.2f", f["clean_ms"]), fmt.Sprintf("%.2f", f["broken_ms"]))
	}
	fmt.Fprintf(out, "\n%s", t)
	for _, m := range rows.Where(partMemory) {
		f := m.Figures
		t := page.NewTable("what", "bytes per feature and stream", "in all, MiB")
		row := func(what string, bytes float64) {
			t.Row(what, fmt.Sprintf("%.0f", bytes/(m.Num("features")*m.Num("versions"))), fmt.Sprintf("%.0f", bytes/(1<<20)))
		}
		row("profiles", f["profiles_bytes"])
		row("open windows", f["windows_bytes"])
		row("detectors, all well", f["detectors_bytes"])
		row("together", f["profiles_bytes"]+f["windows_bytes"]+f["detectors_bytes"])
		row("more while every feature is suspected", f["runs_bytes"])
		fmt.Fprintf(out, "\nheap for %s features × %s versions\n\n%s", page.Thousands(m.Num("features")), m.Params["versions"], t)
	}
}
