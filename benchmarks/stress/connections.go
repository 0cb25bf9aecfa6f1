package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"sluice.io/sluice/benchmarks/record"
)

const (
	connectionLimit = 500
	connectionTries = 5_000
)

// connectionLimitReached holds as many connections as are allowed and tries for
// more. Half of those who are refused leave at once, half stay as long as they
// are let.
func connectionLimitReached(ctx context.Context, b *bench, r *record.Record) error {
	limit, tries := b.Count(connectionLimit), b.Count(connectionTries)
	r.Params["what"] = fmt.Sprintf("%d connections are allowed, and held by callers that wait; %d further clients connect, %d at a time. "+
		"Half of them send a request and leave with the answer, half send nothing and stay until they are closed.", limit, tries, dialers)
	s := setup{HTTP: fmt.Sprintf("max_connections: %d", limit)}
	leaving, staying, later := newTally(), newTally(), newTally()
	_, err := b.beside(ctx, r, s, func(ctx context.Context, o *ordeal) error {
		release, held := make(chan struct{}), newTally()
		opened, ended := swarm(ctx, o.g.HTTP, limit-politeConns, held, func(_ int, _ *net.TCPConn, begun time.Time) ending {
			<-release
			return ending{0, "held", time.Since(begun)}
		})
		opened()
		for begun := time.Now(); o.g.KernelUsage().Descriptors < limit && time.Since(begun) < 5*time.Second; {
			time.Sleep(20 * time.Millisecond)
		}
		o.mark("limit reached")
		request := raw(politeTarget(o.g.URL()))
		_, leave := swarm(ctx, o.g.HTTP, tries/2, leaving, func(_ int, c *net.TCPConn, begun time.Time) ending {
			_ = c.SetDeadline(begun.Add(5 * time.Second))
			_, _ = c.Write(request) // a refusal may come before it is written
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
		stop := newcomer(ctx, o.g, later)
		time.Sleep(b.Scale(2 * time.Second))
		stop()
		return nil
	})
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, leaving.table("Clients that leave"), staying.table("Clients that stay"), later.table("Newcomers afterwards"))
	const why = "too many connections"
	r.AtLeast("clients that leave told 503", leaving.share(http.StatusServiceUnavailable, why), 99, "%")
	r.AtLeast("clients that stay told 503", staying.share(http.StatusServiceUnavailable, why), 99, "%")
	r.AtLeast("newcomers served afterwards", later.share(http.StatusOK, ""), 100, "%")
	return nil
}
