package drift

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sluice.io/sluice/internal/infer"
)

// Stream is what is watched: a version in one role. A canary is never mixed with
// the stable version, nor a version with its own past in another role.
type Stream struct {
	Version infer.Version
	Role    string
}

// Watch says how a stream is watched.
type Watch struct {
	Tap      TapOptions
	Detector Resumable // the monitor's from now on
	Windows  Windowing // with the MinRows of the detector
	Past     *Past     // of an earlier watch of the stream, if there was one
}

// Past is what a watch leaves to the next one of the same stream.
type Past struct {
	State  Snapshot // of the detector
	Status Status

	from    *Watch
	started bool
	window  Window // that was not yet judged
}

// Closed is a window that was judged.
type Closed struct {
	Stream  Stream
	Profile *Profile
	Window  Window
	Verdict Verdict
	From    string // the state before it
	// Before and After are the detector's state before the window and after it: from
	// Before the same window gives the same verdict. They are shared, and must not be
	// changed.
	Before, After Snapshot
}

// Status is where a stream stands.
type Status struct {
	Stream  Stream
	State   string    // of the detector, or Unjudged
	Since   time.Time // when this state began, or the watch
	Windows uint64    // judged; those that lack rows are not
	Rows    uint64    // counted, in all windows and the present one
	Dropped uint64    // sampled, and there was no room
	Begun   time.Time // the present window
	Waiting uint64    // rows in it so far
	Last    *Verdict  // of the last window that said something; nil before
	// UnjudgedSince is when the last window ended that was judged, or the watch began.
	UnjudgedSince time.Time

	took time.Duration // how long that window was
}

// MonitorOptions configure a Monitor.
type MonitorOptions struct {
	// Every is how often taps are emptied and windows looked at, more than 0: the most
	// by which a row may be counted in the next window.
	Every time.Duration
	// Closed is told of each window, one at a time. Taps go on meanwhile.
	Closed func(Closed)
}

// Monitor empties taps into windows and has these judged. It is the one part of
// this package that looks at a clock.
type Monitor struct {
	o MonitorOptions

	mu      sync.Mutex // guards streams and their statuses; never held while a window is judged
	streams map[Stream]*stream
}

type stream struct {
	watch  Watch
	tap    *Tap
	status Status // guarded by Monitor.mu, written by Run alone

	mu      sync.Mutex // guards the window and the detector; taken before Monitor.mu
	window  Window
	state   Snapshot // of the detector
	started bool     // window has a beginning
	stopped bool
}

// NewMonitor returns a monitor without streams. Options that are not complete are a bug
// of the caller.
func NewMonitor(o MonitorOptions) *Monitor {
	if o.Every <= 0 || o.Closed == nil {
		panic(fmt.Sprintf("BUG: drift: a monitor needs Closed and Every above 0, got %v", o.Every))
	}
	return &Monitor{o: o, streams: map[Stream]*stream{}}
}

// Start watches a stream and returns its tap. A watch that is there already is
// replaced; what it had not yet judged is lost, unless it is stopped before and is
// the past of this one.
func (m *Monitor) Start(s Stream, w Watch) *Tap {
	x := &stream{watch: w, tap: NewTap(w.Tap), state: w.Detector.Snapshot()}
	w.Windows.check()
	now := time.Now()
	x.status = Status{Stream: s, State: w.Detector.State(), Since: now, UnjudgedSince: now}
	x.window = x.empty()
	if w.Past != nil {
		x.goOn(w.Past)
	}
	x.watch.Past = nil
	m.mu.Lock()
	old := m.streams[s]
	m.streams[s] = x
	m.mu.Unlock()
	old.stop()
	return x.tap
}

// goOn takes up the counters, and the window where windows are as they were.
func (s *stream) goOn(p *Past) {
	s.status.Windows, s.status.Rows, s.status.Dropped, s.status.Last = p.Status.Windows, p.Status.Rows, p.Status.Dropped, p.Status.Last
	if p.Status.State == s.status.State && !p.Status.Since.IsZero() {
		s.status.Since = p.Status.Since
	}
	if p.Status.Windows > 0 {
		s.status.UnjudgedSince, s.status.took = p.Status.UnjudgedSince, p.Status.took
	}
	if p.started && p.from.Tap.Profile == s.watch.Tap.Profile && p.from.Windows == s.watch.Windows {
		s.started, s.window = true, p.window
		s.status.Begun, s.status.Waiting = p.window.Start, p.window.Rows
	}
}

// Stop ends the watch of a stream and returns what it leaves, nil if there is
// none. The present window is not judged, unless another watch goes on with it.
func (m *Monitor) Stop(s Stream) *Past {
	m.mu.Lock()
	x := m.streams[s]
	delete(m.streams, s)
	m.mu.Unlock()
	if x == nil {
		return nil
	}
	x.stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	dropped := x.tap.take()
	rows := x.tap.count(x.window.Counts, x.watch.Windows.room(&x.window))
	x.window.Rows, x.window.Dropped = x.window.Rows+rows, x.window.Dropped+dropped
	p := &Past{State: x.state, from: &x.watch, started: x.started, window: x.window}
	m.update(func() { p.Status = x.status })
	p.Status.Rows, p.Status.Dropped = p.Status.Rows+rows, p.Status.Dropped+dropped
	return p
}

// stop waits for a window that is being judged, and lets no other be. The stream
// may be nil.
func (s *stream) stop() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Status returns where all streams stand, sorted by model, version and role.
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
			cmp.Compare(a.Stream.Version.Number, b.Stream.Version.Number), cmp.Compare(a.Stream.Role, b.Stream.Role))
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
			m.tick(time.Now().Round(0)) // the wall clock alone: windows are aligned to it
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

// take takes what waits in the taps, all at about the same time, and returns their
// streams.
func (m *Monitor) take(now time.Time) []*stream {
	m.mu.Lock()
	list := slices.Collect(maps.Values(m.streams))
	m.mu.Unlock()
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

// next counts what was taken until a window ends, and judges that one.
func (m *Monitor) next(x *stream, now time.Time) (c Closed, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopped {
		return c, false
	}
	rows := x.tap.count(x.window.Counts, x.watch.Windows.room(&x.window))
	x.window.Rows += rows
	if ok = x.watch.Windows.ended(&x.window, now); ok {
		c = x.close()
		x.begin(now)
	}
	m.update(func() {
		x.status.Rows += rows
		x.status.Begun, x.status.Waiting = x.window.Start, x.window.Rows
		if ok {
			x.status.judged(c)
		}
	})
	return c, ok
}

// update changes statuses.
func (m *Monitor) update(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// judged takes in a window that was judged.
func (s *Status) judged(c Closed) {
	if c.Verdict.State != s.State {
		s.State, s.Since = c.Verdict.State, c.Window.End
	}
	if c.Verdict.Reason != "" {
		return
	}
	s.Windows++
	s.UnjudgedSince, s.took = c.Window.End, c.Window.End.Sub(c.Window.Start)
	last := c.Verdict // a copy, or the window would live as long as the verdict
	s.Last = &last
}

// overdue reports whether OK would say more than is known: no window was judged yet, or for
// twice as long as the last one took none was. Length is the least that one takes.
func (s *Status) overdue(now time.Time, length time.Duration) bool {
	return s.Windows == 0 || now.Sub(s.UnjudgedSince) > 2*max(length, s.took)
}

// begin starts a window.
func (s *stream) begin(now time.Time) {
	s.started, s.window = true, s.empty()
	s.watch.Windows.begin(&s.window, now)
}

func (s *stream) empty() Window {
	counts := make([]Counts, len(s.watch.Tap.Profile.Features))
	for i := range counts {
		counts[i] = s.watch.Tap.Profile.Features[i].NewCounts()
	}
	return Window{Counts: counts}
}

// close has the present window judged.
func (s *stream) close() Closed {
	c := Closed{Stream: s.status.Stream, Profile: s.watch.Tap.Profile, Window: s.window, From: s.status.State, Before: s.state}
	c.Verdict = s.watch.Detector.Judge(s.window)
	s.state = s.watch.Detector.Snapshot()
	c.After = s.state
	return c
}
