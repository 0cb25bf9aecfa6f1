// Package client is a client of a Sluice gateway: of the control API on its admin port and
// of the Open Inference Protocol on its data port. It uses only the standard library.
//
// Infer sends and returns typed tensors, and returns the version that answered. The client
// retries Infer and the other calls to the data port, except health checks, after an answer
// of 429 or 503, or if no connection was made. It sends calls to the admin port once.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
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
	"sluice.io/sluice/client/internal/retry"
)

// The default addresses of a gateway.
const (
	DefaultAdmin = "127.0.0.1:8002"
	DefaultData  = "127.0.0.1:8000"
)

// The defaults of Options.
const (
	DefaultRetries        = 2
	DefaultBackoff        = 100 * time.Millisecond
	DefaultMaxWait        = 10 * time.Second
	DefaultMaxAnswerBytes = 1 << 30
)

// Options configure a Client.
type Options struct {
	// Admin and Data are addresses, either "host:port" or URLs with http or https. The
	// defaults are DefaultAdmin and DefaultData. An address without a host (":8002") is on
	// this machine.
	Admin string
	Data  string
	// Token is the key of the caller. It is sent to both ports as a bearer token, except for health
	// checks. If it is empty, the client sends none.
	Token string
	// Actor is the name of the person or program that makes changes, one line of text. The
	// gateway uses it only if there is no token.
	Actor string
	// Sticky is the header or the parameter for InferRequest.StickyKey. It must be the one
	// that the route reads its keys from.
	Sticky api.Sticky
	// Retries is the max number of retries of a request to the data port, after an answer
	// of 429 or 503, or if no connection was made. 0 means DefaultRetries. A negative number
	// means no retries.
	Retries int
	// Backoff is the max wait before the first retry. It doubles with each retry. The time
	// in an answer's Retry-After is added to it. 0 means DefaultBackoff.
	Backoff time.Duration
	// MaxWait is the max time of an answer's Retry-After, and of the backoff. The client does
	// not retry if the answer asks for more, or if the wait does not end before the deadline
	// of the context. 0 means DefaultMaxWait.
	MaxWait time.Duration
	// MaxAnswerBytes is the max size of an answer's body. 0 means DefaultMaxAnswerBytes.
	MaxAnswerBytes int64
	// TLS is the configuration for addresses with https: root certificates, and a certificate
	// of the client. nil means the system's root certificates. It cannot be combined with HTTP.
	TLS *tls.Config
	// HTTP sends the requests. nil means a new HTTP client without a timeout: the context of
	// each call limits its time.
	HTTP *http.Client
}

// Client sends requests to a gateway. It is safe for concurrent use.
type Client struct {
	admin, data, token, actor string
	sticky                    api.Sticky
	retry                     retry.Policy
	maxAnswer                 int64
	http                      *http.Client
}

// Error is an answer with an error: over HTTP, one with a status other than 2xx.
type Error struct {
	// Status is the HTTP status. Over gRPC it is the one that the same error has over HTTP, or 0
	// if the gateway did not name one.
	Status     int
	Code       string        // over gRPC, the name of the status, such as "NOT_FOUND"; else empty
	Message    string        // the "error" of the answer, or its text if it is not JSON
	RequestID  string        // the answer's X-Request-Id, to search for in the gateway's log
	RetryAfter time.Duration // the answer's Retry-After; 0 if there is none
}

// Error returns the message and the status. If the status is 5xx, it adds the request's id.
func (e *Error) Error() string {
	status := e.Code
	if status == "" {
		status = strings.TrimSpace(fmt.Sprint(e.Status, " ", http.StatusText(e.Status)))
	}
	if e.Status >= http.StatusInternalServerError && e.RequestID != "" {
		status += ", request " + e.RequestID
	}
	return fmt.Sprintf("%s (%s)", e.Message, status)
}

// New checks the options and returns a client. It does not connect. It fails if an option is
// not valid.
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
		return nil, errors.New("sticky: expected a header or a parameter, got both")
	}
	if o.TLS != nil && o.HTTP != nil {
		return nil, errors.New("expected TLS or HTTP, got both: the HTTP client has a TLS configuration of its own")
	}
	if o.Backoff < 0 || o.MaxWait < 0 || o.MaxAnswerBytes < 0 {
		return nil, errors.New("backoff, max wait and max answer size must not be negative")
	}
	c := &Client{
		admin: admin, data: data, token: o.Token, actor: o.Actor, sticky: o.Sticky, http: o.HTTP,
		retry: retry.Policy{
			Count: max(cmp.Or(o.Retries, DefaultRetries), 0), Backoff: cmp.Or(o.Backoff, DefaultBackoff), MaxWait: cmp.Or(o.MaxWait, DefaultMaxWait),
		},
		maxAnswer: cmp.Or(o.MaxAnswerBytes, DefaultMaxAnswerBytes),
	}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS}}
	}
	return c, nil
}

// Close closes idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// sendable returns an error if a header cannot have the text. net/http would report it only
// during the request, as if the gateway had not answered.
func sendable(what, text string) error {
	if strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%s: expected text without line breaks and other control characters", what)
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
		return "", fmt.Errorf("%q is not a valid address: expected host:port or a URL", address)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("%q must begin with http:// or https://", address)
	case u.Host == "":
		return "", fmt.Errorf("%q has no host", address)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// do sends a request and returns the body and the headers of a 2xx answer.
func (c *Client) do(req *http.Request) ([]byte, http.Header, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was read
	body, err := c.read(resp)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer of %s is incomplete: %w", req.URL.Host, err)
	case int64(len(body)) > c.maxAnswer:
		return nil, nil, fmt.Errorf("the answer of %s is longer than %d bytes", req.URL.Host, c.maxAnswer)
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, nil, answerError(resp, body)
	}
	return body, resp.Header, nil
}

// read reads a body up to one byte more than the max. It allocates at most 1 MiB for the
// answer's Content-Length, and more only as the body arrives.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	const believed = 1 << 20
	var body bytes.Buffer
	body.Grow(int(min(max(resp.ContentLength, 0), believed)) + bytes.MinRead)
	_, err := body.ReadFrom(io.LimitReader(resp.Body, c.maxAnswer+1))
	return body.Bytes(), err
}

// transportError returns an error with the host, without the URL, which net/http adds.
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

// call sends a request without a body, with the token if authorized, and decodes the answer
// into out unless that is nil.
func (c *Client) call(ctx context.Context, method, target string, authorized bool, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return err
	}
	if authorized {
		c.sign(req)
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

// unexpected returns the error for an answer that cannot be decoded.
func unexpected(req *http.Request, err error) error {
	return fmt.Errorf("the answer of %s cannot be decoded: %w", req.URL.Host, err)
}

// authorize adds the token.
func (c *Client) authorize(req *http.Request) {
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// sign adds the token, and the actor of a change.
func (c *Client) sign(req *http.Request) {
	c.authorize(req)
	if c.actor != "" && req.Method != http.MethodGet {
		req.Header.Set("Sluice-Actor", c.actor)
	}
}

// signWith signs a change, and gives its reason for the journal if there is one.
func (c *Client) signWith(req *http.Request, reason string) {
	c.sign(req)
	if reason != "" {
		req.Header.Set("Sluice-Change-Reason", reason)
	}
}
