package httpapi

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// deadline is one of a connection's two deadlines, armed lazily. fasthttp sets
// three of them for each request, and nearly all are put off long before they
// pass; to move a timer each time took 0.3 µs of a request's 9. Here a deadline is
// stored and no more, as long as the timer fires no later than it. A timer that
// fires too early is set anew, once in a timeout instead of three times a request.
type deadline struct {
	arm    func(time.Time) error // sets the connection's own
	epoch  time.Time             // what the times below count from
	wanted atomic.Int64          // the deadline in force; 0 is none
	armed  atomic.Int64          // when the connection's own passes; 0 is never

	mu sync.Mutex // held while armed changes
}

// set puts a deadline in force; the zero time is none.
func (d *deadline) set(t time.Time) error {
	at := int64(0)
	if !t.IsZero() {
		at = max(1, int64(t.Sub(d.epoch)))
	}
	d.wanted.Store(at)
	if armed := d.armed.Load(); at == 0 || armed != 0 && armed <= at {
		return nil
	}
	return d.rearm()
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

func newConn(c net.Conn) *conn {
	nc := &conn{Conn: c}
	now := time.Now()
	nc.read.epoch, nc.read.arm = now, c.SetReadDeadline
	nc.write.epoch, nc.write.arm = now, c.SetWriteDeadline
	return nc
}

// SetReadDeadline sets when reads fail.
func (c *conn) SetReadDeadline(t time.Time) error { return c.read.set(t) }

// SetWriteDeadline sets when writes fail.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.write.set(t) }

// SetDeadline sets both.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.read.set(t), c.write.set(t))
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
