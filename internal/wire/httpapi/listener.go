package httpapi

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// lingerTime is how long a connection that is closed on a caller who may
	// still be sending goes on reading: with unread bytes left, the kernel would
	// send a reset that can overtake the answer.
	lingerTime = 2 * time.Second
	// maxRefusals is how many refused connections are told so at the same time;
	// beyond it they are closed without a word.
	maxRefusals = 64
	// acceptPause is how long to wait where the process has no descriptor left.
	acceptPause = 50 * time.Millisecond
)

// listener keeps the book of the connections: it refuses those beyond a limit
// with an answer, and can cut all of them off.
type listener struct {
	net.Listener
	limit       int
	lingerBytes int64
	refusal     []byte // a whole answer

	mu       sync.Mutex
	conns    map[*conn]struct{}
	open     sync.WaitGroup // the connections, refused ones too
	refusals chan struct{}  // a token for each refusal in progress
	closed   chan struct{}
	close    sync.Once
}

func newListener(l net.Listener, limits Limits) *listener {
	const body = `{"error":"too many connections, try again later"}`
	return &listener{
		Listener:    l,
		limit:       limits.MaxConnections,
		lingerBytes: int64(limits.MaxBodyBytes),
		refusal: []byte("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n" +
			"Retry-After: " + retryAfter + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body),
		conns:    map[*conn]struct{}{},
		refusals: make(chan struct{}, maxRefusals),
		closed:   make(chan struct{}),
	}
}

// Accept returns the next connection within the limit. Running out of
// descriptors ends when connections do, so it waits for that.
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

// add enters a connection, or refuses it and returns nil.
func (l *listener) add(c net.Conn) *conn {
	nc := &conn{Conn: c, lingerBytes: l.lingerBytes}
	l.mu.Lock()
	full := len(l.conns) >= l.limit
	if !full {
		l.conns[nc] = struct{}{}
	}
	l.mu.Unlock()
	if !full {
		l.open.Add(1)
		return nc
	}
	select {
	case l.refusals <- struct{}{}:
		l.open.Go(func() { // waited for by wait
			l.refuse(nc)
			<-l.refusals
		})
	default:
		_ = c.Close()
	}
	return nil
}

func (l *listener) refuse(c *conn) {
	_ = c.SetWriteDeadline(time.Now().Add(lingerTime))
	if _, err := c.Write(l.refusal); err == nil {
		c.linger.Store(true)
	}
	_ = c.Close()
}

// remove is called when nothing uses a connection any more.
func (l *listener) remove(c net.Conn) {
	nc, ok := c.(*conn)
	if !ok {
		return
	}
	l.mu.Lock()
	_, known := l.conns[nc]
	delete(l.conns, nc)
	l.mu.Unlock()
	if known {
		l.open.Done()
	}
}

// abort cuts every connection off, whatever it is doing.
func (l *listener) abort() {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Conn.Close()
	}
}

// conn is a connection that can be closed gently.
type conn struct {
	net.Conn
	lingerBytes int64
	linger      atomic.Bool // the caller may still be sending
}

// Close closes the connection; where linger is set it lets the caller read the
// answer first.
func (c *conn) Close() error {
	if c.linger.Swap(false) {
		if w, ok := c.Conn.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
			_ = c.SetReadDeadline(time.Now().Add(lingerTime))
			_, _ = io.CopyN(io.Discard, c.Conn, c.lingerBytes)
		}
	}
	return c.Conn.Close()
}
