package drift

import (
	"sync"
	"time"
)

// CompleteOptions are complete, for windows by rows.
func CompleteOptions() Options {
	return Options{
		Tolerance: 0.02, QualityTolerance: 0.01, RangeTolerance: 0.005,
		Gates:           Gates{Mean: 0.1, Spread: 0.1, ShareRatio: 1.5, ShareGain: 0.002, New: 0.005},
		FalseAlarmEvery: 30 * 24 * time.Hour, FalseAlarmWindows: 720, Streams: 1, MinRows: 50, Recover: 3, Clustered: true,
	}
}

// SplitterOf returns a splitter with the clusters of a window of this number.
func SplitterOf(number int) *Splitter { return &Splitter{cluster: uint64(number) << 32} } //nolint:gosec // not negative

// SetRare sets the values and tails of a feature with edges, from its sorted finite values.
func (f *Feature) SetRare(sorted []float64) {
	f.Values = valuesOf(sorted, f)
	f.Tails = tailsOf(sorted, f)
}

// CountHour counts rows in the hour of the week of a time.
func (w *Window) CountHour(p *Profile, at time.Time, rows int) {
	p.mustClock().count(w, at, uint64(rows)) //nolint:gosec // not negative
}

// Pairing counts pairs as a tap does.
type Pairing struct{ *pairing }

// NewPairing and NewPairCounts are for windows that a test makes itself.
func NewPairing(p *Profile) Pairing { return Pairing{newPairing(p)} }

func NewPairCounts(p *Profile) *PairCounts { return newPairCounts(p.numPairs()) }

func (x Pairing) See(feature, bin int) { x.see(feature, bin) }

func (x Pairing) End(c *PairCounts) { x.end(c) }

// CountVector counts a row of a vector as a tap does.
func (w *Window) CountVector(p *Profile, vector int, x []float64, halves Halves) {
	v := &p.Vectors[vector]
	cuts := cutsOf.of(p)
	cuts[vector].count(p, w, halves, func(i int) float64 { return x[v.From+i] })
}

// cutCache keeps the cuts of profiles.
type cutCache struct {
	mu    sync.Mutex
	known map[*Profile][]*vectorCut
}

var cutsOf cutCache

func (c *cutCache) of(p *Profile) []*vectorCut {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[*Profile][]*vectorCut{}
	}
	if c.known[p] == nil {
		for i := range p.Vectors {
			c.known[p] = append(c.known[p], p.vectorCut(p.Vectors[i].Kind, p.Vectors[i].Tensor))
		}
	}
	return c.known[p]
}
