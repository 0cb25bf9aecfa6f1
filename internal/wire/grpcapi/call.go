package grpcapi

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// call is a call in progress, and the context of its handler. It knows what has arrived of its
// messages, and ends if the caller keeps it waiting.
type call struct {
	context.Context //nolint:containedctx // a call is a context; this one is grpc-go's, which ends if the caller leaves

	conn    *conn
	id      uint32                  // on the connection
	header  metadata.MD             // read only
	handler atomic.Pointer[handler] // nil: the call has none yet
	late    atomic.Bool             // it was ended since its caller kept it waiting

	// The fields below are guarded by conn.mu.

	since    time.Time // when it began
	stream   bool      // of many messages
	held     int       // bytes that are reserved
	prefix   [5]byte   // of the message that arrives
	got      int       // bytes of prefix that have come
	left     int       // bytes of the message that are still to come
	present  int       // bytes that it holds so far
	began    time.Time // when its first byte came
	whole    []int     // bytes of each message that was not read yet
	first    [2]int    // the place of whole, unless there are more
	messages int       // that have come
	complete bool      // the caller sends no more
	reading  time.Time // since when the handler of a stream waits for a message; zero: it does not
	busy     int       // requests of a stream in progress
	active   time.Time // when the last of them ended
	gone     bool      // the caller has left
	leaving  func()    // that it then calls; nil: nothing
}

// The bytes that are reserved for a call beside its messages: its goroutine, and what grpc-go
// keeps; for each field of its metadata; and for each frame of a message.
const (
	callBytes   = 8 << 10
	headerBytes = 64
	frameBytes  = 64
)

type callKey struct{}

// callOf returns the call of a handler's context; nil in tests without a connection.
func callOf(ctx context.Context) *call {
	k, _ := ctx.Value(callKey{}).(*call)
	return k
}

// begin is grpc-go's hook for a call that begins, in the goroutine that reads the connection.
func (s *Server) begin(ctx context.Context, info *tap.Info) (context.Context, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ctx, nil
	}
	r, ok := p.Addr.(remote)
	if !ok {
		return ctx, nil
	}
	size := callBytes
	for name, values := range info.Header {
		for _, v := range values {
			size += headerBytes + len(name) + len(v)
		}
	}
	k := &call{Context: ctx, conn: r.conn, header: info.Header, since: r.conn.listener.soon()}
	if !r.conn.begin(k, size) {
		return nil, status.Error(codes.ResourceExhausted, "calls use all of their memory, try again later")
	}
	return k, nil
}

// Value implements context.Context.
func (k *call) Value(key any) any {
	if key == (callKey{}) {
		return k
	}
	return k.Context.Value(key)
}

// Err implements context.Context. To a call that ends because its caller is late, grpc-go answers
// DEADLINE_EXCEEDED.
func (k *call) Err() error {
	err := k.Context.Err()
	if err != nil && k.late.Load() {
		return context.DeadlineExceeded
	}
	return err
}

// end ends what the call holds. The handler calls it last.
func (k *call) end() {
	if k == nil {
		return
	}
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.remove()
}

// read runs f, which reads the next message.
func (k *call) read(f func() error) error {
	if k == nil {
		return f()
	}
	if k.stream { // for a single call, the time since it began will do
		k.reads(k.conn.listener.soon())
	}
	err := f()
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.reading = time.Time{}
	if err == nil {
		k.wasRead()
	}
	if k.late.Load() {
		return errLate
	}
	return err
}

// reads says since when the handler waits for a message.
func (k *call) reads(since time.Time) {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.reading = since
}

// isStream says that the call is a stream.
func (k *call) isStream() {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.stream = true
}

// asked and answered say that a request of a stream begins and ends.
func (k *call) asked() {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.busy++
}

func (k *call) answered() {
	now := k.conn.listener.soon()
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	k.busy--
	k.active = now
}

// isLate reports whether the caller keeps the handler waiting for too long: for the rest of a message,
// or on a stream without a request in progress for the next one.
func (k *call) isLate(now time.Time, l *Limits) bool {
	waits := func(since time.Time) time.Duration { return min(now.Sub(k.reading), now.Sub(since)) }
	switch {
	case k.complete:
		return false
	case !k.stream: // grpc-go waits for the end of the call too
		return now.Sub(k.since) > l.ReadTimeout
	case k.reading.IsZero():
		return false
	case k.got > 0:
		return waits(k.began) > l.ReadTimeout
	default:
		return k.busy == 0 && waits(k.active) > l.IdleTimeout
	}
}
