package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestProfileOfTexts: texts are in the table, the page and the comparison, with escapes.
func TestProfileOfTexts(t *testing.T) {
	dir := t.TempDir()
	build := func(name, text string, args ...string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		rows := "kind\n" + strings.Repeat("red\nred\n<b>&\n"+text+"\n", 100)
		if r := profileLine(t, rows, append([]string{"-", "-o", file}, args...)...); r.code != exitOK {
			t.Fatalf("%+v", r)
		}
		return file
	}
	a, b, hidden := build("a.json", "green"), build("b.json", "blue"), build("hidden.json", "green", "--hide-texts")
	f := func(code int, args []string, parts ...string) {
		t.Helper()
		r := profileLine(t, "", args...)
		if r.code != code {
			t.Errorf("%v: %+v", args, r)
		}
		for _, part := range parts {
			if !strings.Contains(r.out, part) {
				t.Errorf("%v: no %q in %s", args, part, r.out)
			}
		}
		if strings.HasPrefix(r.out, "<!doctype") && (wellFormed(t, r.out) == 0 || strings.Contains(r.out, "<b>") || strings.Contains(r.out, "ZgotmplZ")) {
			t.Error(r.out)
		}
	}
	f(exitOK, []string{"show", a}, "TEXTS", `3: "red" 50 %, "<b>&" 25 %, "green" 25 %`)
	f(exitOK, []string{"show", a, "--html"}, `&#34;red&#34; 50 %`, `<title>&#34;&lt;b&gt;&amp;&#34;, reference: 25 %</title>`)
	f(exitOK, []string{"show", hidden}, "3: value 1 50 %, value 2 25 %")
	f(exitOK, []string{"compare", a, a}, "same")
	f(exitOK, []string{"compare", a, hidden}, "same")
	f(exitFailed, []string{"compare", a, b}, `new: 25 % of the values, 0 % in A, for example "blue"`)
	if r := profileLine(t, "kind\nred\n", "-", "--text-bytes", "0"); r.code != exitUsage {
		t.Errorf("%+v", r)
	}
}
