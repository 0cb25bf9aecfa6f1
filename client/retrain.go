package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Retrainings returns the retrainings in progress and the last ones that have ended, the newest first. An empty model selects all.
func (c *Client) Retrainings(ctx context.Context, model string) (list []api.Retraining, err error) {
	target := c.admin + "/api/v1/retrainings"
	if model != "" {
		target += "?" + url.Values{"model": {model}}.Encode()
	}
	err = c.call(ctx, http.MethodGet, target, true, &list)
	return list, err
}

// Retraining returns a retraining, whose id is that of its signal. For an unknown id it returns an Error with status 404.
func (c *Client) Retraining(ctx context.Context, id string) (r api.Retraining, err error) {
	err = c.call(ctx, http.MethodGet, c.signalURL(id)+"/retraining", true, &r)
	return r, err
}

// TrainingRequest returns the document for the trainer of a retraining.
func (c *Client) TrainingRequest(ctx context.Context, id string) (doc api.TrainingRequest, err error) {
	err = c.call(ctx, http.MethodGet, c.signalURL(id)+"/training", true, &doc)
	return doc, err
}

// TrainingLog returns the output of the last program that has trained for a retraining. If none has, it returns an Error with
// status 404.
func (c *Client) TrainingLog(ctx context.Context, id string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.signalURL(id)+"/log", nil)
	if err != nil {
		return nil, err
	}
	c.sign(req)
	text, _, err := c.do(req)
	return text, err
}

// RequestRetraining requests a retraining of a model. If one is in progress, it returns an Error with status 409.
func (c *Client) RequestRetraining(ctx context.Context, model, reason string) (r api.Retraining, err error) {
	return c.retrain(ctx, c.modelURL(model)+"/retrain", api.RetrainAsk{Reason: reason})
}

// SimulateRetraining says which retrainings of a model a policy would have requested. query has the parameters of
// GET /api/v1/models/{name}/retrain/simulation: since and until (RFC 3339), and what differs from the present policy.
func (c *Client) SimulateRetraining(ctx context.Context, model string, query url.Values) (out api.RetrainSimulation, err error) {
	target := c.modelURL(model) + "/retrain/simulation"
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	err = c.call(ctx, http.MethodGet, target, true, &out)
	return out, err
}

// ReportRetraining reports the progress of a trainer.
func (c *Client) ReportRetraining(ctx context.Context, id string, said api.RetrainProgress) (api.Retraining, error) {
	return c.retrain(ctx, c.signalURL(id)+"/progress", said)
}

// FailRetraining reports that a trainer gives up.
func (c *Client) FailRetraining(ctx context.Context, id, reason string) (api.Retraining, error) {
	return c.retrain(ctx, c.signalURL(id)+"/fail", api.RetrainFailure{Reason: reason})
}

// CancelRetraining ends a retraining. reason is one line of text for the journal.
func (c *Client) CancelRetraining(ctx context.Context, id, reason string) (r api.Retraining, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.signalURL(id)+"/cancel", nil)
	if err != nil {
		return r, err
	}
	c.signWith(req, reason)
	err = c.decode(req, &r)
	return r, err
}

// retrain posts a body and returns the retraining in the answer.
func (c *Client) retrain(ctx context.Context, target string, body any) (r api.Retraining, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return r, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(text))
	if err != nil {
		return r, err
	}
	req.Header.Set("Content-Type", "application/json")
	c.signWith(req, "")
	err = c.decode(req, &r)
	return r, err
}
