package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"sluice.io/sluice/internal/config"
	"sluice.io/sluice/internal/drift"
)

// marginal is the law of a feature, made of a standard normal variable, so that
// features that depend on their own past have the same law as those that do not.
type marginal struct {
	name string
	of   func(z float64) float64
}

// marginals are the laws of the features. The discrete one has six values, seen in
// 50, 25, 12, 8, 4 and 1 % of the rows.
func marginals() []marginal {
	limits := make([]float64, 0, 5)
	for _, p := range []float64{0.5, 0.75, 0.87, 0.95, 0.99} {
		limits = append(limits, math.Sqrt2*math.Erfinv(2*p-1))
	}
	normal := marginal{"normal", func(z float64) float64 { return z }}
	skewed := marginal{"skewed", math.Exp}
	discrete := marginal{"discrete", func(z float64) float64 {
		value := 0.0
		for _, limit := range limits {
			if z > limit {
				value++
			}
		}
		return value
	}}
	return []marginal{normal, normal, normal, normal, skewed, skewed, skewed, discrete, discrete, discrete}
}

// process is a standard normal variable with a past: the correlation of neighbouring
// rows is rho, of rows k apart rho^k.
type process struct {
	rng      *rand.Rand
	rho, new float64
	z        float64
}

func newProcess(rng *rand.Rand, rho float64) *process {
	return &process{rng: rng, rho: rho, new: math.Sqrt(1 - rho*rho), z: rng.NormFloat64()}
}

func (p *process) next() float64 {
	p.z = p.rho*p.z + p.new*p.rng.NormFloat64()
	return p.z
}

// profileOf makes the profile of columns, the way that a file's is made.
func profileOf(columns [][]float64, datatype string) *drift.Profile {
	features := make([]drift.Feature, len(columns))
	for i := range features {
		features[i] = drift.Feature{Name: "f" + strconv.Itoa(i), Kind: drift.KindInput, Tensor: "input", Element: i, Datatype: datatype}
	}
	return buildProfile(features, columns)
}

func buildProfile(features []drift.Feature, columns [][]float64) *drift.Profile {
	builder := drift.NewBuilder(features, drift.BuilderOptions{Seed: 1, MaxSampleBytes: 64 << 20, MaxSampleRows: 100_000})
	row, missing := make([]float64, len(columns)), make([]bool, len(columns))
	for k := range columns[0] {
		for i := range columns {
			row[i] = columns[i][k]
		}
		builder.Add(row, missing)
	}
	return builder.Profile(drift.Meta{Model: "benchmark", Created: epoch()})
}

// epoch is when all streams begin. Nothing depends on it.
func epoch() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// newWindow returns the empty window of a number.
func newWindow(p *drift.Profile, number, rows int) drift.Window {
	w := p.NewWindow(epoch().Add(time.Duration(number) * time.Hour))
	w.End, w.Rows = w.Start.Add(time.Hour), uint64(rows) //nolint:gosec // positive
	return w
}

// halvesOf returns the halves of the rows of the next window.
func halvesOf(split *drift.Splitter, rows int) []drift.Halves {
	split.Begin(uint64(rows)) //nolint:gosec // positive
	halves := make([]drift.Halves, rows)
	for row := range halves {
		halves[row] = split.Next(0)
	}
	return halves
}

// defaults are the options of a gateway with one stream, for windows by rows.
func defaults() drift.Options {
	c := config.Default().Defaults.Drift
	return drift.Options{
		Gates: drift.Gates{
			Mean: c.Gates.Mean, Spread: c.Gates.Spread, ShareRatio: c.Gates.ShareRatio, ShareGain: c.Gates.ShareGain, New: c.Gates.New,
		},
		Tolerance: c.Gates.Shape, QualityTolerance: c.QualityTolerance, RangeTolerance: c.RangeTolerance,
		FalseAlarmEvery: c.FalseAlarmEvery, FalseAlarmWindows: float64(c.FalseAlarmWindows),
		Streams: 1, MinRows: uint64(c.MinRows), Recover: c.Recover, //nolint:gosec // positive
	}
}

// withTolerance are the defaults but for the gates of the mean, the spread and the shape, which are those of
// a normal variable with this divergence, as PSI.
func withTolerance(tolerance float64) drift.Options {
	o := defaults()
	o.Tolerance, o.Gates.Mean, o.Gates.Spread = tolerance, math.Sqrt(tolerance), math.Sqrt(tolerance/2)
	return o
}

// newDetector makes one of options that are known to be right.
func newDetector(p *drift.Profile, o drift.Options) *drift.Tumbling {
	d, err := drift.NewDetector(p, o)
	if err != nil {
		panic(fmt.Sprintf("BUG: drift: %v", err))
	}
	return d
}
