package client

import (
	"context"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Drift returns where every version in every role stands that is compared with a
// reference.
func (c *Client) Drift(ctx context.Context) (list []api.DriftStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/drift", true, &list)
	return list, err
}

// DriftOf returns where the versions of one model stand; none if it is not
// compared with anything. An unknown model is an Error with status 404.
func (c *Client) DriftOf(ctx context.Context, model string) (list []api.DriftStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/drift/"+url.PathEscape(model), true, &list)
	return list, err
}

// SignalFilter says which signals are asked for; an empty field means all.
type SignalFilter struct {
	Model string
	State string // api.SignalOpen, api.SignalDelivered or api.SignalClosed
}

// Signals returns the signals that are open and the last ones that are not, the
// newest first: requests for retraining, and reports of data of bad quality.
func (c *Client) Signals(ctx context.Context, filter SignalFilter) (list []api.Signal, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"model": filter.Model, "state": filter.State} {
		if value != "" {
			query.Set(name, value)
		}
	}
	target := c.admin + "/api/v1/signals"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	err = c.call(ctx, http.MethodGet, target, true, &list)
	return list, err
}

// Signal returns one signal. An unknown id is an Error with status 404.
func (c *Client) Signal(ctx context.Context, id string) (signal api.Signal, err error) {
	err = c.call(ctx, http.MethodGet, c.signalURL(id), true, &signal)
	return signal, err
}

// RetrySignal delivers an open signal now, whatever it would wait for, and returns
// it as it was before that. One that is not open is an Error with status 409.
func (c *Client) RetrySignal(ctx context.Context, id string) (signal api.Signal, err error) {
	err = c.call(ctx, http.MethodPost, c.signalURL(id)+"/retry", true, &signal)
	return signal, err
}

// CloseSignal ends a signal that somebody has dealt with, and returns it. reason is
// one line of text, for the journal. One that is closed already is an Error with
// status 409.
func (c *Client) CloseSignal(ctx context.Context, id, reason string) (signal api.Signal, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.signalURL(id)+"/close", nil)
	if err != nil {
		return signal, err
	}
	c.authorize(req)
	if reason != "" {
		req.Header.Set("Sluice-Change-Reason", reason)
	}
	err = c.decode(req, &signal)
	return signal, err
}

func (c *Client) signalURL(id string) string {
	return c.admin + "/api/v1/signals/" + url.PathEscape(id)
}
