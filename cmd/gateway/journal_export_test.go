package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An export of a real gateway is verified without it, and a changed one is not. The journal says what served before a change.
func TestJournalExportAndAt(t *testing.T) {
	admin := servedRoute(t)
	before := time.Now()
	keepTogether(t, admin)
	file := filepath.Join(t.TempDir(), "journal.jsonl")
	if got := command(t, "", []string{"journal", "export", "--file", file, "--admin", admin}); got.code != exitOK || got.out != "" {
		t.Fatalf("%+v", got)
	}
	verified := command(t, "", []string{"journal", "verify", file})
	online := command(t, "", []string{"journal", "verify", "--admin", admin})
	if verified.code != exitOK || verified.out != online.out {
		t.Errorf("offline %+v, online %+v", verified, online)
	}
	some := command(t, "", []string{"journal", "export", "--type", "route.", "--admin", admin})
	if got := command(t, some.out, []string{"journal", "verify", "-"}); got.code != exitOK || !strings.Contains(got.out, "left out") {
		t.Errorf("some events: %+v", got)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(text), "keep users together", "keep users apart", 1)
	if got := command(t, forged, []string{"journal", "verify", "-"}); got.code != exitFailed || !strings.Contains(got.errOut, "was changed after it was written") {
		t.Errorf("a forged export: %+v", got)
	}
	if got := command(t, "", []string{"journal", "at", before.UTC().Format(time.RFC3339Nano), "--admin", admin}); got.code != exitOK || !strings.Contains(got.out, "Revision:  1") || !strings.Contains(got.out, "id_FP32") {
		t.Errorf("before: %+v", got)
	}
	if got := command(t, "", []string{"journal", "at", "0s", "ids", "--admin", admin}); got.code != exitOK || !strings.Contains(got.out, `by alice (unverified) "keep users together"`) {
		t.Errorf("now: %+v", got)
	}
	if got := command(t, "", []string{"journal", "at", "yesterday", "--admin", admin}); got.code != exitUsage {
		t.Errorf("not a time: %+v", got)
	}
}
