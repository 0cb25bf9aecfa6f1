package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sluice.io/sluice/api"
)

// Captured returns what is captured of each model.
func (c *Client) Captured(ctx context.Context) (list []api.Captured, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/capture", true, &list)
	return list, err
}

// CaptureFiles returns the files of captured traffic of a model that may have something of a range.
func (c *Client) CaptureFiles(ctx context.Context, model string, of api.CaptureRange) (list []api.CaptureFile, err error) {
	err = c.call(ctx, http.MethodGet, c.captureURL(model, "", rangeQuery(of)), true, &list)
	return list, err
}

func (c *Client) captureURL(model, path string, query url.Values) string {
	target := c.admin + "/api/v1/capture/" + url.PathEscape(model) + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return target
}

func rangeQuery(of api.CaptureRange) url.Values {
	query := url.Values{}
	if !of.Since.IsZero() {
		query.Set("since", of.Since.Format(time.RFC3339Nano))
	}
	if !of.Until.IsZero() {
		query.Set("until", of.Until.Format(time.RFC3339Nano))
	}
	if of.Version != 0 {
		query.Set("version", strconv.FormatInt(of.Version, 10))
	}
	return query
}
