package client

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"sluice.io/sluice/client/internal/bare"
)

// InferResult has the outputs of a model, and the version that answered.
type InferResult struct {
	Outputs []Tensor // in the order of the request, or of the model
	Version int64    // the version that answered
	Route   string   // the route and its revision, such as "iris@7"
	Reason  string   // why this version: pinned, override, sticky, random, default or fallback
	// RequestID is the request's id in the gateway's log.
	RequestID string
}

// Output returns the output with a name. It fails if there is none.
func (r *InferResult) Output(name string) (Tensor, error) {
	names := make([]string, len(r.Outputs))
	for i, t := range r.Outputs {
		if t.Name == name {
			return t, nil
		}
		names[i] = t.Name
	}
	return Tensor{}, fmt.Errorf("the answer has no output '%s': its outputs are %q", name, names)
}

// Output returns the elements of an output in row-major order. It fails if there is no such
// output or its datatype is not that of T.
func Output[T Element](r *InferResult, name string) ([]T, error) {
	t, err := r.Output(name)
	if err != nil {
		return nil, err
	}
	return Elements[T](t)
}

// answerDocument is the JSON document of an answer.
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

// decodeResult reads an answer. It checks that the size of every tensor fits its shape and
// datatype. Binary tensors share the memory of the body.
func decodeResult(h http.Header, body []byte) (*InferResult, error) {
	text, blobs, err := cutBody(h, body)
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		text = bare.Quote(text)
	}
	var doc answerDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	r := &InferResult{
		Outputs: make([]Tensor, len(doc.Outputs)),
		Route:   h.Get("Sluice-Route"), Reason: h.Get("Sluice-Reason"), RequestID: h.Get("X-Request-Id"),
	}
	r.Version, _ = strconv.ParseInt(cmp.Or(h.Get("Sluice-Version"), doc.ModelVersion), 10, 64) // 0 if another server's version is not a number
	for i, out := range doc.Outputs {
		t := Tensor{Name: out.Name, Datatype: out.Datatype, Shape: out.Shape}
		if size := out.Parameters.BinaryDataSize; size != nil {
			if *size < 0 || *size > len(blobs) {
				return nil, fmt.Errorf("output '%s' has a binary_data_size of %d, but %d bytes are left", t.Name, *size, len(blobs))
			}
			t.Data, blobs = blobs[:*size:*size], blobs[*size:]
		} else if t.Data, err = dataFromJSON(t.Datatype, out.Data); err != nil {
			return nil, fmt.Errorf("output '%s': %w", t.Name, err)
		}
		if err := t.Check(); err != nil {
			return nil, err
		}
		r.Outputs[i] = t
	}
	if len(blobs) > 0 {
		return nil, fmt.Errorf("%d unexpected bytes follow the last output", len(blobs))
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
		return nil, nil, errors.New(headerLength + " is not a valid length: expected at most the size of the body")
	}
	return body[:n], body[n:], nil
}
