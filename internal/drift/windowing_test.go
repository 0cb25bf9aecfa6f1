package drift

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWindowsThatLackRowsAreJoined: windows are joined with the next one, until they have enough
// rows or the max length.
func TestWindowsThatLackRowsAreJoined(t *testing.T) {
	monitored(t, func(m *Monitor, closed *[]Closed) {
		w := watched(&judge{state: OK})
		w.Windows = Windowing{Length: time.Minute, MinRows: 5, Max: 150 * time.Second}
		tap := m.Start(iris1, w)
		f := func(want ...string) {
			t.Helper()
			m.mu.Lock() // the monitor takes it before it reports a window
			defer m.mu.Unlock()
			var got []string
			for _, c := range *closed {
				got = append(got, fmt.Sprintf("%v-%v: %d", c.Window.Start.Format("4:05"), c.Window.End.Format("4:05"), c.Window.Rows))
				if c.Window.Counts[0].N() != c.Window.Rows {
					t.Errorf("%d rows, %d counted", c.Window.Rows, c.Window.Counts[0].N())
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		offer(tap, 3)
		wait(90 * time.Second)
		f()
		offer(tap, 3) // in the middle of the second minute, at the end of which there are enough
		wait(31 * time.Second)
		f("0:00-2:00: 6")
		offer(tap, 5)
		wait(time.Minute)
		f("0:00-2:00: 6", "2:00-3:00: 5")
		offer(tap, 4) // too few for three minutes, the max in whole windows
		wait(178 * time.Second)
		f("0:00-2:00: 6", "2:00-3:00: 5")
		wait(2 * time.Second)
		f("0:00-2:00: 6", "2:00-3:00: 5", "3:00-6:00: 4")
	})
}

// TestUnjudged: the status is not OK without a judged window, and a detected state stays.
func TestUnjudged(t *testing.T) {
	monitored(t, func(m *Monitor, _ *[]Closed) {
		began := time.Now()
		j := &scripted{state: OK, least: 5}
		w := watched(&j.judge)
		w.Detector, w.Windows = j, Windowing{Length: time.Minute, MinRows: 5, Max: 4 * time.Minute}
		tap := m.Start(iris1, w)
		f := func(state string, since time.Duration, windows uint64) {
			t.Helper()
			s := m.Status()[0]
			if s.State != state || s.UnjudgedSince.Sub(began) != since || s.Windows != windows || s.State == Unjudged && s.Since != s.UnjudgedSince {
				t.Errorf("%s since %v, nothing judged since %v, %d windows; want %s, %v, %d", s.State, s.Since.Sub(began), s.UnjudgedSince.Sub(began), s.Windows, state, since, windows)
			}
		}
		f(Unjudged, 0, 0)
		offer(tap, 1)
		wait(10 * time.Minute) // windows that end without enough rows are not judged
		f(Unjudged, 0, 0)
		offer(tap, 5)
		wait(time.Minute)
		f(OK, 11*time.Minute, 1) // a window of three minutes
		wait(6 * time.Minute)
		f(OK, 11*time.Minute, 1)
		wait(time.Second)
		f(Unjudged, 11*time.Minute, 1)
		offer(tap, 5)
		wait(time.Minute)
		f(OK, 18*time.Minute, 2)
		j.state = Detected
		offer(tap, 5)
		wait(time.Minute)
		f(Detected, 19*time.Minute, 3)
		wait(time.Hour)
		f(Detected, 19*time.Minute, 3)
		w.Past = m.Stop(iris1)
		w.Detector = &scripted{state: OK, least: 5}
		m.Start(iris1, w)
		f(Unjudged, 19*time.Minute, 3)
	})
}

// scripted is a detector that does not judge windows with fewer rows than least.
type scripted struct {
	judge
	state string
	least uint64
}

func (s *scripted) Judge(w Window) Verdict {
	v := s.judge.Judge(w)
	if v.State = s.state; w.Rows < s.least {
		v.Reason = "too few"
	}
	return v
}

// TestFullWindowsOfRows: a window of rows joins as many windows as it needs.
func TestFullWindowsOfRows(t *testing.T) {
	f := func(rows, least, want uint64) {
		t.Helper()
		if got := (&Windowing{Rows: rows, MinRows: least}).full(); got != want {
			t.Errorf("windows of %d where %d are judged: %d, want %d", rows, least, got, want)
		}
	}
	f(100, 50, 100)
	f(50, 50, 50)
	f(20, 50, 60)
	f(1, 50, 50)
	f(7, 0, 7)
}

// TestSimulationCountsAsTheMonitorDoes: the same rows at the same times make the same windows and
// verdicts, in a gateway and from a file.
func TestSimulationCountsAsTheMonitorDoes(t *testing.T) {
	f := func(name string, o Windowing, gap func(rng *rand.Rand) time.Duration, rows int) {
		t.Helper()
		m, p := tapped()
		rng := rand.New(rand.NewPCG(41, 2))
		var live, simulated []string
		told := func(list *[]string, w Span, v Verdict) {
			*list = append(*list, fmt.Sprintf("%v to %v, %d rows: %s %s", w.Start.Format("15:04:05"), w.End.Format("15:04:05"), v.Rows, v.State, v.Reason))
		}
		var times []time.Time
		options := CompleteOptions()
		options.MinRows = o.MinRows
		detector := func() *Tumbling {
			d, err := NewDetector(p, options)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		monitored(t, func(monitor *Monitor, closed *[]Closed) {
			wait(time.Hour + 100*time.Millisecond) // between two ticks, so that a row is counted after it came
			tap := monitor.Start(iris1, Watch{
				Tap: TapOptions{Model: m, Profile: p, Sample: 10_000, MaxRows: 16, MaxBytes: 1 << 20}, Detector: detector(), Windows: o,
			})
			for range rows {
				wait(gap(rng).Truncate(200 * time.Millisecond))
				times = append(times, time.Now())
				offer(tap, 1)
			}
			wait(200 * time.Millisecond)
			for _, c := range *closed {
				told(&live, c.Verdict.Window, c.Verdict)
			}
		})
		// The tap counts for a request of one row: a 0, c 0, flag as in asked, and q 1.
		row := func(yield func(Row) bool) {
			var r Row
			req, resp := asked(m, "1", 1, true), answered(1)
			tap := NewTap(TapOptions{Model: m, Profile: p, Sample: 10_000, MaxRows: 16, MaxBytes: 1 << 20})
			for _, at := range times {
				tap.Offer(req, resp)
				counts := empty(p)
				drain(tap, counts)
				r.At, r.Values, r.Missing = at, r.Values[:0], r.Missing[:0]
				for i := range counts {
					r.Values, r.Missing = append(r.Values, p.Features[i].Mean+counts[i].Sum), append(r.Missing, counts[i].Missing > 0)
				}
				if !yield(r) {
					return
				}
			}
		}
		for v := range Simulate(p, detector(), iter.Seq[Row](row), SimulateOptions{Windows: o}) {
			told(&simulated, v.Window, v)
		}
		if n := len(simulated); n > 0 && o.Rows == 0 && n == len(live)+1 { // the last window has not ended for the gateway
			simulated = simulated[:n-1]
		}
		if o.Rows > 0 { // the monitor reads the clock when it counts
			for _, list := range [][]string{live, simulated} {
				for i := range list {
					_, list[i], _ = strings.Cut(list[i], ", ")
				}
			}
		}
		if diff := cmp.Diff(live, simulated); diff != "" || len(live) < 3 {
			t.Errorf("%s: %d windows (-live +simulated)\n%s", name, len(live), diff)
		}
	}
	steady := func(d time.Duration) func(*rand.Rand) time.Duration {
		return func(rng *rand.Rand) time.Duration { return time.Duration(rng.ExpFloat64() * float64(d)) }
	}
	minute := Windowing{Length: time.Minute, MinRows: 20, Max: 30 * time.Minute}
	f("many rows", minute, steady(time.Second), 600)
	f("few rows", minute, steady(12*time.Second), 300)
	f("too few rows", Windowing{Length: time.Minute, MinRows: 20, Max: 5 * time.Minute}, steady(14*time.Second), 300)
	f("bursts", minute, func(rng *rand.Rand) time.Duration {
		if rng.IntN(60) == 0 {
			return 4 * time.Hour
		}
		return time.Second
	}, 400)
	f("windows of rows", Windowing{Rows: 15, MinRows: 20}, steady(time.Second), 200)
}
