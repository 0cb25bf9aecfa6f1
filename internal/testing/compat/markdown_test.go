package compat_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"sluice.io/sluice/internal/testing/compat"
)

var update = flag.Bool("update", false, "write the tables of differences into docs/protocol.md")

const protocolDoc = "../../../docs/protocol.md"

// The tables are between two comments. To update them: go test ./internal/testing/compat
// -update.
func TestProtocolDocIsCurrent(t *testing.T) {
	data, err := os.ReadFile(protocolDoc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, table := range tables() {
		begin := "<!-- " + name + " differences, from internal/testing/compat -->\n"
		before, rest, ok := strings.Cut(text, begin)
		_, after, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the %s differences", protocolDoc, name)
		}
		text = before + begin + "\n" + table + "\n<!-- end -->" + after
	}
	if text == string(data) {
		return
	}
	if !*update {
		t.Fatalf("%s is not current; run go test ./internal/testing/compat -update", protocolDoc)
	}
	if err := os.WriteFile(protocolDoc, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tables are the tables in the documentation by their names.
func tables() map[string]string {
	return map[string]string{
		"deliberate": compat.Markdown(compat.Deliberate), "later": compat.Markdown(compat.Later),
		"deliberate gRPC": compat.GRPCMarkdown(compat.Deliberate), "later gRPC": compat.GRPCMarkdown(compat.Later),
	}
}

func TestTableIsFilledIn(t *testing.T) {
	for kind, table := range tables() {
		if strings.Contains(table, "|  |") {
			t.Errorf("%s: a cell is empty:\n%s", kind, table)
		}
		for line := range strings.Lines(table) {
			if strings.Count(line, "|") != strings.Count(table[:strings.IndexByte(table, '\n')], "|") {
				t.Errorf("%s: %q has a different number of cells than the table", kind, line)
			}
		}
	}
}
