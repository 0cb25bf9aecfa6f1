package grpcapi

import (
	"context"
	"sync"

	"google.golang.org/grpc/stats"

	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/wire/front"
)

// arrivals counts what has arrived on a connection and is not yet a whole message. grpc-go
// keeps it until then, up to the largest message for each call, and has no hook for memory. So
// the bytes are reserved here as they are read, from the memory of all requests.
type arrivals struct {
	memory front.Reservation

	mu    sync.Mutex
	bytes int // reserved
	calls int // that may still send
}

// smallArrival is what a connection may hold even if there is no memory: without it, a
// caller of small messages would suffer from one of large messages.
const smallArrival = 64 << 10

// overhead is the most that HTTP/2 adds to each 16 KiB of a message, and to a short one.
const overhead = 64

// add counts n more bytes. It is false if the connection must end, since there is no memory.
func (a *arrivals) add(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.memory.Reserve(n) != nil {
		return a.bytes < smallArrival
	}
	a.bytes += n
	return true
}

// whole ends the count of a message of n bytes.
func (a *arrivals) whole(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release(n + overhead*(1+n>>14))
}

// begun and ended count the calls that may still send. Without any, what has arrived is
// waste.
func (a *arrivals) begun() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
}

func (a *arrivals) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls--; a.calls == 0 {
		a.release(a.bytes)
	}
}

// settle releases what no call waits for: the waste of calls that grpc-go refused itself.
func (a *arrivals) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls == 0 {
		a.release(a.bytes)
	}
}

func (a *arrivals) release(n int) {
	n = min(n, a.bytes)
	a.bytes -= n
	a.memory.Release(n)
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.arrivals.add(n) {
		_ = c.Close()
		return 0, infer.Errorf(infer.Overloaded, "no memory for the messages of a connection")
	}
	return n, err
}

// watcher tells a connection's arrivals of its calls.
type watcher struct{}

// arrival is a call that may still send.
type arrival struct {
	arrivals *arrivals
	once     sync.Once // it ends once
}

type arrivalKey struct{}

type connKey struct{}

// TagConn implements stats.Handler.
func (watcher) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	r, ok := info.RemoteAddr.(remote)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, r.conn)
}

// HandleConn implements stats.Handler.
func (watcher) HandleConn(context.Context, stats.ConnStats) {}

// TagRPC implements stats.Handler.
func (watcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, arrivalKey{}, &arrival{arrivals: &c.arrivals})
}

// HandleRPC implements stats.Handler.
func (watcher) HandleRPC(ctx context.Context, event stats.RPCStats) {
	a, ok := ctx.Value(arrivalKey{}).(*arrival)
	if !ok {
		return
	}
	switch e := event.(type) {
	case *stats.Begin:
		a.arrivals.begun()
	case *stats.InPayload:
		a.arrivals.whole(e.CompressedLength)
	case *stats.End:
		a.once.Do(a.arrivals.ended)
	}
}
