package drift

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// judge is a detector that records windows and returns set states.
type judge struct {
	seen  []Window
	state string
}

func (j *judge) Judge(w Window) Verdict {
	j.seen = append(j.seen, w)
	return Verdict{Window: Span{Start: w.Start, End: w.End}, Rows: w.Rows, State: j.state}
}

func (j *judge) State() string { return OK }

// Snapshot encodes the number of windows, from 1 on, in a field of the options.
func (j *judge) Snapshot() Snapshot { return Snapshot{Options: Options{Recover: 1 + len(j.seen)}} }

func (j *judge) Watch(*Window) []Break { return nil }

func (j *judge) Calibration() *api.DriftCalibration { return nil }

var iris1 = Stream{Version: infer.Version{Model: "iris", Number: 1}, Role: "stable"}

// watched is a Watch with windows of a minute.
func watched(j *judge) Watch {
	m, p := tapped()
	return Watch{
		Tap:      TapOptions{Model: m, Profile: p, Sample: api.TotalWeight, MaxRows: 16, MaxBytes: 1 << 20},
		Detector: j, Windows: Windowing{Length: time.Minute, Max: time.Hour},
	}
}

// monitored runs a monitor until the test's function returns.
func monitored(t *testing.T, f func(m *Monitor, closed *[]Closed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var closed []Closed
		m := NewMonitor(MonitorOptions{Every: 200 * time.Millisecond, Closed: func(c Closed) { closed = append(closed, c) }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }() // the test receives the result
		f(m, &closed)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// wait lets time pass and the monitor come to rest.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func offer(tap *Tap, rows int) {
	m := tap.o.Model
	tap.Offer(asked(m, "1", rows, true), answered(rows))
}

func TestWindowsOfTimeAreAligned(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		time.Sleep(17 * time.Second) // the bubble's clock starts at midnight
		j := &judge{state: Detected}
		tap := m.Start(iris1, watched(j))
		offer(tap, 3)
		wait(42 * time.Second)
		if len(*closed) != 0 {
			t.Fatal("a window of less than a minute")
		}
		if s := m.Status()[0]; s.Waiting != 3 || s.State != Unjudged || s.Begun.Second() != 0 {
			t.Errorf("status %+v", s)
		}
		wait(2 * time.Second)
		offer(tap, 2)
		wait(time.Minute)
		if len(*closed) != 2 {
			t.Fatalf("%d windows", len(*closed))
		}
		first, second := (*closed)[0], (*closed)[1]
		if first.Window.Rows != 3 || second.Window.Rows != 2 || first.Window.Start.Second() != 0 || !first.Window.End.Equal(second.Window.Start) {
			t.Errorf("windows %v to %v of %d rows, %v to %v of %d", first.Window.Start, first.Window.End, first.Window.Rows,
				second.Window.Start, second.Window.End, second.Window.Rows)
		}
		if first.From != OK || second.From != Detected || first.Before.Options.Recover != 1 || second.Before.Options.Recover != 2 || second.After.Options.Recover != 3 {
			t.Errorf("from %s and %s, saved %+v, %+v and %+v", first.From, second.From, first.Before, second.Before, second.After)
		}
		if s := m.Status()[0]; s.Windows != 2 || s.Rows != 5 || s.State != Detected || s.Last == nil || s.Last.Rows != 2 {
			t.Errorf("status %+v", s)
		}
	})
}

// A window knows the hours of its rows, and rows that are counted just after its end are of the hour before.
func TestHoursOfWindows(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		time.Sleep(58*time.Minute + 30*time.Second) // the bubble's clock starts on Saturday, 2000-01-01, at midnight
		w := watched(&judge{state: OK})
		w.Tap.Profile.Week = &Week{Zone: "UTC"}
		w.Windows.Length = 3 * time.Minute // from 0:57
		tap := m.Start(iris1, w)
		offer(tap, 3)
		wait(90*time.Second - time.Millisecond)
		offer(tap, 2) // at 0:59:59.999
		wait(2 * time.Minute)
		offer(tap, 4)
		wait(2 * time.Minute)
		const saturday = 5 * 24
		var got []Hours
		for _, c := range *closed {
			got = append(got, c.Window.Hours)
		}
		if diff := cmp.Diff([]Hours{{{saturday, 5}}, {{saturday + 1, 4}}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWindowsOfRows(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		j := &judge{state: OK}
		w := watched(j)
		w.Windows.Rows = 10
		tap := m.Start(iris1, w)
		offer(tap, 9)
		wait(time.Hour)
		if len(*closed) != 0 {
			t.Fatal("a window of nine rows")
		}
		offer(tap, 9)
		wait(time.Second)
		if len(*closed) != 1 || (*closed)[0].Window.Rows != 10 {
			t.Fatalf("windows %+v", *closed)
		}
		if s := m.Status()[0]; s.Waiting != 8 || s.Windows != 1 || s.Rows != 18 {
			t.Errorf("status %+v", s)
		}
		for range 4 { // rows that come together still make windows of ten
			offer(tap, 8)
		}
		wait(time.Second)
		for _, c := range *closed {
			if n := c.Window.Counts[0].N(); c.Window.Rows != 10 || n != 10 {
				t.Errorf("a window of %d rows that counts %d", c.Window.Rows, n)
			}
		}
		if s := m.Status()[0]; s.Waiting != 0 || s.Windows != 5 || s.Rows != 50 || len(*closed) != 5 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestStoppedStreamsAreNotJudged(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		j := &judge{state: OK}
		tap := m.Start(iris1, watched(j))
		if past := m.Stop(iris1); past == nil || past.State.Options.Recover != 1 {
			t.Errorf("saved %+v", past)
		}
		offer(tap, 3) // a request that was in progress
		wait(2 * time.Minute)
		if len(*closed) != 0 || len(m.Status()) != 0 {
			t.Errorf("%d windows, %d streams", len(*closed), len(m.Status()))
		}
		if m.Stop(iris1) != nil {
			t.Error("what is not there was saved")
		}
	})
}

// A watch continues the window and the counters of the one before, unless the settings of its
// windows differ.
func TestWatchesGoOn(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		w := watched(&judge{state: OK})
		tap := m.Start(iris1, w)
		offer(tap, 3)
		wait(time.Minute)
		offer(tap, 3)
		wait(time.Second)
		offer(tap, 4) // not yet taken
		w.Past = m.Stop(iris1)
		offer(tap, 5) // too late
		tap = m.Start(iris1, w)
		if s := m.Status()[0]; s.Rows != 10 || s.Windows != 1 || s.Waiting != 7 || s.Last == nil || s.Begun.IsZero() {
			t.Errorf("status %+v", s)
		}
		offer(tap, 1)
		wait(time.Minute)
		if len(*closed) != 2 || (*closed)[1].Window.Rows != 8 || (*closed)[1].Window.Counts[0].N() != 8 {
			t.Errorf("windows %+v", *closed)
		}
		offer(tap, 1)
		wait(time.Second)
		w.Past, w.Windows.Rows = m.Stop(iris1), 2
		tap = m.Start(iris1, w)
		offer(tap, 2)
		wait(time.Second)
		if s := m.Status()[0]; len(*closed) != 3 || (*closed)[2].Window.Rows != 2 || s.Windows != 3 || s.Rows != 14 {
			t.Errorf("windows %+v, status %+v", *closed, s)
		}
	})
}

func TestAligned(t *testing.T) {
	f := func(now int64, d time.Duration, want int64) {
		t.Helper()
		if got := aligned(time.Unix(now, 1), d); got.Unix() != want || got.Nanosecond() != 0 || got.Location() != time.UTC {
			t.Errorf("%v before second %d: %v, want second %d", d, now, got, want)
		}
	}
	f(0, time.Minute, 0)
	f(59, time.Minute, 0)
	f(60, time.Minute, 60)
	f(7*60*1000-1, 7*time.Minute, 7*60*999)
	f(7*60*1000, 7*time.Minute, 7*60*1000)
	const week = 7 * 24 * 60 * 60
	f(2940*week+5, week*time.Second, 2940*week)
	f(-1, time.Minute, -60)
}

// A clock that is set back or forward ends the window and loses no row.
func TestClockJumps(t *testing.T) {
	m := NewMonitor(MonitorOptions{Every: time.Second, Closed: func(Closed) {}})
	j := &judge{state: OK}
	tap := m.Start(iris1, watched(j))
	noon := time.Date(2026, 5, 4, 12, 0, 30, 0, time.UTC)
	at := func(now time.Time, windows int, start time.Time) {
		t.Helper()
		offer(tap, 1)
		m.tick(now)
		if s := m.Status()[0]; len(j.seen) != windows || !s.Begun.Equal(start) {
			t.Errorf("at %v: %d windows, the present one from %v; want %d and %v", now, len(j.seen), s.Begun, windows, start)
		}
	}
	minute := noon.Truncate(time.Minute)
	at(noon, 0, minute)
	at(noon.Add(-10*time.Second), 0, minute)
	at(noon.Add(-24*time.Hour), 1, minute.Add(-24*time.Hour))
	at(noon.Add(24*time.Hour), 2, minute.Add(24*time.Hour))
	var rows uint64
	for _, w := range j.seen {
		rows += w.Rows
	}
	if rows+m.Status()[0].Waiting != 4 {
		t.Errorf("%d rows of 4", rows)
	}
}
