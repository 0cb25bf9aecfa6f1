package drift

// pairing sums products of scores over rows, for the pairs of a profile.
type pairing struct {
	at     []int       // by feature of the profile: its index among the paired ones, -1 if it is not one
	scores [][]float64 // of the bins, by that index
	bins   []int       // of the current row, -1 without a finite value
	row    pairRow
}

// newPairing returns nil if the profile has no pairs.
func newPairing(p *Profile) *pairing {
	if p.Pairs == nil {
		return nil
	}
	x := &pairing{at: make([]int, len(p.Features)), bins: make([]int, len(p.Pairs.Features))}
	for i := range x.at {
		x.at[i] = -1
	}
	for k, i := range p.Pairs.Features {
		x.at[i] = k
		x.scores = append(x.scores, scoresOf(p.Features[i].Reference.Bins).of)
	}
	x.begin()
	return x
}

func (x *pairing) begin() {
	for k := range x.bins {
		x.bins[k] = -1
	}
}

// see notes the bin of a feature in the current row.
func (x *pairing) see(feature, bin int) {
	if k := x.at[feature]; k >= 0 {
		x.bins[k] = bin
	}
}

// end adds the current row and begins the next one.
func (x *pairing) end(c *PairCounts) {
	x.row.reset()
	for k, bin := range x.bins {
		if bin >= 0 {
			x.row.add(k, x.scores[k][bin])
		}
	}
	c.add(&x.row)
	x.begin()
}
