package grpcapi

import (
	"bufio"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"

	"sluice.io/sluice/internal/wire/front"
)

// listener bounds the connections, and looks after them.
type listener struct {
	net.Listener

	front  *front.Front
	limits *Limits
	next   atomic.Int64 // when the next sweep is, in ns since 1970
	mu     sync.Mutex
	conns  map[*conn]struct{}
}

func newListener(l net.Listener, limits *Limits, f *front.Front) *listener {
	made := &listener{Listener: l, front: f, limits: limits, conns: map[*conn]struct{}{}}
	made.next.Store(time.Now().Add(made.interval()).UnixNano())
	return made
}

// interval is how often the connections are looked after.
func (l *listener) interval() time.Duration {
	return min(time.Second, l.limits.ReadTimeout, l.limits.WriteTimeout, l.limits.IdleTimeout)
}

// soon returns when the next sweep is. What the sweeps look after counts from it: a call would
// otherwise read the system's clock four times more, and no wait ends too early.
func (l *listener) soon() time.Time { return time.Unix(0, l.next.Load()) }

// Accept implements net.Listener. Connections beyond the limit are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := newConn(raw, l); l.add(c) {
			return c, nil
		}
		_ = raw.Close()
	}
}

func (l *listener) add(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.limits.MaxConnections {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// sweep looks after the connections until ctx ends.
func (l *listener) sweep(ctx context.Context) {
	tick := time.NewTicker(l.interval())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			l.next.Store(now.Add(l.interval()).UnixNano())
			for _, c := range l.open() {
				if !c.sweep(now, l.limits) {
					_ = c.Close()
				}
			}
		}
	}
}

// open returns the open connections.
func (l *listener) open() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		list = append(list, c)
	}
	return list
}

// handshakes sets up the connections, and counts those that fail.
type handshakes struct {
	credentials.TransportCredentials // TLS or none

	failed *atomic.Int64
}

// ServerHandshake implements credentials.TransportCredentials. grpc-go reads and writes the conn over what
// the handshake made.
func (h *handshakes) ServerHandshake(accepted net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c := accepted.(*conn) //nolint:forcetypeassert // the listener accepts no other
	over, info, err := h.TransportCredentials.ServerHandshake(c.Conn)
	if err != nil {
		h.failed.Add(1)
		return nil, nil, err
	}
	c.Conn, c.in, c.names = over, bufio.NewReaderSize(over, readBuffer), namesOf(info)
	return c, info, nil
}

// Clone implements credentials.TransportCredentials.
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.failed}
}
