package journal_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

func TestFilter(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 5, 1, 12, 0, second, 500, time.UTC) }
	both(t, func(t *testing.T, l *journal.Log) {
		for i, e := range []api.Event{
			{Type: "version.loaded", Subject: "models/iris/1", Time: at(0)},
			{Type: "version.failed", Subject: "models/iris/12", Time: at(1)},
			{Type: "versions", Subject: "models/iris", Time: at(9)}, // the clock ran ahead
			{Type: "route.set", Subject: "routes/iris", Time: at(2)},
			{Type: `a"b.c`, Subject: `models/ir"is/1`, Time: at(2)},
			{Type: "\xff", Subject: "models/irisx/1", Time: at(3), Actor: api.Actor{Reason: `"type":"route.set"`}},
			{Time: at(4)},
		} {
			if _, err := l.Append(int64(i), e); err != nil {
				t.Fatal(err)
			}
		}
		f := func(filter journal.Filter, want ...int64) {
			t.Helper()
			events, err := l.Read(0, 100, filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%+v: %s", filter, d)
			}
		}
		types := func(list ...string) journal.Filter { return journal.Filter{Types: list} }
		subjects := func(list ...string) journal.Filter { return journal.Filter{Subjects: list} }
		f(journal.Filter{}, 1, 2, 3, 4, 5, 6, 7)
		f(types("version.loaded"), 1)
		f(types("version."), 1, 2)
		f(types("version"))
		f(types("versions", "version.failed", "nothing"), 2, 3)
		f(types("."))
		f(types(""), 7)
		f(types(`a"b.`), 5)
		f(types("\uFFFD"), 6)
		f(subjects("models/iris"), 3)
		f(subjects("models/iris/"), 1, 2)
		f(subjects("models/iris/1"), 1)
		f(subjects("models/iris", "models/iris/", "routes/iris"), 1, 2, 3, 4)
		f(subjects(`models/ir"is/`), 5)
		f(journal.Filter{Types: []string{"version."}, Subjects: []string{"models/iris/12"}}, 2)
		f(journal.Filter{Since: at(2)}, 3, 4, 5, 6, 7)
		f(journal.Filter{Since: at(2).Add(1)}, 3, 6, 7)
		f(journal.Filter{Until: at(2)}, 1, 2, 4, 5)
		f(journal.Filter{Until: at(2).In(time.FixedZone("", 3600)), Since: at(1)}, 2, 4, 5)
		f(journal.Filter{Since: at(5), Until: at(4)})
		f(journal.Filter{Last: 3}, 1, 2, 3)
		f(journal.Filter{Last: 3, Types: []string{"version."}}, 1, 2)
		f(journal.Filter{Last: 99, Until: at(0)}, 1)

		if got, err := l.Read(1, 1, types("version.", "route.")); err != nil || len(got) != 1 || got[0].Seq != 2 {
			t.Errorf("one after the first: %v, %v", got, err)
		}
		last := func(at time.Time, want int64) {
			t.Helper()
			if got, err := l.LastAt(at); err != nil || got != want {
				t.Errorf("the last event at %v is %d, %v; want %d", at, got, err, want)
			}
		}
		last(at(0).Add(-1), 0)
		last(at(0), 1)
		last(at(1).Add(1), 2)
		last(at(2), 5)
		last(at(4), 7)
		last(at(99), 7)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := l.LastAt(at(0))
		wantCode(t, err, infer.Unavailable)
	})
}

// Newest returns what Read does from the other end, whatever the limit is and however far back the events are.
func TestNewest(t *testing.T) {
	archived := func(t *testing.T, f func(t *testing.T, l *journal.Log)) {
		t.Helper()
		both(t, f)
		t.Run("segments", func(t *testing.T) { f(t, open(t, t.TempDir())) })
	}
	archived(t, func(t *testing.T, l *journal.Log) {
		const n = 3_000
		var events []api.Event
		for i := range n {
			e := api.Event{Type: "route.set", Subject: "routes/iris"}
			if i%700 == 5 {
				e.Type = "version.loaded"
			}
			events = append(events, e)
		}
		if _, err := l.AppendAll(0, events); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(t.Name(), "segments") {
			for range 3 {
				cut(t, cutter(l, 800))
			}
		}
		f := func(after int64, limit int, filter journal.Filter) {
			t.Helper()
			all, err := l.Read(after, n, filter)
			if err != nil {
				t.Fatal(err)
			}
			slices.Reverse(all)
			got, err := l.Newest(after, limit, filter)
			if d := cmp.Diff(all[:min(limit, len(all))], got); d != "" || err != nil {
				t.Errorf("after %d, limit %d, %+v: %v %s", after, limit, filter, err, d)
			}
		}
		rare := journal.Filter{Types: []string{"version."}}
		for _, limit := range []int{1, 2, 5, 999, 1_000, 1_001, n, 2 * n} {
			f(0, limit, journal.Filter{})
			f(0, limit, rare)
			f(2_500, limit, journal.Filter{})
			f(100, limit, journal.Filter{Last: 2_100})
			f(100, limit, journal.Filter{Last: 2_100, Types: rare.Types})
			f(n, limit, journal.Filter{})
		}
		f(0, 3, journal.Filter{Types: []string{"nothing"}})
	})
}

// Events that have no room in memory are left for the next call.
func TestNewestIsBounded(t *testing.T) {
	l := journal.Memory()
	reason := strings.Repeat("x", 60<<10)
	const n = 400
	for range n {
		if _, err := l.Append(journal.Any, api.Event{Type: "route.set", Actor: api.Actor{Reason: reason}}); err != nil {
			t.Fatal(err)
		}
	}
	var seen []int64
	for before := int64(n + 1); before > 1; {
		events, err := l.Newest(0, n, journal.Filter{Last: before - 1})
		if err != nil || len(events) == 0 || len(events) > n*3/4 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, e := range events {
			seen = append(seen, e.Seq)
		}
		before = events[len(events)-1].Seq
	}
	if len(seen) != n || seen[0] != n || seen[n-1] != 1 {
		t.Errorf("%d events", len(seen))
	}
}
