package main

import (
	"math"
	"math/rand/v2"
	"strconv"

	"sluice.io/sluice/benchmarks/drift/rivals"
	"sluice.io/sluice/internal/drift"
)

// The streams for the comparison with rivals have ten features: six independent normal ones, two normal ones with a correlation
// of 0.8, a code with six values, and a label that is 1 in 1 % of the rows. There are clean rows before the
// change, up to a window more than rivalsClean of them, so that windows do not begin where rows change.
const (
	rivalsReference = 50_000
	rivalsClean     = 5_000
	rivalsChanged   = 40_000 // a change that is not found in them is missed
	rivalsWindow    = rivals.WindowRows

	leftFeature, rightFeature = 6, 7 // the correlated ones
	codeFeature, labelFeature = 8, 9
	pairCorrelation           = 0.8
)

// law is the distribution of a feature.
type law int

const (
	lawNormal law = iota
	lawCode
	lawLabel
	numLaws
)

func lawOf(feature int) law {
	switch feature {
	case codeFeature:
		return lawCode
	case labelFeature:
		return lawLabel
	default:
		return lawNormal
	}
}

// draw returns a clean value.
func (l law) draw(rng *rand.Rand) float64 { return l.of(rng.NormFloat64()) }

// of returns the clean value at a quantile, given as that of a standard normal variable.
func (l law) of(z float64) float64 {
	switch l {
	case lawCode: // 0 to 5 in 50, 25, 12, 8, 4 and 1 % of the rows
		code := 0.0
		for _, least := range [...]float64{0, 0.6745, 1.1264, 1.6449, 2.3263} {
			if z > least {
				code++
			}
		}
		return code
	case lawLabel:
		if z > 2.3263 {
			return 1
		}
		return 0
	default:
		return z
	}
}

// shift is a change of a stream.
type shift struct {
	name    string
	watched []int // the features that change; others cannot find it
	// of changes a clean row, the k-th one since the change.
	of func(row []float64, k int, rng *rand.Rand)
	// gate and always say why the gateway is later than the best rival: with the default gates alone, and with all gates.
	gate, always string
}

func higher(by float64, watched ...int) shift {
	return shift{watched: watched, of: func(row []float64, _ int, _ *rand.Rand) {
		for _, i := range watched {
			row[i] += by
		}
	}}
}

// sometimes sets a feature to a value in a share of the rows.
func sometimes(feature int, share, value float64) shift {
	return shift{watched: []int{feature}, of: func(row []float64, _ int, rng *rand.Rand) {
		if rng.Float64() < share {
			row[feature] = value
		}
	}}
}

func shifts() []shift {
	named := func(name, gate, always string, s shift) shift {
		s.name, s.gate, s.always = name, gate, always
		return s
	}
	return []shift{
		named("mean +0.1 s.d.", whySmallMean, "", higher(0.1, 0)),
		named("mean +0.25 s.d.", "", whyMean, higher(0.25, 0)),
		named("mean +0.5 s.d.", "", whyMean, higher(0.5, 0)),
		named("mean +1 s.d.", "", whyLargeMean, higher(1, 0)),
		named("spread × 1.3", whySpread, "", shift{watched: []int{0}, of: func(row []float64, _ int, _ *rand.Rand) { row[0] *= 1.3 }}),
		named("10 % at one value", whySpike, "", sometimes(0, 0.1, 0.3)),
		named("a new category in 2 %", "", whyCode, sometimes(codeFeature, 0.02, 6)),
		named("30 % missing", "", "", sometimes(0, 0.3, math.NaN())),
		named("two columns swapped", "", "", shift{watched: []int{5, leftFeature, rightFeature}, of: func(row []float64, _ int, _ *rand.Rand) {
			row[5], row[leftFeature] = row[leftFeature], row[5]
		}}),
		named("correlated pair rotated by 90°", "", "", shift{watched: []int{leftFeature, rightFeature}, of: func(row []float64, _ int, _ *rand.Rand) {
			row[leftFeature], row[rightFeature] = -row[rightFeature], row[leftFeature]
		}}),
		named("label from 1 to 2 %", "", whyLabel, sometimes(labelFeature, 0.01/0.99, 1)),
		named("slow, +1 s.d. over 20,000 rows", whySlow, "", shift{watched: []int{0}, of: func(row []float64, k int, _ *rand.Rand) {
			row[0] += min(1, float64(k)/20_000)
		}}),
		named("five of ten means +0.15 s.d.", "", whyFive, higher(0.15, 0, 1, 2, 3, 4)),
	}
}

// rivalsProfile makes the profile of a reference.
func rivalsProfile(columns [][]float64) *drift.Profile {
	list := make([]drift.Feature, features)
	for i := range list {
		list[i] = drift.Feature{Name: "f" + strconv.Itoa(i), Kind: drift.KindInput, Tensor: "input", Element: i, Datatype: "FP64"}
		if lawOf(i) != lawNormal {
			list[i].Datatype = "INT64"
		}
	}
	return buildProfile(list, columns)
}
