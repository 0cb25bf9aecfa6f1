package loadgen

import "golang.org/x/sys/unix"

// conn is one connection of a loop. It has one request in flight at most.
type conn struct {
	index  int32
	fd     int    // -1 for none
	life   int32  // counts the sockets, so that events of an old one are told apart
	busy   bool   // it has a request
	begun  int64  // when that was due or, in a closed loop, sent
	out    []byte // what is still to be written of it
	target int
	answer answer
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // nobody waits for what was written
		c.fd = -1
		c.life++
	}
}

// open connects, which takes no time on the loopback. Events are edges, so that it is
// registered once.
func (l *loop) open(c *conn) (err error) {
	if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil && l.address.IP.IsLoopback() {
		// BBR, if it is the system's choice, paces what is sent, with timers: half of a 600 KB request's time was that.
		err = unix.SetsockoptString(c.fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	}
	if err == nil {
		err = unix.Connect(c.fd, &unix.SockaddrInet4{Port: l.address.Port, Addr: [4]byte(l.address.IP.To4())})
	}
	if err == nil {
		err = unix.SetNonblock(c.fd, true)
	}
	if err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index, Pad: c.life,
		})
	}
	if err != nil {
		c.close()
	}
	return err
}

// request sends the connection's next request, over a new socket if there is none.
func (l *loop) request(c *conn, begun int64) {
	c.busy, c.begun, c.out = true, begun, l.requests[c.target]
	c.target = (c.target + 1) % len(l.requests)
	c.answer.reset()
	l.inFlight++
	l.record.sent++
	if c.fd < 0 && l.open(c) != nil {
		l.broken(c)
		return
	}
	l.write(c)
}

// handle takes an event of a connection, and returns the time if it read the clock, else 0.
func (l *loop) handle(c *conn, e unix.EpollEvent) (now int64) {
	if c.life != e.Pad {
		return 0
	}
	if e.Events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		now = l.write(c)
	}
	if ended := e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0; (ended || e.Events&unix.EPOLLIN != 0) && c.life == e.Pad {
		now = l.read(c, ended)
	}
	return now
}

// write writes what the connection takes. The rest waits for an event.
func (l *loop) write(c *conn) (now int64) {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		switch err {
		case nil:
			c.out = c.out[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return 0
		default: // the server may have answered before it closed
			return l.read(c, true)
		}
	}
	return 0
}

// read reads an answer as far as it has come. ended says that the server has closed the
// connection, so that there is no further event.
func (l *loop) read(c *conn, ended bool) (now int64) {
	for c.busy {
		n, err := unix.Read(c.fd, l.buf)
		switch {
		case err == unix.EINTR: //nolint:errorlint // a bare number
			continue
		case err == unix.EAGAIN && !ended: //nolint:errorlint // likewise
			return 0
		case n <= 0:
			return l.broken(c)
		}
		done, err := c.answer.feed(l.buf[:n])
		switch {
		case err != nil:
			return l.broken(c)
		case done:
			if ended || c.answer.closes || len(c.out) > 0 {
				c.close()
			}
			return l.ended(c, c.answer.status)
		case n < len(l.buf) && !ended:
			return 0 // all of it; what comes later is another event
		}
	}
	c.close() // by a server that has nothing to answer
	return 0
}

// broken ends a connection, and the request with it.
func (l *loop) broken(c *conn) (now int64) {
	c.close()
	return l.ended(c, 0)
}

// ended ends a request; the next one follows in a closed loop, unless this one failed.
func (l *loop) ended(c *conn, status int) (now int64) {
	now = l.now()
	l.record.ended(l.run, c.begun, now, status)
	c.busy, c.out = false, nil
	l.inFlight--
	switch {
	case l.arrivals != nil:
		l.free = append(l.free, c.index)
	case status != 0 && now < l.to:
		l.request(c, now)
	}
	return now
}
