package grpcapi

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// This file ends calls early: their callers leave, or are late. The usual ways, a context that context.WithCancel derives for each call
// and context.AfterFunc for each request, take a tenth of the CPU time of a call for a tiny model. The connection knows both anyway.

// AfterLeave calls f in a goroutine of its own once the caller has left: it has reset the call, or the connection has
// ended. If the call ends by its deadline alone, f may be called up to a sweep later. stop is that of context.AfterFunc.
func (k *call) AfterLeave(f func()) (stop func() bool) {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	if k.gone || k.leaving != nil { // one place is enough for a request that is not split
		return context.AfterFunc(k.Context, f)
	}
	k.leaving = f
	return k.stay
}

// stay undoes AfterLeave. It is false if that has called its function.
func (k *call) stay() bool {
	k.conn.mu.Lock()
	defer k.conn.mu.Unlock()
	waits := k.leaving != nil
	k.leaving = nil
	return waits
}

// leave notes that the caller has left. conn.mu is held.
func (k *call) leave() {
	k.gone = true
	if k.leaving != nil {
		go k.leaving()
		k.leaving = nil
	}
}

// handler is the handler of a call, as grpc-go knows it.
type handler struct {
	grpc.ServerTransportStream

	id string // of the request; empty: not known yet
}

// isHandled says that h handles the call.
func (k *call) isHandled(h *handler) {
	if k != nil {
		k.handler.Store(h)
	}
}

// handled returns a service whose generated handlers are known to their calls before they read the message.
func handled(desc grpc.ServiceDesc) grpc.ServiceDesc {
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		m := &desc.Methods[i]
		generated := m.Handler
		m.Handler = func(srv any, ctx context.Context, read func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			callOf(ctx).isHandled(&handler{ServerTransportStream: grpc.ServerTransportStreamFromContext(ctx)})
			return generated(srv, ctx, read, intercept)
		}
	}
	return desc
}

var errLate = status.Error(codes.DeadlineExceeded, "the caller sent no complete message in time")

// endLate ends a call whose caller is late, in place of its handler, which waits for the message: grpc-go then ends the
// call's context. Its own handlers end calls in the same way.
func (k *call) endLate() {
	h := k.handler.Load()
	if h == nil { // it begins just now
		return
	}
	k.late.Store(true)
	if h.id != "" {
		_ = h.SendHeader(metadata.Pairs(idHeader, h.id))
	}
	if st, ok := h.ServerTransportStream.(interface {
		WriteStatus(s *status.Status) error
	}); ok {
		_ = st.WriteStatus(status.Convert(errLate))
	} else {
		_ = k.conn.Close()
	}
}
