package api

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that JSON carries as text, "1.5ms".
type Duration time.Duration

// MarshalText writes the duration as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration takes.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("expected a duration such as 1.5ms: %w", err)
	}
	*d = Duration(v)
	return nil
}

// RouteStats answers GET /api/v1/routes/{name}/stats.
type RouteStats struct {
	Name     string         `json:"name"`
	Model    string         `json:"model"`
	Revision int64          `json:"revision"`
	Variants []VariantStats `json:"variants"`
	Shadows  []ShadowStats  `json:"shadows"`
}

// VariantStats is what a variant did since this gateway first routed to it.
// Requests that name a version (pinned, override) are not among them.
type VariantStats struct {
	Variant
	State   string       `json:"state"`   // of the version, READY for example
	Breaker string       `json:"breaker"` // closed, half-open or open
	Total   VariantCount `json:"total"`
	Recent  Recent       `json:"recent"`
}

// VariantCount counts requests by how they ended for the variant they were assigned
// to, whoever answered them in the end.
type VariantCount struct {
	Requests  int64 `json:"requests"`
	Errors    int64 `json:"errors"`    // the variant's own failures, fallbacks among them; mistakes of callers are none
	Fallbacks int64 `json:"fallbacks"` // answered by the route's fallback
	Refused   int64 `json:"refused"`   // fitted the signature, but the variant's model refused their values; not among the errors
}

// Recent is what happened in the last one to two minutes.
type Recent struct {
	Window Duration `json:"window"` // how far back it reaches
	VariantCount
	P50 Duration `json:"p50"` // of answered requests; 0 if there were none
	P99 Duration `json:"p99"`
}

// The reasons why a copy for a shadow was dropped.
const (
	DropQueueFull   = "queue_full"  // as many as may wait do
	DropQueueBytes  = "queue_bytes" // the copies that wait hold as many bytes as they may
	DropExpired     = "expired"     // it waited longer than it may
	DropPrimaryBusy = "primary_busy"
	DropStopped     = "stopped" // the shadow is being unloaded
)

// ShadowStats is what a shadow did.
type ShadowStats struct {
	Shadow
	State    string           `json:"state"` // of the version as the shadow loaded it
	Queued   int              `json:"queued"`
	Answered int64            `json:"answered"`
	Errors   int64            `json:"errors"`
	Dropped  map[string]int64 `json:"dropped"` // by reason
	Recent   Recent           `json:"recent"`
}
