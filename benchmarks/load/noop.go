package main

import (
	"fmt"
	"io"
	"net"

	"github.com/valyala/fasthttp"
)

// noopArg as the first argument makes this program the no-op server against which
// it is calibrated.
const noopArg = "noop-server"

// serveNoop answers a constant of the size that a tiny model's answer has. It
// prints its address, and ends when alive does.
func serveNoop(out io.Writer, alive io.Reader) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	body := make([]byte, 150)
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/octet-stream")
			ctx.SetBody(body)
		},
		NoDefaultDate: true, NoDefaultServerHeader: true, ReadBufferSize: 16 << 10,
	}
	go func() { // ends with the pipe from who started this
		_, _ = io.Copy(io.Discard, alive)
		_ = ln.Close()
	}()
	fmt.Fprintln(out, ln.Addr())
	_ = server.Serve(ln) // it ends since the listener is closed
	return nil
}
