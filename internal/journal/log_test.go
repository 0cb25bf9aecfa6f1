package journal_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/journal"
)

// both runs a test on a log in a file and on one in memory.
func both(t *testing.T, f func(t *testing.T, l *journal.Log)) {
	t.Helper()
	t.Run("file", func(t *testing.T) { f(t, open(t, t.TempDir())) })
	t.Run("memory", func(t *testing.T) { f(t, journal.Memory()) })
}

func wantCode(t *testing.T, err error, code infer.Code) {
	t.Helper()
	if infer.CodeOf(err) != code {
		t.Errorf("got %v, want the code %v", err, code)
	}
}

func TestAppendAndRead(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		if got, err := l.Read(0, 10, journal.Filter{}); l.Last() != 0 || err != nil || got == nil || len(got) != 0 {
			t.Fatalf("an empty log has Last %d and %v, %v", l.Last(), got, err)
		}
		given := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.FixedZone("CEST", 7200))
		var want []api.Event
		for i, e := range []api.Event{
			{Type: api.EventConfigReloaded, Subject: "config", Origin: api.OriginFile, Time: given},
			{Type: api.EventRouteSet, Subject: "routes/a", After: json.RawMessage(`{"x": "<&>"}`)},
			{Type: api.EventRouteDeleted, Subject: "routes/b", Before: json.RawMessage(`[1]`), Actor: api.Actor{Actor: "bob", Reason: "é\n\"'<>"}},
			{Type: api.EventRouteSet, Subject: "routes/ab"},
			{Type: api.EventRouteSet, Subject: `routes/a","subject":"routes/b`},
			{Type: api.EventRouteSet, Subject: "routes/a", Actor: api.Actor{Reason: `"subject":"routes/b"`}},
			{Type: api.EventRouteSet, Subject: "routes/c", After: json.RawMessage(`{"subject":"routes/b"}`)},
			{},
			{Type: `"subject":"routes/b",`, Subject: "routes/c"},
			{Type: "\xff", Subject: "\xff\xfe", Origin: "é", Actor: api.Actor{Reason: "\x00\xff"}},
		} {
			got, err := l.Append(int64(i), e)
			if err != nil {
				t.Fatal(err)
			}
			if got.Seq != int64(i)+1 || got.Time.Location() != time.UTC || time.Since(got.Time) > 400*24*time.Hour && i > 0 {
				t.Errorf("event %d got the number %d and the time %v", i+1, got.Seq, got.Time)
			}
			want = append(want, got)
		}
		if !want[0].Time.Equal(given) || string(want[1].After) != `{"x":"<&>"}` || want[2].Reason != "é\n\"'<>" {
			t.Errorf("changed on the way: %+v", want[:3])
		}

		f := func(after int64, limit int, subject string, seqs ...int64) {
			t.Helper()
			got, err := l.Read(after, limit, bySubject(subject))
			if err != nil {
				t.Fatal(err)
			}
			wanted := []api.Event{}
			for _, seq := range seqs {
				wanted = append(wanted, want[seq-1])
			}
			if d := cmp.Diff(wanted, got); d != "" {
				t.Errorf("Read(%d, %d, %q): %s", after, limit, subject, d)
			}
		}
		f(0, 100, "", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
		f(0, 2, "", 1, 2)
		f(6, 100, "", 7, 8, 9, 10)
		f(7, 1, "", 8)
		f(10, 100, "")
		f(math.MaxInt64, 100, "")
		f(-5, 1, "", 1)
		f(math.MinInt64, 1, "", 1)
		f(0, 0, "")
		f(0, -1, "")
		f(0, 100, "routes/a", 2, 6)
		f(0, 1, "routes/a", 2)
		f(2, 100, "routes/a", 6)
		f(0, 100, "routes/b", 3)
		f(0, 100, "routes/ab", 4)
		f(0, 100, "routes/c", 7, 9)
		f(0, 100, `routes/a","subject":"routes/b`, 5)
		f(0, 100, "routes")
		f(0, 100, "\xff")
		f(0, 100, "\uFFFD", 10)

		if events, _ := l.Size(); events != 10 || l.Last() != 10 {
			t.Errorf("Size says %d events, Last %d", events, l.Last())
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		add(t, l, 3)
		f := func(code infer.Code, expected int64, e api.Event) {
			t.Helper()
			_, err := l.Append(expected, e)
			wantCode(t, err, code)
			wantEvents(t, l, 3)
		}
		f(infer.Conflict, 2, event(4))
		f(infer.Conflict, 4, event(4))
		f(infer.Conflict, 0, event(4))
		f(infer.Conflict, -2, event(4))
		f(infer.Conflict, math.MaxInt64, event(4))
		f(infer.Invalid, 3, api.Event{After: json.RawMessage(`{`)})
		f(infer.Invalid, 3, api.Event{Before: json.RawMessage(`1 2`)})
		f(infer.Invalid, 3, api.Event{After: json.RawMessage("\x00")})
		f(infer.Invalid, 3, api.Event{After: json.RawMessage(strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000))})
		f(infer.Invalid, 3, api.Event{Time: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)})
		f(infer.TooLarge, 3, api.Event{After: json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)})
		f(infer.TooLarge, 3, api.Event{Actor: api.Actor{Reason: strings.Repeat("x", 1<<20)}})
		add(t, l, 2)
		wantEvents(t, l, 5)
	})
}

// TestLargest appends events of the max size.
func TestLargest(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		empty, err := l.Append(0, api.Event{Time: time.Unix(0, 0), After: json.RawMessage(`""`)})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(empty)
		if err != nil {
			t.Fatal(err)
		}
		f := func(code infer.Code, n int) {
			t.Helper()
			_, err := l.Append(l.Last(), api.Event{Time: time.Unix(0, 0), After: json.RawMessage(`"` + strings.Repeat("x", n) + `"`)})
			wantCode(t, err, code)
		}
		f(infer.OK, 1<<20-len(text))
		f(infer.TooLarge, 1<<20-len(text)+1)
		f(infer.OK, 1<<20-len(text))
		if got, err := l.Read(1, 10, journal.Filter{}); err != nil || len(got) != 2 || len(got[1].After) != 1<<20-len(text)+2 {
			t.Errorf("%d events, %v", len(got), err)
		}
	})
}

// TestLargeReads checks that the size of a Read is limited too.
func TestLargeReads(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		large := api.Event{After: json.RawMessage(`"` + strings.Repeat("x", 1<<20-1000) + `"`)}
		if _, err := l.AppendAll(0, slices.Repeat([]api.Event{large}, 20)); err != nil {
			t.Fatal(err)
		}
		f := func(after int64, want int) {
			t.Helper()
			if got, err := l.Read(after, 100, journal.Filter{}); err != nil || len(got) != want || got[0].Seq != after+1 {
				t.Errorf("after %d: %d events, want %d; %v", after, len(got), want, err)
			}
		}
		f(0, 17)
		f(17, 3)
		n := 0
		if err := l.Replay(0, journal.Filter{}, func(api.Event) error { n++; return nil }); err != nil || n != 20 {
			t.Errorf("%d events replayed, %v", n, err)
		}
	})
}

// TestOwnMemory checks that the log shares no memory with its callers.
func TestOwnMemory(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		given := event(1)
		got, err := l.Append(0, given)
		if err != nil {
			t.Fatal(err)
		}
		clear(given.After)
		clear(got.Before)
		wantEvents(t, l, 1)
		events, err := l.Read(0, 1, journal.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		clear(events[0].After)
		wantEvents(t, l, 1)
	})
}

// TestOneWins lets writers race for the same event, round after round, while others read.
func TestOneWins(t *testing.T) {
	const writers, rounds = 8, 20
	both(t, func(t *testing.T, l *journal.Log) {
		var readers sync.WaitGroup
		var stop atomic.Bool
		readers.Go(func() {
			for !stop.Load() {
				last := l.Last()
				events, err := l.Read(0, rounds+1, journal.Filter{})
				if err != nil || int64(len(events)) < last {
					t.Errorf("%d events after Last said %d: %v", len(events), last, err)
					return
				}
			}
		})
		for round := range int64(rounds) {
			var won, conflicts atomic.Int32
			var wg sync.WaitGroup
			for range writers {
				wg.Go(func() {
					switch e, err := l.Append(round, event(round+1)); infer.CodeOf(err) {
					case infer.OK:
						won.Add(1)
						if e.Seq != round+1 {
							t.Errorf("won %d in round %d", e.Seq, round+1)
						}
					case infer.Conflict:
						conflicts.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || conflicts.Load() != writers-1 {
				t.Errorf("round %d: %d won, %d had a conflict", round, won.Load(), conflicts.Load())
			}
		}
		stop.Store(true)
		readers.Wait()
		wantEvents(t, l, rounds)
	})
}

func TestReplay(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		add(t, l, 260) // more than replayEvents
		wantEvents(t, l, 260)

		stop, n := errors.New("enough"), 0
		if err := l.Replay(0, journal.Filter{}, func(api.Event) error {
			if n++; n == 258 {
				return stop
			}
			return nil
		}); !errors.Is(err, stop) || n != 258 {
			t.Errorf("stopped after %d with %v", n, err)
		}

		// The callback may write.
		if err := l.Replay(0, journal.Filter{}, func(e api.Event) error {
			if e.Seq != 260 {
				return nil
			}
			_, err := l.Append(260, event(261))
			return err
		}); err != nil {
			t.Error(err)
		}
		wantEvents(t, l, 261)
	})
}

func TestClose(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		add(t, l, 2)
		var wg sync.WaitGroup
		for range 4 { // calls in progress complete, or fail with Unavailable
			wg.Go(func() {
				for {
					last := l.Last()
					if _, err := l.Append(last, event(last+1)); infer.CodeOf(err) == infer.Unavailable {
						return
					} else if err != nil && infer.CodeOf(err) != infer.Conflict {
						t.Error(err)
						return
					}
					if _, err := l.Read(last-1, 2, journal.Filter{}); err != nil && infer.CodeOf(err) != infer.Unavailable {
						t.Error(err)
					}
				}
			})
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		_, err := l.Append(l.Last(), event(l.Last()+1))
		wantCode(t, err, infer.Unavailable)
		_, err = l.Read(0, 1, journal.Filter{})
		wantCode(t, err, infer.Unavailable)
		wantCode(t, l.Replay(0, journal.Filter{}, func(api.Event) error { return nil }), infer.Unavailable)
		if events, _ := l.Size(); events < 2 {
			t.Errorf("Size says %d events", events)
		}
	})
}

func TestAppendAllOrNone(t *testing.T) {
	both(t, func(t *testing.T, l *journal.Log) {
		one, two := api.Event{Subject: "routes/a"}, api.Event{Subject: "routes/b"}
		added, err := l.AppendAll(0, []api.Event{one, two})
		if err != nil || len(added) != 2 || added[0].Seq != 1 || added[1].Seq != 2 {
			t.Fatalf("added %v, %v", added, err)
		}
		_, err = l.AppendAll(2, []api.Event{one, {After: json.RawMessage(`{`)}})
		wantCode(t, err, infer.Invalid)
		_, err = l.AppendAll(1, []api.Event{one})
		wantCode(t, err, infer.Conflict)
		if got, err := l.AppendAll(2, nil); err != nil || len(got) != 0 {
			t.Errorf("nothing added: %v, %v", got, err)
		}
		if _, err := l.Append(journal.Any, one); err != nil {
			t.Error(err)
		}
		got, err := l.Read(0, 10, journal.Filter{})
		if err != nil || len(got) != 3 || got[2].Seq != 3 || got[1].Subject != "routes/b" {
			t.Errorf("the log holds %v, %v", got, err)
		}
	})
}
