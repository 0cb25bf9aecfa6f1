// Package client talks to a Sluice gateway: to the control API on its admin port
// and to the Open Inference Protocol on its data port. It uses the standard
// library only.
package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"sluice.io/sluice/api"
)

// The addresses that a gateway listens on unless configured otherwise.
const (
	DefaultAdmin = "127.0.0.1:8002"
	DefaultData  = "127.0.0.1:8000"
)

// maxAnswerBytes is the longest body that is read.
const maxAnswerBytes = 1 << 30

// Options say where the gateway is.
type Options struct {
	// Admin and Data are addresses as "host:port" or URLs with http or https.
	// Empty ones are DefaultAdmin and DefaultData; an address without a host
	// (":8002") is on this machine.
	Admin string
	Data  string
	// Token is sent as bearer token to the admin port; empty sends none.
	Token string
	// Actor is who makes the changes, where no token says it; one line of text.
	Actor string
	// HTTP does the requests; nil means a client of its own, without a time
	// limit: each call's context has that.
	HTTP *http.Client
}

// Client is safe for concurrent use.
type Client struct {
	admin, data, token, actor string
	http                      *http.Client
}

// Error is an answer other than 2xx.
type Error struct {
	Status  int    // of HTTP
	Message string // the answer's "error", or its text where it is not JSON
}

// Error returns the message and the status.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (%d %s)", e.Message, e.Status, http.StatusText(e.Status))
}

// New checks the options and returns a client. It does not connect.
func New(o Options) (*Client, error) {
	admin, err := baseURL(cmp.Or(o.Admin, DefaultAdmin))
	if err != nil {
		return nil, fmt.Errorf("admin address: %w", err)
	}
	data, err := baseURL(cmp.Or(o.Data, DefaultData))
	if err != nil {
		return nil, fmt.Errorf("data address: %w", err)
	}
	if err := sendable("token", o.Token); err != nil {
		return nil, err
	}
	if err := sendable("actor", o.Actor); err != nil {
		return nil, err
	}
	c := &Client{admin: admin, data: data, token: o.Token, actor: o.Actor, http: o.HTTP}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	}
	return c, nil
}

// Close closes idle connections. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sendable reports what no header can bear. net/http would say so too, but only
// when it sends, as if the gateway had not answered.
func sendable(what, text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s: it has a line break or another control character in it", what)
	}
	return nil
}

func baseURL(address string) (string, error) {
	text := address
	if !strings.Contains(text, "://") {
		if strings.HasPrefix(text, ":") {
			text = "localhost" + text
		}
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is neither host:port nor a URL", address)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%q must begin with http:// or https://", address)
	case u.Host == "":
		return "", fmt.Errorf("%q has no host", address)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// do sends a request and returns the answer's body where it is 2xx.
func (c *Client) do(req *http.Request) ([]byte, http.Header, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing to lose in a body that was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer of %s was cut off: %w", req.URL.Host, err)
	case len(body) > maxAnswerBytes:
		return nil, nil, fmt.Errorf("the answer of %s is longer than %d bytes", req.URL.Host, maxAnswerBytes)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, nil, answerError(resp.StatusCode, body)
	}
	return body, resp.Header, nil
}

// transportError says who did not answer, without the URL twice.
func transportError(req *http.Request, err error) error {
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		err = uerr.Err
	}
	return fmt.Errorf("no answer from %s: %w", req.URL.Host, err)
}

func answerError(status int, body []byte) error {
	var doc api.Error
	if err := json.Unmarshal(body, &doc); err != nil || doc.Error == "" {
		const shown = 200
		doc.Error = strings.TrimSpace(string(body[:min(len(body), shown)]))
	}
	return &Error{Status: status, Message: cmp.Or(doc.Error, "no message")}
}

// call sends a request without a body, decodes the answer into out unless that
// is nil, and adds the token where authorized.
func (c *Client) call(ctx context.Context, method, target string, authorized bool, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return err
	}
	if authorized {
		c.authorize(req)
	}
	return c.decode(req, out)
}

// decode sends a request and decodes the answer into out unless that is nil.
func (c *Client) decode(req *http.Request, out any) error {
	body, _, err := c.do(req)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of %s is not what was expected: %w", req.URL.Host, err)
	}
	return nil
}

// authorize says who asks.
func (c *Client) authorize(req *http.Request) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.actor != "" && req.Method != http.MethodGet {
		req.Header.Set("Sluice-Actor", c.actor)
	}
}
