package grpcapi

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"sluice.io/sluice/internal/infer"
)

// counted is a stream whose messages are counted as they are read, and until they were written.
type counted struct {
	grpc.ServerStream

	srv  *Server
	call *call
}

// RecvMsg implements grpc.ServerStream.
func (c *counted) RecvMsg(m any) error {
	return c.call.read(func() error { return c.ServerStream.RecvMsg(m) })
}

// SendMsg implements grpc.ServerStream.
func (c *counted) SendMsg(m any) error {
	x, ok := m.(*exchange)
	if !ok {
		x = &exchange{srv: c.srv, call: c.call, conn: c.call.conn}
		c.srv.front.Hold(&x.memory)
		if err := x.encode(m.(proto.Message)); err != nil { //nolint:forcetypeassert // the generated code has no other
			return status.Error(codes.ResourceExhausted, infer.Message(err))
		}
	}
	err := c.ServerStream.SendMsg(x)
	if err != nil {
		x.memory.End()
	}
	return err
}

// unknown answers a call that no service has.
func unknown(_ any, ss grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(ss)
	return infer.Errorf(infer.Unsupported, "unknown method '%s'", method)
}
