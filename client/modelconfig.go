package client

import (
	"context"
	"net/http"
)

// ModelConfig is how a version is served, in the words of Triton's configurations. Its fields are
// those that say something of a Sluice gateway.
type ModelConfig struct {
	Name            string           `json:"name"`
	Platform        string           `json:"platform"`
	Backend         string           `json:"backend"`
	MaxBatchSize    int32            `json:"max_batch_size"` // rows of one run; 0 if requests are not joined
	Inputs          []TensorConfig   `json:"input"`
	Outputs         []TensorConfig   `json:"output"`
	InstanceGroups  []InstanceGroup  `json:"instance_group"`
	VersionPolicy   VersionPolicy    `json:"version_policy"`
	DynamicBatching *DynamicBatching `json:"dynamic_batching"` // nil if requests are not joined
}

// TensorConfig describes an input or output.
type TensorConfig struct {
	Name     string  `json:"name"`
	DataType string  `json:"data_type"` // "TYPE_FP32"; BYTES is "TYPE_STRING"
	Dims     []int64 `json:"dims"`      // without the batch if MaxBatchSize is above 0; -1 varies
	Optional bool    `json:"optional"`
}

// InstanceGroup is a number of equal instances.
type InstanceGroup struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // "KIND_CPU", …
	Count int32  `json:"count"`
}

// VersionPolicy says which versions of a model are served. One of its fields is set.
type VersionPolicy struct {
	Latest   *LatestVersions   `json:"latest,omitempty"`
	All      *struct{}         `json:"all,omitempty"`
	Specific *SpecificVersions `json:"specific,omitempty"`
}

// LatestVersions are a number of the newest versions.
type LatestVersions struct {
	Count uint32 `json:"num_versions"`
}

// SpecificVersions are versions by number.
type SpecificVersions struct {
	Versions []int64 `json:"versions"`
}

// DynamicBatching says how requests are queued and joined.
type DynamicBatching struct {
	PreferredBatchSize        []int32     `json:"preferred_batch_size"`
	MaxQueueDelayMicroseconds uint64      `json:"max_queue_delay_microseconds"`
	PriorityLevels            uint64      `json:"priority_levels"`
	DefaultPriorityLevel      uint64      `json:"default_priority_level"`
	DefaultQueuePolicy        QueuePolicy `json:"default_queue_policy"`
}

// QueuePolicy bounds a queue.
type QueuePolicy struct {
	DefaultTimeoutMicroseconds uint64 `json:"default_timeout_microseconds"`
	AllowTimeoutOverride       bool   `json:"allow_timeout_override"`
	MaxQueueSize               uint32 `json:"max_queue_size"`
}

// ModelConfig returns how a version is served. Version 0 means the default version.
func (c *Client) ModelConfig(ctx context.Context, model string, version int64) (config ModelConfig, err error) {
	err = c.ask(ctx, http.MethodGet, c.predictURL(model, version)+"/config", &config)
	return config, err
}
