package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"sluice.io/sluice/api"
)

// Statistics are the counts and times of one version since it was loaded.
type Statistics struct {
	Name           string              `json:"name"`
	Version        string              `json:"version"`
	LastInference  int64               `json:"last_inference"`  // Unix time in milliseconds, 0 for none
	InferenceCount uint64              `json:"inference_count"` // rows
	ExecutionCount uint64              `json:"execution_count"` // runs
	Inference      InferenceStatistics `json:"inference_stats"`
	Batches        []BatchStatistics   `json:"batch_stats"`
	Memory         []MemoryUsage       `json:"memory_usage"`
}

// InferenceStatistics split the time of a version's requests.
type InferenceStatistics struct {
	Success       Total `json:"success"`
	Fail          Total `json:"fail"`
	Queue         Total `json:"queue"`
	ComputeInput  Total `json:"compute_input"`
	ComputeInfer  Total `json:"compute_infer"`
	ComputeOutput Total `json:"compute_output"`
	CacheHit      Total `json:"cache_hit"`
	CacheMiss     Total `json:"cache_miss"`
}

// BatchStatistics are the runs with one batch size.
type BatchStatistics struct {
	BatchSize     uint64 `json:"batch_size"`
	ComputeInput  Total  `json:"compute_input"`
	ComputeInfer  Total  `json:"compute_infer"`
	ComputeOutput Total  `json:"compute_output"`
}

// Total is a number of events and the time that they took together.
type Total struct {
	Count       uint64 `json:"count"`
	Nanoseconds uint64 `json:"ns"`
}

// MemoryUsage is the memory of a version.
type MemoryUsage struct {
	Type  string `json:"type"` // "CPU", "GPU"
	ID    int64  `json:"id"`
	Bytes uint64 `json:"byte_size"`
}

// History returns rates and latencies of models and routes over time. Names that do not exist are left out.
func (c *Client) History(ctx context.Context, q api.HistoryQuery) (h api.History, err error) {
	query := url.Values{"model": q.Models, "route": q.Routes}
	if q.Span != 0 {
		query.Set("span", q.Span.String())
	}
	if q.Points != 0 {
		query.Set("points", strconv.Itoa(q.Points))
	}
	err = c.call(ctx, http.MethodGet, c.admin+"/api/v1/history?"+query.Encode(), true, &h)
	return h, err
}

// Statistics returns those of the versions of a model. An empty name means all models, and
// version 0 all versions.
func (c *Client) Statistics(ctx context.Context, model string, version int64) ([]Statistics, error) {
	target := c.data + "/v2/models"
	if model != "" {
		target += "/" + url.PathEscape(model)
		if version != 0 {
			target += "/versions/" + strconv.FormatInt(version, 10)
		}
	}
	var doc struct {
		Models []Statistics `json:"model_stats"`
	}
	err := c.ask(ctx, http.MethodGet, target+"/stats", &doc)
	return doc.Models, err
}
