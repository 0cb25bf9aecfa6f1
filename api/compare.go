package api

import (
	"encoding/json"
	"math"
	"time"
)

// Comparison says how answers of a candidate differ from those of a reference to the same requests.
type Comparison struct {
	Compared  int                `json:"compared"`  // requests with both answers
	Differing int                `json:"differing"` // of these, with a difference beyond the tolerance
	Tolerance float64            `json:"tolerance"` // an element may differ by this · max(1, its size)
	Outputs   []OutputDifference `json:"outputs"`   // sorted by name
	Worst     []RowDifference    `json:"worst"`     // the largest differences beyond the tolerance

	Reference ComparedLatency `json:"reference"`
	Candidate ComparedLatency `json:"candidate"`
}

// ComparedLatency has quantiles of latencies in microseconds, to 2%. They are 0 if no time is known.
type ComparedLatency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_us"`
	P99   float64 `json:"p99_us"`
}

// OutputDifference is how an output differs.
type OutputDifference struct {
	Name     string `json:"name"`
	Compared int    `json:"compared"` // answers that have it, in the same form
	Missing  int    `json:"missing"`  // answers of the candidate that lack it
	Reshaped int    `json:"reshaped"` // answers of the candidate where it has another datatype or shape
	Elements int    `json:"elements"`
	Equal    Number `json:"equal_share"`
	Beyond   int    `json:"beyond_tolerance"` // elements
	// MaxAbsolute and MaxRelative are the largest differences of numbers, the second in parts of
	// the larger number.
	MaxAbsolute Number `json:"max_absolute"`
	MaxRelative Number `json:"max_relative"`
	// MeanDifference is the mean of the candidate's numbers less the reference's.
	MeanDifference Number `json:"mean_difference"`
	NaNReference   int    `json:"nan_reference"`
	NaNCandidate   int    `json:"nan_candidate"`
	// Top1Rows are the rows of scores, of which Top1Agree have the same best class. Top1Reference and Top1Candidate are
	// the means of the best score.
	Top1Rows      int           `json:"top1_rows"`
	Top1Agree     int           `json:"top1_agree"`
	Top1Reference Number        `json:"top1_score_reference"`
	Top1Candidate Number        `json:"top1_score_candidate"`
	Changes       []ClassChange `json:"changes"` // the most frequent ones
}

// ClassChange counts rows whose best class is another one.
type ClassChange struct {
	From string `json:"from"` // the reference's class
	To   string `json:"to"`   // the candidate's
	Rows int    `json:"rows"`
}

// RowDifference is the largest difference of a row of an output.
type RowDifference struct {
	RequestID string `json:"request_id"`
	Output    string `json:"output"`
	Row       int    `json:"row"`
	Element   int    `json:"element"` // of the row
	Reference string `json:"reference"`
	Candidate string `json:"candidate"`
	// Inputs are the first elements of the row of each input, if payloads may be shown.
	Inputs map[string]string `json:"inputs,omitempty"`
}

// Number is a number that may be infinite, or NaN if there is none. JSON has null then, which is read as NaN.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// ShadowReport compares the answers of a route's shadows with those that callers got.
type ShadowReport struct {
	Route   string             `json:"route"`
	Model   string             `json:"model"`
	Shadows []ShadowComparison `json:"shadows"`
}

// ShadowComparison compares a shadow with one of the versions whose requests it got. The times are those of the
// model's runs.
type ShadowComparison struct {
	Comparison

	Version int64     `json:"version"` // the shadow's
	Against int64     `json:"against"` // the version that answered the callers
	Since   time.Time `json:"since"`   // when the first copy was compared
	Failed  int       `json:"failed"`  // copies that the shadow did not answer
	// Disagreement is the mean share of the rows of a request that disagree: another best class, another label or text, or a
	// number that is half a standard deviation away. A copy that failed disagrees. Low and High are its 95% confidence
	// sequence, which is valid at every look.
	Disagreement Number `json:"disagreement"`
	Low          Number `json:"disagreement_low"`
	High         Number `json:"disagreement_high"`
}
