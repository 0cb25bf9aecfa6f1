package main

import (
	"strings"
	"testing"

	"sluice.io/sluice/api"
)

func TestShares(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got, err := parseShare(text); err != nil || got != want {
			t.Errorf("%q = %d, %v, want %d", text, got, err, want)
		}
	}
	f("0%", 0)
	f("0bp", 0)
	f("0.01%", 1)
	f("1bp", 1)
	f("2.5%", 250)
	f("2.50%", 250)
	f("20%", 2000)
	f("2000bp", 2000)
	f("99.99%", 9999)
	f("100%", api.TotalWeight)
	f("10000bp", api.TotalWeight)

	bad := func(text, part string) {
		t.Helper()
		if got, err := parseShare(text); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q = %d, %v, want an error with %q", text, got, err, part)
		}
	}
	bad("20", "write 20% or 2000bp")
	bad("2000", "expected a form such as 20%, 2.5% or 2000bp")
	bad("0.2", "is not a valid share")
	bad("0.001%", "too many digits")
	bad("100.01%", "expected at most 100%")
	bad("10001bp", "expected at most 100%")
	for _, text := range []string{"", "%", "bp", ".%", "5.%", ".5%", "-5%", "+5%", "1e1%", "1_0%", "NaN%", "Inf%", " 5%", "5 %", "5%%", "5%bp", "2.5bp", "0x5%", "99999999999999999999%", "٥%"} {
		bad(text, "")
	}

	for points := range api.TotalWeight + 1 {
		if got, err := parseShare(api.Percent(points)); err != nil || got != points {
			t.Fatalf("%d is written %s and read as %d, %v", points, api.Percent(points), got, err)
		}
	}
}
