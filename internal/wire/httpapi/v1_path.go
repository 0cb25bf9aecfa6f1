package httpapi

import (
	"strings"

	"sluice.io/sluice/internal/infer"
)

// v1Predict is the end of a prediction's path: /v1/models/M:predict.
const v1Predict = ":predict"

// matchV1 finds the target of the segments after /v1: models, models/M, models/M/versions/V or
// models/M/labels/L, and any of the last three followed by :predict or /metadata. The error is
// Unsupported for other calls of TensorFlow Serving and KServe V1.
func matchV1(s [][]byte) (target, error) {
	if len(s) == 0 || string(s[0]) != "models" {
		return target{}, nil
	}
	if len(s) == 1 {
		return target{endpoint: endpointV1Models}, nil
	}
	t := target{endpoint: endpointV1Status}
	named := s[1:]
	if last := len(named) - 1; last > 0 && string(named[last]) == "metadata" {
		t.endpoint, named = endpointV1Metadata, named[:last]
	}
	name := view(named[len(named)-1]) // of the model, version or label
	if t.endpoint == endpointV1Status {
		for _, call := range [...]string{":classify", ":regress", ":explain"} {
			if strings.HasSuffix(name, call) {
				return target{}, infer.Errorf(infer.Unsupported, "'%s' is not supported, use '%s'", call, v1Predict)
			}
		}
		if short, ok := strings.CutSuffix(name, v1Predict); ok {
			t.endpoint, name = endpointV1Predict, short
		}
	}
	ok := true
	switch {
	case len(named) == 1:
		t.model = name
	case len(named) == 3 && string(named[1]) == "versions":
		t.model = view(named[0])
		t.version, ok = infer.ParseVersion(name)
	case len(named) == 3 && string(named[1]) == "labels":
		t.model, t.label, ok = view(named[0]), name, name != ""
	default:
		ok = false
	}
	if !ok || t.model == "" {
		return target{}, nil
	}
	return t, nil
}
