package journal_test

import (
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
