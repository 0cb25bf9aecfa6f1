package grpcapi

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"sluice.io/sluice/internal/wire/front"
)

// listener keeps the book of the connections, to bound them and to know which of them do
// not read their answers, or do not send what they began.
type listener struct {
	net.Listener

	front *front.Front
	limit int
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newListener(l net.Listener, limit int, f *front.Front) *listener {
	return &listener{Listener: l, front: f, limit: limit, conns: map[*conn]struct{}{}}
}

// Accept implements net.Listener. Connections beyond the limit are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, listener: l, held: map[*exchange]time.Time{}}
		l.front.Hold(&c.arrivals.memory)
		l.mu.Lock()
		ok := len(l.conns) < l.limit
		if ok {
			l.conns[c] = struct{}{}
		}
		l.mu.Unlock()
		if ok {
			return c, nil
		}
		_ = raw.Close()
	}
}

// sweepEvery is how often it is looked for connections that are late.
const sweepEvery = time.Second

// sweep closes connections whose peer is late, every so often until ctx ends. HTTP/2 has
// flow control of its own, so deadlines of the socket would not do it.
func (l *listener) sweep(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, c := range l.late(now) {
				_ = c.Close()
			}
		}
	}
}

// late returns the connections whose peer has let a deadline pass.
func (l *listener) late(now time.Time) (list []*conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.arrivals.settle()
		if c.isLate(now) {
			list = append(list, c)
		}
	}
	return list
}

// conn is a connection and the exchanges that wait for its peer. Its remote address
// leads grpc-go's handlers back to it.
type conn struct {
	net.Conn

	listener *listener
	arrivals arrivals
	mu       sync.Mutex
	held     map[*exchange]time.Time // and until when; nil once the connection was closed
}

// remote is the address of a conn's peer.
type remote struct {
	net.Addr

	conn *conn
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return remote{c.Conn.RemoteAddr(), c} }

// Close implements net.Conn. What was not written never will be.
func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	c.mu.Lock()
	held := c.held
	c.held = nil
	c.mu.Unlock()
	for x := range held {
		x.memory.End()
	}
	c.arrivals.memory.End()
	return c.Conn.Close()
}

// hold notes that an exchange waits for the peer, to send its request or to read its
// answer, and for how long it may. It is not ok after Close.
func (c *conn) hold(x *exchange, timeout time.Duration) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return false
	}
	c.held[x] = time.Now().Add(timeout)
	return true
}

// release ends what hold began.
func (c *conn) release(x *exchange) {
	c.mu.Lock()
	delete(c.held, x)
	c.mu.Unlock()
}

func (c *conn) isLate(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, deadline := range c.held {
		if now.After(deadline) {
			return true
		}
	}
	return false
}

// handshakes counts the TLS handshakes that fail.
type handshakes struct {
	credentials.TransportCredentials

	failed *atomic.Int64
}

// ServerHandshake implements credentials.TransportCredentials.
func (h *handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		h.failed.Add(1)
	}
	return c, info, err
}

// Clone implements credentials.TransportCredentials.
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.failed}
}
