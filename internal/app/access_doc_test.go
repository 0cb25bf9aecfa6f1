package app_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sluice.io/sluice/internal/admin"
	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/wire/grpcapi"
	"sluice.io/sluice/internal/wire/httpapi"
)

var update = flag.Bool("update", false, "write the table of actions into docs/access.md")

const accessDoc = "../../docs/access.md"

// The table of actions and endpoints is what the listeners decide by.
func TestAccessDocument(t *testing.T) {
	text, err := os.ReadFile(accessDoc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- actions and endpoints, from internal/app -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", accessDoc)
	}
	want := before + begin + accessTable() + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is not current; run go test ./internal/app -run AccessDocument -update", accessDoc)
	}
	if err := os.WriteFile(accessDoc, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func accessTable() string {
	rows := map[string][]string{}
	add := func(listener string, list []callers.Endpoint) {
		for _, e := range list {
			action, on := e.Action.String(), ""
			switch e.Scope {
			case callers.Open:
				action = "none"
			case callers.Known:
				action, on = "none", " (credentials that are shown must be known)"
			case callers.OpenMetrics:
				on = " (only with `metrics.public: false`)"
			case callers.OpenDocument:
				on = " (only with `auth.required`)"
			case callers.Model:
				on = " (one)"
			case callers.Some:
				on = " (any)"
			case callers.Every:
				on = " (all)"
			default:
			}
			if e.Trainer {
				until := ""
				if e.Repeats {
					until = ", and for a time after it has ended"
				}
				on = strings.TrimSuffix(on, ")") + ", also with the token of a retraining" + until + ")"
			}
			row := listener + "`" + e.Name + "`" + on
			if i := strings.LastIndexByte(e.Name, '/'); listener == "gRPC " {
				row = listener + "`" + e.Name[i+1:] + "`" + on
			}
			if !slices.Contains(rows[action], row) {
				rows[action] = append(rows[action], row)
			}
		}
	}
	add("", httpapi.Endpoints())
	add("gRPC ", grpcapi.Endpoints())
	add("admin ", admin.Endpoints())
	var b strings.Builder
	b.WriteString("| action | endpoints |\n|---|---|\n")
	for _, action := range append([]string{"none"}, callers.ActionNames()...) {
		switch {
		case action == callers.Override.String():
			fmt.Fprintf(&b, "| `override` | the header `Sluice-Override` (one) |\n")
		case action == "none":
			fmt.Fprintf(&b, "| none | %s |\n", strings.Join(rows[action], ", "))
		case len(rows[action]) == 0:
			fmt.Fprintf(&b, "| `%s` | none yet |\n", action)
		default:
			extra := ""
			if action == callers.Admin.String() {
				extra = ", changes with gRPC `TraceSetting` and `LogSettings` (all)"
			}
			fmt.Fprintf(&b, "| `%s` | %s%s |\n", action, strings.Join(rows[action], ", "), extra)
		}
	}
	return b.String()
}
