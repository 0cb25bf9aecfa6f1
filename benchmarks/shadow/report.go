package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice.io/sluice/benchmarks/page"
	"sluice.io/sluice/benchmarks/record"
)

// most is how much slower the tail may become.
const most = 10 // percent

// report prints a row per set-up. A difference is that of one round's p99 to the
// mean of the two without a shadow in the same round; for the pair itself it is
// that of one to the other. What lies within the range of the pair's differences
// cannot be told from chance.
func report(out io.Writer, rows record.Rows) error {
	t := page.NewTable("set-up", "p50 µs", "p99 µs", "p99 of all rounds µs", "p99 to A, %", "verdict", "copies answered, failed, dropped", "shadow's share of a core", "MiB")
	of := func(set int) record.Rows { return rows.Where("shadow", "set", setups()[set].name) }
	p99 := record.Named("p99_us")
	pair := of(1).Over(p99, record.Percent, of(0))
	for i, s := range setups() {
		own, diff, verdict := of(i), "-", "-"
		switch i {
		case 0:
		case 1:
			diff = pair.Text("%+.1f")
		default:
			d := own.Over(p99, record.Percent, of(0), of(1))
			diff, verdict = d.Text("%+.1f"), judge(d.Median, pair.Farthest())
		}
		t.Row(s.name, own.Spread(record.Named("p50_us")).Text("%.0f"), own.Spread(p99).Text("%.0f"), page.Thousands(float64(together(own))), diff, verdict, fate(s, own),
			own.Spread(record.Named("core")).Text("%.2f"), own.Spread(record.Named("resident_mib")).Text("%.0f"))
	}
	_, err := fmt.Fprintf(out, "%s\nmedians (range) over the rounds; A and A' differed by up to %.1f %%\n", t, pair.Farthest())
	return err
}

// judge says whether a difference can be told from chance, and whether it is as
// small as it has to be.
func judge(diff, chance float64) string {
	verdict := "within A/A"
	if diff > chance {
		verdict = "above A/A"
	}
	if diff >= most {
		verdict += fmt.Sprintf(", not below %d %%", most)
	}
	return verdict
}

// sums adds up the figures whose names begin with a word, over all rounds.
func sums(rounds record.Rows, word string) map[string]int64 {
	found := map[string]int64{}
	for i := range rounds {
		for name, n := range rounds[i].Figures {
			if rest, ok := strings.CutPrefix(name, word); ok {
				found[rest] += int64(n)
			}
		}
	}
	return found
}

// together is the p99 of all rounds.
func together(rounds record.Rows) int64 {
	all := hdrhistogram.New(1, 60_000_000, 3)
	for us, n := range sums(rounds, "latency_") {
		at, _ := strconv.ParseInt(us, 10, 64)
		_ = all.RecordValues(at, n)
	}
	return all.ValueAtQuantile(99)
}

// fate says what became of all copies of a set-up.
func fate(s setup, rounds record.Rows) string {
	if s.shadow == 0 {
		return "-"
	}
	dropped := sums(rounds, "dropped ")
	var reasons strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		fmt.Fprintf(&reasons, " %s %d", reason, dropped[reason])
	}
	return fmt.Sprintf("%.0f, %.0f,%s", rounds.Sum("answered"), rounds.Sum("failed"), reasons.String())
}
