package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

const (
	slowClients     = 10_000
	slowReadTimeout = 10 * time.Second // the default is 30 s; shorter, so that the end is seen
	tooMany         = "too many connections"
)

// slowWithin has room for all: what do they cost, and are they cut off?
func (b *bench) slowWithin(ctx context.Context, r *record.Record) error {
	n, err := roomFor(b.count(slowClients))
	if err != nil {
		return err
	}
	r.Params["what"] = fmt.Sprintf("%d clients send a request at one byte a second, half of them from its first byte, half from the first byte of the body; "+
		"`max_connections` is above that, `read_timeout` %v.", n, slowReadTimeout)
	s := setup{HTTP: fmt.Sprintf("max_connections: 15000, read_timeout: %v", slowReadTimeout)}
	ends := newTally()
	memory, err := b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		o.settle = true
		opened, ended := slowSwarm(ctx, o.g, n, ends)
		opened()
		o.mark("all connected")
		ended()
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, ends.table("The slow clients"))
	r.AtLeast("slow clients cut off with 408", ends.share(http.StatusRequestTimeout, "did not arrive"), 100, "%")
	r.AtMost("the last of them after", ends.latest(), millis(slowReadTimeout)+2000, "ms")
	r.AtMost("memory of each", 1024*memory/float64(n), 64, "KiB")
	return nil
}

// slowBeyond has more of them than the limit on connections.
func (b *bench) slowBeyond(ctx context.Context, r *record.Record) error {
	n, err := roomFor(b.count(slowClients))
	if err != nil {
		return err
	}
	limit := n * 8192 / 10_000
	r.Params["what"] = fmt.Sprintf("The same %d slow clients, but `max_connections` is %d (the default, where there are 10,000). "+
		"A newcomer tries a new connection every 50 ms; the polite caller has its own already.", n, limit)
	s := setup{HTTP: fmt.Sprintf("max_connections: %d, read_timeout: %v", limit, slowReadTimeout)}
	ends, newcomers, later := newTally(), newTally(), newTally()
	_, err = b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		opened, ended := slowSwarm(ctx, o.g, n, ends)
		opened()
		o.mark("all connected")
		arrive(ctx, o.g, newcomers, slowReadTimeout/2)
		ended()
		o.mark("all cut off")
		arrive(ctx, o.g, later, time.Second)
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, ends.table("The slow clients"), newcomers.table("Newcomers while the limit is reached"), later.table("Newcomers afterwards"))
	cut, refused := ends.share(http.StatusRequestTimeout, "did not arrive"), ends.share(http.StatusServiceUnavailable, tooMany)
	r.AtLeast("slow clients told why: 408 or 503", cut+refused, 99, "%")
	r.AtLeast("newcomers told 503 while the limit is reached", newcomers.share(http.StatusServiceUnavailable, tooMany), 99, "%")
	r.AtLeast("newcomers served afterwards", later.share(http.StatusOK, ""), 100, "%")
	r.Note("While slow clients hold all connections, nobody new is served: that lasts `read_timeout` at most for each of them. " +
		"A limit for each address is a proxy's.")
	return nil
}

func slowSwarm(ctx context.Context, g *gateway, n int, ends *tally) (opened, ended func()) {
	target := loadgen.FP32Target(g.URL(), "polite", "input", []int64{1, 16}, false)
	request := target.Bytes()
	return swarm(ctx, g.HTTP, n, ends, func(i int, c *net.TCPConn, begun time.Time) ending {
		at := 1
		if i%2 == 1 {
			at = len(request) - len(target.Body) + 1
		}
		if _, err := c.Write(request[:at]); err != nil {
			return broken(err, begun)
		}
		return dribble(c, request[at:], begun)
	})
}

// dribble sends a byte a second until an answer comes or the connection ends.
func dribble(c *net.TCPConn, rest []byte, begun time.Time) ending {
	for next := begun.Add(time.Second); ; next = next.Add(time.Second) {
		_ = c.SetReadDeadline(next)
		e := readEnding(c, begun)
		if e.text != stillOpen || time.Since(begun) > 3*slowReadTimeout || len(rest) == 0 {
			return e
		}
		if _, err := c.Write(rest[:1]); err != nil { // the answer may have come before the end did
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			return readEnding(c, begun)
		}
		rest = rest[1:]
	}
}

// arrive sends a request on a new connection every 50 ms, for d.
func arrive(ctx context.Context, g *gateway, ends *tally, d time.Duration) {
	t := politeTarget(g.URL())
	for end := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(end); {
		next := time.Now().Add(50 * time.Millisecond)
		ends.add(knock(ctx, g, t.Bytes()))
		time.Sleep(time.Until(next))
	}
}

// knock opens a connection, sends a request and returns what came back.
func knock(ctx context.Context, g *gateway, request []byte) ending {
	begun := time.Now()
	c, err := dial(ctx, g.HTTP)
	if err != nil {
		return broken(err, begun)
	}
	defer c.Close() //nolint:errcheck // it has ended
	_ = c.SetDeadline(begun.Add(5 * time.Second))
	_, _ = c.Write(request) // it may be refused before it is read
	e := readEnding(c, begun)
	if e.status == http.StatusOK {
		e.text = "answered" // the outputs are not what tells endings apart
	}
	return e
}

// connectionLimit holds as many connections as are allowed and tries for more. Half of those
// who are refused leave at once, half stay as long as they are let.
func (b *bench) connectionLimit(ctx context.Context, r *record.Record) error {
	limit, tries := b.count(500), b.count(5_000)
	r.Params["what"] = fmt.Sprintf("%d connections are allowed, and held by callers that wait; %d further clients connect, %d at a time. "+
		"Half of them send a request and leave with the answer, half send nothing and stay until they are closed.", limit, tries, dialers)
	s := setup{HTTP: fmt.Sprintf("max_connections: %d", limit)}
	leaving, staying, later := newTally(), newTally(), newTally()
	_, err := b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		release := make(chan struct{})
		opened, ended := swarm(ctx, o.g.HTTP, limit-politeConns, newTally(), func(_ int, _ *net.TCPConn, begun time.Time) ending {
			<-release
			return ending{0, "held", time.Since(begun)}
		})
		opened()
		for begun := time.Now(); o.g.kernelUsage().Descriptors < limit && time.Since(begun) < 5*time.Second; {
			time.Sleep(20 * time.Millisecond)
		}
		o.mark("limit reached")
		t := politeTarget(o.g.URL())
		_, leave := swarm(ctx, o.g.HTTP, tries/2, leaving, func(_ int, c *net.TCPConn, begun time.Time) ending {
			_ = c.SetDeadline(begun.Add(5 * time.Second))
			_, _ = c.Write(t.Bytes()) // a refusal may come before it is written
			return readEnding(c, begun)
		})
		leave()
		o.mark("limit reached, clients that stay")
		_, stay := swarm(ctx, o.g.HTTP, tries/2, staying, func(_ int, c *net.TCPConn, begun time.Time) ending {
			_ = c.SetDeadline(begun.Add(10 * time.Second))
			e := readEnding(c, begun)
			time.Sleep(time.Second)
			return e
		})
		stay()
		close(release)
		ended()
		o.mark("connections given back")
		arrive(ctx, o.g, later, b.scale(2*time.Second))
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, leaving.table("Clients that leave"), staying.table("Clients that stay"), later.table("Newcomers afterwards"))
	r.AtLeast("clients that leave told 503", leaving.share(http.StatusServiceUnavailable, tooMany), 99, "%")
	r.AtLeast("clients that stay told 503", staying.share(http.StatusServiceUnavailable, tooMany), 99, "%")
	r.AtLeast("newcomers served afterwards", later.share(http.StatusOK, ""), 100, "%")
	return nil
}
