package peers

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"sluice.io/sluice/benchmarks/loadgen"
	"sluice.io/sluice/internal/infer"
	"sluice.io/sluice/internal/runtime/ort"
	"sluice.io/sluice/internal/testing/limits"
	"sluice.io/sluice/internal/wire/oip"
)

// Raw answers requests with ONNX Runtime in this process, without a server.
type Raw struct {
	env    *ort.Environment
	models string
}

// OpenRaw loads ONNX Runtime from a shared library; an empty path asks ort.FindLibrary.
// The models are NAME/1/model.onnx in the folder.
func OpenRaw(library, models string) (*Raw, error) {
	env, err := ort.Open(ort.Options{Library: library, GlobalThreads: 1})
	if err != nil {
		return nil, err
	}
	return &Raw{env: env, models: models}, nil
}

// Close unloads it.
func (r *Raw) Close() error { return r.env.Close() }

// Answer runs the model once on what the request's body holds.
func (r *Raw) Answer(model string, t loadgen.Target) (out []Output, err error) {
	session, err := r.env.Load(filepath.Join(r.models, model, "1", "model.onnx"), ort.LoadOptions{
		Name: model, Version: 1, OptimizationLevel: "all", PreparedShapes: 1, KeepBytes: 64 << 20, MaxOutputBytes: 1 << 30,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	instance, err := session.NewInstance()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, instance.Close()) }()

	call, bounds := oip.NewCall(), limits.Tensors()
	length := -1
	if s, ok := t.Headers[lengthHeader]; ok {
		if length, err = strconv.Atoi(s); err != nil {
			return nil, err
		}
	}
	if err := call.Decode(t.Body, length, &bounds); err != nil {
		return nil, err
	}
	return runOnce(session, instance, &call.Request)
}

func runOnce(session *ort.Session, instance *ort.Instance, req *infer.Request) ([]Output, error) {
	if err := session.Model().Check(req); err != nil {
		return nil, err
	}
	if err := instance.Gather([]*infer.Request{req}); err != nil {
		return nil, err
	}
	if err := instance.Run(); err != nil {
		return nil, err
	}
	resp := infer.NewResponse()
	defer resp.Release()
	if err := instance.Scatter(0, resp); err != nil {
		return nil, err
	}
	list := make([]Output, 0, len(resp.Outputs))
	for _, o := range resp.Outputs {
		if o.DType != infer.FP32 {
			return nil, fmt.Errorf("output %q is %v, want FP32", o.Name, o.DType)
		}
		list = append(list, Output{Name: o.Name, Shape: slices.Clone(o.Shape), Data: floats(o.Data)})
	}
	return list, nil
}
