package journal_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/journal"
)

// exportOf returns an export of ten events, three of which are about wine.
func exportOf(t testing.TB, after int64, filter journal.Filter) []string {
	t.Helper()
	l := journal.Memory()
	for i := range 10 {
		subject := "routes/iris"
		if i%3 == 1 {
			subject = "routes/wine"
		}
		if _, err := l.Append(journal.Any, api.Event{Type: "route.set", Subject: subject, After: fmt.Appendf(nil, `{"n": %d, "text": "<a> & b"}`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := l.Export(after, filter, &b); err != nil {
		t.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestExport(t *testing.T) {
	whole := exportOf(t, 0, journal.Filter{})
	f := func(lines []string, events int64, gaps int, problem string) {
		t.Helper()
		report, err := journal.VerifyExport(strings.NewReader(strings.Join(lines, "")))
		if err != nil || report.Events != events || report.Gaps != gaps || !strings.Contains(report.Problem, problem) || (problem == "") != (report.Problem == "") {
			t.Errorf("got %+v, %v", report, err)
		}
	}
	f(whole, 10, 0, "")
	f(exportOf(t, 4, journal.Filter{}), 6, 1, "")
	f(exportOf(t, 0, journal.Filter{Subjects: []string{"routes/wine"}}), 3, 3, "")
	f(exportOf(t, 0, journal.Filter{Types: []string{"version."}})[:0], 0, 0, "")
	edited := func(line int, old, to string) []string {
		lines := append([]string{}, whole...)
		lines[line] = strings.Replace(lines[line], old, to, 1)
		return lines
	}
	f(edited(3, "iris", "wine"), 3, 0, "line 4: event 4 was changed")
	f(edited(3, `"seq":4`, `"seq":5`), 3, 0, "line 4: event 5 was changed")
	f(edited(3, `{"hash":"`, `{"hash":"0`), 3, 0, "line 4: event 4 was changed")
	f(edited(3, `"before":"`, `"before":"0`), 3, 0, "before is not a SHA-256")
	f(edited(3, "}", ""), 3, 0, "line 4: expected an exported event")
	f(append(whole[:3:3], whole[4:]...), 9, 1, "")
	f(append(whole[:3:3], whole[2:]...), 3, 0, "line 4: event 3 comes after event 3")
	f([]string{"not JSON"}, 0, 0, "line 1")
	// Another journal's event, whose own hash is right.
	other := exportOf(t, 0, journal.Filter{})
	f(append(whole[:4:4], other[4:]...), 4, 0, "line 5: event 5 does not follow")
}

func FuzzVerifyExport(f *testing.F) {
	for _, line := range exportOf(f, 0, journal.Filter{})[:3] {
		f.Add([]byte(line))
	}
	f.Add([]byte(`{"hash":"","before":"","event":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if report, err := journal.VerifyExport(bytes.NewReader(text)); err != nil || report.Events > int64(bytes.Count(text, []byte("{"))) {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
