package grpcclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/metadata"

	"sluice.io/sluice/client"
	"sluice.io/sluice/internal/wire/grpcapi/pb"
)

// Infer sends tensors to a model or route, and returns its outputs. If the gateway answers with an
// error, it returns a client.Error. The end of ctx and its deadline reach the gateway: it takes the
// request out of the queue, and stops the run. The field JSON of the request has no effect.
func (c *Client) Infer(ctx context.Context, model string, r client.InferRequest) (*client.InferResult, error) {
	m, err := c.message(model, &r)
	if err != nil {
		return nil, err
	}
	ctx, err = c.picked(ctx, StreamOptions{RequestID: r.RequestID, StickyKey: r.StickyKey, Override: r.Override, OverrideToken: r.OverrideToken})
	if err != nil {
		return nil, err
	}
	answer, requestID, err := call(ctx, c, true, c.calls.ModelInfer, m)
	if err != nil {
		return nil, err
	}
	return c.result(answer, requestID)
}

// picked adds to the metadata of a call what a version is picked by.
func (c *Client) picked(ctx context.Context, o StreamOptions) (context.Context, error) {
	if o.Override < 0 {
		return nil, errors.New("override cannot be negative")
	}
	var pairs []string
	var errs []error
	add := func(what, name, value string) {
		if value != "" && name != "" {
			pairs = append(pairs, name, value)
			errs = append(errs, sendable(what, value))
		}
	}
	add("request id", "x-request-id", o.RequestID)
	add("sticky key", c.sticky.Header, o.StickyKey)
	if o.Override != 0 {
		add("override", "sluice-override", strconv.FormatInt(o.Override, 10))
	}
	if token := cmp.Or(o.OverrideToken, c.token); token != "" {
		add("override token", "authorization", "Bearer "+token)
	}
	return metadata.AppendToOutgoingContext(ctx, pairs...), errors.Join(errs...)
}

// message checks a request and returns its message. It shares the memory of the tensors.
func (c *Client) message(model string, r *client.InferRequest) (*pb.ModelInferRequest, error) {
	if r.Version < 0 || r.Priority < 0 || r.Timeout < 0 {
		return nil, errors.New("version, priority and timeout cannot be negative")
	}
	if r.StickyKey != "" && c.sticky.Header == "" && c.sticky.Parameter == "" {
		return nil, errors.New("the request has a sticky key, but Options.Sticky names no header or parameter for it")
	}
	m := &pb.ModelInferRequest{ModelName: model, ModelVersion: versionText(r.Version), Parameters: map[string]*pb.InferParameter{}}
	for i := range r.Inputs {
		t := &r.Inputs[i]
		if err := t.Check(); err != nil {
			return nil, err
		}
		m.Inputs = append(m.Inputs, &pb.ModelInferRequest_InferInputTensor{Name: t.Name, Datatype: t.Datatype, Shape: t.Shape})
		m.RawInputContents = append(m.RawInputContents, t.Data)
	}
	for _, name := range r.Outputs {
		m.Outputs = append(m.Outputs, &pb.ModelInferRequest_InferRequestedOutputTensor{Name: name})
	}
	if r.Priority != 0 {
		m.Parameters["priority"] = number(int64(r.Priority))
	}
	if r.Timeout != 0 {
		m.Parameters["timeout"] = microseconds(r.Timeout)
	}
	if r.StickyKey != "" && c.sticky.Parameter != "" {
		m.Parameters[c.sticky.Parameter] = &pb.InferParameter{ParameterChoice: &pb.InferParameter_StringParam{StringParam: r.StickyKey}}
	}
	return m, nil
}

func number(n int64) *pb.InferParameter {
	return &pb.InferParameter{ParameterChoice: &pb.InferParameter_Int64Param{Int64Param: n}}
}

// microseconds returns a duration as the value of the parameter timeout, rounded up, since 0 means
// no timeout.
func microseconds(d time.Duration) *pb.InferParameter {
	return number((d + time.Microsecond - 1).Microseconds())
}

// versionText returns a version as messages have it: empty for the one that the gateway picks.
func versionText(version int64) string {
	if version == 0 {
		return ""
	}
	return strconv.FormatInt(version, 10)
}

// result reads an answer. It checks that the size of every tensor fits its shape and datatype.
func (c *Client) result(m *pb.ModelInferResponse, requestID string) (*client.InferResult, error) {
	parameters, raw := m.GetParameters(), m.GetRawOutputContents()
	r := &client.InferResult{
		Outputs: make([]client.Tensor, len(m.GetOutputs())),
		Version: parameters["sluice_version"].GetInt64Param(),
		Route:   parameters["sluice_route"].GetStringParam(), Reason: parameters["sluice_reason"].GetStringParam(),
		RequestID: requestID,
	}
	if r.Version == 0 {
		r.Version, _ = strconv.ParseInt(m.GetModelVersion(), 10, 64) // 0 if another server's version is not a number
	}
	if len(raw) != len(r.Outputs) {
		return nil, c.unexpected(fmt.Errorf("it has %d outputs, but raw contents for %d", len(r.Outputs), len(raw)))
	}
	for i, out := range m.GetOutputs() {
		t := client.RawTensor(out.GetName(), out.GetDatatype(), slices.Clone(out.GetShape()), raw[i])
		if err := t.Check(); err != nil {
			return nil, c.unexpected(err)
		}
		r.Outputs[i] = t
	}
	return r, nil
}
