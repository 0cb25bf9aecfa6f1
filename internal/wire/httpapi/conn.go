package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice.io/sluice/internal/infer"
)

// timeouts are the max times of the phases of a connection, and the clock for them. fasthttp's own
// timeouts read the clock and move a timer three times for each request, which takes 0.5 of 9 µs,
// although hardly any deadline passes. This clock ticks instead, and a timer is moved only if it
// would fire too late.
type timeouts struct {
	read, write, idle time.Duration
	epoch             time.Time // the zero of clock and of the deadlines
	clock             atomic.Int64
}

func newTimeouts(l *Limits) *timeouts {
	return &timeouts{read: l.ReadTimeout, write: l.WriteTimeout, idle: l.IdleTimeout, epoch: time.Now()}
}

// tick is the max delay of a deadline.
func (t *timeouts) tick() time.Duration {
	return min(100*time.Millisecond, max(time.Millisecond, min(t.read, t.write, t.idle)/16))
}

// now sets the clock.
func (t *timeouts) now() { t.clock.Store(int64(time.Since(t.epoch))) }

// run updates the clock until ctx ends.
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

// after returns the time d from now, up to a tick later.
func (t *timeouts) after(d time.Duration) int64 {
	return t.clock.Load() + int64(d+t.tick())
}

// deadline is the read or the write deadline of a connection.
type deadline struct {
	arm    func(time.Time) error // sets the deadline of the net.Conn
	epoch  time.Time             // the zero of the times below
	wanted atomic.Int64          // the current deadline; 0: none
	armed  atomic.Int64          // when the deadline of the net.Conn passes; 0: never

	mu sync.Mutex // held while armed changes
}

// set sets the deadline. The timer is moved only if it would fire later. If it fires too early,
// early sets it again.
func (d *deadline) set(at int64) error {
	d.wanted.Store(at)
	if armed := d.armed.Load(); at == 0 || armed != 0 && armed <= at {
		return nil
	}
	return d.rearm()
}

// setTime is set for a time.Time; the zero time means none.
func (d *deadline) setTime(t time.Time) error {
	if t.IsZero() {
		return d.set(0)
	}
	return d.set(max(1, int64(t.Sub(d.epoch))))
}

// rearm sets the timer to the current deadline, which another goroutine may change at the same
// time: the last call sees the last value.
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

// early reports whether err means that the timer fired before the current deadline. It then has set
// the timer again, and the interrupted call can continue.
func (d *deadline) early(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	at := d.wanted.Load()
	return (at == 0 || at > int64(time.Since(d.epoch))) && d.rearm() == nil
}

// conn is a connection that tracks its phase and can be closed gracefully.
type conn struct {
	net.Conn
	timeouts    *timeouts
	read, write deadline
	used        atomic.Bool              // a request has begun
	linger      atomic.Bool              // the caller may still be sending
	names       []string                 // in the client's certificate, after the handshake
	exchange    atomic.Pointer[exchange] // the exchange whose answer is being written
	presence    infer.Presence           // of the caller
}

func newConn(c net.Conn, t *timeouts) *conn {
	nc := &conn{Conn: c, timeouts: t}
	nc.read.epoch, nc.read.arm = t.epoch, c.SetReadDeadline
	nc.write.epoch, nc.write.arm = t.epoch, c.SetWriteDeadline
	nc.presence.Gone = nc.gone
	return nc
}

// connOf returns the conn that c is or encrypts.
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

// gone reports whether the caller has closed the connection, or the half of it on which it sends. fasthttp reads only
// between requests, so it does not notice that.
func (c *conn) gone() (gone bool) {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { gone = hungUp(fd) })
	}
	return gone || err != nil // closed here
}

// opened starts the time for the first request.
func (c *conn) opened() {
	_ = c.SetReadDeadline(time.Now().Add(c.timeouts.read))
	c.answering()
}

// begun is called when the first byte of a request has been received. For the first request of a
// connection, the time runs since opened.
func (c *conn) begun() {
	if c.used.Swap(true) {
		_ = c.read.set(c.timeouts.after(c.timeouts.read))
	}
	c.answering() // for Expect: 100-continue
}

// answering starts the time for an answer.
func (c *conn) answering() { _ = c.write.set(c.timeouts.after(c.timeouts.write)) }

// written ends the exchange after its answer was written, or could not be written.
func (c *conn) written() {
	if x := c.exchange.Swap(nil); x != nil {
		x.written()
	}
}

// answered starts the time until the next request. The last one was read completely.
func (c *conn) answered() {
	c.written()
	if c.linger.Load() {
		c.linger.Store(false)
	}
	_ = c.read.set(c.timeouts.after(c.timeouts.idle))
}

// SetReadDeadline sets the time after which reads fail.
func (c *conn) SetReadDeadline(t time.Time) error { return c.read.setTime(t) }

// SetWriteDeadline sets the time after which writes fail.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.setTime(t) }

// SetDeadline sets both deadlines.
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

// Close closes the connection. If linger is set, it first gives the caller time to read the answer.
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
