package rivals

// fixed has the same score for every row.
type fixed float64

func (f fixed) Add(float64) float64 { return float64(f) }

func constant(score float64) func(*Reference) Detector {
	return func(*Reference) Detector { return fixed(score) }
}
