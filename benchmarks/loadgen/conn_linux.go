package loadgen

import (
	"golang.org/x/sys/unix"
)

// conn is one connection of a loop. It has one request in flight at most.
type conn struct {
	index   int32
	fd      int // -1 for none
	opening bool
	busy    bool   // it has a request
	life    int32  // counts the sockets, so that events of an old one are told apart
	begun   int64  // when the request was due or, in a closed loop, sent
	out     []byte // what is still to be written of it
	target  int
	answer  answer
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // nobody waits for what was written
		c.fd = -1
		c.opening = false
		c.life++
	}
}

// open begins a connection. Its events are edges, so that it is registered once.
func (l *loop) open(c *conn) error {
	family := unix.AF_INET
	if _, ok := l.address.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.fd = fd
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err == nil && l.loopback {
		// Where BBR is the system's choice it paces what is sent, with timers, though
		// the loopback has no rate to find: half of a 600 KB request's time was that.
		err = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
	if err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index, Pad: c.life,
		})
	}
	if err == nil {
		if err = unix.Connect(fd, l.address); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err != nil {
		c.close()
		return err
	}
	c.opening = true // until its first event
	return nil
}

// opened takes the first event of a connection.
func (l *loop) opened(c *conn) error {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		c.close()
		return err
	}
	c.opening = false
	return nil
}

// request sends a request, over a new connection if there is none.
func (l *loop) request(c *conn, begun int64) {
	c.busy, c.begun, c.out = true, begun, l.run.requests[c.target]
	if c.target++; c.target == len(l.run.requests) {
		c.target = 0
	}
	c.answer.reset()
	l.inFlight++
	l.record.sent++
	if c.fd < 0 {
		if l.open(c) != nil {
			l.broken(c)
		}
		return
	}
	if !c.opening {
		l.write(c)
	}
}

// handle takes an event of a connection.
func (l *loop) handle(c *conn, e unix.EpollEvent) {
	if c.life != e.Pad {
		return
	}
	if c.opening {
		if l.opened(c) != nil {
			l.broken(c)
			return
		}
		if c.busy {
			l.write(c)
		}
		return
	}
	if e.Events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		l.write(c)
	}
	if ended := e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0; ended || e.Events&unix.EPOLLIN != 0 {
		if c.life == e.Pad {
			l.read(c, ended)
		}
	}
}

// write writes what the connection takes. The rest waits for an event.
func (l *loop) write(c *conn) {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		switch err {
		case nil:
			c.out = c.out[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return
		default: // the server may have answered before it closed
			l.read(c, true)
			return
		}
	}
}

// read reads an answer as far as it has come. ended says that the server has
// closed the connection, so that there is no further event.
func (l *loop) read(c *conn, ended bool) {
	for c.busy {
		n, err := l.receive(c)
		switch {
		case err == unix.EINTR: //nolint:errorlint // a bare number
			continue
		case err == unix.EAGAIN && !ended: //nolint:errorlint // likewise
			return
		case n == 0 && err == nil && c.answer.closed():
			l.complete(c, true)
			return
		case n <= 0:
			l.broken(c)
			return
		}
		used, done, err := c.answer.feed(l.buf[:n])
		switch {
		case err != nil:
			l.broken(c)
			return
		case done:
			l.complete(c, ended || used < n)
			return
		case n < len(l.buf) && !ended:
			return // all of it; what comes later is another event
		}
	}
	c.close() // by a server that has nothing to answer
}

// receive reads into the buffer. What is known to be the middle of a body the
// kernel throws away without copying it.
func (l *loop) receive(c *conn) (int, error) {
	for c.answer.state == inBody && c.answer.remaining > int64(len(l.buf)) {
		if l.scrap == nil {
			l.scrap = make([]byte, 1<<20)
		}
		n, _, err := unix.Recvfrom(c.fd, l.scrap[:min(int64(len(l.scrap)), c.answer.remaining-1)], unix.MSG_TRUNC)
		if n <= 0 || err != nil {
			return n, err
		}
		c.answer.remaining -= int64(n)
	}
	return unix.Read(c.fd, l.buf)
}

// complete ends a request that was answered. last says that nothing more can be
// sent over its connection.
func (l *loop) complete(c *conn, last bool) {
	if last || c.answer.closes || len(c.out) > 0 {
		c.close()
	}
	now := l.run.now()
	l.at = now
	l.ended(c, now, c.answer.status)
	switch {
	case l.arrivals != nil:
		l.free = append(l.free, c.index)
	case now < l.run.to:
		l.request(c, now)
	}
}

// broken ends a connection, and a request with it.
func (l *loop) broken(c *conn) {
	c.close()
	if !c.busy {
		return
	}
	now := l.run.now()
	l.ended(c, now, 0)
	if l.arrivals != nil {
		l.free = append(l.free, c.index)
		return
	}
	c.begun = now
	l.failed = append(l.failed, c.index)
}

func (l *loop) ended(c *conn, now int64, status int) {
	l.record.ended(&l.run.window, c.begun, now, status)
	c.busy, c.out = false, nil
	l.inFlight--
}
