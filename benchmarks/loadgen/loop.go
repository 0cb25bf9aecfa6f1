package loadgen

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loop is one thread's share of a run: its connections, watched by one epoll, and its
// arrivals. There is no queue of requests that wait for a connection: those are the arrivals
// that have not been taken yet.
type loop struct {
	*run
	record       *record
	epoll, timer int
	conns        []conn
	events       [64]unix.EpollEvent
	buf          []byte

	inFlight int
	nextScan int64 // for timeouts, and for what failed in a closed loop
	// Open loop.
	arrivals *arrivals
	due      int64   // the next one
	missed   bool    // it found no free connection when it was due
	free     []int32 // connections without a request; the last used first

	entered, left bool          // the counted time
	cpu, process  time.Duration // when it began
	spun          int64         // nanoseconds in it that were spent waiting awake
}

const (
	scanEach = 10 * time.Millisecond
	// awake is how long before a due time a loop stops to sleep, unless it may be late.
	awake = int64(200 * time.Microsecond)
)

// newLoop opens the connections of one thread.
func newLoop(r *run, index int) (l *loop, err error) {
	l = &loop{run: r, record: newRecord(), buf: make([]byte, 64<<10), due: never, epoll: -1, timer: -1}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return l, err
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return l, err
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}); err != nil {
		return l, err
	}
	l.conns = make([]conn, (r.Conns+r.threads-1-index)/r.threads)
	for i := range l.conns {
		l.conns[i] = conn{index: int32(i), fd: -1, target: (index + i*r.threads) % len(r.requests)} //nolint:gosec // few
	}
	for i := range l.conns {
		if err := l.open(&l.conns[i]); err != nil {
			return l, err
		}
	}
	if r.Rate > 0 {
		l.arrivals = newArrivals(&r.Plan, index, r.threads)
		for i := range slices.Backward(l.conns) { // the first is used first
			l.free = append(l.free, l.conns[i].index)
		}
	}
	return l, nil
}

func (l *loop) close() {
	for i := range l.conns {
		l.conns[i].close()
	}
	_, _ = unix.Close(l.epoll), unix.Close(l.timer) // nothing was written
}

// send returns when all requests of the plan have ended, or at stop.
func (l *loop) send() error {
	runtime.LockOSThread() // the clock of its processor time
	defer runtime.UnlockOSThread()
	now := l.begin
	if l.arrivals != nil {
		l.nextArrival()
	} else {
		for i := range l.conns {
			l.request(&l.conns[i], now)
		}
	}
	for !l.stop.Load() && (now < l.to || l.due != never || l.inFlight > 0) {
		l.phases(now)
		l.dispatch(now)
		if now >= l.nextScan {
			l.scan(now)
		}
		n, err := l.wait(now)
		if err != nil {
			return err
		}
		for _, e := range l.events[:n] {
			if e.Fd < 0 { // the timer
				continue
			}
			at := l.handle(&l.conns[e.Fd], e)
			if l.due <= at { // answers to read must not delay requests
				l.dispatch(at)
			}
		}
		now = l.now()
	}
	l.phases(now)
	return nil
}

// phases reads the processor time as the counted time begins and ends.
func (l *loop) phases(now int64) {
	if !l.entered && now >= l.from {
		l.entered = true
		l.cpu, l.process, l.spun = used(unix.RUSAGE_THREAD), used(unix.RUSAGE_SELF), 0
	}
	if l.entered && !l.left && (now >= l.to || l.stop.Load()) {
		l.left = true
		l.record.busy = used(unix.RUSAGE_THREAD) - l.cpu - time.Duration(l.spun)
		l.record.process = used(unix.RUSAGE_SELF) - l.process
	}
}

func (l *loop) nextArrival() {
	l.missed = false
	if l.due = l.arrivals.next(); l.due != never {
		l.due += l.begin
	}
}

// dispatch sends what is due in an open loop.
func (l *loop) dispatch(now int64) {
	for l.due <= now {
		switch {
		case now-l.due >= int64(l.Timeout): // it waited too long for a connection
			l.record.ended(l.run, l.due, now, 0)
		case len(l.free) == 0:
			l.missed = true
			return
		default:
			c := &l.conns[l.free[len(l.free)-1]]
			l.free = l.free[:len(l.free)-1]
			if !l.missed {
				put(l.record.lag, now-l.due)
			}
			l.request(c, l.due)
			now = l.now() // of the next one's lag
		}
		l.nextArrival()
	}
}

// scan ends the requests that take too long. Connections of a closed loop whose request
// failed begin again here, and not at once: a server that is gone must not be asked
// thousands of times a second.
func (l *loop) scan(now int64) {
	l.nextScan = now + int64(scanEach)
	for i := range l.conns {
		switch c := &l.conns[i]; {
		case c.busy && now-c.begun >= int64(l.Timeout):
			l.broken(c)
		case !c.busy && l.arrivals == nil && now < l.to:
			l.request(c, now)
		}
	}
}

// wait returns how many events there are, none if something else is to be done.
func (l *loop) wait(now int64) (events int, err error) {
	until := l.nextScan
	if l.due != never && !l.missed {
		ahead := awake
		if l.Asleep {
			ahead = 0
		}
		if l.due-now < ahead { // also if it is due already
			if events, err = l.poll(0); events == 0 {
				l.spun += min(l.now()-now, int64(5*time.Microsecond)) // more than a call takes was another process
			}
			return events, err
		}
		until = min(until, l.due-ahead)
	}
	return l.poll(until - now)
}

// poll waits for events for so many nanoseconds at most; of a closed loop in milliseconds.
func (l *loop) poll(ns int64) (int, error) {
	ns = max(0, ns)
	if ns > 0 && l.arrivals != nil {
		at := unix.ItimerSpec{Value: unix.NsecToTimespec(ns)}
		if err := unix.TimerfdSettime(l.timer, 0, &at, nil); err != nil {
			return 0, err
		}
	}
	n, err := unix.EpollWait(l.epoll, l.events[:], int((ns+int64(time.Millisecond)-1)/int64(time.Millisecond)))
	if err == unix.EINTR {
		return 0, nil
	}
	return max(0, n), err
}
