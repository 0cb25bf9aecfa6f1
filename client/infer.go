package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// headerLength is the header with the size of a body's JSON in bytes. Binary tensors follow
// the JSON.
const headerLength = "Inference-Header-Content-Length"

// InferRequest is a request to a model. A zero field leaves the choice to the gateway.
type InferRequest struct {
	Inputs  []Tensor
	Version int64    // the version that must answer; 0 lets the route pick one
	Outputs []string // the outputs to answer, in this order; empty means all
	// RequestID is the request's X-Request-Id: at most 128 letters, digits and -_.:/+=@~. If
	// it is not valid, the gateway makes a new one.
	RequestID string
	// StickyKey keeps a caller on one version of a route. Options.Sticky names the header or
	// parameter for it.
	StickyKey string
	// Override is the version of the route that must answer. OverrideToken is the route's
	// token, which allows that. It is sent instead of Options.Token.
	Override      int64
	OverrideToken string
	Priority      int // 1 is the highest
	// Timeout is the max time in the gateway, rounded up to microseconds. It can only shorten
	// the timeout of the model. The gateway does not see the deadline of a context, only
	// that the connection was closed after it.
	Timeout time.Duration
	// JSON sends and requests tensors as JSON instead of binary, for people and proxies that
	// read bodies. FP16, BF16, NaN, infinite values and strings that are not UTF-8 cannot be
	// sent as JSON.
	JSON bool
}

// Infer sends tensors to a model or route, and returns its outputs. If the answer is not 2xx,
// it returns an Error.
func (c *Client) Infer(ctx context.Context, model string, r InferRequest) (*InferResult, error) {
	req, err := c.inferRequest(ctx, c.InferURL(model, r.Version), &r)
	if err != nil {
		return nil, err
	}
	return c.inferResult(req)
}

// inferResult sends a request and decodes the answer.
func (c *Client) inferResult(req *http.Request) (*InferResult, error) {
	body, header, err := c.send(req)
	if err != nil {
		return nil, err
	}
	result, err := decodeResult(header, body)
	if err != nil {
		return nil, unexpected(req, err)
	}
	return result, nil
}

// inferRequest checks a request and returns it as an HTTP request.
func (c *Client) inferRequest(ctx context.Context, target string, r *InferRequest) (*http.Request, error) {
	if r.Version < 0 || r.Override < 0 || r.Priority < 0 || r.Timeout < 0 {
		return nil, errors.New("version, override, priority and timeout cannot be negative")
	}
	parts, err := c.bodyParts(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		req.ContentLength += int64(len(part))
	}
	req.GetBody = func() (io.ReadCloser, error) {
		readers := make([]io.Reader, len(parts))
		for i, part := range parts {
			readers[i] = bytes.NewReader(part)
		}
		return io.NopCloser(io.MultiReader(readers...)), nil
	}
	req.Header.Set("Content-Type", "application/json")
	if !r.JSON {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set(headerLength, strconv.Itoa(len(parts[0])))
	}
	// By default net/http asks for gzip, which costs more time in the gateway than it saves.
	req.Header.Set("Accept-Encoding", "identity")
	return req, c.inferHeaders(req.Header, r)
}

// inferHeaders sets the headers for the request id, the sticky key and the override.
func (c *Client) inferHeaders(h http.Header, r *InferRequest) error {
	set := func(what, name, value string) error {
		if value == "" {
			return nil
		}
		h.Set(name, value)
		return sendable(what, value)
	}
	if r.Override != 0 {
		h.Set("Sluice-Override", strconv.FormatInt(r.Override, 10))
	}
	token := cmp.Or(r.OverrideToken, c.token)
	if token != "" {
		token = "Bearer " + token
	}
	errs := []error{set("request id", "X-Request-Id", r.RequestID), set("override token", "Authorization", token)}
	if c.sticky.Header != "" {
		errs = append(errs, set("sticky key", c.sticky.Header, r.StickyKey))
	}
	return errors.Join(errs...)
}

// The JSON document of a request. The data of its inputs is in it, or follows it.
type (
	inferDocument struct {
		Parameters map[string]any   `json:"parameters,omitempty"`
		Inputs     []inputDocument  `json:"inputs"`
		Outputs    []outputDocument `json:"outputs,omitempty"`
	}
	inputDocument struct {
		Name       string         `json:"name"`
		Shape      []int64        `json:"shape"`
		Datatype   string         `json:"datatype"`
		Parameters map[string]any `json:"parameters,omitempty"`
		Data       any            `json:"data,omitempty"` // a slice that is not nil, or absent
	}
	outputDocument struct {
		Name       string         `json:"name"`
		Parameters map[string]any `json:"parameters,omitempty"`
	}
)

// bodyParts returns the parts of a request's body: its document, then the binary tensors.
func (c *Client) bodyParts(r *InferRequest) ([][]byte, error) {
	parameters, err := c.parameters(r)
	if err != nil {
		return nil, err
	}
	doc := inferDocument{Parameters: parameters, Inputs: []inputDocument{}}
	parts := make([][]byte, 1, 1+len(r.Inputs))
	for i := range r.Inputs {
		t := &r.Inputs[i]
		if err := t.Check(); err != nil {
			return nil, err
		}
		in := inputDocument{Name: t.Name, Shape: append([]int64{}, t.Shape...), Datatype: t.Datatype}
		if !r.JSON {
			in.Parameters = map[string]any{"binary_data_size": len(t.Data)}
			parts = append(parts, t.Data)
		} else if in.Data, err = elementsForJSON(t); err != nil {
			return nil, err
		}
		doc.Inputs = append(doc.Inputs, in)
	}
	for _, name := range r.Outputs {
		out := outputDocument{Name: name}
		if !r.JSON {
			out.Parameters = map[string]any{"binary_data": true}
		}
		doc.Outputs = append(doc.Outputs, out)
	}
	if parts[0], err = json.Marshal(doc); err != nil {
		return nil, fmt.Errorf("the request cannot be written as JSON: %w", err) // NaN or infinite values
	}
	return parts, nil
}

// parameters returns the parameters of the request.
func (c *Client) parameters(r *InferRequest) (map[string]any, error) {
	parameters := map[string]any{}
	if !r.JSON && len(r.Outputs) == 0 {
		parameters["binary_data_output"] = true
	}
	if r.Priority != 0 {
		parameters["priority"] = r.Priority
	}
	if r.Timeout != 0 {
		parameters["timeout"] = (r.Timeout + time.Microsecond - 1).Microseconds() // rounded up, since 0 means no timeout
	}
	switch {
	case r.StickyKey == "":
	case c.sticky.Parameter != "":
		parameters[c.sticky.Parameter] = r.StickyKey
	case c.sticky.Header == "":
		return nil, errors.New("the request has a sticky key, but Options.Sticky names no header or parameter for it")
	}
	return parameters, nil
}
