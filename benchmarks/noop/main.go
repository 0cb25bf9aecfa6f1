// Command noop is the ceiling: a fasthttp server that reads a request and answers
// a constant of the size that a tiny model's answer has.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/valyala/fasthttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:8100", "where to listen")
	size := flag.Int("size", 150, "bytes of the answer's body")
	flag.Parse()
	body := make([]byte, *size)
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetContentType("application/octet-stream")
			ctx.SetBody(body)
		},
		NoDefaultDate: true, NoDefaultServerHeader: true, ReadBufferSize: 16 << 10, MaxRequestBodySize: 64 << 20,
	}
	ln, err := net.Listen("tcp", *address)
	if err == nil {
		fmt.Println(ln.Addr())
		err = server.Serve(ln)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1)
	}
}
