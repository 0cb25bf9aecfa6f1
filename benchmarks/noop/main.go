// Command noop is the ceiling: a fasthttp server that reads a request and answers a
// constant of as many bytes as the gateway's answer has.
//
//	go run ./noop -size 142
//	go run ./noop -size 125 -header 'Content-Type: application/json' -header 'Sluice-Route: lin@0'
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"

	"github.com/valyala/fasthttp"
)

func main() {
	address := flag.String("address", "127.0.0.1:8100", "where to listen")
	size := flag.Int("size", 142, "bytes of the answer's body")
	var fields fields
	flag.Var(&fields, "header", "a field of the answer, 'Name: value'; may be given many times; none: those of the gateway's answer to lin with a binary body")
	flag.Parse()
	if len(fields) == 0 {
		fields = gatewayFields()
	}
	ln, err := net.Listen("tcp", *address)
	if err == nil {
		fmt.Println(ln.Addr())
		err = newServer(*size, fields).Serve(ln)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "noop:", err)
		os.Exit(1)
	}
}

type field struct{ name, value []byte }

// fields of an answer, beside its length.
type fields []field

// gatewayFields returns fields as long as those of the gateway.
func gatewayFields() fields {
	return fields{
		{[]byte("Content-Type"), []byte("application/octet-stream")},
		{[]byte("Inference-Header-Content-Length"), []byte("138")},
		{[]byte("X-Request-Id"), []byte("b5e771695da8fd17-c0ffe")},
		{[]byte("Sluice-Version"), []byte("1")},
		{[]byte("Sluice-Route"), []byte("lin@0")},
		{[]byte("Sluice-Reason"), []byte("default")},
	}
}

// String is what flag.Value asks for.
func (f *fields) String() string {
	var text strings.Builder
	for _, field := range *f {
		fmt.Fprintf(&text, "%s: %s\n", field.name, field.value)
	}
	return text.String()
}

// Set adds a field.
func (f *fields) Set(text string) error {
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(text, "\r\n") {
		return errors.New("not of the form 'Name: value'")
	}
	if name = textproto.CanonicalMIMEHeaderKey(name); name == fasthttp.HeaderContentLength || name == fasthttp.HeaderConnection {
		return errors.New(name + " is not to be chosen")
	}
	*f = append(*f, field{[]byte(name), []byte(strings.TrimSpace(value))})
	return nil
}

func newServer(size int, list fields) *fasthttp.Server {
	body := make([]byte, size)
	return &fasthttp.Server{
		Handler: func(ctx *fasthttp.RequestCtx) {
			for i := range list {
				ctx.Response.Header.SetCanonical(list[i].name, list[i].value)
			}
			ctx.Response.SetBodyRaw(body)
		},
		NoDefaultDate: true, NoDefaultServerHeader: true, NoDefaultContentType: true,
		ReadBufferSize: 16 << 10, MaxRequestBodySize: 64 << 20,
	}
}
