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
	// Parameters are what Sluice adds.
	Parameters TensorParameters `json:"parameters,omitzero"`
}

// TensorParameters are what a gateway knows of an input or output besides.
type TensorParameters struct {
	Labels []string `json:"labels,omitempty"` // of the classes of an output
}

// IndexEntry is one version of one model in the repository index. A model none of
// whose versions can be told has no version.
type IndexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"` // api.StateReady and so on
	Reason  string `json:"reason"`
}

// Prediction is an answer to InferJSON as it came.
type Prediction struct {
	Body []byte
	// Header says among others what served: Sluice-Version, Sluice-Route,
	// Sluice-Reason, X-Request-Id.
	Header http.Header
}

// Live returns nil if the gateway answers on its data port.
func (c *Client) Live(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.data+"/v2/health/live", false, nil)
}

// Ready returns nil if the gateway says on its data port that it is ready, else an
// error that says why not.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.data+"/v2/health/ready", false, nil)
}

// ModelReady returns nil if a model or route is ready, else an error that says why
// not: an Error with status 503, also for a name that is not known. Version 0 means
// the one that serves by default.
func (c *Client) ModelReady(ctx context.Context, model string, version int64) error {
	return c.call(ctx, http.MethodGet, c.predictURL(model, version)+"/ready", false, nil)
}

// ModelMetadata returns the signature of a model or route. Version 0 means the one
// that serves by default.
func (c *Client) ModelMetadata(ctx context.Context, model string, version int64) (meta Metadata, err error) {
	err = c.ask(ctx, http.MethodGet, c.predictURL(model, version), &meta)
	return meta, err
}

// Index returns every version of every model in the repository, and its state.
func (c *Client) Index(ctx context.Context) (index []IndexEntry, err error) {
	err = c.ask(ctx, http.MethodPost, c.data+"/v2/repository/index", &index)
	return index, err
}

// InferJSON sends a JSON request body as it is. Version 0 means that the gateway
// picks one.
func (c *Client) InferJSON(ctx context.Context, model string, version int64, body []byte) (Prediction, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.InferURL(model, version), bytes.NewReader(body))
	if err != nil {
		return Prediction{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	answer, header, err := c.send(req)
	return Prediction{Body: answer, Header: header}, err
}

// InferURL returns where Infer and InferJSON send to.
func (c *Client) InferURL(model string, version int64) string {
	return c.predictURL(model, version) + "/infer"
}

func (c *Client) predictURL(model string, version int64) string {
	target := c.data + "/v2/models/" + url.PathEscape(model)
	if version != 0 {
		target += "/versions/" + strconv.FormatInt(version, 10)
	}
	return target
}

// ask sends a request without a body to the data port, and decodes the answer.
func (c *Client) ask(ctx context.Context, method, target string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return err
	}
	body, _, err := c.send(req)
	if err != nil {
		return err
	}
	return unmarshal(req, body, out)
}
