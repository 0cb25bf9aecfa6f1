package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// InferResult is what a model answered, and who it was.
type InferResult struct {
	Outputs []Tensor // as they were asked for, or in the model's order
	Version int64    // the version that answered
	Route   string   // "iris@7", the route and its revision
	Reason  string   // why this version: pinned, override, sticky, random, default or fallback
	// RequestID is the id under which the gateway logged the request.
	RequestID string
}

// Output returns the output of that name.
func (r *InferResult) Output(name string) (Tensor, error) {
	names := make([]string, len(r.Outputs))
	for i, t := range r.Outputs {
		if t.Name == name {
			return t, nil
		}
		names[i] = t.Name
	}
	return Tensor{}, fmt.Errorf("the answer has no output '%s', only %q", name, names)
}

// Output returns the elements of an output, row by row.
func Output[T Element](r *InferResult, name string) ([]T, error) {
	t, err := r.Output(name)
	if err != nil {
		return nil, err
	}
	return Elements[T](t)
}

// answerDocument is the JSON of an answer.
type answerDocument struct {
	ModelVersion string `json:"model_version"`
	Outputs      []struct {
		Name       string  `json:"name"`
		Shape      []int64 `json:"shape"`
		Datatype   string  `json:"datatype"`
		Parameters struct {
			BinaryDataSize *int `json:"binary_data_size"`
		} `json:"parameters"`
		Data json.RawMessage `json:"data"`
	} `json:"outputs"`
}

// decodeResult reads an answer. Every tensor in it has as many bytes as its shape and
// datatype say; binary ones alias the body.
func decodeResult(h http.Header, body []byte) (*InferResult, error) {
	text, blobs, err := cutBody(h, body)
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		text = quoteTokens(text)
	}
	var doc answerDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	r := &InferResult{
		Outputs: make([]Tensor, len(doc.Outputs)),
		Route:   h.Get("Sluice-Route"), Reason: h.Get("Sluice-Reason"), RequestID: h.Get("X-Request-Id"),
	}
	r.Version, _ = strconv.ParseInt(cmp.Or(h.Get("Sluice-Version"), doc.ModelVersion), 10, 64) // 0 from servers that count otherwise
	for i, out := range doc.Outputs {
		t := Tensor{Name: out.Name, Datatype: out.Datatype, Shape: out.Shape}
		if size := out.Parameters.BinaryDataSize; size != nil {
			if *size < 0 || *size > len(blobs) {
				return nil, fmt.Errorf("output '%s' has a binary_data_size of %d, and %d bytes are left", t.Name, *size, len(blobs))
			}
			t.Data, blobs = blobs[:*size:*size], blobs[*size:]
		} else if t.Data, err = dataFromJSON(t.Datatype, out.Data); err != nil {
			return nil, fmt.Errorf("output '%s': %w", t.Name, err)
		}
		if _, err := t.check(); err != nil {
			return nil, err
		}
		r.Outputs[i] = t
	}
	if len(blobs) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last output", len(blobs))
	}
	return r, nil
}

// cutBody splits a body into its JSON and the binary tensors that follow it.
func cutBody(h http.Header, body []byte) (text, blobs []byte, err error) {
	length := h.Get(headerLength)
	if length == "" {
		return body, nil, nil
	}
	n, err := strconv.ParseUint(length, 10, 64)
	if err != nil || n > uint64(len(body)) {
		return nil, nil, errors.New(headerLength + " is not a length within the body")
	}
	return body[:n], body[n:], nil
}
