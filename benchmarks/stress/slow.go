package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/benchmarks/record"
)

const (
	slowClients     = 10_000
	slowReadTimeout = 10 * time.Second // the default is 30 s; shorter, so that the end is seen
)

// slowWithin has room for all: what do they cost, and are they cut off?
func slowWithin(ctx context.Context, b *bench, r *record.Record) error {
	n, err := roomFor(b.Count(slowClients))
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
func slowBeyond(ctx context.Context, b *bench, r *record.Record) error {
	n, err := roomFor(b.Count(slowClients))
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
		arriving := newcomer(ctx, o.g, newcomers)
		time.Sleep(slowReadTimeout / 2)
		arriving()
		ended()
		o.mark("all cut off")
		arriving = newcomer(ctx, o.g, later)
		time.Sleep(time.Second)
		arriving()
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, ends.table("The slow clients"), newcomers.table("Newcomers while the limit is reached"), later.table("Newcomers afterwards"))
	cut, refused := ends.share(http.StatusRequestTimeout, "did not arrive"), ends.share(http.StatusServiceUnavailable, "too many connections")
	r.AtLeast("slow clients told why: 408 or 503", cut+refused, 99, "%")
	r.AtLeast("newcomers told 503 while the limit is reached", newcomers.share(http.StatusServiceUnavailable, "too many connections"), 99, "%")
	r.AtLeast("newcomers served afterwards", later.share(http.StatusOK, ""), 100, "%")
	r.Note("While slow clients hold all connections, nobody new is served: that lasts `read_timeout` at most for each of them. " +
		"A limit for each address is a proxy's.")
	return nil
}

func slowSwarm(ctx context.Context, g *gateway, n int, ends *tally) (opened, ended func()) {
	request := raw(loadgen.FP32Target(g.URL(), "polite", "input", []int64{1, 16}, false))
	head := len(request) - len(loadgen.FP32Target(g.URL(), "polite", "input", []int64{1, 16}, false).Body)
	return swarm(ctx, g.HTTP, n, ends, func(i int, c *net.TCPConn, begun time.Time) ending {
		at := 1
		if i%2 == 1 {
			at = head + 1
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
		switch {
		case e.text != stillOpen:
			return e
		case time.Since(begun) > 3*slowReadTimeout || len(rest) == 0:
			return e
		}
		if _, err := c.Write(rest[:1]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			// The answer may have come before the end did.
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			return readEnding(c, begun)
		}
		rest = rest[1:]
	}
}

// newcomer sends a request on a new connection every 50 ms until stopped.
func newcomer(ctx context.Context, g *gateway, ends *tally) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	request, done := raw(politeTarget(g.URL())), make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				if e := knock(ctx, g, request); ctx.Err() == nil {
					ends.add(e)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
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
	if _, err := c.Write(request); err != nil { // it may have been refused before it was read
		return readEnding(c, begun)
	}
	e := readEnding(c, begun)
	if e.status == http.StatusOK {
		e.text = "answered" // the outputs are not what tells endings apart
	}
	return e
}
