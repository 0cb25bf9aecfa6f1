package client

import (
	"context"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Drift returns the drift status of every version in every role.
func (c *Client) Drift(ctx context.Context) (list []api.DriftStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/drift", true, &list)
	return list, err
}

// DriftOf returns the drift status of the versions of one model. The list is empty if the
// model has no reference. For an unknown model it returns an Error with status 404.
func (c *Client) DriftOf(ctx context.Context, model string) (list []api.DriftStatus, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/drift/"+url.PathEscape(model), true, &list)
	return list, err
}

// DriftReport returns the versions of a model in their roles, with the distributions of their features in
// the reference and in the last judged window. Errors are as for DriftOf.
func (c *Client) DriftReport(ctx context.Context, model string) (list []api.DriftReport, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/drift/"+url.PathEscape(model)+"/report", true, &list)
	return list, err
}

// SignalFilter selects signals. An empty field selects all.
type SignalFilter struct {
	Model string
	State string // api.SignalOpen, api.SignalDelivered or api.SignalClosed
}

// Signals returns the open signals and the last ones that are not open, the newest first:
// requests for retraining, and reports of bad data.
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

// Signal returns one signal. For an unknown id it returns an Error with status 404.
func (c *Client) Signal(ctx context.Context, id string) (signal api.Signal, err error) {
	err = c.call(ctx, http.MethodGet, c.signalURL(id), true, &signal)
	return signal, err
}

// RetrySignal delivers an open signal now instead of at its next attempt, and returns it as it
// was before that. If it is not open, it returns an Error with status 409.
func (c *Client) RetrySignal(ctx context.Context, id string) (signal api.Signal, err error) {
	err = c.call(ctx, http.MethodPost, c.signalURL(id)+"/retry", true, &signal)
	return signal, err
}

// CloseSignal closes a signal and returns it. reason is one line of text for the journal. If
// it is already closed, it returns an Error with status 409.
func (c *Client) CloseSignal(ctx context.Context, id, reason string) (signal api.Signal, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.signalURL(id)+"/close", nil)
	if err != nil {
		return signal, err
	}
	c.signWith(req, reason)
	err = c.decode(req, &signal)
	return signal, err
}

func (c *Client) signalURL(id string) string {
	return c.admin + "/api/v1/signals/" + url.PathEscape(id)
}
