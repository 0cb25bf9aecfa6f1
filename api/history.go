package api

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// The bounds of GET /api/v1/history, and its defaults.
const (
	HistorySpan      = time.Hour
	HistoryPoints    = 240
	MaxHistoryPoints = 720
	MaxHistoryNames  = 100
)

// HistoryQuery says what GET /api/v1/history answers.
type HistoryQuery struct {
	Models []string
	Routes []string
	Span   time.Duration // up to now; 0 means HistorySpan
	Points int           // the max number of steps; 0 means HistoryPoints
}

// History has rates and latencies over time. Each list of values has one for each step, null if there is none.
type History struct {
	From time.Time `json:"from"` // the beginning of the first step
	Step Duration  `json:"step"`
	// Since is from when on nothing is missing; earlier steps are null: the gateway has started then, or its memory for the
	// history was used up.
	Since time.Time `json:"since"`
	// MaxSpan is the longest span that can be asked for.
	MaxSpan Duration `json:"max_span"`

	Models []ModelHistory `json:"models"` // in the order of the query, those that exist and that the caller may see
	Routes []RouteHistory `json:"routes"` // likewise
}

// ModelHistory is about all requests to versions of a model, by whatever route.
type ModelHistory struct {
	Name string `json:"name"`
	Series
}

// RouteHistory is about the variants and shadows of a route.
type RouteHistory struct {
	Name string `json:"name"`
	// Variants has the present ones in their order, the present shadows, and those that were there earlier. The one variant of a
	// name without a declared route has the values of its model.
	Variants []VariantHistory `json:"variants"`
}

// VariantHistory is about the requests that were assigned to a variant, or the copies for a shadow.
type VariantHistory struct {
	Version int64  `json:"version"`
	Role    string `json:"role"` // stable, canary, control or shadow
	Series
}

// Series are rates and latencies.
type Series struct {
	Requests Points `json:"requests"` // per second
	Errors   Points `json:"errors"`   // per second; not the mistakes of callers
	// P50 and P99 are latencies of answered requests in seconds, within 1/16. A step that joins several samples of 5 seconds has
	// the median of their P50, weighted by the number of requests, and their largest P99.
	P50   Points `json:"p50"`
	P99   Points `json:"p99"`
	Queue Points `json:"queue"` // requests that wait: the most at one of the samples
}

// Points are values over time. JSON has null for NaN.
type Points []float64

// MarshalJSON writes numbers with 6 digits.
func (p Points) MarshalJSON() ([]byte, error) {
	b := append(make([]byte, 0, 8*len(p)+2), '[')
	for i, x := range p {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			b = append(b, "null"...)
			continue
		}
		const digits = 6
		b = strconv.AppendFloat(b, x, 'g', digits, 64)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads null as NaN.
func (p *Points) UnmarshalJSON(text []byte) error {
	var list []*float64
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*p = make(Points, len(list))
	for i, x := range list {
		if (*p)[i] = math.NaN(); x != nil {
			(*p)[i] = *x
		}
	}
	return nil
}
