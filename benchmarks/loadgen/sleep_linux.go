package loadgen

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleeper decides how long before a due time a thread must wake up. A timer of
// the kernel ends late, by a few microseconds on a core that is awake and by fifty
// and more on a virtual machine's that sleeps; the rest is spent asking the clock.
type sleeper struct {
	margin int64 // nanoseconds; 0 if it is never to stay awake
	armed  int64 // when the thread meant to wake up; 0 when it did not mean to
}

const (
	leastMargin = int64(20 * time.Microsecond)
	mostMargin  = int64(200 * time.Microsecond)
)

func newSleeper(asleep bool) sleeper {
	if asleep {
		return sleeper{}
	}
	return sleeper{margin: int64(50 * time.Microsecond)}
}

// woke learns from a sleep that nothing ended but the timer: quickly that it was
// too long, slowly that it was too short.
func (s *sleeper) woke(now int64) {
	if s.margin == 0 {
		return
	}
	want := now - s.armed + leastMargin/2
	if want > s.margin {
		s.margin += (want - s.margin) / 2
	} else {
		s.margin -= (s.margin - want) / 64
	}
	s.margin = min(mostMargin, max(leastMargin, s.margin))
	s.armed = 0
}

// waitDue waits for events until the next request is due: asleep while that is
// far off, and then awake.
func (l *loop) waitDue(now int64) (events int) {
	left := l.due - now
	if left <= 0 {
		return 0
	}
	if left > l.sleep.margin {
		l.sleep.armed = l.due - l.sleep.margin
		at := unix.ItimerSpec{Value: unix.NsecToTimespec(l.sleep.armed - now)}
		if err := unix.TimerfdSettime(l.timer, 0, &at, nil); err != nil {
			l.run.fail(err)
			return 0
		}
		n, err := l.poll(time.Duration(max(0, l.nextScan-now)))
		if err != nil {
			l.run.fail(err)
		}
		if n == 1 && l.events[0].Fd < 0 {
			l.sleep.woke(l.run.now())
		}
		return n
	}
	for ; now < l.due; now = l.run.now() {
		n, err := l.poll(0)
		if err != nil {
			l.run.fail(err)
		}
		if n > 0 || l.run.stop.Load() {
			return n
		}
		// Much more than a call takes was another process, not waiting.
		l.spun += min(l.run.now()-now, int64(5*time.Microsecond))
	}
	return 0
}
