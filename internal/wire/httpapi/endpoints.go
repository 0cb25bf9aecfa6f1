package httpapi

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"sluice.io/sluice/internal/callers"
	"sluice.io/sluice/internal/infer"
)

// endpoint is one method and path of the protocol.
type endpoint uint8

const (
	noEndpoint endpoint = iota
	endpointServer
	endpointLive
	endpointReady
	endpointAllStatistics
	endpointModel
	endpointModelReady
	endpointModelStatistics
	endpointModelConfig
	endpointLabels
	endpointInfer
	endpointPredict
	endpointInvocations
	endpointPing
	endpointOpenAPI
	endpointIndex
	endpointLoad
	endpointUnload
	endpointMemoryStatus
	endpointMemoryRegister
	endpointMemoryUnregister
	endpointV1Live
	endpointTraceSetting
	endpointModelTraceSetting
	endpointLogging
	endpointV1Models
	endpointV1Status
	endpointV1Metadata
	endpointV1Predict

	numEndpoints
)

// needs has what each endpoint needs of its callers. Nobody may use one without an entry.
var needs = [numEndpoints]callers.Endpoint{
	endpointLive:              {Name: "GET /v2/health/live", Need: callers.Need{Scope: callers.Open}},
	endpointReady:             {Name: "GET /v2/health/ready", Need: callers.Need{Scope: callers.Open}},
	endpointV1Live:            {Name: "GET /", Need: callers.Need{Scope: callers.Open}},
	endpointPing:              {Name: "GET /ping", Need: callers.Need{Scope: callers.Open}},
	endpointServer:            {Name: "GET /v2", Need: callers.OnSome(callers.Metadata)},
	endpointOpenAPI:           {Name: "GET /openapi.json", Need: callers.Need{Action: callers.Metadata, Scope: callers.OpenDocument}},
	endpointModel:             {Name: "GET /v2/models/{model}", Need: callers.On(callers.Metadata)},
	endpointModelReady:        {Name: "GET /v2/models/{model}/ready", Need: callers.On(callers.Metadata)},
	endpointModelConfig:       {Name: "GET /v2/models/{model}/config", Need: callers.On(callers.Metadata)},
	endpointIndex:             {Name: "POST /v2/repository/index", Need: callers.OnSome(callers.Metadata)},
	endpointV1Models:          {Name: "GET /v1/models", Need: callers.OnSome(callers.Metadata)},
	endpointV1Status:          {Name: "GET /v1/models/{model}", Need: callers.On(callers.Metadata)},
	endpointV1Metadata:        {Name: "GET /v1/models/{model}/metadata", Need: callers.On(callers.Metadata)},
	endpointAllStatistics:     {Name: "GET /v2/models/stats", Need: callers.OnSome(callers.Statistics)},
	endpointModelStatistics:   {Name: "GET /v2/models/{model}/stats", Need: callers.On(callers.Statistics)},
	endpointInfer:             {Name: "POST /v2/models/{model}/infer", Need: callers.On(callers.Infer)},
	endpointPredict:           {Name: "POST /v2/models/{model}/predict", Need: callers.On(callers.Infer)},
	endpointInvocations:       {Name: "POST /invocations", Need: callers.OnSome(callers.Infer)}, // and on the default model
	endpointV1Predict:         {Name: "POST /v1/models/{model}:predict", Need: callers.On(callers.Infer)},
	endpointMemoryStatus:      {Name: "GET /v2/systemsharedmemory/status", Need: callers.OnSome(callers.Metadata)},
	endpointMemoryRegister:    {Name: "POST /v2/systemsharedmemory/region/{region}/register", Need: callers.OnSome(callers.Infer)},
	endpointMemoryUnregister:  {Name: "POST /v2/systemsharedmemory/unregister", Need: callers.OnSome(callers.Infer)},
	endpointLabels:            {Name: "POST /v2/models/{model}/labels", Need: callers.On(callers.Label)},
	endpointTraceSetting:      {Name: "GET /v2/trace/setting", Need: callers.OnSome(callers.Metadata)},            // a change needs Admin
	endpointModelTraceSetting: {Name: "GET /v2/models/{model}/trace/setting", Need: callers.On(callers.Metadata)}, // a change needs Admin
	endpointLogging:           {Name: "GET /v2/logging", Need: callers.OnSome(callers.Metadata)},                  // a change needs Admin
	endpointLoad:              {Name: "POST /v2/repository/models/{model}/load", Need: callers.On(callers.Load)},
	endpointUnload:            {Name: "POST /v2/repository/models/{model}/unload", Need: callers.On(callers.Load)},
}

// changes has what a POST to an endpoint of settings needs.
var changes = [...]callers.Endpoint{
	{Name: "POST /v2/trace/setting", Need: callers.OnEvery(callers.Admin)},
	{Name: "POST /v2/models/{model}/trace/setting", Need: callers.OnEvery(callers.Admin)},
	{Name: "POST /v2/logging", Need: callers.OnEvery(callers.Admin)},
}

// allow returns the value of the Allow header.
func (e endpoint) allow() string {
	if e.isSetting() {
		return "GET, HEAD, POST, OPTIONS"
	}
	if e.isPost() {
		return "POST, OPTIONS"
	}
	return "GET, HEAD, OPTIONS"
}

// takes reports whether the endpoint accepts the method. HEAD is GET without the body.
func (e endpoint) takes(h *fasthttp.RequestHeader) bool {
	if h.IsPost() {
		return e.isPost() || e.isSetting()
	}
	return !e.isPost() && (h.IsGet() || h.IsHead())
}

// isSetting reports whether GET reads and POST changes settings.
func (e endpoint) isSetting() bool {
	return e == endpointTraceSetting || e == endpointModelTraceSetting || e == endpointLogging
}

// isPost reports whether the endpoint takes only POST; all others take GET.
func (e endpoint) isPost() bool {
	return e.isInference() || e == endpointLabels || e == endpointIndex || e == endpointLoad || e == endpointUnload || e == endpointMemoryRegister || e == endpointMemoryUnregister
}

// changes reports whether requests to the endpoint change something.
func (e endpoint) changes() bool {
	return e.isPost() && needs[e].Action&(callers.Infer|callers.Metadata|callers.Statistics) == 0
}

// isInference reports whether requests to the endpoint are inferences.
func (e endpoint) isInference() bool {
	return e == endpointInfer || e == endpointPredict || e == endpointInvocations || e == endpointV1Predict
}

// target is the meaning of a path. model, label and region are views of the path's bytes.
type target struct {
	endpoint endpoint
	model    string
	version  int64  // 0 if the path names none
	label    string // of a path of V1: the alias that gives the version
	memory   string // the kind of shared memory, "system" or "CUDA"
	region   string // of shared memory
}

// maxSegments is the number of segments of the longest path, /v2/models/M/versions/V/predict.
const maxSegments = 6

// parsePath finds the target of a path as received. Each segment is percent-decoded once, after the
// path was split, so that an encoded slash is part of a name (and refused later). Decoded segments
// are appended to scratch. An unknown path has no endpoint. Errors are Invalid (percent-encoding),
// and those of matchV1.
func parsePath(path, scratch []byte) (target, error) {
	var segments [maxSegments][]byte
	if len(path) == 0 || path[0] != '/' {
		return target{}, nil
	}
	n := 0
	for rest, more := path[1:], true; more; n++ {
		if n == maxSegments {
			return target{}, nil
		}
		var segment []byte
		segment, rest, more = bytes.Cut(rest, []byte{'/'})
		if bytes.IndexByte(segment, '%') >= 0 {
			start := len(scratch)
			var ok bool
			if scratch, ok = appendUnescaped(scratch, segment); !ok {
				return target{}, infer.Errorf(infer.Invalid, "the path has a '%%' that is not followed by two hexadecimal digits")
			}
			segment = scratch[start:len(scratch):len(scratch)]
		}
		segments[n] = segment
	}
	switch first := segments[0]; {
	case string(first) == "v2":
		return match(segments[1:n]), nil
	case string(first) == "v1":
		return matchV1(segments[1:n])
	case n == 1 && len(first) == 0:
		return target{endpoint: endpointV1Live}, nil
	case n == 1 && string(first) == "invocations":
		return target{endpoint: endpointInvocations}, nil
	case n == 1 && string(first) == "ping":
		return target{endpoint: endpointPing}, nil
	case n == 1 && string(first) == "openapi.json":
		return target{endpoint: endpointOpenAPI}, nil
	default:
		return target{}, nil
	}
}

// match finds the target of the segments after /v2.
func match(s [][]byte) target {
	switch {
	case len(s) == 0, len(s) == 1 && len(s[0]) == 0: // the specification also has /v2/
		return target{endpoint: endpointServer}
	case len(s) == 1 && string(s[0]) == "logging":
		return target{endpoint: endpointLogging}
	case len(s) < 2:
		return target{}
	}
	switch string(s[0]) {
	case "health":
		return matchHealth(s[1:])
	case "models":
		return matchModel(s[1:])
	case "repository":
		return matchRepository(s[1:])
	case "trace":
		if len(s) == 2 && string(s[1]) == "setting" {
			return target{endpoint: endpointTraceSetting}
		}
		return target{}
	case "systemsharedmemory":
		return matchMemory("system", s[1:])
	case "cudasharedmemory":
		return matchMemory("CUDA", s[1:])
	default:
		return target{}
	}
}

func matchHealth(s [][]byte) target {
	switch {
	case len(s) == 1 && string(s[0]) == "live":
		return target{endpoint: endpointLive}
	case len(s) == 1 && string(s[0]) == "ready":
		return target{endpoint: endpointReady}
	default:
		return target{}
	}
}

// matchModel matches M, M/versions/V, and either one followed by a word.
func matchModel(s [][]byte) target {
	if len(s) == 1 && string(s[0]) == "stats" {
		return target{endpoint: endpointAllStatistics}
	}
	t := target{model: view(s[0])}
	if s = s[1:]; len(s) >= 2 && string(s[0]) == "versions" {
		var ok bool
		if t.version, ok = infer.ParseVersion(view(s[1])); !ok {
			return target{}
		}
		s = s[2:]
	}
	switch {
	case t.model == "": // a doubled or trailing slash
	case len(s) == 0:
		t.endpoint = endpointModel
	case len(s) == 2 && t.version == 0 && string(s[0]) == "trace" && string(s[1]) == "setting":
		t.endpoint = endpointModelTraceSetting
	case len(s) > 1:
	case string(s[0]) == "infer":
		t.endpoint = endpointInfer
	case string(s[0]) == "predict":
		t.endpoint = endpointPredict
	case string(s[0]) == "labels" && t.version == 0: // they find the version by themselves
		t.endpoint = endpointLabels
	case string(s[0]) == "ready":
		t.endpoint = endpointModelReady
	case string(s[0]) == "stats":
		t.endpoint = endpointModelStatistics
	case string(s[0]) == "config":
		t.endpoint = endpointModelConfig
	}
	return t
}

// matchRepository matches index, models/M/load and models/M/unload.
func matchRepository(s [][]byte) target {
	switch {
	case len(s) == 1 && string(s[0]) == "index":
		return target{endpoint: endpointIndex}
	case len(s) != 3 || string(s[0]) != "models" || len(s[1]) == 0:
		return target{}
	case string(s[2]) == "load":
		return target{endpoint: endpointLoad, model: view(s[1])}
	case string(s[2]) == "unload":
		return target{endpoint: endpointUnload, model: view(s[1])}
	default:
		return target{}
	}
}

// matchMemory matches status and unregister, and region/R followed by these or by register.
func matchMemory(kind string, s [][]byte) target {
	t := target{memory: kind}
	if len(s) == 3 && string(s[0]) == "region" && len(s[1]) > 0 {
		t.region = view(s[1])
		s = s[2:]
	}
	switch {
	case len(s) != 1:
	case string(s[0]) == "status":
		t.endpoint = endpointMemoryStatus
	case string(s[0]) == "unregister":
		t.endpoint = endpointMemoryUnregister
	case string(s[0]) == "register" && t.region != "":
		t.endpoint = endpointMemoryRegister
	}
	return t
}

// appendUnescaped appends s without percent-encoding. It returns false if a percent sign is not
// followed by two hexadecimal digits.
func appendUnescaped(dst, s []byte) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			dst = append(dst, s[i])
			continue
		}
		if i+2 >= len(s) {
			return dst, false
		}
		high, ok := unhex(s[i+1])
		low, ok2 := unhex(s[i+2])
		if !ok || !ok2 {
			return dst, false
		}
		dst = append(dst, high<<4|low)
		i += 2
	}
	return dst, true
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
