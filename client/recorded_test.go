package client_test

import (
	"bufio"
	"bytes"
	"embed"
	"io"
	"net/http"
	"strings"

	"sluice.io/sluice/client"
)

// Recorded answers of a gateway that served the demo models.
//
//go:embed testdata/*.http
var recordings embed.FS

// transport answers requests instead of a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// replayed returns a client that gets the answer in a file of testdata to every request.
func replayed(name string) *client.Client {
	return over(client.Options{}, func(req *http.Request) (*http.Response, error) {
		file, err := recordings.ReadFile("testdata/" + name)
		if err != nil {
			return nil, err
		}
		return http.ReadResponse(bufio.NewReader(bytes.NewReader(file)), req)
	})
}

// over returns a client with the transport t.
func over(o client.Options, t transport) *client.Client {
	o.HTTP = &http.Client{Transport: t}
	c, err := client.New(o)
	if err != nil {
		panic(err)
	}
	return c
}

// answer returns an answer with a body and headers, given as pairs of name and value.
func answer(status int, body string, headers ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}
