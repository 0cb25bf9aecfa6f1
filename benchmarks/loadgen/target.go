package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Target is a request that is sent again and again, as a POST.
type Target struct {
	URL     string
	Body    []byte
	Headers map[string]string
}

// Ask sends the request once, by the client of the standard library. The caller
// closes the answer's body.
func (t *Target) Ask(ctx context.Context) (*http.Response, error) {
	return t.by(ctx, http.DefaultClient)
}

func (t *Target) by(ctx context.Context, client *http.Client) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(t.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range t.Headers {
		req.Header.Set(k, v)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return client.Do(req)
}

// prepared is what a connection needs to know of the targets.
type prepared struct {
	secure   bool
	address  string   // host:port
	requests [][]byte // as they go over the wire
}

func prepare(targets []Target) (*prepared, error) {
	p := &prepared{}
	for i := range targets {
		u, err := url.Parse(targets[i].URL)
		if err != nil {
			return nil, err
		}
		port := u.Port()
		switch {
		case u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
			return nil, fmt.Errorf("%q is no http:// or https:// address", targets[i].URL)
		case port == "" && u.Scheme == "https":
			port = "443"
		case port == "":
			port = "80"
		}
		address := net.JoinHostPort(u.Hostname(), port)
		if i > 0 && (address != p.address || (u.Scheme == "https") != p.secure) {
			return nil, errors.New("the targets are of different hosts")
		}
		p.secure, p.address = u.Scheme == "https", address
		request, err := targets[i].bytes(u)
		if err != nil {
			return nil, err
		}
		p.requests = append(p.requests, request)
	}
	return p, nil
}

// bytes returns the whole request.
func (t *Target) bytes(u *url.URL) ([]byte, error) {
	host := u.Host
	names := make([]string, 0, len(t.Headers))
	for name, v := range t.Headers {
		if name == "" || strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(v, "\r\n") {
			return nil, fmt.Errorf("a header %q: %q", name, v)
		}
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding", "connection":
			return nil, fmt.Errorf("the header %s is set by the load generator", name)
		case "host":
			host = v
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	b := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", u.RequestURI(), host, len(t.Body))
	for _, name := range names {
		b = fmt.Appendf(b, "%s: %s\r\n", name, t.Headers[name])
	}
	b = append(b, "\r\n"...)
	return append(b, t.Body...), nil
}
