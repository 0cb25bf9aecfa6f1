package drift

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

// Stream is a version in one role. A canary is never mixed with the stable version, and a version
// is not mixed with its own past in another role.
type Stream struct {
	Version infer.Version
	Role    string
	Segment string // the value of the rows' segment; "" for all rows
}

// Whole returns the stream of all rows.
func (s Stream) Whole() Stream {
	s.Segment = ""
	return s
}

// Watch configures how a stream is watched.
type Watch struct {
	Tap      TapOptions
	Detector Resumable // the monitor owns it from now on
	Windows  Windowing // with the detector's MinRows
	Past     *Past     // of an earlier watch of the stream, if there was one
	// Of is the tap of the whole, if the stream is a segment. The profile of Tap is then Profile.Of. Only Of offers rows.
	Of *Tap
}

// Past is the state of a watch for the next watch of the same stream.
type Past struct {
	State  Snapshot // of the detector
	Status Status

	from    *Watch
	started bool
	window  Window // not yet judged
	split   Splitter
}

// Closed is a judged window.
type Closed struct {
	Stream  Stream
	Profile *Profile
	Window  Window
	Verdict Verdict
	From    string // the state before it
	// Before and After are the detector's states before and after the window: from Before the same
	// window gives the same verdict. They are shared, and must not be changed.
	Before, After Snapshot
}

// Status is the status of a stream.
type Status struct {
	Stream  Stream
	State   string    // of the detector, or Unjudged
	Since   time.Time // when this state or the watch began
	Windows uint64    // judged windows
	Rows    uint64    // counted rows, in all windows and the current one
	Dropped uint64    // sampled rows for which there was no memory
	Begun   time.Time // the start of the current window
	Waiting uint64    // rows in the current window so far
	Last    *Verdict  // of the last judged window; nil before
	// Calibration is what the detector has learned; nil if it learns nothing.
	Calibration *api.DriftCalibration
	// UnjudgedSince is the end of the last judged window, or the start of the watch.
	UnjudgedSince time.Time

	// Counts are those of the last judged window, by feature and without halves; nil before. They must
	// not be changed.
	Counts []Counts

	took time.Duration // the length of that window
}

// MonitorOptions configure a Monitor.
type MonitorOptions struct {
	// Every is the time between two checks of taps and windows, more than 0: the max time by which
	// a row may be counted in the next window.
	Every time.Duration
	// Closed is called with each window, one at a time. Taps still collect rows in the meantime.
	Closed func(Closed)
}

// Monitor empties taps into windows and judges them. It is the only part of this package that uses
// a clock.
type Monitor struct {
	o MonitorOptions

	mu      sync.Mutex // guards streams and their statuses; not held while a window is judged
	streams map[Stream]*stream
}

type stream struct {
	watch  Watch
	tap    *Tap
	status Status // guarded by Monitor.mu; only Run writes it

	mu      sync.Mutex // guards the window and the detector; taken before Monitor.mu
	window  Window
	split   Splitter // of its rows
	hours   clock
	state   Snapshot // of the detector
	started bool     // window has a start
	stopped bool
}

// NewMonitor returns a monitor without streams. It panics if the options are not complete.
func NewMonitor(o MonitorOptions) *Monitor {
	if o.Every <= 0 || o.Closed == nil {
		panic(fmt.Sprintf("BUG: drift: a monitor needs Closed and Every above 0, got %v", o.Every))
	}
	return &Monitor{o: o, streams: map[Stream]*stream{}}
}

// Start watches a stream and returns its tap. It replaces a watch of the same stream, whose
// unjudged rows are lost unless it is stopped first and passed as Past.
func (m *Monitor) Start(s Stream, w Watch) *Tap {
	x := &stream{watch: w, tap: NewTap(w.Tap), state: w.Detector.Snapshot(), hours: w.Tap.Profile.mustClock()}
	w.Windows.check()
	now := time.Now()
	x.status = Status{Stream: s, State: w.Detector.State(), Since: now, UnjudgedSince: now}
	x.status.Calibration = w.Detector.Calibration()
	x.window = x.empty()
	if w.Past != nil {
		x.goOn(w.Past)
	}
	x.watch.Past = nil
	if w.Of != nil {
		w.Of.Divide(s.Segment, x.tap)
	}
	m.mu.Lock()
	old := m.streams[s]
	m.streams[s] = x
	m.mu.Unlock()
	old.stop()
	return x.tap
}

// goOn continues with the counters of a past watch, and with its window if the windows have the
// same settings.
func (s *stream) goOn(p *Past) {
	s.status.Windows, s.status.Rows, s.status.Dropped, s.status.Last = p.Status.Windows, p.Status.Rows, p.Status.Dropped, p.Status.Last
	if p.Status.State == s.status.State && !p.Status.Since.IsZero() {
		s.status.Since = p.Status.Since
	}
	if p.Status.Windows > 0 {
		s.status.UnjudgedSince, s.status.took = p.Status.UnjudgedSince, p.Status.took
	}
	if p.started && p.from.Tap.Profile == s.watch.Tap.Profile && p.from.Tap.Pairs == s.watch.Tap.Pairs && p.from.Windows == s.watch.Windows {
		s.started, s.window, s.split = true, p.window, p.split
		s.status.Begun, s.status.Waiting = p.window.Start, p.window.Rows
	}
}

// Stop ends the watch of a stream and returns its state, nil if there is none. The current window
// is not judged, unless another watch continues it.
func (m *Monitor) Stop(s Stream) *Past {
	m.mu.Lock()
	x := m.streams[s]
	delete(m.streams, s)
	m.mu.Unlock()
	if x == nil {
		return nil
	}
	x.stop()
	if x.watch.Of != nil {
		x.watch.Of.Divide(s.Segment, nil)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	dropped := x.tap.take()
	rows := x.count(time.Now())
	x.window.Dropped += dropped
	p := &Past{State: x.state, from: &x.watch, started: x.started, window: x.window, split: x.split}
	m.update(func() { p.Status = x.status })
	p.Status.Rows, p.Status.Dropped = p.Status.Rows+rows, p.Status.Dropped+dropped
	return p
}

// stop waits for a window that is being judged, and prevents more. The stream may be nil.
func (s *stream) stop() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Status returns the status of all streams, sorted by model, version and role.
func (m *Monitor) Status() []Status {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Status, 0, len(m.streams))
	for _, s := range m.streams {
		status := s.status
		if status.State == OK && status.overdue(now, s.watch.Windows.Length) {
			status.State, status.Since = Unjudged, status.UnjudgedSince
		}
		list = append(list, status)
	}
	slices.SortFunc(list, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Stream.Version.Model, b.Stream.Version.Model),
			cmp.Compare(a.Stream.Version.Number, b.Stream.Version.Number), cmp.Compare(a.Stream.Role, b.Stream.Role),
			cmp.Compare(a.Stream.Segment, b.Stream.Segment))
	})
	return list
}

// Run empties taps until ctx ends.
func (m *Monitor) Run(ctx context.Context) error {
	ticker := time.NewTicker(m.o.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.tick(time.Now().Round(0)) // only the wall clock: windows are aligned to it
		case <-ctx.Done():
			return nil
		}
	}
}

// tick empties every tap, and judges the windows that have ended.
func (m *Monitor) tick(now time.Time) {
	for _, x := range m.take(now) {
		for c, ok := m.next(x, now); ok; c, ok = m.next(x, now) {
			m.o.Closed(c)
		}
	}
}

// take takes the rows that wait in the taps, all at about the same time, and returns their streams.
func (m *Monitor) take(now time.Time) []*stream {
	m.mu.Lock()
	list := slices.Collect(maps.Values(m.streams))
	m.mu.Unlock()
	slices.SortStableFunc(list, func(a, b *stream) int { // a segment gets rows when the whole takes them
		return cmp.Compare(min(1, len(a.status.Stream.Segment)), min(1, len(b.status.Stream.Segment)))
	})
	for _, x := range list {
		x.mu.Lock()
		if !x.started {
			x.begin(now)
		}
		dropped := x.tap.take()
		x.window.Dropped += dropped
		x.mu.Unlock()
		m.update(func() { x.status.Dropped += dropped })
	}
	return list
}

// next counts taken rows until a window ends, and judges that window.
func (m *Monitor) next(x *stream, now time.Time) (c Closed, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopped {
		return c, false
	}
	rows := x.count(now)
	if ok = x.watch.Windows.ended(&x.window, now) || x.broken(now); ok {
		c = x.close()
		x.split.Begin(c.Window.Rows)
		x.begin(now)
		x.watch.Windows.goOn(&x.window, &c.Window)
	}
	m.update(func() {
		x.status.Rows += rows
		x.status.Begun, x.status.Waiting = x.window.Start, x.window.Rows
		if ok {
			x.status.judged(c)
			x.status.Calibration = x.watch.Detector.Calibration()
		}
	})
	return c, ok
}

// count counts the rows that were taken in the window, and returns their number.
func (s *stream) count(now time.Time) (rows uint64) {
	rows = s.tap.count(&s.window, &s.split, s.watch.Windows.room(&s.window))
	s.window.Rows += rows
	if end := s.window.End; s.watch.Windows.Rows == 0 && s.started && !end.After(now) {
		now = end.Add(-1) // they came before the window's end
	}
	s.hours.count(&s.window, now, rows)
	return rows
}

// update changes statuses under the lock.
func (m *Monitor) update(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// judged updates the status after a judged window.
func (s *Status) judged(c Closed) {
	if c.Verdict.State != s.State {
		s.State, s.Since = c.Verdict.State, c.Window.End
	}
	if c.Verdict.Reason != "" {
		return
	}
	s.Windows++
	s.UnjudgedSince, s.took = c.Window.End, c.Window.End.Sub(c.Window.Start)
	last := c.Verdict // a copy: otherwise the window would live as long as the verdict
	s.Last, s.Counts = &last, slices.Clone(c.Window.Counts)
	for i := range s.Counts {
		s.Counts[i].Halves = nil
	}
}

// overdue reports whether the state OK would be misleading: no window has been judged yet, or none
// for twice the length of the last one. length is the min length of a window.
func (s *Status) overdue(now time.Time, length time.Duration) bool {
	return s.Windows == 0 || now.Sub(s.UnjudgedSince) > 2*max(length, s.took)
}

// begin starts a window.
func (s *stream) begin(now time.Time) {
	s.started, s.window = true, s.empty()
	s.watch.Windows.begin(&s.window, now)
}

func (s *stream) empty() Window {
	w := s.watch.Tap.Profile.NewWindow(time.Time{})
	if s.tap.pairs != nil {
		w.Pairs = newPairCounts(s.watch.Tap.Profile.numPairs())
	}
	return w
}

// broken reports whether the current window ends early, since there is a break in it.
func (s *stream) broken(now time.Time) bool {
	if s.window.Breaks = s.watch.Detector.Watch(&s.window); len(s.window.Breaks) == 0 {
		return false
	}
	s.window.End = now.UTC()
	return true
}

// close judges the current window.
func (s *stream) close() Closed {
	c := Closed{Stream: s.status.Stream, Profile: s.watch.Tap.Profile, Window: s.window, From: s.status.State, Before: s.state}
	c.Verdict = s.watch.Detector.Judge(s.window)
	s.state = s.watch.Detector.Snapshot()
	c.After = s.state
	return c
}
