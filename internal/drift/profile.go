package drift

import (
	"encoding/json"
	"time"
)

// Format is the version of the profile format that this package reads and writes.
const Format = "sluice.io/profile/v1"

// MaxBins is the max number of bins of a feature. Their edges are quantiles of the reference, so
// that each has about the same number of its rows, and they never move.
const MaxBins = 32

// The kinds of features.
const (
	KindInput  = "input"
	KindOutput = "output"
)

// Profile describes a reference, the data on which a model was trained or validated: enough to
// compare later data with, but none of its rows.
type Profile struct {
	Format  string `json:"format"`
	Model   string `json:"model"`             // the model that has these inputs and outputs
	Version int64  `json:"version,omitempty"` // 0: every version
	// OutputsOf is the version that computed the outputs; 0: they were in the file, or there are
	// none.
	OutputsOf int64     `json:"outputs_of,omitempty"`
	Created   time.Time `json:"created"`
	Source    string    `json:"source,omitempty"` // the name of its file, without the folder
	Rows      int64     `json:"rows"`             // rows read
	Sampled   int64     `json:"sampled"`          // the rows among them for the bins
	// TextBytes is how many bytes of a text were looked at; 0 if there are no texts.
	TextBytes int `json:"text_bytes,omitempty"`
	// Performance says how good the model was on the rows, if their labels are known. Only
	// the packages that use it know its form.
	Performance json.RawMessage `json:"performance,omitempty"`
	// Pairs say how the features depend on each other; nil if they are not known, as in profiles of
	// earlier releases.
	Pairs *Pairs `json:"pairs,omitempty"`
	// Week says that the features have counts by the hour of the week; nil if these are not known.
	Week *Week `json:"week,omitempty"`
	// Vectors are the tensors that are watched as a whole.
	Vectors []Vector `json:"vectors,omitempty"`
	// Segment says which part of a request is the segment of its rows, and Segments has their counts; nil if there are none.
	Segment  *SegmentKey `json:"segment,omitempty"`
	Segments []Segment   `json:"segments,omitempty"`

	Features []Feature `json:"features"`
}

// numPairs returns the number of pairs of features.
func (p *Profile) numPairs() int {
	if p.Pairs == nil {
		return 0
	}
	return len(p.Pairs.Rows)
}

// Feature is one number in each row: an element of an input or an output, or what is measured of one
// that is a text.
type Feature struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`    // input or output
	Tensor  string `json:"tensor"`  // its name in the model
	Element int    `json:"element"` // its index in a row of the tensor, from 0 in row-major order
	// Datatype is the datatype of the tensor, to which the values were rounded; empty if the
	// profile was made without a model.
	Datatype string `json:"datatype,omitempty"`
	// Measure says what is measured of a text or a vector, empty for a number. Then Text has its values; if several
	// features are measured of one text, only the first of them has it.
	Measure string      `json:"measure,omitempty"`
	Text    *TextValues `json:"text,omitempty"`
	// Edges are ascending and finite. Bin i has Edges[i-1] < x <= Edges[i]; the first and the last
	// are open. A constant feature has edges close around its value. A feature without a finite
	// value in the reference has none.
	Edges []float64 `json:"edges"`
	// Values are the values of the reference, one for each bin, if they are few: then any other value
	// is new. Tails are quantiles of 1 % and 99 % if the values are many. Profiles of earlier releases
	// have neither.
	Values []float64 `json:"values,omitempty"`
	Tails  []float64 `json:"tails,omitempty"`
	// Min to Variance are statistics of all finite values read, 0 if there were none. Without a
	// datatype Min and Max include the values' rounding to FP32.
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"` // sample variance (n-1)
	Read     Odd     `json:"read"`
	// Reference counts only the sampled rows, including values that are not finite, so that its N
	// is Sampled and its shares add up.
	Reference Counts `json:"reference"`
	// Hours are the same by the hour of the week, WeekHours of them; nil if they are not known.
	Hours []Counts `json:"hours,omitempty"`
}

// Odd counts the values, of all rows read, that were not finite.
type Odd struct {
	Missing uint64 `json:"missing,omitempty"` // includes NaN, the missing value of float tensors
	NaN     uint64 `json:"nan,omitempty"`     // only in documents of earlier releases; Absent counts both
	PosInf  uint64 `json:"pos_inf,omitempty"`
	NegInf  uint64 `json:"neg_inf,omitempty"`
}

// Counts are the counts of one feature over some rows. The sum of two Counts is the Counts of all
// their rows.
type Counts struct {
	Bins    []uint64 `json:"bins"`              // finite values; one bin more than edges
	Missing uint64   `json:"missing,omitempty"` // includes NaN
	NaN     uint64   `json:"nan,omitempty"`     // only in documents of earlier releases; Absent counts both
	PosInf  uint64   `json:"pos_inf,omitempty"`
	NegInf  uint64   `json:"neg_inf,omitempty"`
	Below   uint64   `json:"below,omitempty"` // finite values below the reference's min, which are also in Bins
	Above   uint64   `json:"above,omitempty"` // the same above its max
	New     uint64   `json:"new,omitempty"`   // values that are not among the feature's Values
	Low     uint64   `json:"low,omitempty"`   // values up to the lower one of the feature's Tails
	High    uint64   `json:"high,omitempty"`  // values above the upper one
	// Unseen are the values of a category that the reference does not have. They are in no bin. Fresh
	// names the most frequent ones, if values may be named.
	Unseen uint64  `json:"unseen,omitempty"`
	Fresh  []Fresh `json:"fresh,omitempty"`
	// Sum and Squares are the sums of (x - Mean) and its square over the finite values, with the
	// Mean of the reference: small differences do not cancel out.
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
	// Halves has the halves of each bin's rows. It is nil if they are not known, as in a reference.
	Halves []Halves `json:"halves,omitempty"`
	// Flaws has what is known of the clusters of flawed rows, by statistic in the order of qualities.
	Flaws [numFlaws]Flaws `json:"flaws,omitzero"`
	// Hours are the rows by the hour of the week, if the profile has a Week. A Window has its own.
	Hours Hours `json:"hours,omitempty"`
}
