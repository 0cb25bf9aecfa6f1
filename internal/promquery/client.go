// Package promquery asks a Prometheus server for the value of a query.
package promquery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Options configure a Client. URL and Timeout are required.
type Options struct {
	URL     string        // of the server, without the path of its API
	Token   string        // a bearer token; empty for none
	Timeout time.Duration // of a query

	MaxAnswer int64 // max size of an answer in bytes; 0 means 1 MiB, of which an answer with one number needs some hundred
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	api     promv1.API
	timeout time.Duration
}

// maxAnswer is the default of Options.MaxAnswer.
const maxAnswer = 1 << 20

// New returns a client. It asks nothing yet.
func New(o Options) (*Client, error) {
	c, err := promapi.NewClient(promapi.Config{Address: o.URL, Client: &http.Client{
		Transport: bounded{base: http.DefaultTransport, token: o.Token, limit: cmp.Or(o.MaxAnswer, maxAnswer)},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the token is for the configured server
		},
	}})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	return &Client{api: promv1.NewAPI(c), timeout: o.Timeout}, nil
}

// Value returns the present value of a query, which must have one number: a scalar, or a vector of one series. It is an error
// if there is no such number, or if it is not finite.
func (c *Client) Value(ctx context.Context, query string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, _, _, err := c.api.Query(ctx, query, time.Now())
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return 0, fmt.Errorf("prometheus did not answer within %v", c.timeout)
	case err != nil:
		return 0, fmt.Errorf("prometheus: %w", err)
	}
	var x float64
	switch r := result.(type) {
	case *model.Scalar:
		x = float64(r.Value)
	case model.Vector:
		if len(r) == 0 {
			return 0, errors.New("no data")
		}
		if len(r) > 1 {
			return 0, fmt.Errorf("the query has %d series, expected one: aggregate them", len(r))
		}
		x = float64(r[0].Value)
	default:
		return 0, fmt.Errorf("the query has a %s, expected a number", result.Type())
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("the value is %v", x)
	}
	return x, nil
}

// bounded adds a token to requests, and bounds the size of answers.
type bounded struct {
	base  http.RoundTripper
	token string
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	resp, err := b.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, b.limit), resp.Body}
	return resp, nil
}
