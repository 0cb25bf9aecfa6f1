package httpapi

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"

	"sluice.io/sluice/internal/wire/front"
)

const (
	// lingerTime is how long a closing connection still reads if the caller may be sending. If
	// unread bytes were left, the kernel would send a reset, which can overtake the answer.
	lingerTime = 2 * time.Second
	// maxRefusals is the max number of refused connections that linger at the same time. More are
	// closed immediately after the answer.
	maxRefusals = 64
	// refusalTime is the max time for writing a refusal. The write does not block, since nothing
	// was sent on the connection before. But a busy machine may pause between the deadline and the
	// write, which then fails.
	refusalTime = time.Second
	// acceptPause is how long to wait if the process has no descriptor left.
	acceptPause = 50 * time.Millisecond
	// farewell is how long a stop waits for callers to learn from an answer that their connection
	// ends. If an idle connection were closed immediately, a request on its way would be lost.
	farewell      = 250 * time.Millisecond
	farewellCheck = 5 * time.Millisecond
)

// listener tracks the connections: it refuses those above a limit with an answer, and can cut all
// of them off. A secureListener wraps it for TLS. A TLS connection counts from the start of its
// handshake. Above the limit it is closed without an answer: an answer would cost a handshake.
type listener struct {
	net.Listener
	limit    int
	secure   bool // the connections use TLS
	timeouts *timeouts
	front    *front.Front
	log      *zap.Logger

	warned time.Time // the time of the last warning

	mu       sync.Mutex
	conns    map[*conn]struct{}
	aborted  bool
	open     sync.WaitGroup // the connections, including refused ones
	refusals chan struct{}  // a token for each refusal in progress
	closed   chan struct{}
	close    sync.Once
}

func newListener(l net.Listener, limit int, t *timeouts, front *front.Front, log *zap.Logger) *listener {
	return &listener{
		Listener: l, limit: limit, timeouts: t, front: front, log: log,
		conns: map[*conn]struct{}{}, refusals: make(chan struct{}, maxRefusals), closed: make(chan struct{}),
	}
}

// Accept returns the next connection within the limit. If the process is out of descriptors it
// waits, since ending connections free them.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			if nc := l.add(c); nc != nil {
				return nc, nil
			}
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
			errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			l.warn("connections wait: the process or the system is out of descriptors or memory", zap.Error(err))
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-l.closed:
				pause.Stop()
			}
		default:
			return nil, err
		}
	}
}

// Close stops accepting. It may be called more than once.
func (l *listener) Close() (err error) {
	l.close.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
	})
	return err
}

// add registers a connection, or refuses it and returns nil.
func (l *listener) add(c net.Conn) *conn {
	nc := newConn(c, l.timeouts)
	l.mu.Lock()
	full, aborted := len(l.conns) >= l.limit, l.aborted
	if !full && !aborted {
		l.conns[nc] = struct{}{}
	}
	l.mu.Unlock()
	switch {
	case aborted:
		_ = c.Close()
		return nil
	case !full:
		l.open.Add(1)
		nc.opened()
		return nc
	}
	l.warn("connections refused: the limit is reached", zap.Int("limit", l.limit))
	if l.secure {
		_ = c.Close()
		return nil
	}
	l.refuse(nc)
	select {
	case l.refusals <- struct{}{}:
		l.open.Go(func() { // Server.Run waits for it
			_ = nc.Close()
			<-l.refusals
		})
	default:
		_ = c.Close()
	}
	return nil
}

// refuse writes the answer and leaves the connection open.
func (l *listener) refuse(c *conn) {
	const body = `{"error":"too many connections, try again later"}`
	answer := append(make([]byte, 0, 512), "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\nRetry-After: "+
		retryAfter+"\r\nX-Request-Id: "...)
	answer = append(l.front.AppendRequestID(answer, nil), "\r\nContent-Length: "...)
	answer = append(strconv.AppendInt(answer, int64(len(body)), 10), "\r\n\r\n"+body...)
	_ = c.SetWriteDeadline(time.Now().Add(refusalTime))
	if _, err := c.Write(answer); err == nil {
		c.linger.Store(true)
	}
}

// warn logs at most once a minute. Only Accept calls it.
func (l *listener) warn(msg string, field zap.Field) {
	if now := time.Now(); now.Sub(l.warned) >= time.Minute {
		l.warned = now
		l.log.Warn(msg, field)
	}
}

// bidFarewell waits for a short time until callers have left, and stops accepting. Connections
// without any request then get the same time again.
func (l *listener) bidFarewell(ctx context.Context) {
	tick := time.NewTicker(farewellCheck)
	defer tick.Stop()
	for begin := time.Now(); l.count() > 0 && time.Since(begin) < farewell && ctx.Err() == nil; {
		<-tick.C
	}
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if !c.used.Load() {
			_ = c.SetReadDeadline(time.Now().Add(farewell))
		}
	}
}

// endSoon gives a connection without a request only a short time once the listener is
// closed. It is called after a new time has begun for the connection, which may have undone
// what bidFarewell did.
func (l *listener) endSoon(c *conn) {
	select {
	case <-l.closed:
		_ = c.SetReadDeadline(time.Now().Add(farewell))
	default:
	}
}

func (l *listener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// state follows the state that fasthttp reports for a connection.
func (l *listener) state(c net.Conn, state fasthttp.ConnState) {
	switch state {
	case fasthttp.StateActive:
		connOf(c).begun()
	case fasthttp.StateIdle:
		connOf(c).answered()
	case fasthttp.StateClosed:
		l.remove(connOf(c))
	default: // StateNew: Accept has registered it. StateHijacked does not occur
	}
}

// remove is called when nothing uses a connection any more.
func (l *listener) remove(c *conn) {
	l.mu.Lock()
	_, known := l.conns[c]
	delete(l.conns, c)
	l.mu.Unlock()
	if known {
		l.open.Done()
	}
}

// abort cuts off every connection immediately.
func (l *listener) abort() {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.aborted = true
	for c := range l.conns {
		_ = c.Conn.Close()
	}
}
