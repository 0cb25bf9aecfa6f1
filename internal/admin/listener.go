package admin

import (
	"net"
	"sync"
)

// listener bounds the open connections: Accept waits until one ends. netutil.LimitListener does
// the same, but hides CloseWrite, without which net/http resets a connection whose request it did
// not read, before the answer has arrived.
type listener struct {
	net.Listener
	places chan struct{} // a token for each open connection
	closed chan struct{}
	close  func()
}

func newListener(l net.Listener, limit int) *listener {
	b := &listener{Listener: l, places: make(chan struct{}, limit), closed: make(chan struct{})}
	b.close = sync.OnceFunc(func() { close(b.closed) })
	return b
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &conn{TCPConn: c.(*net.TCPConn), end: sync.OnceFunc(func() { <-l.places })}, nil //nolint:forcetypeassert // Listen takes TCP
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.close()
	return l.Listener.Close()
}

// conn is a connection that has a place.
type conn struct {
	*net.TCPConn
	end func()
}

// Close implements net.Conn.
func (c *conn) Close() error {
	defer c.end()
	return c.TCPConn.Close()
}
