package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// timeouts are how long the phases of a connection may take, and the time by which
// they are measured. fasthttp can do it too: it reads the clock and moves a timer
// three times for each request, 0.5 µs of a request's 9, though hardly a deadline
// ever passes. Here the clock is one that ticks, and the timer is left as it is
// while it fires no later than it must.
type timeouts struct {
	read, write, idle time.Duration
	epoch             time.Time // what the times of clock and deadlines count from
	clock             atomic.Int64
}

func newTimeouts(l *Limits) *timeouts {
	return &timeouts{read: l.ReadTimeout, write: l.WriteTimeout, idle: l.IdleTimeout, epoch: time.Now()}
}

// tick is how late a deadline may pass.
func (t *timeouts) tick() time.Duration {
	return min(100*time.Millisecond, max(time.Millisecond, min(t.read, t.write, t.idle)/16))
}

// now sets the clock.
func (t *timeouts) now() { t.clock.Store(int64(time.Since(t.epoch))) }

// run keeps the clock until ctx ends.
func (t *timeouts) run(ctx context.Context) {
	ticker := time.NewTicker(t.tick())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.now()
		case <-ctx.Done():
			return
		}
	}
}

// after returns the time that is d from now, and up to a tick later.
func (t *timeouts) after(d time.Duration) int64 {
	return t.clock.Load() + int64(d+t.tick())
}

// deadline is one of a connection's two deadlines.
type deadline struct {
	arm    func(time.Time) error // sets the connection's own
	epoch  time.Time             // what the times below count from
	wanted atomic.Int64          // the deadline in force; 0 is none
	armed  atomic.Int64          // when the connection's own passes; 0 is never

	mu sync.Mutex // held while armed changes
}

// set puts a deadline in force. The timer is moved where it would fire later; where
// it fires too early, it is then set anew.
func (d *deadline) set(at int64) error {
	d.wanted.Store(at)
	if armed := d.armed.Load(); at == 0 || armed != 0 && armed <= at {
		return nil
	}
	return d.rearm()
}

// setTime is set; the zero time is none.
func (d *deadline) setTime(t time.Time) error {
	if t.IsZero() {
		return d.set(0)
	}
	return d.set(max(1, int64(t.Sub(d.epoch))))
}

// rearm sets the timer to the deadline in force, which others may change at the
// same time: whoever is last here sees the last one.
func (d *deadline) rearm() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := d.wanted.Load()
	d.armed.Store(at)
	if at == 0 {
		return d.arm(time.Time{})
	}
	return d.arm(d.epoch.Add(time.Duration(at)))
}

// early reports whether err says that the timer has fired before the deadline in
// force. The timer is then set anew, and what it interrupted can go on.
func (d *deadline) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	at := d.wanted.Load()
	return (at == 0 || at > int64(time.Since(d.epoch))) && d.rearm() == nil
}

// conn is a connection that knows what phase it is in, and can be closed gently.
type conn struct {
	net.Conn
	timeouts    *timeouts
	read, write deadline
	used        atomic.Bool              // a request has begun
	linger      atomic.Bool              // the caller may still be sending
	exchange    atomic.Pointer[exchange] // whose answer is being written
}

func newConn(c net.Conn, t *timeouts) *conn {
	nc := &conn{Conn: c, timeouts: t}
	nc.read.epoch, nc.read.arm = t.epoch, c.SetReadDeadline
	nc.write.epoch, nc.write.arm = t.epoch, c.SetWriteDeadline
	return nc
}

// connOf returns the connection that is c, or that c encrypts.
func connOf(c net.Conn) *conn {
	switch c := c.(type) {
	case *conn:
		return c
	case *secureConn:
		return c.raw
	default:
		panic("BUG: a connection that the listener did not accept")
	}
}

// opened begins the time for the first request.
func (c *conn) opened() {
	_ = c.SetReadDeadline(time.Now().Add(c.timeouts.read))
	c.answering()
}

// begun is called when the first byte of a request has come. That of a new
// connection has been waited for in the time for the whole.
func (c *conn) begun() {
	if c.used.Swap(true) {
		_ = c.read.set(c.timeouts.after(c.timeouts.read))
	}
	c.answering() // Expect: 100-continue
}

// answering begins the time for an answer.
func (c *conn) answering() { _ = c.write.set(c.timeouts.after(c.timeouts.write)) }

// written ends the exchange whose answer was written, or could not be.
func (c *conn) written() {
	if x := c.exchange.Swap(nil); x != nil {
		x.written()
	}
}

// answered begins the time until the next request. All of the last one was read.
func (c *conn) answered() {
	c.written()
	if c.linger.Load() {
		c.linger.Store(false)
	}
	_ = c.read.set(c.timeouts.after(c.timeouts.idle))
}

// SetReadDeadline sets when reads fail.
func (c *conn) SetReadDeadline(t time.Time) error { return c.read.setTime(t) }

// SetWriteDeadline sets when writes fail.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.setTime(t) }

// SetDeadline sets both.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.setTime(t), c.write.setTime(t))
}

// Read reads until the read deadline.
func (c *conn) Read(p []byte) (n int, err error) {
	for {
		if n, err = c.Conn.Read(p); err == nil || n > 0 || !c.read.early(err) {
			return n, err
		}
	}
}

// Write writes until the write deadline.
func (c *conn) Write(p []byte) (n int, err error) {
	for {
		m, err := c.Conn.Write(p[n:])
		if n += m; err == nil || !c.write.early(err) {
			return n, err
		}
	}
}

// Close closes the connection; where linger is set it lets the caller read the
// answer first.
func (c *conn) Close() error {
	c.written()
	if c.linger.Swap(false) {
		if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
			_ = c.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.Copy(io.Discard, c)
		}
	}
	return c.Conn.Close()
}
