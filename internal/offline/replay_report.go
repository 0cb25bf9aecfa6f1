package offline

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// The limits of what a report lists.
const (
	worstRows   = 10
	reportTexts = 10 // different errors
)

// ReplayReport says how answers of a version differ from others.
type ReplayReport struct {
	Requests  int           `json:"requests"`
	Errors    int           `json:"errors"`    // requests that were not answered
	Compared  int           `json:"compared"`  // requests with answers to compare
	Differing int           `json:"differing"` // of these, with a difference beyond the tolerance
	Tolerance float64       `json:"tolerance"`
	Causes    []ReplayError `json:"causes"` // of the errors, the first ones

	Outputs []OutputDifference `json:"outputs"` // sorted by name
	Worst   []RowDifference    `json:"worst"`   // the largest differences beyond the tolerance

	Before ReplayLatency `json:"before"` // of the answers that are compared with
	Now    ReplayLatency `json:"now"`

	Seconds       float64 `json:"seconds"`
	BehindSeconds float64 `json:"behind_seconds"` // the longest time that a request was late
}

// ReplayError is an error of requests.
type ReplayError struct {
	Error    string `json:"error"`
	Requests int    `json:"requests"`
	First    string `json:"first"` // the id of the first one
}

// ReplayLatency has quantiles of latencies in microseconds, to 2%. They are 0 if no time is known.
type ReplayLatency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_us"`
	P99   float64 `json:"p99_us"`
}

// OutputDifference is how an output differs.
type OutputDifference struct {
	Name     string `json:"name"`
	Compared int    `json:"compared"` // answers that have it, in the same form
	Missing  int    `json:"missing"`  // answers that lack it now
	Reshaped int    `json:"reshaped"` // answers where it has another datatype or shape
	Elements int    `json:"elements"`
	Equal    Number `json:"equal_share"`
	Beyond   int    `json:"beyond_tolerance"` // elements
	// MaxAbsolute and MaxRelative are the largest differences of numbers, the second in parts of
	// the larger number.
	MaxAbsolute Number `json:"max_absolute"`
	MaxRelative Number `json:"max_relative"`
	NaNBefore   int    `json:"nan_before"`
	NaNNow      int    `json:"nan_now"`
	// Top1Rows are the rows of scores, of which Top1Agree have the same best class.
	Top1Rows  int `json:"top1_rows"`
	Top1Agree int `json:"top1_agree"`
}

// RowDifference is the largest difference of a row of an output.
type RowDifference struct {
	RequestID string `json:"request_id"`
	Output    string `json:"output"`
	Row       int    `json:"row"`
	Element   int    `json:"element"` // of the row
	Before    string `json:"before"`
	Now       string `json:"now"`

	size float64 // in parts of max(1, the number)
}

// Number is a number that may be infinite, or NaN if there is none. JSON has null then.
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	if f := float64(n); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

// Differs reports whether something was not answered, not compared, or differs.
func (r *ReplayReport) Differs() bool {
	return r.Errors > 0 || r.Differing > 0 || r.Compared < r.Requests
}

// report returns the report of all requests so far.
func (c *comparison) report() *ReplayReport {
	r := c.total
	r.Tolerance, r.Before, r.Now = c.tolerance, c.before.summary(), c.now.summary()
	r.Causes, r.Worst = append([]ReplayError{}, c.total.Causes...), append([]RowDifference{}, c.total.Worst...)
	r.Outputs = []OutputDifference{}
	for _, o := range c.outputs {
		d := o.OutputDifference
		d.Equal = Number(float64(o.equal) / float64(o.Elements)) // NaN if there is none
		r.Outputs = append(r.Outputs, d)
	}
	slices.SortFunc(r.Outputs, func(a, b OutputDifference) int { return cmp.Compare(a.Name, b.Name) })
	return &r
}

// worse adds a difference, if it is one of the largest.
func (c *comparison) worse(d RowDifference) {
	list := &c.total.Worst
	i, _ := slices.BinarySearchFunc(*list, d, func(a, b RowDifference) int { return cmp.Or(cmp.Compare(b.size, a.size), -1) })
	if i < worstRows {
		*list = slices.Insert((*list)[:min(len(*list), worstRows-1)], i, d)
	}
}

// failed counts a request that was not answered.
func (c *comparison) failed(r *Recorded, err error) {
	c.total.Requests++
	c.total.Errors++
	text := err.Error()
	for i := range c.total.Causes {
		if c.total.Causes[i].Error == text {
			c.total.Causes[i].Requests++
			return
		}
	}
	if len(c.total.Causes) < reportTexts {
		c.total.Causes = append(c.total.Causes, ReplayError{text, 1, r.ID})
	}
}

// latencies are counts by the logarithm of the time.
type latencies struct {
	counts [1300]int
	total  int
}

const latencyStep = 1.02

func (l *latencies) add(took time.Duration) {
	if took <= 0 {
		return // it is not known
	}
	i := int(math.Log1p(float64(took.Microseconds())) / math.Log(latencyStep))
	l.counts[min(i, len(l.counts)-1)]++
	l.total++
}

func (l *latencies) summary() ReplayLatency {
	const median, tail = 0.5, 0.99
	return ReplayLatency{l.total, l.quantile(median), l.quantile(tail)}
}

func (l *latencies) quantile(q float64) float64 {
	rank, seen := int(math.Ceil(q*float64(l.total))), 0
	for i, n := range l.counts {
		if seen += n; n > 0 && seen >= rank {
			return math.Round(math.Expm1((float64(i) + 0.5) * math.Log(latencyStep)))
		}
	}
	return 0
}

func numberText(x float64) string { return strconv.FormatFloat(x, 'g', 7, 64) }
