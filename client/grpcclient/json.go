package grpcclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"sluice.io/sluice/client"
	"sluice.io/sluice/client/internal/bare"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// The JSON document of a request.
type (
	requestDocument struct {
		ID         string           `json:"id"`
		Parameters parameters       `json:"parameters"`
		Inputs     []inputDocument  `json:"inputs"`
		Outputs    []outputDocument `json:"outputs"`
	}
	inputDocument struct {
		Name       string          `json:"name"`
		Datatype   string          `json:"datatype"`
		Shape      []int64         `json:"shape"`
		Parameters parameters      `json:"parameters"`
		Data       json.RawMessage `json:"data"`
	}
	outputDocument struct {
		Name       string     `json:"name"`
		Parameters parameters `json:"parameters"`
	}
	parameters map[string]*parameter
	parameter  struct{ pb.InferParameter }
)

// InferJSON sends the JSON body of a request over HTTP as a message, and returns the answer as such a body. Version 0 means
// that the gateway picks one. Inputs of FP16 and BF16, and binary data, cannot be sent in JSON. The answer has the data
// of all outputs, flat.
func (c *Client) InferJSON(ctx context.Context, model string, version int64, body []byte) (client.Prediction, error) {
	m, err := messageOf(body)
	if err != nil {
		return client.Prediction{}, err
	}
	m.ModelName, m.ModelVersion = model, versionText(version)
	answer, requestID, err := call(c.authorized(ctx), c, true, c.calls.ModelInfer, m)
	if err != nil {
		return client.Prediction{}, err
	}
	result, err := c.result(answer, requestID)
	if err != nil {
		return client.Prediction{}, err
	}
	p := client.Prediction{Header: http.Header{}}
	p.Header.Set("Sluice-Version", cmp.Or(versionText(result.Version), answer.GetModelVersion()))
	p.Header.Set("Sluice-Route", result.Route)
	p.Header.Set("Sluice-Reason", result.Reason)
	p.Header.Set("X-Request-Id", requestID)
	if p.Body, err = bodyOf(answer, result); err != nil {
		return client.Prediction{}, c.unexpected(err)
	}
	return p, nil
}

// messageOf returns the message for the JSON body of a request.
func messageOf(body []byte) (*pb.ModelInferRequest, error) {
	if !json.Valid(body) {
		body = bare.Quote(body)
	}
	var doc requestDocument
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("the request is not valid JSON of an inference: %w", err)
	}
	m := &pb.ModelInferRequest{Id: doc.ID, Parameters: doc.Parameters.message()}
	for i := range doc.Inputs {
		in := &doc.Inputs[i]
		if in.Data == nil {
			return nil, fmt.Errorf("input '%s' has no data", in.Name)
		}
		t, err := client.TensorFromJSON(in.Name, in.Datatype, in.Shape, in.Data)
		if err != nil {
			return nil, err
		}
		m.Inputs = append(m.Inputs, &pb.ModelInferRequest_InferInputTensor{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape, Parameters: in.Parameters.message()})
		m.RawInputContents = append(m.RawInputContents, t.Data)
	}
	for i := range doc.Outputs {
		out := &doc.Outputs[i]
		m.Outputs = append(m.Outputs, &pb.ModelInferRequest_InferRequestedOutputTensor{Name: out.Name, Parameters: out.Parameters.message()})
	}
	return m, nil
}

func (list parameters) message() map[string]*pb.InferParameter {
	m := make(map[string]*pb.InferParameter, len(list))
	for name, p := range list {
		if name == "binary_data" || name == "binary_data_output" { // it is about bodies
			continue
		}
		if p == nil { // null
			p = &parameter{}
		}
		m[name] = &p.InferParameter
	}
	return m
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *parameter) UnmarshalJSON(text []byte) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	switch value := value.(type) {
	case string:
		p.ParameterChoice = &pb.InferParameter_StringParam{StringParam: value}
	case bool:
		p.ParameterChoice = &pb.InferParameter_BoolParam{BoolParam: value}
	case float64:
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			p.ParameterChoice = &pb.InferParameter_Int64Param{Int64Param: n}
		} else if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			p.ParameterChoice = &pb.InferParameter_Uint64Param{Uint64Param: n}
		} else {
			p.ParameterChoice = &pb.InferParameter_DoubleParam{DoubleParam: value}
		}
	default:
		return errors.New("a parameter must be a text, a number, true or false")
	}
	return nil
}

// bodyOf returns an answer as JSON.
func bodyOf(m *pb.ModelInferResponse, r *client.InferResult) ([]byte, error) {
	body := []byte{'{'}
	if m.GetId() != "" {
		body = fmt.Appendf(body, `"id":%s,`, quoted(m.GetId()))
	}
	body = fmt.Appendf(body, `"model_name":%s,"model_version":%s,"outputs":[`, quoted(m.GetModelName()), quoted(m.GetModelVersion()))
	for i := range r.Outputs {
		t := &r.Outputs[i]
		if i > 0 {
			body = append(body, ',')
		}
		shape, err := json.Marshal(append([]int64{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		body = fmt.Appendf(body, `{"name":%s,"datatype":%s,"shape":%s,"data":`, quoted(t.Name), quoted(t.Datatype), shape)
		if body, err = t.AppendJSON(body); err != nil {
			return nil, err
		}
		body = append(body, '}')
	}
	return append(body, `]}`...), nil
}

// quoted returns a text in JSON.
func quoted(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		panic("BUG: a text that is not JSON: " + err.Error())
	}
	return b
}
