package main

import (
	"strings"
	"testing"
)

func TestJournalVerify(t *testing.T) {
	f := newFold()
	url := sideOf(t, f)
	run := func(args ...string) result {
		t.Helper()
		return command(t, "", append([]string{"journal", "verify"}, args...))
	}
	expect(t, result{exitOK, "2 events, 1 archived segments, last hash abc\n", ""}, run("--admin", url))
	expect(t, result{exitOK, "{\n  \"events\": 2,\n  \"segments\": 1,\n  \"hash\": \"abc\"\n}\n", ""}, run("--admin", url, "-o", "json"))
	f.problem = "the journal is damaged"
	expect(t, result{exitFailed, "2 events, 1 archived segments, last hash abc\n", "gateway: the journal is damaged\n"}, run("--admin", url))
	if got := run("--data-dir", t.TempDir()); got.code != exitFailed || !strings.Contains(got.errOut, "there is no journal.db") {
		t.Errorf("%+v", got)
	}
}
