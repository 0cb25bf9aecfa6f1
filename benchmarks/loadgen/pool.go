package loadgen

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// pool sends with a goroutine per connection, by the client of the standard library: on
// systems without epoll, and over TLS. Each connection takes the next arrival, waits until
// it is due and sends it, so that a request waits for a connection if none is free.
type pool struct {
	run    *run
	client *http.Client

	mu       sync.Mutex
	arrivals *arrivals // nil in a closed loop
	record   *record
}

// newPool checks nothing. Certificates are not either: people measure gateways
// with certificates of their own.
func newPool(r *run) *pool {
	p := &pool{run: r, record: newRecord(), client: &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: r.Conns, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // see above
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if r.Rate > 0 {
		p.arrivals = newArrivals(&r.Plan, 0, 1)
	}
	return p
}

func (p *pool) recorded() *record { return p.record }

// connect only finds out whether there is a server.
func (p *pool) connect(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", p.run.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (p *pool) close() { p.client.CloseIdleConnections() }

func (p *pool) send() {
	ctx, cancel := context.WithCancel(context.Background()) // run.stop ends it
	defer cancel()
	var all sync.WaitGroup
	for i := range p.run.Conns {
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
	target := i % len(p.run.Targets)
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
		status := p.ask(ctx, &p.run.Targets[target], at)
		target = (target + 1) % len(p.run.Targets)
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

// ask sends a request that is due at this time and returns the status of its answer, 0 if
// there was none.
func (p *pool) ask(ctx context.Context, t *Target, at int64) int {
	ctx, cancel := context.WithDeadline(ctx, p.run.clock.Add(time.Duration(at)+p.run.Timeout))
	defer cancel()
	resp, err := t.by(ctx, p.client)
	if err != nil {
		return 0
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}
