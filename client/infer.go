package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// headerLength is the header that says how much of a body is JSON; binary tensors
// follow it.
const headerLength = "Inference-Header-Content-Length"

// InferRequest is what a model is asked. Its zero values leave the choice to the
// gateway.
type InferRequest struct {
	Inputs  []Tensor
	Version int64    // the version that must answer; 0 lets the route pick one
	Outputs []string // the outputs to answer, in this order; empty means all
	// RequestID is the request's X-Request-Id: at most 128 letters, digits and
	// -_.:/+=@~, or the gateway makes one of its own.
	RequestID string
	// StickyKey keeps a caller on one version of a route. Options.Sticky says where it
	// goes.
	StickyKey string
	// Override asks for a version of the route whatever its split; OverrideToken is the
	// route's token, which allows it.
	Override      int64
	OverrideToken string
	Priority      int // 1 is the highest
	// Timeout is how long the gateway may take, in whole microseconds; it can only
	// shorten the model's own. A gateway does not notice that a context has ended, and
	// works on until this.
	Timeout time.Duration
	// JSON sends and asks for tensors as JSON rather than binary, for people and proxies
	// that read bodies. FP16, BF16, NaN, infinite values and strings that are not UTF-8
	// cannot be sent so.
	JSON bool
}

// Infer asks a model or route.
func (c *Client) Infer(ctx context.Context, model string, r InferRequest) (*InferResult, error) {
	req, err := c.inferRequest(ctx, model, &r)
	if err != nil {
		return nil, err
	}
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

// inferRequest checks what is asked and returns it as HTTP.
func (c *Client) inferRequest(ctx context.Context, model string, r *InferRequest) (*http.Request, error) {
	if r.Version < 0 || r.Override < 0 || r.Priority < 0 || r.Timeout < 0 {
		return nil, errors.New("version, override, priority and timeout cannot be negative")
	}
	parts, err := c.bodyParts(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.InferURL(model, r.Version), http.NoBody)
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
	// net/http asks for gzip unless told otherwise, which costs the gateway more time
	// than it saves.
	req.Header.Set("Accept-Encoding", "identity")
	return req, c.inferHeaders(req.Header, r)
}

// inferHeaders sets the headers that say who asks and what may answer.
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
	token := ""
	if r.OverrideToken != "" {
		token = "Bearer " + r.OverrideToken
	}
	errs := []error{set("request id", "X-Request-Id", r.RequestID), set("override token", "Authorization", token)}
	if c.sticky.Header != "" {
		errs = append(errs, set("sticky key", c.sticky.Header, r.StickyKey))
	}
	return errors.Join(errs...)
}

// The document of a request; the data of its inputs are in it, or follow it.
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
		Data       any            `json:"data,omitempty"` // a slice that is never nil, or nothing
	}
	outputDocument struct {
		Name       string         `json:"name"`
		Parameters map[string]any `json:"parameters,omitempty"`
	}
)

// bodyParts returns the body of a request: its document, then the binary tensors.
func (c *Client) bodyParts(r *InferRequest) ([][]byte, error) {
	parameters, err := c.parameters(r)
	if err != nil {
		return nil, err
	}
	doc := inferDocument{Parameters: parameters, Inputs: []inputDocument{}}
	parts := make([][]byte, 1, 1+len(r.Inputs))
	for i := range r.Inputs {
		t := &r.Inputs[i]
		if _, err := t.check(); err != nil {
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
		return nil, fmt.Errorf("the request cannot be written as JSON: %w", err) // NaN, or infinite
	}
	return parts, nil
}

// parameters returns those of the request itself.
func (c *Client) parameters(r *InferRequest) (map[string]any, error) {
	parameters := map[string]any{}
	if !r.JSON && len(r.Outputs) == 0 {
		parameters["binary_data_output"] = true
	}
	if r.Priority != 0 {
		parameters["priority"] = r.Priority
	}
	if r.Timeout != 0 {
		parameters["timeout"] = (r.Timeout + time.Microsecond - 1).Microseconds() // not 0, which is none
	}
	switch {
	case r.StickyKey == "":
	case c.sticky.Parameter != "":
		parameters[c.sticky.Parameter] = r.StickyKey
	case c.sticky.Header == "":
		return nil, errors.New("a sticky key is given, but Options.Sticky does not say where it goes")
	}
	return parameters, nil
}
