// Command noop is the ceiling: a fasthttp server that reads a request and answers a
// constant of as many bytes as the gateway's answer has.
//
//	go run ./noop -size 125 -header 'Content-Type: application/json' -header 'Sluice-Route: lin@0'
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:8100", "where to listen")
	size := flag.Int("size", 142, "bytes of the answer's body")
	fields := [][2]string{}
	flag.Func("header", "a field of the answer, 'Name: value'; may be given many times; none: those of the gateway's answer to lin", func(text string) error {
		name, value, _ := strings.Cut(text, ": ")
		fields = append(fields, [2]string{name, value})
		return nil
	})
	flag.Parse()
	if len(fields) == 0 {
		fields = [][2]string{
			{"Content-Type", "application/octet-stream"},
			{"Inference-Header-Content-Length", "138"},
			{"X-Request-Id", "b5e771695da8fd17-c0ffe"},
			{"Sluice-Version", "1"},
			{"Sluice-Route", "lin@0"},
			{"Sluice-Reason", "default"},
		}
	}
	names, values := make([][]byte, len(fields)), make([][]byte, len(fields))
	for i, f := range fields {
		names[i], values[i] = []byte(f[0]), []byte(f[1])
	}
	body := make([]byte, *size)
	server := &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			for i := range names {
				ctx.Response.Header.SetCanonical(names[i], values[i])
			}
			ctx.Response.SetBodyRaw(body)
		},
		NoDefaultDate: true, NoDefaultServerHeader: true, NoDefaultContentType: true,
		ReadBufferSize: 16 << 10, MaxRequestBodySize: 64 << 20,
	}
	if err := server.ListenAndServe(*address); err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1)
	}
}
