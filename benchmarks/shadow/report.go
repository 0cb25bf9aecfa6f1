package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"sluice.io/sluice/api"
)

// measurement is one round of a set-up.
type measurement struct {
	p50, p99 int64 // µs
	latency  *hdrhistogram.Histogram
	core     float64 // of one core, what threads of the lowest priority took
	resident int64   // bytes, at the end
	shadow   api.ShadowStats
}

// most is how much slower the tail may become.
const most = 10 // percent

// report prints a row per set-up. A difference is that of one round's p99 to the
// mean of the two without a shadow in the same round; for the pair itself it is
// that of one to the other. What lies within the range of the pair's differences
// cannot be told from chance.
func report(out io.Writer, list []setup, measured [][]measurement) {
	fmt.Fprintln(out, "| set-up | p50 µs | p99 µs | p99 of all rounds µs | p99 to A, % | verdict | copies answered, failed, dropped | shadow's share of a core | MiB |\n|---|---|---|---|---|---|---|---|---|")
	pair := differences(measured[1], measured[0], measured[0])
	chance := slices.Max(absolute(pair))
	for i, s := range list {
		rounds := measured[i]
		diff := differences(rounds, measured[0], measured[1])
		verdict := "-"
		switch i {
		case 0:
			diff = nil
		case 1:
			diff = pair
		default:
			verdict = judge(diff, chance)
		}
		all := hdrhistogram.New(1, 60_000_000, 3)
		for _, m := range rounds {
			all.Merge(m.latency)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %d | %s | %s | %s | %s | %s |\n", s.name,
			spread("%.0f", rounds, func(m measurement) float64 { return float64(m.p50) }),
			spread("%.0f", rounds, func(m measurement) float64 { return float64(m.p99) }),
			all.ValueAtQuantile(99), percent(diff), verdict, copies(s, rounds),
			spread("%.2f", rounds, func(m measurement) float64 { return m.core }),
			spread("%.0f", rounds, func(m measurement) float64 { return float64(m.resident >> 20) }))
	}
	fmt.Fprintf(out, "\nmedians (range) over the rounds; A and A' differed by up to %.1f %%\n", chance)
}

// differences returns, round by round, by how many percent p99 is above the mean
// of two others.
func differences(rounds, a, b []measurement) []float64 {
	list := make([]float64, len(rounds))
	for i := range rounds {
		list[i] = 100 * (2*float64(rounds[i].p99)/float64(a[i].p99+b[i].p99) - 1)
	}
	return list
}

func absolute(list []float64) []float64 {
	positive := slices.Clone(list)
	for i, v := range positive {
		positive[i] = max(v, -v)
	}
	return positive
}

// judge says whether a difference can be told from chance, and whether it is as
// small as it has to be.
func judge(diff []float64, chance float64) string {
	verdict := "within A/A"
	m := median(diff)
	if m > chance {
		verdict = "above A/A"
	}
	if m >= most {
		verdict += fmt.Sprintf(", not below %d %%", most)
	}
	return verdict
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

func percent(list []float64) string {
	if len(list) == 0 {
		return "-"
	}
	return fmt.Sprintf("%+.1f (%+.1f to %+.1f)", median(list), slices.Min(list), slices.Max(list))
}

func spread(format string, rounds []measurement, of func(measurement) float64) string {
	list := make([]float64, len(rounds))
	for i, m := range rounds {
		list[i] = of(m)
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(list), slices.Min(list), slices.Max(list))
}

// copies says what became of all copies of a set-up.
func copies(s setup, rounds []measurement) string {
	if s.shadow == 0 {
		return "-"
	}
	var answered, failed int64
	dropped := map[string]int64{}
	for _, m := range rounds {
		answered += m.shadow.Answered - m.shadow.Errors
		failed += m.shadow.Errors
		for reason, n := range m.shadow.Dropped {
			dropped[reason] += n
		}
	}
	var reasons strings.Builder
	for _, reason := range slices.Sorted(maps.Keys(dropped)) {
		fmt.Fprintf(&reasons, " %s %d", reason, dropped[reason])
	}
	return fmt.Sprintf("%d, %d,%s", answered, failed, reasons.String())
}
