package client

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// Metadata is a model's signature in the form of the Open Inference Protocol.
type Metadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"`
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes an input or output. A dimension of -1 varies.
type TensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
	// Parameters are extensions of Sluice.
	Parameters TensorParameters `json:"parameters,omitzero"`
}

// TensorParameters are Sluice's extensions of TensorMetadata.
type TensorParameters struct {
	Labels []string `json:"labels,omitempty"` // names of the classes of an output
}

// IndexEntry is one version of one model in the repository index. Version is empty if no
// version of the model is known.
type IndexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"` // api.StateReady and so on
	Reason  string `json:"reason"`
}

// Prediction is the answer of the gateway to InferJSON.
type Prediction struct {
	Body []byte
	// Header has the headers of the answer. Sluice-Version, Sluice-Route, Sluice-Reason and
	// X-Request-Id say what served.
	Header http.Header
}

// Live returns nil if the gateway answers on its data port.
func (c *Client) Live(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.data+"/v2/health/live", false, nil)
}

// Ready asks the data port. It returns nil if the gateway is ready, and otherwise an error
// with the reason.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, c.data+"/v2/health/ready", false, nil)
}

// ModelReady returns nil if a model or route is ready. Otherwise it returns an Error with
// status 503 and the reason, also for an unknown name. Version 0 means the default version.
func (c *Client) ModelReady(ctx context.Context, model string, version int64) error {
	return c.call(ctx, http.MethodGet, c.predictURL(model, version)+"/ready", true, nil)
}

// ModelMetadata returns the signature of a model or route. Version 0 means the default
// version.
func (c *Client) ModelMetadata(ctx context.Context, model string, version int64) (meta Metadata, err error) {
	err = c.ask(ctx, http.MethodGet, c.predictURL(model, version), &meta)
	return meta, err
}

// Index returns every version of every model in the repository with its state.
func (c *Client) Index(ctx context.Context) (index []IndexEntry, err error) {
	err = c.ask(ctx, http.MethodPost, c.data+"/v2/repository/index", &index)
	return index, err
}

// InferJSON sends a JSON request body without changes. Version 0 means that the gateway
// picks one.
func (c *Client) InferJSON(ctx context.Context, model string, version int64, body []byte) (Prediction, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.InferURL(model, version), bytes.NewReader(body))
	if err != nil {
		return Prediction{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	c.authorize(req)
	answer, header, err := c.send(req)
	return Prediction{Body: answer, Header: header}, err
}

// InferURL returns the URL of Infer and InferJSON.
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
	c.authorize(req)
	body, _, err := c.send(req)
	if err != nil {
		return err
	}
	return unmarshal(req, body, out)
}
