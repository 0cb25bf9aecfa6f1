package api

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that JSON carries as text, "1.5ms".
type Duration time.Duration

// MarshalText writes the duration as time.Duration.String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration as time.ParseDuration does. It is an error if the text is
// not a duration.
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

// VariantStats counts the requests of a variant since this gateway first routed to it. It
// does not count requests that name a version (pinned, override). The one variant of a name
// without a declared route has all requests to its version.
type VariantStats struct {
	Variant
	State   string       `json:"state"`   // of the version, READY for example
	Breaker string       `json:"breaker"` // closed, half-open or open
	Queued  int          `json:"queued"`  // requests that wait for a run of the version, of whatever route
	Total   VariantCount `json:"total"`
	// ErrorRate is that of Total.
	ErrorRate ErrorRate `json:"error_rate"`
	Recent    Recent    `json:"recent"`
}

// ErrorRate is the share of the requests that a variant failed.
type ErrorRate struct {
	Rate float64 `json:"rate"` // 0 if there were no requests
	// The true rate is from Low to High, with a confidence of 95 % for all looks together: the interval of a confidence
	// sequence. It is from 0 to 1 if there were no requests.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// VariantCount counts the requests that were assigned to a variant, also those that the
// fallback answered.
type VariantCount struct {
	Requests  int64 `json:"requests"`
	Errors    int64 `json:"errors"`    // the variant's own failures, including fallbacks; not the mistakes of callers
	Fallbacks int64 `json:"fallbacks"` // requests that the route's fallback answered
	Refused   int64 `json:"refused"`   // requests that fit the signature, but whose values the model refused; not counted as errors
	Random    int64 `json:"random"`    // requests without a sticky key
}

// Recent has the counts of the last one to two minutes.
type Recent struct {
	Window Duration `json:"window"` // how far back it reaches
	VariantCount
	// ErrorRate is that of these requests.
	ErrorRate ErrorRate `json:"error_rate"`
	P50       Duration  `json:"p50"` // median latency of answered requests; 0 if there were none
	P99       Duration  `json:"p99"` // 99th percentile of the same
}

// The reasons why a copy for a shadow was dropped.
const (
	DropQueueFull   = "queue_full"  // the max number of copies wait
	DropQueueBytes  = "queue_bytes" // the waiting copies have the max number of bytes
	DropExpired     = "expired"     // the copy waited too long
	DropPrimaryBusy = "primary_busy"
	DropStopped     = "stopped" // the gateway is unloading the shadow
)

// ShadowStats counts the copies that a shadow got.
type ShadowStats struct {
	Shadow
	State    string           `json:"state"` // of the version, as the shadow's own copy of it
	Queued   int              `json:"queued"`
	Answered int64            `json:"answered"`
	Errors   int64            `json:"errors"`
	Dropped  map[string]int64 `json:"dropped"` // by reason
	Recent   Recent           `json:"recent"`
}
