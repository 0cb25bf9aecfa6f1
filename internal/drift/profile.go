package drift

import "time"

// Format is the version of the profile's form that this package reads and writes.
const Format = "sluice.io/profile/v1"

// MaxBins is how many bins a feature has at most. Their edges are quantiles of the
// reference, so that each holds about as many of its rows, and they never move.
const MaxBins = 32

// The kinds of features.
const (
	KindInput  = "input"
	KindOutput = "output"
)

// Profile is what is remembered of a reference, the data that a model was trained
// or validated on: enough to compare later data with, and no row of it.
type Profile struct {
	Format  string `json:"format"`
	Model   string `json:"model"`             // whose inputs and outputs these are
	Version int64  `json:"version,omitempty"` // 0: every version
	// OutputsOf is the version that computed the outputs; 0: they were in the file, or
	// there are none.
	OutputsOf int64     `json:"outputs_of,omitempty"`
	Created   time.Time `json:"created"`
	Source    string    `json:"source,omitempty"` // the name of the file it was made from, without its folder
	Rows      int64     `json:"rows"`             // read
	Sampled   int64     `json:"sampled"`          // of these, what the bins come from
	Features  []Feature `json:"features"`
}

// Feature is one number of each row: an element of an input or an output.
type Feature struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`    // input or output
	Tensor  string `json:"tensor"`  // its name in the model
	Element int    `json:"element"` // its place in a row of the tensor, counted from 0 in row-major order
	// Datatype is the tensor's, to which the values were rounded first; empty if
	// the profile was made without a model.
	Datatype string `json:"datatype,omitempty"`
	// Edges are ascending and finite; bin i holds Edges[i-1] < x <= Edges[i], the
	// first and the last are open. A constant feature has the edges just around its
	// value, and one without a finite value in the reference has none.
	Edges []float64 `json:"edges"`
	// Min to Variance are of all finite values read, 0 if there were none. Without
	// a datatype Min and Max include the values' rounding to FP32.
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"` // sample variance (n-1)
	Read     Odd     `json:"read"`
	// Reference counts the sampled rows alone, the values that are no numbers too, so
	// that its N is Sampled and its shares belong together.
	Reference Counts `json:"reference"`
}

// Odd is how many values of all rows read were no finite numbers.
type Odd struct {
	Missing uint64 `json:"missing,omitempty"` // NaN too, for a tensor of floats has no other way to say it
	NaN     uint64 `json:"nan,omitempty"`     // only in documents of earlier versions; Absent counts both
	PosInf  uint64 `json:"pos_inf,omitempty"`
	NegInf  uint64 `json:"neg_inf,omitempty"`
}

// Counts are what is counted of one feature over some rows. They can be added up,
// which gives the counts of all these rows together.
type Counts struct {
	Bins    []uint64 `json:"bins"`              // finite values; one more than there are edges
	Missing uint64   `json:"missing,omitempty"` // NaN too
	NaN     uint64   `json:"nan,omitempty"`     // only in documents of earlier versions; Absent counts both
	PosInf  uint64   `json:"pos_inf,omitempty"`
	NegInf  uint64   `json:"neg_inf,omitempty"`
	Below   uint64   `json:"below,omitempty"` // finite values under the reference's minimum; they are in Bins too
	Above   uint64   `json:"above,omitempty"` // over its maximum
	// Sum and Squares add up (x - Mean) and its square of the finite values, with
	// the Mean of the reference: differences that stay small do not cancel out.
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
}
