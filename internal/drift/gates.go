package drift

import (
	"math"

	"sluice.io/sluice/internal/infer"
)

// The gates, by the kind of change. A feature drifts if one of them is passed.
const (
	GateMean   = "mean"   // the mean moved
	GateSpread = "spread" // the standard deviation changed
	GateShare  = "share"  // a category, a code or a range of values became more frequent
	GateTail   = "tail"   // rows beyond the quantiles of 1 % or 99 % of the reference became more frequent
	GateShape  = "shape"  // any other change of the distribution
	GateJoint  = "joint"  // several features moved a little

	GateCorrelation = "correlation" // of two features
	GateVector      = "vector"      // a vector has another distribution
)

// Gates are the largest changes that do not count as drift, by the kind of change. Each is the
// hypothesis of a test, so a smaller change raises no alarm beyond the promised rate, however many
// rows there are. A gate of 0 is not tested. Options.Tolerance is the gate of the shape.
type Gates struct {
	// Mean is a difference of the means, in standard deviations of the reference.
	Mean float64 `json:"mean,omitempty"`
	// Spread is a relative change of the standard deviation: with 0.1 it may be between 1/1.1 and 1.1
	// times that of the reference.
	Spread float64 `json:"spread,omitempty"`
	// ShareRatio and ShareGain are for the share of a category, of a bin, and of a tail: it may be
	// ShareRatio times that of the reference, and it may be higher by ShareGain, whichever is more.
	ShareRatio float64 `json:"share_ratio,omitempty"`
	ShareGain  float64 `json:"share_gain,omitempty"`
	// New is the share of rows with a value that the reference does not have, for features with few
	// values.
	New float64 `json:"new,omitempty"`
	// Joint is the quadratic mean of the differences of several means, in standard deviations of the
	// reference; if only one of the means moves, it may move by Mean. Correlation is a difference of the correlations of two features. Both need a profile
	// with pairs.
	Joint       float64 `json:"joint,omitempty"`
	Correlation float64 `json:"correlation,omitempty"`
	// Vector is a difference of the cosines of a vector, in standard deviations along the direction in which
	// they differ most.
	Vector float64 `json:"vector,omitempty"`
}

// check returns an error about the first gate that is not valid.
func (g Gates) check() error {
	for _, x := range []struct {
		name       string
		value, max float64
	}{
		{"mean", g.Mean, 10},
		{"spread", g.Spread, 10},
		{"gain of a share", g.ShareGain, 0.99},
		{"share of new values", g.New, 0.99},
		{"joint change", g.Joint, 10},
		{"correlation", g.Correlation, 1.99},
		{"change of a vector", g.Vector, 10},
	} {
		if !(x.value >= 0 && x.value <= x.max) { // false for NaN too
			return infer.Errorf(infer.Invalid, "the gate for the %s is %v; expected 0 to %v", x.name, x.value, x.max)
		}
	}
	if g.shares() && !(g.ShareRatio >= 1 && g.ShareRatio <= 100) {
		return infer.Errorf(infer.Invalid, "the gate for the ratio of a share is %v; expected 1 to 100", g.ShareRatio)
	}
	return nil
}

// shares reports whether shares are tested.
func (g Gates) shares() bool { return g.ShareRatio != 0 || g.ShareGain != 0 }

// share returns what a share may grow to.
func (g Gates) share() allowance { return allowance{ratio: g.ShareRatio, gain: g.ShareGain} }

// bins returns the number of gates that are tested with the bins of a feature, the shape too.
func (g Gates) bins() int {
	n := 1
	for _, tested := range [...]bool{g.Mean > 0, g.Spread > 0, g.shares(), g.shares()} { // shares: bins and tails
		if tested {
			n++
		}
	}
	return n
}

// together returns the number of tests of several features, for a profile with so many pairs.
func (g Gates) together(pairs int) (n int) {
	if pairs == 0 {
		return 0
	}
	if g.Joint > 0 {
		n++
	}
	if g.Correlation > 0 {
		n += pairs
	}
	return n
}

// allowance is the largest share that does not count as a change. If mean is not 0, it is also a limit:
// so many standard deviations of a variable that is 1 for the rows with the share, and 0 for others.
type allowance struct{ ratio, gain, mean float64 }

// of returns the allowed share for a share of the reference.
func (a allowance) of(p float64) float64 {
	allowed := max(p*a.ratio, p+a.gain)
	if a.mean > 0 {
		allowed = min(allowed, max(p+a.mean*math.Sqrt(p*(1-p)), p+a.gain))
	}
	return allowed
}

// wellMargin is how many standard errors an estimate may be above half of its gate and still look
// well: a window without a change looks well then in spite of the number of gates. alarmedMargin is
// the same while there is an alarm, which should end although the reference has an error of its own,
// the same one in every window.
const (
	wellMargin    = 1.9
	alarmedMargin = 2.5
)

// passing is the result of a gate.
type passing struct {
	gate string
	// logP is the log probability of this evidence if the change is at most the gate, 0 if it is not
	// computed.
	logP float64
	// above is by how many standard errors the estimate is above half of the gate.
	above float64
	// size is the change, and low and high are its 95 % interval, in the units of the gate. For a
	// share it is that of the bin at, or of the lower (at 0) or the upper tail.
	size, low, high float64
	at              int
	fell            bool // the share of the bin at became less, and size is that of all others
}

// estimate sets the change and its interval.
func (p *passing) estimate(size, se float64) {
	p.size, p.low, p.high = size, size-1.96*se, size+1.96*se
}

// logNormalTail returns log P(Z >= z) for a standard normal Z and z >= 0.
func logNormalTail(z float64) float64 {
	if z < 5 {
		return math.Log(math.Erfc(z/math.Sqrt2) / 2)
	}
	return -z*z/2 - math.Log(2*math.Pi)/2 + math.Log(millsRatio(z))
}
