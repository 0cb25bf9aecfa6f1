package main

import (
	"math"
	"slices"
	"sort"
)

// deciles is how many bins the population stability index has in common use.
const deciles = 10

// fixedPSI alarms where the index of a window over the reference's deciles is at least
// a limit, whatever the number of rows.
func fixedPSI(reference [][]float64, limit float64) func() judge {
	edges := make([][]float64, len(reference))
	shares := make([][deciles]float64, len(reference))
	for i, column := range reference {
		edges[i] = decilesOf(column)
		shares[i] = sharesOf(column, edges[i])
	}
	j := func(columns [][]float64) (alarms [features]bool) {
		for i, column := range columns {
			window := sharesOf(column, edges[i])
			alarms[i] = psi(&shares[i], &window) >= limit
		}
		return alarms
	}
	return func() judge { return j }
}

func decilesOf(column []float64) []float64 {
	sorted := slices.Sorted(slices.Values(column))
	edges := make([]float64, 0, deciles-1)
	for k := 1; k < deciles; k++ {
		edges = append(edges, sorted[k*len(sorted)/deciles])
	}
	return edges
}

func sharesOf(column, edges []float64) (shares [deciles]float64) {
	for _, x := range column {
		shares[sort.SearchFloat64s(edges, x)]++
	}
	for i := range shares {
		shares[i] /= float64(len(column))
	}
	return shares
}

// psi takes the share of an empty bin for a ten-thousandth, as is common.
func psi(p, q *[deciles]float64) (sum float64) {
	const empty = 1e-4
	for i := range p {
		a, b := max(p[i], empty), max(q[i], empty)
		sum += (a - b) * math.Log(a/b)
	}
	return sum
}

// calibrate returns the limit of the index that one of ten clean features passes once
// in 720 windows, which is our detector's promise: the quantile of 144,000 simulated
// ones, exact to a fifth of the rate. The index does not depend on the law of the
// feature, only on the sizes of both samples.
func (b *bench) calibrate(referenceRows, windowRows int) float64 {
	const expected, perReference = 20, 100
	chunks := parallel(expected*720*features/perReference, func(i int) []float64 {
		rng := b.seeded(4, referenceRows, windowRows, i)
		fill := func(column []float64) {
			for k := range column {
				column[k] = rng.Float64()
			}
		}
		reference, window := make([]float64, referenceRows), make([]float64, windowRows)
		fill(reference)
		edges := decilesOf(reference)
		shares := sharesOf(reference, edges)
		values := make([]float64, perReference)
		for k := range values {
			fill(window)
			w := sharesOf(window, edges)
			values[k] = psi(&shares, &w)
		}
		return values
	})
	values := slices.Sorted(slices.Values(slices.Concat(chunks...)))
	return values[len(values)-expected]
}
