package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A file with times makes a profile that knows its hours: a season is no drift for it.
func TestProfileOfTheWeek(t *testing.T) {
	rows := func(seed uint64, from, days int) string {
		rng := rand.New(rand.NewPCG(59, seed))
		var b strings.Builder
		b.WriteString("at,a\n")
		for minute := from * 24 * 60; minute < (from+days)*24*60; minute++ {
			at := time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
			fmt.Fprintf(&b, "%s,%.4f\n", at.Format(time.RFC3339), rng.NormFloat64()+math.Sin(2*math.Pi*float64(minute)/(24*60)))
		}
		return b.String()
	}
	dir := t.TempDir()
	build := func(to, text string, args ...string) result {
		return profileLine(t, text, append([]string{"-", "--time-column", "at", "-o", filepath.Join(dir, to)}, args...)...)
	}
	if r := build("hours.json", rows(1, 0, 28), "--time-zone", "Europe/Berlin"); r.code != exitOK || !strings.Contains(r.errOut, "the time of the row") {
		t.Fatalf("%+v", r)
	}
	if r := build("short.json", rows(1, 0, 5)); r.code != exitOK || !strings.Contains(r.errOut, "the rows cover 119h59m0s; the profile has no hours of the week, since they need two weeks") {
		t.Fatalf("%+v", r)
	}
	whole := strings.ReplaceAll(rows(1, 0, 28), "at,a", "when,a")
	if r := profileLine(t, whole, "-", "--target", "when", "-o", filepath.Join(dir, "whole.json")); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	if r := profileLine(t, "", "show", filepath.Join(dir, "hours.json")); !strings.Contains(r.out, "240 to 240 rows in each hour of the week (Europe/Berlin)") {
		t.Errorf("%+v", r)
	}
	if r := profileLine(t, "", "show", filepath.Join(dir, "hours.json"), "--html"); !strings.Contains(r.out, `aria-label="mean by the hour of the week, -1`) || wellFormed(t, r.out) == 0 {
		t.Errorf("%.2000s", r.out)
	}
	clean := rows(2, 28, 7)
	simulate := func(profile string) result {
		return command(t, clean, []string{"drift", "simulate", "-", "--profile", filepath.Join(dir, profile), "--time-column", "at", "--window", "1h"})
	}
	if r := simulate("hours.json"); r.code != exitOK || strings.Contains(r.out, "DETECTED") {
		t.Errorf("by the hour: %+v", r)
	}
	if r := simulate("whole.json"); r.code != exitOK || !strings.Contains(r.out, "DETECTED") {
		t.Errorf("whole: %+v", r)
	}
	refused := func(want, text string, args ...string) {
		t.Helper()
		if r := profileLine(t, text, append([]string{"-"}, args...)...); r.code == exitOK || !strings.Contains(r.errOut, want) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	const two = "at,a\n2026-05-04T00:00:00Z,1\nnoon,2\n"
	refused("--time-zone needs --time-column", two, "--time-zone", "UTC")
	refused("the time zone 'Mars/North' of the profile's hours is not known", two, "--time-column", "at", "--time-zone", "Mars/North")
	refused("the file has no column 'then'", two, "--time-column", "then")
	refused("'noon' is not a valid time; expected RFC 3339", two, "--time-column", "at")
}
