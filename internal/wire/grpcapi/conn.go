package grpcapi

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// conn is a connection as grpc-go reads and writes it, and the one book of what it holds and whom it
// waits for: messages that arrive, and answers that are not read. HTTP/2 has flow control of its
// own, so deadlines of the socket would not do. Its remote address leads grpc-go's hooks back to it.
type conn struct {
	net.Conn // over TLS once the handshake is made

	listener *listener
	remote   net.Addr      // a remote
	in       *bufio.Reader // grpc-go's own would read ahead of frames
	writing  atomic.Int64  // since before which sweep a write does not end, in ns since 1970; 0: none
	memory   front.Reservation
	names    []string // in the client's certificate, after the handshake

	mu      sync.Mutex // guards all below, and what calls say
	frames  frames
	calls   map[uint32]*call
	answers map[*exchange]time.Time // not written yet, and until when they must be; nil once the connection was closed
	held    int                     // bytes that are reserved
	lent    int                     // bytes that are held though there was no memory
	waste   [2]int                  // bytes held that came after the end of their call: since turned, and before
	turned  time.Time
}

func newConn(raw net.Conn, l *listener) *conn {
	c := &conn{Conn: raw, listener: l, calls: map[uint32]*call{}, answers: map[*exchange]time.Time{}, frames: frames{preface: prefaceBytes, tokens: tokensPerSecond, renewed: time.Now()}}
	c.remote = remote{raw.RemoteAddr(), c}
	l.front.Hold(&c.memory)
	return c
}

// smallArrival is what a connection may hold even if there is no memory: without it, a
// caller of small messages would suffer from one of large messages.
const smallArrival = 64 << 10

// slowWrite is how long a write may take before the peer gets no new tokens. A sweep that is late makes it look longer than it is.
const slowWrite = 3 * time.Second

// readBuffer is as large as grpc-go's own.
const readBuffer = 32 << 10

// remote is the address of a conn's peer.
type remote struct {
	net.Addr

	conn *conn
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if n > 0 && !c.follow(p[:n]) {
		_ = c.Close()
		return 0, infer.Errorf(infer.Overloaded, "a connection has no memory for its messages, or sends too many frames")
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	c.writing.Store(c.listener.next.Load())
	defer c.writing.Store(0)
	return c.Conn.Write(p)
}

// Close implements net.Conn. What was not written never will be.
func (c *conn) Close() error {
	c.listener.remove(c)
	c.mu.Lock()
	answers := c.answers
	c.answers = nil
	for _, k := range c.calls {
		k.leave()
	}
	c.mu.Unlock()
	for x := range answers {
		x.memory.End()
	}
	c.memory.End()
	return c.Conn.Close()
}

// begin takes a call into the book, with bytes that it holds until its end. It is false if there is no memory.
func (c *conn) begin(k *call, bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !k.hold(bytes) {
		c.release(bytes)
		return false
	}
	k.id, k.complete, k.whole = c.frames.opened, c.frames.ends, k.first[:0]
	c.calls[k.id] = k
	return true
}

// sweep looks after the connection every so often. It is false if the connection must end.
func (c *conn) sweep(now time.Time, l *Limits) bool {
	writing := c.writing.Load()
	if writing != 0 && now.Sub(time.Unix(0, writing)) > l.WriteTimeout {
		return false
	}
	late, ok := c.sweepCalls(now, l)
	if !ok {
		return false
	}
	for _, k := range late {
		k.endLate()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if idle := writing == 0 && len(c.answers) == 0; idle || now.Sub(c.turned) > l.WriteTimeout {
		c.turnWaste(now)
		if idle {
			c.turnWaste(now)
		}
	}
	return true
}

// sweepCalls returns the calls whose callers are late. It is false if an answer is unread for too long.
func (c *conn) sweepCalls(now time.Time, l *Limits) (late []*call, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, deadline := range c.answers {
		if now.After(deadline) {
			return nil, false
		}
	}
	for _, k := range c.calls {
		ended := k.Context.Err() != nil
		if ended {
			k.leave()
		}
		switch {
		case ended && k.reading.IsZero(): // it may never have had a handler
			k.remove()
		case k.isLate(now, l):
			late = append(late, k)
		}
	}
	return late, true
}

// turnWaste releases the older bytes that came after the end of their call. The answers that grpc-go had not written when they came
// have left, or their time is over.
func (c *conn) turnWaste(now time.Time) {
	c.release(c.waste[1])
	c.waste, c.turned = [2]int{0, c.waste[0]}, now
}

// renew gives the connection new tokens for frames, at most once a second. It is false if the peer has used them up
// faster, or if it does not read: what it is sent would pile up.
func (c *conn) renew(now time.Time) bool {
	writing := c.writing.Load()
	if now.Sub(c.frames.renewed) < time.Second || writing != 0 && now.Sub(time.Unix(0, writing)) > slowWrite {
		return false
	}
	c.frames.tokens += tokensPerSecond
	c.frames.renewed = now
	return true
}

// hold notes that an answer waits for the peer to read it. It is false after Close.
func (c *conn) hold(x *exchange) bool {
	deadline := c.listener.soon().Add(x.srv.opts.Limits.WriteTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answers == nil {
		return false
	}
	c.answers[x] = deadline
	return true
}

// written ends what hold began.
func (c *conn) written(x *exchange) {
	c.mu.Lock()
	delete(c.answers, x)
	c.mu.Unlock()
}

// reserve reserves bytes. It is false if the connection must end, since there is no memory.
func (c *conn) reserve(n int) bool {
	if c.memory.Reserve(n) != nil {
		c.lent += n
		return c.lent+c.held < smallArrival
	}
	c.held += n
	return true
}

// release gives back bytes that were reserved.
func (c *conn) release(n int) {
	lent := min(n, c.lent)
	c.lent -= lent
	c.held -= n - lent
	c.memory.Release(n - lent)
}

// hold reserves bytes for the call.
func (k *call) hold(n int) bool {
	k.held += n
	return k.conn.reserve(n)
}

// wasRead releases the oldest message of a call.
func (k *call) wasRead() {
	if len(k.whole) == 0 {
		return
	}
	k.conn.release(k.whole[0])
	k.held -= k.whole[0]
	if k.whole = k.whole[1:]; len(k.whole) == 0 {
		k.whole = k.first[:0]
	}
}

// remove takes the call out of the book.
func (k *call) remove() {
	if k.conn.calls[k.id] != k {
		return
	}
	delete(k.conn.calls, k.id)
	k.conn.release(k.held)
	k.held, k.whole = 0, nil // a handler may still read
}
