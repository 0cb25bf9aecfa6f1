package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice.io/sluice/benchmarks/record"
)

// ending is how a connection of a hostile client ended.
type ending struct {
	status int           // 0: closed without an answer, or never opened
	text   string        // of the answer, or what became of it
	after  time.Duration // since the client began
}

// tally adds endings up. It may be used by many goroutines.
type tally struct {
	mu    sync.Mutex
	after map[string][]time.Duration // by status and text
	total int
}

func newTally() *tally { return &tally{after: map[string][]time.Duration{}} }

func (t *tally) add(e ending) {
	name := e.text
	if e.status != 0 {
		name = fmt.Sprintf("%d %s", e.status, e.text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total++
	t.after[name] = append(t.after[name], e.after)
}

// count is how many ended with a status and a text that holds part.
func (t *tally) count(status int, part string) (n int) {
	for name, list := range t.after {
		if strings.HasPrefix(name, strconv.Itoa(status)+" ") && strings.Contains(name, part) {
			n += len(list)
		}
	}
	return n
}

// share is the same in percent of all.
func (t *tally) share(status int, part string) float64 {
	return 100 * float64(t.count(status, part)) / float64(max(1, t.total))
}

// latest is the longest that any took, in milliseconds.
func (t *tally) latest() (most float64) {
	for _, list := range t.after {
		most = max(most, quantile(list, 1))
	}
	return most
}

// table lists the most frequent endings.
func (t *tally) table(title string) record.Table {
	table := record.Table{Title: title, Columns: []string{"ending", "clients", "p50 ms", "p99 ms", "latest ms"}}
	names := slices.Sorted(maps.Keys(t.after))
	slices.SortStableFunc(names, func(a, b string) int { return len(t.after[b]) - len(t.after[a]) })
	for _, name := range names[:min(len(names), 12)] {
		list := t.after[name]
		table.Add(name, len(list), quantile(list, 0.5), quantile(list, 0.99), quantile(list, 1))
	}
	return table
}

// dial opens a connection to the loopback; hostile clients go nowhere else.
func dial(ctx context.Context, address string) (*net.TCPConn, error) {
	if !strings.HasPrefix(address, "127.") {
		return nil, fmt.Errorf("%s is not on the loopback", address)
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil //nolint:forcetypeassert // tcp was asked for
}

// readEnding reads one answer and says how the connection ended.
func readEnding(c io.Reader, begun time.Time) ending {
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return broken(err, begun)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 256))
	return ending{resp.StatusCode, string(text), time.Since(begun)}
}

// broken names what a connection ended with that gave no answer.
func broken(err error, begun time.Time) ending {
	text := err.Error()
	var netErr net.Error
	switch {
	case errors.As(err, &netErr) && netErr.Timeout():
		text = stillOpen
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		text = "reset without an answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		text = "closed without an answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "connection refused"
	}
	return ending{0, text, time.Since(begun)}
}

// stillOpen is the ending of a connection that nothing has happened to.
const stillOpen = "still open when given up"

// dialers is how many connections are opened at the same time.
const dialers = 64

// swarm runs a client on each of n connections, opened as fast as dialers
// allow, and returns two waits: until all were opened, and until all have ended.
func swarm(ctx context.Context, address string, n int, ends *tally, client func(i int, c *net.TCPConn, begun time.Time) ending) (opened, ended func()) {
	var all, dialing sync.WaitGroup
	next := make(chan int)
	for range dialers {
		dialing.Go(func() {
			for i := range next {
				begun := time.Now()
				c, err := dial(ctx, address)
				if err != nil {
					ends.add(broken(err, begun))
					continue
				}
				all.Go(func() {
					defer c.Close() //nolint:errcheck // it has ended
					ends.add(client(i, c, begun))
				})
			}
		})
	}
	go func() {
		defer close(next)
		for i := range n {
			next <- i
		}
	}()
	return dialing.Wait, func() {
		dialing.Wait()
		all.Wait()
	}
}

// roomFor returns how many of n connections the limit on descriptors allows.
func roomFor(n int) (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	const others = 500 // of this process and of the gateway
	return min(n, int(limit.Max)-others), nil
}
