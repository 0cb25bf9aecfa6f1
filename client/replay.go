package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ReplayResult is the answer of a version to a replay.
type ReplayResult struct {
	InferResult

	// Took is the time in the gateway, from the arrival of the request to the answer of the model.
	Took time.Duration
}

// InferOverAdmin is Infer over the admin port, for a program that reaches only that one. The version cannot be chosen by
// Version, which is ignored.
func (c *Client) InferOverAdmin(ctx context.Context, model string, r InferRequest) (*InferResult, error) {
	r.Version = 0
	req, err := c.inferRequest(ctx, c.admin+"/api/v1/models/"+url.PathEscape(model)+"/infer", &r)
	if err != nil {
		return nil, err
	}
	c.sign(req)
	return c.inferResult(req)
}

// Replay sends tensors to a loaded version over the admin port. The request is in no statistics of
// callers, and waits until those of callers were run. Version must be set; keys, overrides and
// priorities are ignored.
func (c *Client) Replay(ctx context.Context, model string, r InferRequest) (*ReplayResult, error) {
	if r.Version < 1 {
		return nil, errors.New("a replay needs a version")
	}
	r.StickyKey, r.Override, r.OverrideToken, r.Priority = "", 0, "", 0
	req, err := c.inferRequest(ctx, c.versionURL(model, r.Version)+"/infer", &r)
	if err != nil {
		return nil, err
	}
	return c.replay(req)
}

// ReplayJSON is Replay with a JSON request body, which it sends without changes.
func (c *Client) ReplayJSON(ctx context.Context, model string, version int64, body []byte) (*ReplayResult, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.versionURL(model, version)+"/infer", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(body))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Header.Set("Content-Type", "application/json")
	return c.replay(req)
}

func (c *Client) replay(req *http.Request) (*ReplayResult, error) {
	c.sign(req)
	body, header, err := c.send(req)
	if err != nil {
		return nil, err
	}
	result, err := decodeResult(header, body)
	if err != nil {
		return nil, unexpected(req, err)
	}
	us, _ := strconv.ParseInt(header.Get("Sluice-Duration-Us"), 10, 64) // 0 if another gateway does not say it
	return &ReplayResult{*result, time.Duration(us) * time.Microsecond}, nil
}
