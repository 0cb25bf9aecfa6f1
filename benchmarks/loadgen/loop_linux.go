package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// loop is one thread's share of a run: its connections, watched by one epoll, and
// its arrivals. There is no queue of requests that wait for a connection: those
// are the arrivals that have not been taken yet.
type loop struct {
	run      *run
	index    int
	address  unix.Sockaddr
	loopback bool
	record   *record

	epoll, timer int // file descriptors
	conns        []conn
	events       []unix.EpollEvent
	buf          []byte
	scrap        []byte // never touched: where bodies are thrown away

	at       int64 // the clock as it was last read
	inFlight int
	// Open loop.
	arrivals *arrivals
	due      int64   // the next one
	missed   bool    // it found no free connection when it was due
	free     []int32 // connections without a request; the last used first
	sleep    sleeper
	// Closed loop.
	started int     // connections that send
	failed  []int32 // connections whose last request failed: they pause, in this order

	nextScan     int64 // for timeouts
	entered      bool  // the counted time
	left         bool
	cpu, process time.Duration // when it began
	delay        time.Duration
	spun         int64 // nanoseconds in it that were spent waiting for a due time
}

const (
	scanEach = 20 * time.Millisecond
	batch    = 64 // events that are taken at once
)

func newLoop(r *run, address netip.AddrPort, index int) (*loop, error) {
	l := &loop{
		run: r, index: index, loopback: address.Addr().IsLoopback(), record: newRecord(), epoll: -1, timer: -1,
		events: make([]unix.EpollEvent, batch), buf: make([]byte, 64<<10), due: never, sleep: newSleeper(r.Asleep),
	}
	if l.address = (&unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}); address.Addr().Is4() {
		l.address = &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	}
	n := (r.Conns + r.Threads - 1 - index) / r.Threads
	l.conns = make([]conn, n)
	l.free, l.failed = make([]int32, 0, n), make([]int32, 0, n)
	for i := range l.conns {
		l.conns[i] = conn{index: int32(i), fd: -1, target: l.number(i) % len(r.requests)} //nolint:gosec // maxConns
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if r.Rate == 0 {
		return l, nil
	}
	l.arrivals = newArrivals(&r.Plan, index, r.Threads)
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return l, nil
}

// number returns a connection's among those of all loops.
func (l *loop) number(i int) int { return l.index + i*l.run.Threads }

func (l *loop) recorded() *record { return l.record }

func (l *loop) close() {
	for i := range l.conns {
		l.conns[i].close()
	}
	for _, fd := range []int{l.timer, l.epoll} {
		if fd >= 0 {
			_ = unix.Close(fd) // nothing was written
		}
	}
}

// connect opens the connections in small groups, so that the server's queue of
// those it has not accepted never overflows.
func (l *loop) connect(ctx context.Context) error {
	const group = 32
	last := l.run.now() + int64(patience)
	opening, open, next := 0, 0, 0
	var failure error
	for ctx.Err() == nil {
		for ; opening < group && next < len(l.conns) && l.run.startOf(l.number(next)) == 0; next++ {
			if err := l.open(&l.conns[next]); errors.Is(err, unix.EMFILE) {
				return fmt.Errorf("%d connections: %w (ulimit -n)", l.run.Conns, err)
			} else if err != nil {
				failure = err
				continue
			}
			opening++
		}
		if opening == 0 {
			break
		}
		n, err := l.poll(scanEach)
		if err != nil {
			return err
		}
		for _, e := range l.events[:n] {
			if e.Fd < 0 || !l.conns[e.Fd].opening {
				continue
			}
			opening--
			if err := l.opened(&l.conns[e.Fd]); err != nil {
				failure = err
			} else {
				open++
			}
		}
		if l.run.now() > last {
			failure = unix.ETIMEDOUT
			break
		}
	}
	if open == 0 && failure != nil {
		return failure
	}
	return ctx.Err()
}

func (l *loop) send() {
	runtime.LockOSThread() // the clock of its processor time
	defer runtime.UnlockOSThread()
	now := l.run.now()
	if l.arrivals != nil {
		for i := range slices.Backward(l.conns) { // the first is used first
			l.free = append(l.free, l.conns[i].index)
		}
		l.nextArrival()
	}
	for !l.over(now) {
		l.phases(now)
		l.dispatch(now)
		if now >= l.nextScan {
			l.scan(now)
		}
		for _, e := range l.events[:l.wait(now)] {
			if e.Fd >= 0 {
				l.handle(&l.conns[e.Fd], e)
			}
			if l.due <= l.at { // answers to read must not delay requests
				l.dispatch(l.at)
			}
		}
		now = l.run.now()
		l.at = now
	}
	l.phases(now)
}

func (l *loop) over(now int64) bool {
	if l.run.stop.Load() {
		return true
	}
	return now >= l.run.to && l.due == never && l.inFlight == 0
}

// phases reads the processor time as the counted time begins and ends.
func (l *loop) phases(now int64) {
	if !l.entered && now >= l.run.from {
		l.entered = true
		l.cpu, l.process, l.delay, l.spun = threadTime(), processTime(), threadDelay(), 0
	}
	if l.entered && !l.left && (now >= l.run.to || l.run.stop.Load()) {
		l.left = true
		l.record.cpu, l.record.process = threadTime()-l.cpu, processTime()-l.process
		l.record.spun, l.record.delay = time.Duration(l.spun), threadDelay()-l.delay
	}
}

func (l *loop) nextArrival() {
	l.missed = false
	if l.due = l.arrivals.next(); l.due != never {
		l.due += l.run.begin
	}
}

// dispatch sends what is due.
func (l *loop) dispatch(now int64) {
	for l.due <= now {
		if expired := now-l.due >= int64(l.run.Timeout); !expired {
			if len(l.free) == 0 {
				l.missed = true
				return
			}
			i := l.free[len(l.free)-1]
			l.free = l.free[:len(l.free)-1]
			if !l.missed {
				put(l.record.lag, now-l.due)
			}
			l.record.due(&l.run.window, l.due)
			l.request(&l.conns[i], l.due)
			now = l.run.now() // of the next one's lag
		} else { // it waited too long for a connection
			l.record.due(&l.run.window, l.due)
			l.record.ended(&l.run.window, l.due, now, 0)
		}
		l.nextArrival()
	}
	if l.arrivals != nil || now >= l.run.to {
		return
	}
	for ; l.started < len(l.conns) && now >= l.run.begin+l.run.startOf(l.number(l.started)); l.started++ {
		l.request(&l.conns[l.started], now)
	}
	for len(l.failed) > 0 && now >= l.conns[l.failed[0]].begun+int64(pause) {
		i := l.failed[0]
		l.failed = append(l.failed[:0], l.failed[1:]...)
		l.request(&l.conns[i], now)
	}
}

// scan ends the requests that take too long.
func (l *loop) scan(now int64) {
	l.nextScan = now + int64(min(scanEach, max(time.Millisecond, l.run.Timeout/8)))
	for i := range l.conns {
		if c := &l.conns[i]; c.busy && now-c.begun >= int64(l.run.Timeout) {
			l.broken(c)
		}
	}
}

// wait returns how many events there are. It returns without any when something
// else is to do.
func (l *loop) wait(now int64) (events int) {
	if l.due != never && !l.missed {
		return l.waitDue(now)
	}
	until := l.nextScan
	if l.started < len(l.conns) && l.arrivals == nil {
		until = min(until, l.run.begin+l.run.startOf(l.number(l.started)))
	}
	n, err := l.poll(time.Duration(max(0, until-now)))
	if err != nil {
		l.run.fail(err)
	}
	return n
}

// poll waits for events for so long at most, in whole milliseconds.
func (l *loop) poll(d time.Duration) (int, error) {
	n, err := unix.EpollWait(l.epoll, l.events, int((d+time.Millisecond-1)/time.Millisecond))
	if err == unix.EINTR {
		return 0, nil
	}
	return max(0, n), err
}
