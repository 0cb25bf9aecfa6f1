package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// pool sends with a goroutine per connection: on systems without epoll, and over
// TLS. Each connection takes the next arrival, waits until it is due and sends it,
// so that a request waits for a connection where none is free.
type pool struct {
	run  *run
	dial func(ctx context.Context) (net.Conn, error)

	mu       sync.Mutex
	arrivals *arrivals // nil in a closed loop
	record   *record

	first []net.Conn // made before the run begins; nil if that failed
}

// newPool checks nothing. Certificates are not either: people measure gateways
// with certificates of their own.
func newPool(r *run) *pool {
	p := &pool{run: r, record: newRecord(), first: make([]net.Conn, r.Conns)}
	dialer := net.Dialer{Timeout: patience}
	p.dial = func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", r.address) }
	if r.secure {
		over := tls.Dialer{NetDialer: &dialer, Config: &tls.Config{ServerName: r.host, InsecureSkipVerify: true}} //nolint:gosec // see above
		p.dial = func(ctx context.Context) (net.Conn, error) { return over.DialContext(ctx, "tcp", r.address) }
	}
	if r.Rate > 0 {
		p.arrivals = newArrivals(&r.Plan, 0, 1)
	}
	return p
}

func (p *pool) recorded() *record { return p.record }

func (p *pool) connect(ctx context.Context) (err error) {
	for i := range p.first {
		if p.run.startOf(i) > 0 {
			break
		}
		conn, derr := p.dial(ctx)
		if derr != nil {
			if i == 0 {
				return derr
			}
			break // it is tried again when it is to send
		}
		p.first[i] = conn
	}
	return nil
}

func (p *pool) close() {
	for _, c := range p.first {
		if c != nil {
			_ = c.Close() // twice is no harm
		}
	}
}

func (p *pool) send() {
	ctx, cancel := context.WithCancel(context.Background()) // run.stop ends it
	defer cancel()
	var all sync.WaitGroup
	for i := range p.first {
		all.Go(func() { p.loop(ctx, i) })
	}
	over := make(chan struct{})
	go func() { // ends with them
		defer close(over)
		all.Wait()
	}()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	var before time.Duration
	for began := false; ; {
		select {
		case <-over:
			p.record.process = processTime() - before
			p.record.cpu = p.record.process
			return
		case <-ticker.C:
		}
		if !began && p.run.now() >= p.run.from {
			began, before = true, processTime()
		}
		if p.run.stop.Load() {
			cancel()
		}
	}
}

// next returns when a connection is to send its next request.
func (p *pool) next() int64 {
	now := p.run.now()
	if p.arrivals == nil {
		if now >= p.run.to {
			return never
		}
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		at := p.arrivals.next()
		if at == never {
			return never
		}
		at += p.run.begin
		p.record.due(&p.run.window, at)
		if now-at < int64(p.run.Timeout) {
			return at
		}
		p.record.ended(&p.run.window, at, now, 0) // it waited too long for a connection
	}
}

func (p *pool) loop(ctx context.Context, i int) {
	c := exchange{pool: p, conn: p.first[i], target: i % len(p.run.requests), buf: make([]byte, 16<<10)}
	defer c.drop()
	for sleepUntil(ctx, p.run, p.run.begin+p.run.startOf(i)); ctx.Err() == nil; {
		at := p.next()
		if at == never {
			return
		}
		late := p.run.now() < at
		if late {
			sleepUntil(ctx, p.run, at)
		}
		if ctx.Err() != nil {
			return
		}
		status := c.do(ctx, at)
		now := p.run.now()
		p.mu.Lock()
		p.record.sent++
		p.record.ended(&p.run.window, at, now, status)
		p.mu.Unlock()
		if status == 0 && p.arrivals == nil {
			sleepUntil(ctx, p.run, now+int64(pause))
		}
	}
}

func sleepUntil(ctx context.Context, r *run, at int64) {
	timer := time.NewTimer(time.Duration(at - r.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// exchange is one connection of a pool.
type exchange struct {
	pool   *pool
	conn   net.Conn // nil if there is none
	answer answer
	target int
	buf    []byte
}

// do sends a request that is due at this time and returns the status of its
// answer, 0 if there was none.
func (e *exchange) do(ctx context.Context, at int64) int {
	r := e.pool.run
	request := r.requests[e.target]
	e.target = (e.target + 1) % len(r.requests)
	ends := r.clock.Add(time.Duration(at) + r.Timeout)
	if e.conn == nil {
		dialing, cancel := context.WithDeadline(ctx, ends)
		conn, err := e.pool.dial(dialing)
		cancel()
		if err != nil {
			return 0
		}
		e.conn = conn
	}
	conn := e.conn
	_ = conn.SetDeadline(ends) // where it fails the write does too
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	_, werr := conn.Write(request)
	e.answer.reset()
	for { // also after a failed write: there may be a refusal to read
		n, err := conn.Read(e.buf)
		_, done, aerr := e.answer.feed(e.buf[:n])
		switch {
		case aerr != nil:
			e.drop()
			return 0
		case done || (errors.Is(err, io.EOF) && e.answer.closed()):
			if e.answer.closes || werr != nil || err != nil {
				e.drop()
			}
			return e.answer.status
		case err != nil:
			e.drop()
			return 0
		}
	}
}

func (e *exchange) drop() {
	if e.conn != nil {
		_ = e.conn.Close()
		e.conn = nil
	}
}
