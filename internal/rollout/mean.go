package rollout

import (
	"math"

	"sluice.io/sluice/api"
)

// Mean is the sums of a value that each request has.
type Mean = api.RolloutMean

// Value is a property of a variant's answers: the share of a class for example.
type Value struct {
	Name string
	Kind string // one of api's
	Mean
}

// sub returns what came after an earlier sum. One that is less than before has begun again.
func sub(a, before Mean) Mean {
	if a.N < before.N {
		return a
	}
	return Mean{N: a.N - before.N, Sum: a.Sum - before.Sum, Squares: a.Squares - before.Squares}
}

// scale returns the sums of a part of the values.
func scale(a Mean, part float64) Mean {
	return Mean{N: a.N * part, Sum: a.Sum * part, Squares: a.Squares * part}
}

// priorBlocks is how many blocks the dispersion before any block counts as, which is priorDispersion.
const priorBlocks = 5

// blocked is a mean, with an estimate of how much more the sums of blocks vary than those of independent values.
type blocked struct {
	all    Mean
	terms  float64 // squared deviations of the blocks' sums, in parts of what they would be if values were independent
	blocks float64
}

// take takes the values of a block that has ended.
func (b *blocked) take(m Mean) {
	b.all = b.all.Plus(m)
	mean := b.all.Sum / b.all.N
	variance := b.all.Squares/b.all.N - mean*mean
	if variance <= 0 || m.N <= 0 {
		return
	}
	deviation := m.Sum - m.N*mean
	b.terms += deviation * deviation / (m.N * variance)
	b.blocks++
}

// stream is the sums of a value that grow between looks.
type stream struct {
	blocked
	last  Mean // the sums at the last look
	block Mean // what has come since the present block began
}

// look takes the sums so far.
func (s *stream) look(m Mean) {
	s.block = s.block.Plus(sub(m, s.last))
	s.last = m
}

// end ends the block, of which a part counts.
func (s *stream) end(part float64) {
	s.take(scale(s.block, part))
	s.block = Mean{}
}

func (b *blocked) dispersion() float64 {
	return max(1, (priorBlocks*priorDispersion+b.terms)/(priorBlocks+b.blocks))
}

// worth returns the sums of as many independent values as the values are worth.
func (b *blocked) worth() Mean { return scale(b.all, 1/b.dispersion()) }

// deviation returns the standard deviation of a value.
func deviation(m Mean) float64 {
	if m.N <= 0 {
		return 0
	}
	mean := m.Sum / m.N
	return math.Sqrt(max(0, m.Squares/m.N-mean*mean))
}
