package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
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

// DeleteCaptured removes a captured request of a model. reason is why, one line of text.
func (c *Client) DeleteCaptured(ctx context.Context, model, requestID, reason string) (done api.CaptureDeletion, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.captureURL(model, "", url.Values{"request_id": {requestID}}), nil)
	if err != nil {
		return done, err
	}
	c.signWith(req, reason)
	err = c.decode(req, &done)
	return done, err
}

// ExportCapture writes captured requests of a model to w. After an error what was written is incomplete. It is not an error if the gateway
// could not read some files: the result names them. reason is one line of text for the journal.
func (c *Client) ExportCapture(ctx context.Context, model string, of api.CaptureRead, reason string, w io.Writer) (done api.CaptureExport, err error) {
	query := rangeQuery(of.CaptureRange)
	if of.Format != "" {
		query.Set("format", of.Format)
	}
	if of.Labels {
		query.Set("labels", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.captureURL(model, "/export", query), nil)
	if err != nil {
		return done, err
	}
	c.signWith(req, reason)
	if c.actor != "" { // the journal names who reads, too
		req.Header.Set("Sluice-Actor", c.actor)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return done, transportError(req, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body was read
	if resp.StatusCode != http.StatusOK {
		const shown = 64 << 10
		body, _ := io.ReadAll(io.LimitReader(resp.Body, shown)) // what has come tells enough
		return done, answerError(resp, body)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return done, fmt.Errorf("the export is incomplete: %w", err)
	}
	return exportOf(resp.Trailer)
}

// exportOf reads the trailers of an export.
func exportOf(h http.Header) (done api.CaptureExport, err error) {
	var errs [3]error
	done.Rows, errs[0] = strconv.ParseInt(h.Get(api.CaptureRowsHeader), 10, 64)
	done.Files, errs[1] = strconv.Atoi(h.Get(api.CaptureReadHeader))
	done.Skipped, errs[2] = strconv.Atoi(h.Get(api.CaptureSkippedHeader))
	if err := errors.Join(errs[:]...); err != nil {
		return done, errors.New("the export is incomplete: its trailers are missing")
	}
	if names := h.Get(api.CaptureSkippedFilesHeader); names != "" {
		done.SkippedFiles = strings.Split(names, ", ")
	}
	return done, nil
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
