package rivals

import "math"

// cusum is Page's cumulative sum in both directions (Biometrika 41, 1954), S ← max(0, S ± z - slack), with z in standard
// deviations from the mean of the reference. The score is the larger sum.
type cusum struct {
	ref      *Reference
	slack    float64
	up, down float64
}

func cusumWith(slack float64) func(*Reference) Detector {
	return func(ref *Reference) Detector { return &cusum{ref: ref, slack: slack} }
}

func (c *cusum) Add(x float64) float64 {
	if math.IsNaN(x) {
		return math.Inf(-1)
	}
	z := c.ref.standard(x)
	c.up, c.down = max(0, c.up+z-c.slack), max(0, c.down-z-c.slack)
	return max(c.up, c.down)
}
