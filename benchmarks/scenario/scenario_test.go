package scenario

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/benchmarks/record"
)

// What was written can be read back and looks the same; a scenario that ran again
// takes the place of its old line.
func TestResultsKeepWhatWasNotRun(t *testing.T) {
	host := func(revision string) *record.Host {
		return &record.Host{Date: "2026-11-29", CPU: "m", Cores: 2, Go: "go1", Revision: revision}
	}
	table := record.Table{Title: "T", Columns: []string{"name", "n", "ms"}}
	table.Add("a|b", 3, 1.5)
	one := record.New("one", "what", "does one")
	one.Host, one.Tables = host("c1"), []record.Table{table}
	one.AtMost("quick", 5, 4, "ms")
	two := record.New("two", "what", "does two")
	two.Host, two.Notes = host("c1"), []string{"n"}
	out := filepath.Join(t.TempDir(), "results")
	if err := write(out, "Title", record.Rows{one, two}); err != nil {
		t.Fatal(err)
	}
	old, err := record.Load(out + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	fresh := record.New("two", "what", "does two again", "quick", "true")
	fresh.Host = host("c2")
	list := Group{Scenarios: []Scenario{{Name: "one"}, {Name: "zero"}, {Name: "two"}}}.merge(old, record.Rows{fresh})
	if len(list) != 2 || list[0].Scenario != "one" || list[1].Host.Revision != "c2" {
		t.Fatalf("%+v", list)
	}
	if err := write(out, "Title", list); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out + ".md")
	if err != nil {
		t.Fatal(err)
	}
	const want = `# Title

2026-11-29, 2 cores of m, shared by gateway and clients, linux, go1, commit c1.
2026-11-29, 2 cores of m, shared by gateway and clients, linux, go1, commit c2, a quick run: shorter and smaller than what the tables are meant for.

| scenario | claim | wanted | measured | verdict |
|---|---|---|---|---|
| one | quick | ≤ 4 ms | 5 ms | **missed** |

## one

does one

T:

| name | n | ms |
|---|---|---|
| a\|b | 3 | 1.5 |

## two

does two again
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
