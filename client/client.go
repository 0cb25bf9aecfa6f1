// Package client talks to a Sluice gateway: to the control API on its admin port
// and to the Open Inference Protocol on its data port. It uses the standard
// library only.
//
// Infer sends typed tensors and returns typed tensors, and who answered. It and the
// other calls to the data port, but for those that ask for health, are sent again
// after an answer of 429 or 503, or if no connection was made. Calls to the admin
// port are sent once.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"sluice.io/sluice/api"
)

// The addresses that a gateway listens on unless configured otherwise.
const (
	DefaultAdmin = "127.0.0.1:8002"
	DefaultData  = "127.0.0.1:8000"
)

// What Options leave out.
const (
	DefaultRetries        = 2
	DefaultBackoff        = 100 * time.Millisecond
	DefaultMaxWait        = 10 * time.Second
	DefaultMaxAnswerBytes = 1 << 30
)

// Options say where the gateway is, and how it is talked to.
type Options struct {
	// Admin and Data are addresses as "host:port" or URLs with http or https.
	// Empty ones are DefaultAdmin and DefaultData; an address without a host
	// (":8002") is on this machine.
	Admin string
	Data  string
	// Token is sent as bearer token to the admin port; empty sends none.
	Token string
	// Actor is who makes the changes, if no token says it; one line of text.
	Actor string
	// Sticky says where InferRequest.StickyKey goes: the header or the parameter that
	// the route reads its keys from.
	Sticky api.Sticky
	// Retries is how many more times a request to the data port is sent after an
	// answer of 429 or 503, or if no connection was made. 0 means DefaultRetries, a
	// negative number none.
	Retries int
	// Backoff is the longest wait before the first of these, and doubles with each;
	// the Retry-After of an answer is waited for besides. 0 means DefaultBackoff.
	Backoff time.Duration
	// MaxWait bounds one wait: an answer that asks for a longer one is final, and so
	// is one that asks to wait beyond the deadline of the context. 0 means DefaultMaxWait.
	MaxWait time.Duration
	// MaxAnswerBytes bounds the body of an answer. 0 means DefaultMaxAnswerBytes.
	MaxAnswerBytes int64
	// HTTP does the requests; nil means a client of its own, without a time
	// limit: each call's context has that.
	HTTP *http.Client
}

// Client is safe for concurrent use.
type Client struct {
	admin, data, token, actor string
	sticky                    api.Sticky
	retry                     retry
	maxAnswer                 int64
	http                      *http.Client
}

// Error is an answer other than 2xx.
type Error struct {
	Status     int           // of HTTP
	Message    string        // the answer's "error", or its text if it is not JSON
	RequestID  string        // the answer's X-Request-Id, by which the gateway's log is searched
	RetryAfter time.Duration // how long the answer asks to wait; 0 if it does not
}

// Error returns the message and the status, and the request's id if the fault is the
// gateway's.
func (e *Error) Error() string {
	if e.Status >= http.StatusInternalServerError && e.RequestID != "" {
		return fmt.Sprintf("%s (%d %s, request %s)", e.Message, e.Status, http.StatusText(e.Status), e.RequestID)
	}
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
	if o.Sticky.Header != "" && o.Sticky.Parameter != "" {
		return nil, errors.New("sticky: it names both a header and a parameter")
	}
	if o.Backoff < 0 || o.MaxWait < 0 || o.MaxAnswerBytes < 0 {
		return nil, errors.New("backoff, longest wait and largest answer cannot be negative")
	}
	c := &Client{
		admin: admin, data: data, token: o.Token, actor: o.Actor, sticky: o.Sticky, http: o.HTTP,
		retry:     retry{max(cmp.Or(o.Retries, DefaultRetries), 0), cmp.Or(o.Backoff, DefaultBackoff), cmp.Or(o.MaxWait, DefaultMaxWait)},
		maxAnswer: cmp.Or(o.MaxAnswerBytes, DefaultMaxAnswerBytes),
	}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
	}
	return c, nil
}

// Close closes idle connections. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sendable reports text that a header cannot hold. net/http would say so too, but only
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

// do sends a request and returns the answer's body if it is 2xx.
func (c *Client) do(req *http.Request) ([]byte, http.Header, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing to lose in a body that was read
	body, err := c.read(resp)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer of %s was cut off: %w", req.URL.Host, err)
	case int64(len(body)) > c.maxAnswer:
		return nil, nil, fmt.Errorf("the answer of %s is longer than %d bytes", req.URL.Host, c.maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, nil, answerError(resp, body)
	}
	return body, resp.Header, nil
}

// read reads a body up to one byte more than it may have. What the answer says of its
// length is believed up to 1 MiB: more is allocated when it arrives.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	const believed = 1 << 20
	var body bytes.Buffer
	body.Grow(int(min(max(resp.ContentLength, 0), believed)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(resp.Body, c.maxAnswer+1))
	return body.Bytes(), err
}

// transportError says who did not answer, without the URL twice.
func transportError(req *http.Request, err error) error {
	if uerr, ok := errors.AsType[*url.Error](err); ok {
		err = uerr.Err
	}
	return fmt.Errorf("no answer from %s: %w", req.URL.Host, err)
}

func answerError(resp *http.Response, body []byte) error {
	var doc api.Error
	if err := json.Unmarshal(body, &doc); err != nil || doc.Error == "" {
		const shown = 200
		doc.Error = strings.TrimSpace(string(body[:min(len(body), shown)]))
	}
	return &Error{
		Status: resp.StatusCode, Message: cmp.Or(doc.Error, "no message"),
		RequestID: resp.Header.Get("X-Request-Id"), RetryAfter: retryAfter(resp.Header, time.Now()),
	}
}

// call sends a request without a body, decodes the answer into out unless that
// is nil, and adds the token if authorized.
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
	return unmarshal(req, body, out)
}

func unmarshal(req *http.Request, body []byte, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return unexpected(req, err)
	}
	return nil
}

// unexpected is the error of an answer that cannot be read.
func unexpected(req *http.Request, err error) error {
	return fmt.Errorf("the answer of %s is not what was expected: %w", req.URL.Host, err)
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
