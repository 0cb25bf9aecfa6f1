package oip

import (
	"encoding/json"
	"strconv"

	"sluice.io/sluice/internal/infer"
)

// ServerMetadata is the answer to GET /v2.
type ServerMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"` // only those that work
}

// ModelMetadata is the answer to GET /v2/models/M.
type ModelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"` // "onnxruntime_onnx"
	Inputs   []TensorMetadata `json:"inputs"`
	Outputs  []TensorMetadata `json:"outputs"`
}

// TensorMetadata describes an input or output; -1 is a variable dimension.
type TensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
	// Parameters are an extension of this project: clients ignore unknown members.
	Parameters *TensorParameters `json:"parameters,omitempty"`
}

// TensorParameters has more data about an output.
type TensorParameters struct {
	Labels []string `json:"labels"` // of its classes, along the last dimension
}

// NewModelMetadata describes a model under the called name, which may be a route's, with its
// versions that can be called.
func NewModelMetadata(name, platform string, versions []int64, m *infer.Model) ModelMetadata {
	doc := ModelMetadata{Name: name, Versions: make([]string, len(versions)), Platform: platform, Inputs: describe(m.Inputs), Outputs: describe(m.Outputs)}
	for i, v := range versions {
		doc.Versions[i] = strconv.FormatInt(v, 10)
	}
	return doc
}

func describe(specs []infer.TensorSpec) []TensorMetadata {
	tensors := make([]TensorMetadata, len(specs))
	for i := range specs {
		tensors[i] = TensorMetadata{Name: specs[i].Name, Datatype: specs[i].DType.String(), Shape: orEmpty(specs[i].Shape)}
		if labels := specs[i].Labels; len(labels) > 0 {
			tensors[i].Parameters = &TensorParameters{Labels: labels}
		}
	}
	return tensors
}

// IndexEntry is one row of the answer to POST /v2/repository/index.
type IndexEntry struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // empty if a model has none
	State   string `json:"state"`
	Reason  string `json:"reason,omitempty"`
}

// ModelStatistics is one version in the answer to GET /v2/models/stats. Clients fail if a block is
// missing, so all are written, including zeros.
type ModelStatistics struct {
	Name           string              `json:"name"`
	Version        string              `json:"version"`
	LastInference  int64               `json:"last_inference"` // Unix time in milliseconds, 0 for none
	InferenceCount uint64              `json:"inference_count"`
	ExecutionCount uint64              `json:"execution_count"`
	InferenceStats InferenceStatistics `json:"inference_stats"`
	ResponseStats  struct{}            `json:"response_stats"` // only for models with several answers to a request; always empty
	BatchStats     []BatchStatistics   `json:"batch_stats"`
	MemoryUsage    []MemoryUsage       `json:"memory_usage"`
}

// InferenceStatistics splits the time of a version's requests.
type InferenceStatistics struct {
	Success       StatisticDuration `json:"success"`
	Fail          StatisticDuration `json:"fail"`
	Queue         StatisticDuration `json:"queue"`
	ComputeInput  StatisticDuration `json:"compute_input"`
	ComputeInfer  StatisticDuration `json:"compute_infer"`
	ComputeOutput StatisticDuration `json:"compute_output"`
	CacheHit      StatisticDuration `json:"cache_hit"`
	CacheMiss     StatisticDuration `json:"cache_miss"`
}

// BatchStatistics are the runs with one batch size.
type BatchStatistics struct {
	BatchSize     uint64            `json:"batch_size"`
	ComputeInput  StatisticDuration `json:"compute_input"`
	ComputeInfer  StatisticDuration `json:"compute_infer"`
	ComputeOutput StatisticDuration `json:"compute_output"`
}

// StatisticDuration is a count of events and their total time.
type StatisticDuration struct {
	Count uint64 `json:"count"`
	NS    uint64 `json:"ns"`
}

// MemoryUsage is the memory of a version.
type MemoryUsage struct {
	Type     string `json:"type"` // "CPU", "GPU"
	ID       int64  `json:"id"`
	ByteSize uint64 `json:"byte_size"`
}

// AppendServerMetadata appends the document to dst.
func AppendServerMetadata(dst []byte, doc *ServerMetadata) []byte {
	d := *doc
	d.Extensions = orEmpty(d.Extensions)
	return appendJSON(dst, d)
}

// AppendModelMetadata appends the document to dst.
func AppendModelMetadata(dst []byte, doc *ModelMetadata) []byte {
	d := *doc
	d.Versions, d.Inputs, d.Outputs = orEmpty(d.Versions), orEmpty(d.Inputs), orEmpty(d.Outputs)
	return appendJSON(dst, d)
}

// AppendRepositoryIndex appends the document, an array, to dst.
func AppendRepositoryIndex(dst []byte, entries []IndexEntry) []byte {
	return appendJSON(dst, orEmpty(entries))
}

// AppendStatistics appends the document, {"model_stats":[…]}, to dst.
func AppendStatistics(dst []byte, models []ModelStatistics) []byte {
	list := make([]ModelStatistics, len(models))
	copy(list, models)
	for i := range list {
		list[i].BatchStats, list[i].MemoryUsage = orEmpty(list[i].BatchStats), orEmpty(list[i].MemoryUsage)
	}
	return appendJSON(dst, struct {
		ModelStats []ModelStatistics `json:"model_stats"`
	}{list})
}

// AppendError appends the body of every error answer, {"error":"…"}, to dst.
func AppendError(dst []byte, msg string) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendString(dst, msg)
	return append(dst, '}')
}

// orEmpty replaces nil by an empty slice, which is [] in JSON and not null.
func orEmpty[S ~[]T, T any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}

func appendJSON(dst []byte, doc any) []byte {
	b, err := json.Marshal(doc)
	if err != nil {
		panic("BUG: a document that cannot be JSON: " + err.Error())
	}
	return append(dst, b...)
}
