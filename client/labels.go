package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"sluice.io/sluice/api"
)

// Labels sends what was true of earlier predictions of a model or route. The result says what
// became of each row. When it returns without an error, all that it counts is on disk. After an
// error it may be called again with the same rows: those that were taken are then duplicates.
func (c *Client) Labels(ctx context.Context, model string, rows []api.LabelRow) (api.LabelResult, error) {
	body, err := json.Marshal(api.LabelRows{Labels: rows})
	if err != nil {
		return api.LabelResult{}, err
	}
	return c.LabelsFrom(ctx, model, "application/json", body)
}

// LabelsFrom is Labels with a body of the media type application/json, text/csv or
// application/vnd.apache.parquet. CSV and Parquet have the columns request_id, label, row and time,
// CSV with their names in the first line.
func (c *Client) LabelsFrom(ctx context.Context, model, mediaType string, body []byte) (result api.LabelResult, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.predictURL(model, 0)+"/labels", bytes.NewReader(body))
	if err != nil {
		return result, err
	}
	c.authorize(req)
	req.Header.Set("Content-Type", mediaType)
	answer, _, err := c.send(req)
	if err != nil {
		return result, err
	}
	return result, unmarshal(req, answer, &result)
}

// LabelReports returns how good the predictions of each model were of which some are kept.
func (c *Client) LabelReports(ctx context.Context) (list []api.LabelReport, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/labels", true, &list)
	return list, err
}

// LabelReport returns how good the predictions of a model were. For an unknown model it returns
// an Error with status 404.
func (c *Client) LabelReport(ctx context.Context, model string) (report api.LabelReport, err error) {
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/labels/"+url.PathEscape(model), true, &report)
	return report, err
}
