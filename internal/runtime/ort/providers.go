package ort

import (
	"errors"
	"maps"
	"slices"
	"strings"

	binding "github.com/yalue/onnxruntime_go"
	"go.uber.org/zap"

	"sluice.io/sluice/api"
	"sluice.io/sluice/internal/infer"
)

const (
	providerSuffix = "ExecutionProvider"
	cpuProvider    = "CPU" + providerSuffix
	cudaProvider   = "CUDA" + providerSuffix
	trtProvider    = "Tensorrt" + providerSuffix
)

// Provider asks for an execution provider by ONNX Runtime's name ("CUDAExecutionProvider") or
// the name without the suffix, in any case ("cuda"). Its options are passed on unchanged.
type Provider struct {
	Name    string
	Options map[string]string
}

// appendProviders adds the providers to the options in order and returns the effective ones.
// The CPU is always the last: ONNX Runtime adds it itself.
func (e *Environment) appendProviders(options *binding.SessionOptions, o *LoadOptions) ([]api.Provider, error) {
	var effective []api.Provider
	for i, p := range o.Providers {
		name, ok := e.providerName(p.Name)
		if name == cpuProvider {
			if i != len(o.Providers)-1 || len(p.Options) > 0 {
				return nil, infer.Errorf(infer.Invalid, "%s takes no options and is always the last; remove its options and the providers after it", cpuProvider)
			}
			break
		}
		var err error
		if !ok {
			err = infer.Errorf(infer.Invalid, "execution provider '%s' is not in this build of ONNX Runtime, which has %s",
				p.Name, strings.Join(e.providers, ", "))
		} else if err = appendProvider(options, name, p.Options); err != nil {
			err = loadError("execution provider '"+name+"' cannot be used", err, e.library)
		}
		switch {
		case err == nil:
			effective = append(effective, api.Provider{Name: name, Options: maps.Clone(p.Options)})
		case o.Fallback:
			e.log.Warn("execution provider left out", zap.String("model", o.Name), zap.Int64("version", o.Version),
				zap.String("provider", p.Name), zap.Error(err))
		default:
			return nil, err
		}
	}
	return append(effective, api.Provider{Name: cpuProvider}), nil
}

// providerName returns ONNX Runtime's spelling of a provider's name.
func (e *Environment) providerName(name string) (string, bool) {
	i := slices.IndexFunc(e.providers, func(p string) bool {
		return strings.EqualFold(p, name) || strings.EqualFold(p, name+providerSuffix)
	})
	if i < 0 {
		return "", false
	}
	return e.providers[i], true
}

func appendProvider(options *binding.SessionOptions, name string, settings map[string]string) error {
	switch name {
	case cudaProvider:
		cuda, err := binding.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		if err = cuda.Update(settings); err == nil {
			err = options.AppendExecutionProviderCUDA(cuda)
		}
		return errors.Join(err, cuda.Destroy())
	case trtProvider:
		trt, err := binding.NewTensorRTProviderOptions()
		if err != nil {
			return err
		}
		if err = trt.Update(settings); err == nil {
			err = options.AppendExecutionProviderTensorRT(trt)
		}
		return errors.Join(err, trt.Destroy())
	default:
		return options.AppendExecutionProvider(name, settings)
	}
}
