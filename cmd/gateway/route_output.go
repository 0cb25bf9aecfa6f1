package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sluice.io/sluice/api"
)

func printRoutes(b *strings.Builder, routes []api.Route, wide bool) {
	more := ""
	if wide {
		more = "\tSEED"
	}
	fmt.Fprintf(b, "ROUTE\tMODEL\tREVISION\tSPLIT\tSHADOWS\tSTICKY\tFALLBACK%s\n", more)
	for i := range routes {
		r := &routes[i]
		shadows := make([]string, len(r.Shadows))
		for i, s := range r.Shadows {
			shadows[i] = partName(s.Version, s.Alias) + " " + api.Percent(s.Sample)
		}
		if wide {
			more = "\t" + oneLine(r.Seed)
		}
		fmt.Fprintf(b, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", oneLine(r.Name), oneLine(r.Model), revisionText(r.Revision), splitText(r.Variants),
			orDash(strings.Join(shadows, ", ")), stickyText(r.Sticky), fallbackText(r.Fallback), more)
	}
}

func revisionText(revision int64) string {
	if revision == 0 {
		return "0 (implied)"
	}
	return strconv.FormatInt(revision, 10)
}

// rates are requests per second by variant; nil if they are not shown.
type rates map[api.Variant]float64

// printRoute prints a route and the statistics of its versions.
func printRoute(b *strings.Builder, r *api.Route, stats *api.RouteStats, perSecond rates) {
	fmt.Fprintf(b, "Route:\t%s\nModel:\t%s\nRevision:\t%s\nSticky:\t%s\nFallback:\t%s\n",
		oneLine(r.Name), oneLine(r.Model), revisionText(r.Revision), stickyText(r.Sticky), fallbackText(r.Fallback))
	if r.Seed != r.Name {
		line(b, "Seed", oneLine(r.Seed))
	}
	rateTitle := ""
	if perSecond != nil {
		rateTitle = "REQ/S\t"
	}
	fmt.Fprintf(b, "\nVERSION\tROLE\tWEIGHT\tSTATE\tBREAKER\tREQUESTS\t%sERRORS\tERROR RATE, 95%%\tREFUSED\tFALLBACKS\tP50\tP99\n", rateTitle)
	for i := range stats.Variants {
		v := &stats.Variants[i]
		rate := ""
		if perSecond != nil {
			rate = "-\t"
			if n, ok := perSecond[variantKey(v)]; ok {
				rate = strconv.FormatFloat(n, 'f', 1, 64) + "\t"
			}
		}
		fmt.Fprintf(b, "%d\t%s\t%s\t%s\t%s\t%d\t%s%s\t%s\t%d\t%d\t%s\t%s\n", v.Version, v.Role, api.Percent(v.Weight), orDash(v.State), orDash(v.Breaker),
			v.Total.Requests, rate, errorsText(v.Total), rateInterval(v.ErrorRate), v.Total.Refused, v.Total.Fallbacks, latencyText(v.Recent.P50), latencyText(v.Recent.P99))
	}
	if len(stats.Shadows) == 0 {
		return
	}
	fmt.Fprintln(b, "\nSHADOW\tSAMPLE\tSTATE\tQUEUED\tANSWERED\tERRORS\tDROPPED\tP50\tP99")
	for i := range stats.Shadows {
		s := &stats.Shadows[i]
		fmt.Fprintf(b, "%d\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", s.Version, api.Percent(s.Sample), orDash(s.State), s.Queued,
			s.Answered, s.Errors, droppedText(s.Dropped), latencyText(s.Recent.P50), latencyText(s.Recent.P99))
	}
}

// variantKey identifies a variant, without its weight.
func variantKey(v *api.VariantStats) api.Variant {
	return api.Variant{Version: v.Version, Role: v.Role}
}

// printEdit prints the result of a change, with the statistics from before it.
func printEdit(b *strings.Builder, before *api.Route, result *api.RouteResult, stats *api.RouteStats) {
	after := &result.Route
	fmt.Fprintf(b, "Route %s, revision %d → %d\n\n", oneLine(after.Name), before.Revision, after.Revision)
	fmt.Fprintln(b, "VERSION\tROLE\tBEFORE\tAFTER\tREQUESTS\tERRORS\tP50\tP99")
	row := func(version int64, role, was, is, did string) {
		fmt.Fprintf(b, "%d\t%s\t%s\t%s\t%s\n", version, role, orDash(was), orDash(is), did)
	}
	gone := slices.DeleteFunc(slices.Clone(before.Variants), func(v api.Variant) bool { return variantOf(after.Variants, v) != nil })
	for _, v := range after.Variants {
		was := ""
		if old := variantOf(before.Variants, v); old != nil {
			was = api.Percent(old.Weight)
		}
		row(v.Version, v.Role, was, api.Percent(v.Weight), variantDid(stats, v))
	}
	for _, v := range gone {
		row(v.Version, v.Role, api.Percent(v.Weight), "", variantDid(stats, v))
	}
	was, is := samples(before.Shadows), samples(after.Shadows)
	for _, version := range slices.Compact(slices.Sorted(keysOf(was, is))) {
		row(version, "shadow", was[version], is[version], shadowDid(stats, version))
	}
	b.WriteByte('\n')
	old, now := *before, *after
	old.Shadows, now.Shadows = nil, nil // they are printed as rows
	old.Seed = cmp.Or(old.Seed, now.Seed)
	for _, text := range settingChanges(&old, &now) {
		fmt.Fprintln(b, text)
	}
	verb := "moved"
	if result.DryRun {
		verb = "would move; this was a dry run, and nothing has changed"
	}
	fmt.Fprintf(b, "%d of %d slots %s\n", result.SlotsMoved, api.TotalWeight, verb)
}

func keysOf(ms ...map[int64]string) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for _, m := range ms {
			for k := range maps.Keys(m) {
				if !yield(k) {
					return
				}
			}
		}
	}
}

const noStats = "-\t-\t-\t-"

// variantDid returns the columns of a variant's statistics before a change.
func variantDid(stats *api.RouteStats, like api.Variant) string {
	if stats != nil {
		for i := range stats.Variants {
			if v := &stats.Variants[i]; v.Version == like.Version && v.Role == like.Role {
				return fmt.Sprintf("%d\t%s\t%s\t%s", v.Total.Requests, errorsText(v.Total), latencyText(v.Recent.P50), latencyText(v.Recent.P99))
			}
		}
	}
	return noStats
}

func shadowDid(stats *api.RouteStats, version int64) string {
	if stats != nil {
		for i := range stats.Shadows {
			if s := &stats.Shadows[i]; s.Version == version {
				total := api.VariantCount{Requests: s.Answered + s.Errors, Errors: s.Errors}
				return fmt.Sprintf("%d\t%s\t%s\t%s", total.Requests, errorsText(total), latencyText(s.Recent.P50), latencyText(s.Recent.P99))
			}
		}
	}
	return noStats
}

// errorsText is a number and its share of the requests: "3 (0.02%)".
func errorsText(c api.VariantCount) string {
	if c.Errors == 0 || c.Requests == 0 {
		return strconv.FormatInt(c.Errors, 10)
	}
	return fmt.Sprintf("%d (%.2f%%)", c.Errors, 100*float64(c.Errors)/float64(c.Requests))
}

// rateInterval returns the interval of a rate of errors, "-" if a gateway does not tell it.
func rateInterval(r api.ErrorRate) string {
	if r.High == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f–%.2f%%", 100*r.Low, 100*r.High)
}

func droppedText(reasons map[string]int64) string {
	total := int64(0)
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		if n := reasons[reason]; n > 0 {
			total += n
			list = append(list, fmt.Sprintf("%s %d", oneLine(reason), n))
		}
	}
	if total == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(list, ", "))
}

// latencyText keeps about three digits; 0 means no measurement.
func latencyText(d api.Duration) string {
	v := time.Duration(d)
	switch {
	case v == 0:
		return "-"
	case v >= time.Second:
		v = v.Round(10 * time.Millisecond)
	case v >= time.Millisecond:
		v = v.Round(10 * time.Microsecond)
	default:
		v = v.Round(100 * time.Nanosecond)
	}
	return v.String()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// oneLine makes foreign text safe for a line of a table: it removes line breaks and everything that
// moves the cursor or changes the direction of text.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		default:
			return r
		}
	}, text)
}
