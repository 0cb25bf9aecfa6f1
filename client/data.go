package client

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Metadata is a model's signature as the Open Inference Protocol answers it.
type Metadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes an input or output; -1 is a dimension that varies.
type TensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

// Prediction is an answer to Infer as it came.
type Prediction struct {
	Body []byte
	// Header says among others what served: Sluice-Version, Sluice-Route,
	// Sluice-Reason, X-Request-Id.
	Header http.Header
}

// Metadata returns the signature of a model or route. Version 0 means the one
// that serves by default.
func (c *Client) Metadata(ctx context.Context, model string, version int64) (meta Metadata, err error) {
	err = c.call(ctx, http.MethodGet, c.predictURL(model, version), false, &meta)
	return meta, err
}

// Infer sends a JSON request body as it is. Version 0 means that the gateway
// picks one.
func (c *Client) Infer(ctx context.Context, model string, version int64, body []byte) (Prediction, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.InferURL(model, version), bytes.NewReader(body))
	if err != nil {
		return Prediction{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, header, err := c.do(req)
	return Prediction{Body: answer, Header: header}, err
}

// InferURL returns where Infer sends to.
func (c *Client) InferURL(model string, version int64) string {
	return c.predictURL(model, version) + "/infer"
}

// DataReady returns nil if the gateway says on its data port that it is
// ready, else an error that says why not.
func (c *Client) DataReady(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.data+"/v2/health/ready", false, nil)
}

func (c *Client) predictURL(model string, version int64) string {
	target := c.data + "/v2/models/" + url.PathEscape(model)
	if version != 0 {
		target += "/versions/" + strconv.FormatInt(version, 10)
	}
	return target
}
