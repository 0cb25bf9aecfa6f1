package main

import (
	"strings"
	"testing"
)

func TestRoutesUndo(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	weights := func(want ...int) {
		t.Helper()
		var got []int
		for _, v := range f.routes["iris"].Variants {
			got = append(got, v.Weight)
		}
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	undo := func(args ...string) result {
		t.Helper()
		return routesCommand(t, url, "", append([]string{"undo", "iris"}, args...)...)
	}
	if got := undo(); got.code != exitOK || !strings.Contains(got.out, "revision 2 → 3") || got.errOut != "" {
		t.Fatalf("%+v", got)
	}
	weights(10_000)
	if reason := f.events[2].Reason; reason != "undo of the last change" {
		t.Errorf("reason %q", reason)
	}
	if got := undo("--reason", "no"); got.code != exitOK || f.events[3].Reason != "no" {
		t.Fatalf("undo of the undo: %+v", got)
	}
	weights(9_500, 500)
	if r := f.routes["iris"]; len(r.Shadows) != 1 || r.Sticky.Header != "X-User-Id" {
		t.Errorf("%+v", r)
	}
	if got := undo("--to-revision", "1"); got.code != exitOK || f.events[4].Reason != "undo to revision 1" {
		t.Fatalf("%+v", got)
	}
	weights(10_000)
	if got := undo("--to-revision", "9"); got.code != exitFailed || !strings.Contains(got.errOut, "the journal has no revision 9") {
		t.Errorf("%+v", got)
	}
	if got := undo("--to-revision", "0"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
	// A deleted route comes back, and a route that was not declared before is deleted.
	if got := routesCommand(t, url, "", "delete", "iris", "--reason", "x"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	if got := undo(); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	weights(10_000)
	if got := routesCommand(t, url, "", "set", "wine", "--canary", "5=0%", "--reason", "x"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	if got := routesCommand(t, url, "", "undo", "wine"); got.code != exitOK || !strings.Contains(got.out, "deleted") {
		t.Errorf("%+v", got)
	}
	if got := routesCommand(t, url, "", "undo", "none"); got.code != exitFailed || !strings.Contains(got.errOut, "route 'none': the journal has no change") {
		t.Errorf("%+v", got)
	}
}

func TestRoutesApply(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	apply := func(text string, args ...string) result {
		t.Helper()
		return routesCommand(t, url, text, append([]string{"apply", "-f", "-", "--reason", "x"}, args...)...)
	}
	// The output of the other commands is accepted.
	for _, form := range []string{"json", "yaml"} {
		for _, shown := range [][]string{{"get", "iris"}, {"list"}} {
			text := routesCommand(t, url, "", append(shown, "-o", form)...).out
			if got := apply(text); got.code != exitOK || got.out != "Route iris already has this state, at revision 2\n" {
				t.Errorf("%v %s: %+v", shown, form, got)
			}
		}
	}
	set := routesCommand(t, url, "", "set", "iris", "--canary", "2=20%", "--reason", "x", "-o", "json").out
	history := command(t, "", []string{"journal", "-o", "json", "--admin", url}).out
	if got := routesCommand(t, url, "", "set", "iris", "--canary", "2=40%", "--reason", "x"); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	// The revision of a route is checked, that of an event is not.
	if got := apply(set); got.code != exitFailed || !strings.Contains(got.errOut, "changed in the meantime") {
		t.Errorf("%+v", got)
	}
	if got := apply(history); got.code != exitOK || f.routes["iris"].Variants[1].Weight != 2_000 {
		t.Errorf("%+v gives %+v", got, f.routes["iris"])
	}
	got := apply("name: a\nmodel: iris\nvariants: [{version: 1, weight: 10000}]\n---\nname: b\nvariants:\n- {version: 2, weight: 10000}\n", "-o", "yaml")
	if got.code != exitOK || strings.Count(got.out, "\n---\n") != 1 || f.routes["a"].Model != "iris" || f.routes["b"].Model != "b" {
		t.Errorf("%+v", got)
	}
	bad := func(text, part string) {
		t.Helper()
		if got := apply(text); got.code != exitFailed || !strings.Contains(got.errOut, part) {
			t.Errorf("%s: %+v, want %q", text, got, part)
		}
	}
	bad("", "-: the file is empty")
	bad("[]", "has no routes")
	bad(`{"variants":[]}`, "there is no name")
	bad(`[{"name":"a","wieght":1}]`, "entry 1")
	bad("a: [", "yaml")
	bad(`{"name":"c","variants":[{"version":1,"weight":5}]}`, "add up to 5 basis points, expected 10000 (100%); 0 of 1 routes were applied before")
}

func TestRoutesDiff(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	file := t.TempDir() + "/sluice.yaml"
	diff := func(code int, out, text string) {
		t.Helper()
		place(t, file, "repository: {path: models}\n"+text)
		got := routesCommand(t, url, "", "diff", "-c", file)
		if got.code != code || got.out != out {
			t.Errorf("%s: %+v, want %d %q", text, got, code, out)
		}
	}
	const same = `routes:
  iris:
    variants: [{version: 1, weight: 95%}, {version: 2, weight: 5%, role: canary}]
    shadows: [{version: 3, sample: 10%}]
    sticky: {header: X-User-Id}
    fallback: stable
`
	diff(exitOK, "", same)
	diff(exitFailed, "iris: v2 canary 5% → 20%\n", strings.Replace(strings.Replace(same, "95%", "80%", 1), " 5%", " 20%", 1))
	diff(exitFailed, "iris: not in the file: v1 95%, v2 canary 5%\n", "")
	diff(exitFailed, "wine: declared: v9 100%\n", same+"  wine: {variants: [{version: 9, weight: 100%}]}\n")
	got := routesCommand(t, url, `{"name":"iris","variants":[{"version":1,"weight":10000}]}`, "diff", "-f", "-", "-o", "name")
	if got.code != exitFailed || got.out != "iris\n" || !strings.Contains(got.errOut, "1 routes differ") {
		t.Errorf("%+v", got)
	}
	if got := routesCommand(t, url, "", "diff"); got.code != exitUsage {
		t.Errorf("%+v", got)
	}
}

// On a terminal the command asks before it moves more than half of the slots and before it deletes.
func TestRoutesAskBeforeLargeMoves(t *testing.T) {
	f := func(typed, question string, changed bool, args ...string) {
		t.Helper()
		fold := newFold()
		var out, errOut strings.Builder
		args = append([]string{"routes", "--admin", sideOf(t, fold)}, append(args, "--reason", "x")...)
		code := run(t.Context(), args, strings.NewReader(typed), &out, &errOut, watched)
		if (code == exitOK) != changed || (len(fold.events) > 2) != changed || !strings.HasPrefix(errOut.String(), question) {
			t.Errorf("%v: %d %s%s", args, code, out.String(), errOut.String())
		}
	}
	f("y\n", "v2 canary 5% → stable 100%, v1 removed (had 95%): 9500 of 10000 slots move. Continue? [y/N] ", true, "set", "iris", "--stable", "2")
	f("n\n", "v2 canary 5% → stable 100%, v1 removed (had 95%): 9500 of 10000 slots move. Continue? [y/N] gateway: nothing was changed", false, "set", "iris", "--stable", "2")
	f("", "", true, "set", "iris", "--stable", "2", "--yes")
	f("", "", true, "set", "iris", "--canary", "2=50%")
	f("y\n", "Route iris (v1 95%, v2 canary 5%) will be deleted, and 500 of 10000 slots move. Continue? [y/N] ", true, "delete", "iris")
	f("\n", "Route iris (v1 95%, v2 canary 5%) will be deleted", false, "delete", "iris")
	f("", "", true, "delete", "iris", "-y")
}
